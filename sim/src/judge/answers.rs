//! Every answer to a client, judged against the one sequence of commits: linear time, exact, and it
//! says which operation is wrong.

use super::{Floor, Judge};
use crate::client::{Client, KEYS_MAX};
use crate::model::{Interval, Pair, SERVICES_MAX, Written, number_of};
use crate::schedule::{Freshness, Want};
use crate::world::Run;
use proconsul_core::http::Response;
use proconsul_core::types::SessionId;
use serde::Deserialize;

/// A pair as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    #[serde(borrow)]
    key: std::borrow::Cow<'a, str>,
    flags: u64,
    #[serde(borrow)]
    value: Option<std::borrow::Cow<'a, str>>,
    modify_index: u64,
    #[serde(default, borrow)]
    session: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
struct SessionAnswer {
    #[serde(rename = "ID")]
    id: String,
}

/// What a read said about one key.
#[derive(Clone, Copy, Debug)]
struct Seen {
    key: usize,
    pair: Option<Pair>,
    modified: u64,
}

impl Judge {
    /// A client got an answer that is no server error.
    pub(crate) fn answered(
        &mut self,
        place: usize,
        run: &mut Run,
        answer: &Response,
        clients: &mut [Client],
        served: (usize, u32),
    ) {
        if self.model.lost {
            return;
        }
        let Some(want) = run.want else { return };
        if !may_be_answered(want, answer) {
            self.broken("http.status", || {
                let body = String::from_utf8_lossy(&answer.body);
                format!("#{place} {want:?} was answered {}: {body}", answer.status)
            });
            return;
        }
        let client = &mut clients[run.client];
        let yes = answer.status == 200 && trimmed(&answer.body) == b"true";
        match want {
            Want::Put { key } => self.wrote(place, &[key], run, answer, yes.then_some(true)),
            Want::Cas { key } => {
                self.wrote(place, &[key], run, answer, verdict(answer));
            }
            Want::Txn { key, other } => {
                let said = match answer.status {
                    200 => Some(true),
                    409 => Some(false),
                    _ => None,
                };
                self.wrote(place, &[key, other], run, answer, said);
            }
            Want::Acquire { key } => self.acquired(place, key, run, answer),
            Want::Release { key } => self.wrote(place, &[key], run, answer, verdict(answer)),
            Want::Delete { key } => {
                if yes {
                    self.deleted(place, &[usize::from(key)], run);
                }
            }
            Want::DeleteCas { key } => {
                if let Some(said) = verdict(answer) {
                    self.deleted_if(place, usize::from(key), run, said);
                }
            }
            Want::DeleteTree => {
                if yes {
                    self.deleted(place, &[0, 1, 2, 3, 4, 5, 6, 7], run);
                }
            }
            Want::Session | Want::Ephemeral => self.session_made(run, answer, client),
            Want::Renew => {
                if answer.status == 200 {
                    let renewed = serde_json::from_slice::<[SessionAnswer; 1]>(&answer.body);
                    if let Some(id) = renewed.ok().and_then(|[session]| session.id.parse().ok()) {
                        self.locks.renewed(run.client, id, run.invoked);
                        self.sessions.renewed(id, run.invoked);
                    }
                } else if answer.status == 404 {
                    client.session = None;
                }
            }
            Want::Get { key, .. } | Want::WatchKey { key, .. } => {
                self.read(usize::from(key), run, answer, client, served);
            }
            Want::List { .. } | Want::WatchPrefix { .. } => {
                self.listed(run, answer, client, served);
            }
            Want::WatchService { service, .. } | Want::Health { service, .. } => {
                self.health(usize::from(service), run, answer, served);
            }
            Want::Services { .. } => self.services(run, answer, served),
            Want::Register { node: u8::MAX, .. } => {}
            Want::Register { node, service, passing } => {
                self.registered(run, node, service, passing);
            }
            Want::Deregister { node, service } => {
                self.deregistered(run, node, usize::from(service));
            }
            Want::DeregisterNode { node } => {
                (0..SERVICES_MAX).for_each(|service| self.deregistered(run, node, service));
            }
            Want::Destroy | Want::Fill { .. } | Want::Transfer { .. } | Want::RemovePeer { .. } => {
            }
        }
    }

    /// An attempt to lock a key was answered.
    fn acquired(&mut self, place: usize, key: u8, run: &Run, answer: &Response) {
        let said = verdict(answer);
        self.wrote(place, &[key], run, answer, said);
        let index = self.model.written(crate::world::tag_of(place)).index;
        let past = &self.model.keys[usize::from(key) % KEYS_MAX];
        if said == Some(true)
            && let Some(session) = past.at(index).and_then(|pair| pair.session)
        {
            let deleted = past.deletions.last().copied().unwrap_or(0);
            let (moments, indexes) = ((run.invoked, self.now), (index, deleted));
            let who = (run.client, session);
            if let Some((rule, text)) = self.locks.acquired(moments, key, who, indexes) {
                self.broken(rule, || text);
            }
        }
    }

    /// A client has a session: it must be committed.
    fn session_made(&mut self, run: &Run, answer: &Response, client: &mut Client) {
        let made = serde_json::from_slice::<SessionAnswer>(&answer.body).ok();
        let Some(id) = made.and_then(|answer| answer.id.parse::<SessionId>().ok()) else { return };
        if !self.model.sessions_ever.contains(&id) {
            self.broken("write.acked-not-committed", || {
                format!("session {id} was answered, but nobody committed it")
            });
        }
        client.session = Some(id);
        self.locks.created(run.client, id, run.invoked);
    }

    /// A write was answered: it must be in the log, after everything known when it began, and what
    /// it answered must be what the log makes of it.
    fn wrote(
        &mut self,
        place: usize,
        keys: &[u8],
        run: &Run,
        answer: &Response,
        said: Option<bool>,
    ) {
        let Some(said) = said else { return };
        let written = self.model.written(crate::world::tag_of(place));
        self.histories.wrote(place, self.now, said, &written);
        if written.index == 0 {
            if said {
                self.broken("write.acked-not-committed", || {
                    format!(
                        "write #{place} {:?} was acknowledged, but nobody committed it",
                        run.want
                    )
                });
            }
            return;
        }
        if written.answer != Some(said) {
            self.broken("write.wrong-answer", || {
                format!(
                    "#{place} {:?} answered {} ({}), but at index {} it comes to {:?}",
                    run.want,
                    said,
                    String::from_utf8_lossy(&answer.body),
                    written.index,
                    written.answer
                )
            });
            return;
        }
        for key in keys {
            let key = usize::from(*key) % KEYS_MAX;
            if written.index <= run.floor.keys[key] {
                self.broken("write.out-of-order", || {
                    format!("#{place} stands at {} but began after {:?}", written.index, run.floor)
                });
            }
            if said {
                self.raise(key, written.index);
            }
        }
    }

    fn deleted(&mut self, place: usize, keys: &[usize], run: &Run) {
        self.histories.wrote(place, self.now, true, &Written::default());
        for key in keys {
            let deletions = &self.model.keys[*key].deletions;
            let after = deletions.partition_point(|index| *index <= run.floor.horizon);
            if let Some(index) = deletions.get(after).copied() {
                self.raise(*key, index);
            } else {
                self.broken("write.acked-not-committed", || {
                    format!("a deletion of k/{key} was acknowledged, but nobody committed it")
                });
            }
        }
    }

    /// A deletion on a condition was answered: the log must hold one that comes to the same.
    fn deleted_if(&mut self, place: usize, key: usize, run: &Run, said: bool) {
        self.histories.wrote(place, self.now, said, &Written::default());
        let key = key % KEYS_MAX;
        let mut all = self.model.keys[key].conditional.iter();
        let (floor, seen) = (run.floor.horizon, run.seen);
        let found =
            all.find(|(index, expected, yes)| *index > floor && *expected == seen && *yes == said);
        match found.copied() {
            Some((index, ..)) if said => self.raise(key, index),
            Some(_) => {}
            None => self.broken("write.wrong-answer", || {
                format!("#{place} {:?} at {seen} answered {said}, which no commit says", run.want)
            }),
        }
    }

    fn raise(&mut self, key: usize, index: u64) {
        self.floor.keys[key] = self.floor.keys[key].max(index);
    }

    /// A read of one key.
    fn read(
        &mut self,
        key: usize,
        run: &mut Run,
        answer: &Response,
        client: &mut Client,
        served: (usize, u32),
    ) {
        let shown: Vec<Shown<'_>> = match answer.status {
            200 => match serde_json::from_slice(&answer.body) {
                Ok(shown) => shown,
                Err(error) => {
                    self.broken("http.body", || format!("{error}: {:?}", answer.body));
                    return;
                }
            },
            404 => Vec::new(),
            _ => return,
        };
        let seen = shown.first().map_or(Seen { key, pair: None, modified: 0 }, seen_of);
        client.seen[key % KEYS_MAX] = seen.modified;
        if !self.tags_fit(&shown) {
            return;
        }
        let linear = self.is_linear(run);
        let floor = run.floor.keys[key];
        let stretch = self.stretch(&seen, floor, linear);
        let Some((begin, end)) = stretch else { return };
        if linear {
            self.histories.read(key, run, self.now, seen.pair.map(|pair| pair.tag));
            self.raise(key, begin);
        }
        if let Some(index) = index_of(answer) {
            if self.model.keys[key].changed_in(begin, index) && index >= end {
                self.broken("read.index-newer-than-body", || {
                    format!("k/{key} with index {index}, but the body is of {begin} to {end}")
                });
            }
            if index < begin && seen.pair.is_some() {
                self.broken("read.index-older-than-body", || {
                    format!("k/{key} with index {index}, but the body is of {begin}")
                });
            }
            self.forward_only(run, index, served);
            run.index = index;
        }
    }

    /// The stretch of indexes at which a key was as it was seen; judges that there is one and that
    /// it is not too old.
    fn stretch(&mut self, seen: &Seen, floor: u64, linear: bool) -> Option<Interval> {
        let key = seen.key;
        let stretch = if let Some(pair) = seen.pair {
            match self.model.keys[key].version(seen.modified) {
                Some((known, stretch)) if known == pair => Some(stretch),
                Some(_) | None => None,
            }
        } else {
            self.model.keys[key].last_absence()
        };
        let Some((begin, end)) = stretch else {
            self.broken("read.phantom", || {
                format!("k/{key} was read as {seen:?}, which nobody committed")
            });
            return None;
        };
        if linear && end <= floor {
            self.broken("read.stale", || {
                format!(
                    "k/{key} was read as it was from {begin} to {end}, \
                     but version {floor} was known before the read began"
                )
            });
            return None;
        }
        Some((begin, end))
    }

    /// A read of all keys: it must show one moment, and not too old a one.
    fn listed(
        &mut self,
        run: &mut Run,
        answer: &Response,
        client: &mut Client,
        served: (usize, u32),
    ) {
        let shown: Vec<Shown<'_>> = match answer.status {
            200 => match serde_json::from_slice(&answer.body) {
                Ok(shown) => shown,
                Err(error) => {
                    self.broken("http.body", || format!("{error}: {:?}", answer.body));
                    return;
                }
            },
            404 => Vec::new(),
            _ => return,
        };
        if !self.tags_fit(&shown) {
            return;
        }
        let mut seen = [const { Seen { key: 0, pair: None, modified: 0 } }; KEYS_MAX];
        for (key, slot) in seen.iter_mut().enumerate() {
            slot.key = key;
        }
        for pair in shown.iter().map(seen_of) {
            seen[pair.key] = pair;
            client.seen[pair.key] = pair.modified;
        }
        let linear = self.is_linear(run);
        let floor = if linear { run.floor.keys.iter().copied().max().unwrap_or(0) } else { 0 };
        let moments = self.moments(&seen, floor);
        if moments.is_empty() {
            let ever = !self.moments(&seen, 0).is_empty();
            self.broken(if ever { "read.stale" } else { "read.mixed" }, || {
                format!("a list shows {seen:?}, which was at no moment (known before: {floor})")
            });
            return;
        }
        if linear {
            for seen in &seen {
                let since = self.model.keys[seen.key].version(seen.modified);
                self.raise(seen.key, since.map_or(0, |(_, (begin, _))| begin));
            }
        }
        let Some(index) = index_of(answer) else { return };
        if !moments.iter().any(|(begin, end)| (*begin..*end).contains(&index)) {
            let newer = moments.iter().all(|(_, end)| index >= *end);
            let word = if newer { "newer" } else { "older" };
            self.broken(&format!("read.index-{word}-than-body"), || {
                format!("a list with index {index}, but its body is of {moments:?}")
            });
        }
        self.forward_only(run, index, served);
        run.index = index;
    }

    /// The stretches of indexes, not all before `floor`, at which all keys were as seen.
    fn moments(&self, seen: &[Seen; KEYS_MAX], floor: u64) -> Vec<Interval> {
        let low = seen.iter().map(|seen| seen.modified).max().unwrap_or(0);
        let mut changes: Vec<u64> = vec![low];
        for key in &self.model.keys {
            let from = key.versions().partition_point(|version| version.index <= low);
            changes.extend(key.versions()[from..].iter().map(|version| version.index));
        }
        changes.sort_unstable();
        changes.dedup();
        let ends = changes.iter().skip(1).copied().chain([u64::MAX]);
        changes
            .iter()
            .copied()
            .zip(ends)
            .filter(|(begin, end)| {
                let same = |seen: &Seen| self.model.keys[seen.key].at(*begin) == seen.pair;
                *end > floor && seen.iter().all(same)
            })
            .collect()
    }

    /// Every value must be the one its author wrote.
    fn tags_fit(&mut self, shown: &[Shown<'_>]) -> bool {
        for pair in shown {
            let wrote = crate::client::base64(pair.flags.to_string().as_bytes());
            if number_of(&pair.key).is_none() || pair.value.as_deref() != Some(wrote.as_str()) {
                self.broken("read.phantom", || format!("{pair:?} was never written like this"));
                return false;
            }
        }
        true
    }

    pub(super) fn is_linear(&self, run: &Run) -> bool {
        match run.want.map_or(Freshness::Stale, crate::client::fresh_of) {
            Freshness::Consistent => true,
            Freshness::Default => self.judge_default,
            Freshness::Stale => false,
        }
    }

    /// Indexes of one query at one server never go back.
    pub(super) fn forward_only(&mut self, run: &Run, index: u64, served: (usize, u32)) {
        let linear = self.is_linear(run);
        if index < run.index && (linear || run.last == Some(served)) {
            self.broken("watch.index-backwards", || {
                format!("{:?} had index {}, now {index} from s{}", run.want, run.index, served.0)
            });
        }
    }

    /// A server said that a write certainly did not happen and will not.
    pub(crate) fn refused_write(&mut self, place: usize, want: Want) {
        if crate::client::is_read(want) {
            return;
        }
        self.check_not_applied(place, want);
    }

    fn check_not_applied(&mut self, place: usize, want: Want) {
        let written = self.model.written(crate::world::tag_of(place));
        if written.index > 0 {
            self.broken("write.failed-but-applied", || {
                format!(
                    "#{place} {want:?} was refused for certain, but stands at {}",
                    written.index
                )
            });
        }
    }

    /// A client sends a request: from now on it no longer counts on what the request gives up.
    pub(crate) fn asks(&mut self, run: &Run, client: &Client) {
        match run.want {
            Some(Want::Release { key }) => self.locks.releases(self.now, run.client, key),
            Some(Want::Destroy) => {
                self.locks.gives_up(self.now, run.client);
                if let Some(session) = client.session {
                    self.sessions.gives_up(session);
                }
            }
            Some(Want::Session | Want::Ephemeral) => self.locks.gives_up(self.now, run.client),
            Some(_) | None => {}
        }
    }
}

fn seen_of(shown: &Shown<'_>) -> Seen {
    let session = shown.session.as_deref().and_then(|text| text.parse().ok());
    Seen {
        key: number_of(&shown.key).map_or(0, usize::from),
        pair: Some(Pair { tag: shown.flags, session }),
        modified: shown.modify_index,
    }
}

/// Whether this can be the answer to what was asked, if it is no server error.
fn may_be_answered(want: Want, answer: &Response) -> bool {
    let said = verdict(answer);
    match want {
        // A server takes values as large as it is told to.
        Want::Fill { .. } => said == Some(true) || answer.status == 413,
        Want::Put { .. }
        | Want::Delete { .. }
        | Want::DeleteTree
        | Want::Destroy
        | Want::Register { .. }
        | Want::Deregister { .. }
        | Want::DeregisterNode { .. } => said == Some(true),
        Want::Cas { .. } | Want::DeleteCas { .. } | Want::Acquire { .. } | Want::Release { .. } => {
            said.is_some()
        }
        Want::Txn { .. } => matches!(answer.status, 200 | 409),
        Want::Get { .. }
        | Want::WatchKey { .. }
        | Want::List { .. }
        | Want::WatchPrefix { .. }
        | Want::Renew => matches!(answer.status, 200 | 404),
        Want::Session
        | Want::Ephemeral
        | Want::Health { .. }
        | Want::WatchService { .. }
        | Want::Services { .. } => answer.status == 200,
        // Whoever is asked may be no member, or lead already.
        Want::Transfer { .. } | Want::RemovePeer { .. } => true,
    }
}

fn verdict(answer: &Response) -> Option<bool> {
    match (answer.status, trimmed(&answer.body)) {
        (200, b"true") => Some(true),
        (200, b"false") => Some(false),
        _ => None,
    }
}

fn trimmed(body: &[u8]) -> &[u8] {
    body.trim_ascii()
}

pub(super) fn index_of(answer: &Response) -> Option<u64> {
    answer.header("X-Consul-Index")?.parse().ok()
}

impl Floor {
    /// What was known of one key.
    #[must_use]
    pub fn of(&self, key: usize) -> u64 {
        self.keys[key % KEYS_MAX]
    }
}
