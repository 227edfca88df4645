//! Who is here, left or failed, by whose word and when.

use super::intents::{Intent, Intents};
use super::{QUEUE_MAX_MIN, Queue, Serf, Timer};
use crate::digest::{ByName, Named};
use crate::face::{Event, Member};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::radix::{Keyed, Tree};
use proconsul_types::{Duration, Fault, Instant, LamportTime, MemberStatus, TextMap};
use proconsul_wire::memberlist::{Alive, Versions};
use proconsul_wire::serf::{self, Join, Leave, Message};
use proconsul_wire::shared::SharedList;

/// A member as it last described itself, and what was held of it then.
#[derive(Clone, Debug)]
struct Record {
    member: Arc<Member>,
    meta: Option<Bytes>,
    time: LamportTime,
    /// The place among those whom the pool was founded with.
    founder: usize,
}

impl Keyed for Record {
    fn key(&self) -> &[u8] {
        self.member.name.as_bytes()
    }
}

/// A member, and when it was last spoken of.
type Spoken = (Arc<str>, LamportTime);

/// What is held of a member since it described itself. Everyone gone or leaving has one.
#[derive(Clone, Debug)]
struct Mark {
    record: Arc<Record>,
    status: MemberStatus,
    time: LamportTime,
    since: Instant,
}

impl Named for Mark {
    fn name(&self) -> &str {
        &self.record.member.name
    }
}

/// A member, its status, and when that was last spoken of, in member time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    record: &'a Arc<Record>,
    pub(super) status: MemberStatus,
    pub(super) time: LamportTime,
}

impl Mark {
    fn known(&self) -> Known<'_> {
        Known { record: &self.record, status: self.status, time: self.time }
    }
}

impl<'a> Known<'a> {
    fn unmarked(record: &'a Arc<Record>) -> Self {
        Self { record, status: record.member.status, time: record.time }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.record.member.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.record.member.address
    }

    pub(super) fn tags(&self) -> &Arc<TextMap> {
        &self.record.member.tags
    }

    pub(super) fn versions(&self) -> Versions {
        self.record.member.versions
    }

    /// As others see it.
    pub(super) fn member(&self) -> Arc<Member> {
        if self.record.member.status == self.status {
            Arc::clone(&self.record.member)
        } else {
            Arc::new(Member { status: self.status, ..Member::clone(&self.record.member) })
        }
    }
}

/// Everyone known: a table that pools can share, and what this one holds of them since.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    tree: Tree<Record>,
    marks: ByName<Mark>,
    /// Those whom the pool was founded with, while all of them are known and none described itself
    /// anew. When nobody has spoken of them, they were last spoken of at time 0.
    founders: Option<Arc<Vec<Spoken>>>,
    failed: usize,
    left: usize,
    leaving: usize,
    intents: Intents,
    /// Who is here although it told that it leaves, at a time that was over; and when it was heard.
    doubted: BTreeMap<Arc<str>, Instant>,
}

impl Members {
    pub(super) fn get(&self, name: &str) -> Option<Known<'_>> {
        match self.marks.get(name) {
            Some(mark) => Some(mark.known()),
            None => self.tree.get(name.as_bytes()).map(Known::unmarked),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Known<'_>> {
        self.tree.iter().map(|record| {
            let mark = self.marks.get(&record.member.name);
            mark.map_or_else(|| Known::unmarked(record), Mark::known)
        })
    }

    /// How many are known, of every status.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// How many are here, those that will leave included.
    pub(super) fn here(&self) -> usize {
        self.tree.len() - self.failed - self.left
    }

    /// How many went away without a word.
    pub(super) fn failed_count(&self) -> usize {
        self.failed
    }

    /// Those with this status, which is none of those alive, and since when.
    fn gone(&self, status: MemberStatus) -> impl Iterator<Item = (&Arc<str>, Instant)> {
        let marks = self.marks.iter().filter(move |mark| mark.status == status);
        marks.map(|mark| (&mark.record.member.name, mark.since))
    }

    /// When everyone was last spoken of.
    pub(super) fn times(&self) -> SharedList<Spoken> {
        let said = |known: Known<'_>| (Arc::clone(known.name()), known.time);
        let Some(founders) = &self.founders else {
            return self.iter().map(said).collect();
        };
        let spoken = self.marks.iter().filter(|mark| mark.time.0 > 0);
        let mut spoken: Vec<_> =
            spoken.map(|mark| (mark.record.founder, said(mark.known()))).collect();
        spoken.sort_unstable_by_key(|(founder, _)| *founder);
        SharedList::new(Arc::clone(founders), spoken)
    }

    /// Those of whom another may have heard later than this member, and when.
    pub(super) fn heard_of<'a>(&self, told: &'a SharedList<Spoken>) -> Vec<&'a Spoken> {
        match &self.founders {
            Some(founders) if told.shares(founders) => {
                told.changed().iter().map(|(_, said)| said).collect()
            }
            Some(_) | None => told.iter().collect(),
        }
    }

    /// Who left.
    pub(super) fn left(&self) -> impl Iterator<Item = Arc<str>> {
        self.gone(MemberStatus::Left).map(|(name, _)| Arc::clone(name))
    }

    /// The tags in `meta`, read anew only if they are not those that `name` has.
    pub(super) fn tags_of(&self, name: &str, meta: Option<&Bytes>) -> Arc<TextMap> {
        if let Some(known) = self.get(name)
            && known.record.meta.as_ref() == meta
        {
            return Arc::clone(known.tags());
        }
        Arc::new(serf::decode_tags(meta.map_or(&[], AsRef::as_ref)))
    }

    /// Whether there is anything that will once be forgotten, or must come to an end.
    fn is_passing(&self) -> bool {
        self.failed + self.left + self.leaving > 0 || !self.intents.is_empty()
    }

    /// Keeps what was said of someone unknown, if it is newer. Whether it was.
    fn remember_intent(&mut self, node: &Arc<str>, intent: Intent) -> bool {
        self.intents.remember(node, intent, QUEUE_MAX_MIN.max(2 * self.len()))
    }

    /// Takes over a description.
    fn put(&mut self, now: Instant, record: Record) {
        let record = Arc::new(record);
        self.founders = None;
        self.tree.insert(Arc::clone(&record));
        let (status, time) = (record.member.status, record.time);
        self.mark(now, record, status, time);
    }

    /// Holds this of someone known from now on. Gives back who it is.
    fn change(
        &mut self,
        now: Instant,
        name: &str,
        status: MemberStatus,
        time: LamportTime,
    ) -> Option<Arc<Member>> {
        let record = match self.marks.get(name) {
            Some(mark) => &mark.record,
            None => self.tree.get(name.as_bytes())?,
        };
        let record = Arc::clone(record);
        let member = Known { record: &record, status, time }.member();
        self.mark(now, record, status, time);
        Some(member)
    }

    fn mark(&mut self, now: Instant, record: Arc<Record>, status: MemberStatus, time: LamportTime) {
        let going = status != MemberStatus::Alive;
        let old = self.marks.get(&record.member.name).map(|old| (old.status, old.since));
        if going || record.member.status != status || record.time != time {
            let since = old.filter(|(old, _)| *old == status).map_or(now, |(_, since)| since);
            self.marks.insert(Mark { record, status, time, since });
        } else if old.is_some() {
            self.marks.remove(&record.member.name);
        }
        self.uncount(old.map(|(status, _)| status));
        self.failed += usize::from(status == MemberStatus::Failed);
        self.left += usize::from(status == MemberStatus::Left);
        self.leaving += usize::from(status == MemberStatus::Leaving);
    }

    fn uncount(&mut self, status: Option<MemberStatus>) {
        self.failed -= usize::from(status == Some(MemberStatus::Failed));
        self.left -= usize::from(status == Some(MemberStatus::Left));
        self.leaving -= usize::from(status == Some(MemberStatus::Leaving));
    }

    fn erase(&mut self, name: &str) {
        let mark = self.marks.remove(name);
        self.uncount(mark.map(|mark| mark.status));
        self.doubted.remove(name);
        self.founders = None;
        self.tree.remove(name.as_bytes(), 0);
    }

    pub(super) fn check_invariants(&self) {
        self.tree.check_invariants();
        let count = |status| self.iter().filter(|known| known.status == status).count();
        assert_eq!(count(MemberStatus::Failed), self.failed, "the failed are counted");
        assert_eq!(count(MemberStatus::Left), self.left, "who left is counted");
        assert_eq!(self.gone(MemberStatus::Failed).count(), self.failed, "the failed are marked");
        assert_eq!(self.left().count(), self.left, "who left is marked");
        assert_eq!(count(MemberStatus::Leaving), self.leaving, "who leaves is counted");
        let leaving = self.gone(MemberStatus::Leaving).count();
        assert_eq!(leaving, self.leaving, "who leaves is marked");
        self.marks.check_invariants();
        self.intents.check_invariants();
        for mark in self.marks.iter() {
            let known = self.tree.get(mark.name().as_bytes());
            assert!(
                known.is_some_and(|known| Arc::ptr_eq(known, &mark.record)),
                "the marked are known"
            );
        }
        if let Some(founders) = &self.founders {
            assert!(founders.len() == self.tree.len(), "the founders are everyone");
            for known in self.iter() {
                let found = founders.get(known.record.founder).map(|(name, _)| name);
                assert!(found == Some(known.name()), "founders have their places");
            }
        }
    }
}

/// Members that pools begin with, all alive. Cloning is two reference counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Founders {
    tree: Tree<Record>,
    times: Arc<Vec<Spoken>>,
}

impl Founders {
    /// Adds someone new.
    pub(crate) fn add(&mut self, alive: &Alive, versions: Versions, address: SocketAddr) {
        let name = Arc::clone(&alive.node);
        let founder = self.times.len();
        Arc::make_mut(&mut self.times).push((Arc::clone(&name), LamportTime(0)));
        let tags = Arc::new(serf::decode_tags(alive.meta.as_ref().map_or(&[], AsRef::as_ref)));
        let member = Member { name, address, tags, status: MemberStatus::Alive, versions };
        let (meta, time) = (alive.meta.clone(), LamportTime(0));
        self.tree.insert(Arc::new(Record { member: Arc::new(member), meta, time, founder }));
    }
}

impl Serf {
    /// Begins with these, as if they had been met long ago: nobody is told.
    pub(crate) fn found(&mut self, now: Instant, founders: &Founders) {
        assert!(self.members.len() == 0, "a pool is founded before anyone is met");
        self.members.tree = founders.tree.clone();
        self.members.founders = Some(Arc::clone(&founders.times));
        if self.rejoin.is_durable() {
            for known in self.members.iter() {
                self.rejoin.on_here(known.name(), known.address());
            }
        }
        self.settle(now);
    }

    /// Someone is here (again), this member itself included: dead, left or unknown to alive.
    /// `address` has the receiver's port in place of port 0.
    pub(crate) fn on_joined(
        &mut self,
        now: Instant,
        alive: &Alive,
        versions: Versions,
        address: SocketAddr,
    ) {
        let name = &alive.node;
        let (status, time) = match (self.members.get(name), self.members.intents.get(name)) {
            (Some(known), _) => {
                let time = known.time;
                self.keep(name);
                (MemberStatus::Alive, time)
            }
            (None, Some(intent)) if intent.leaves => (MemberStatus::Leaving, intent.time),
            (None, Some(intent)) => (MemberStatus::Alive, intent.time),
            (None, None) => (MemberStatus::Alive, LamportTime(0)),
        };
        let member = self.describe(now, alive, versions, address, status, time);
        self.rejoin.on_here(name, address);
        self.say(Event::Joined(member));
        self.settle(now);
    }

    /// The meta, address or versions of someone alive changed, this member itself included.
    pub(crate) fn on_updated(
        &mut self,
        now: Instant,
        alive: &Alive,
        versions: Versions,
        address: SocketAddr,
    ) {
        let Some(known) = self.members.get(&alive.node) else { return };
        let (status, time, moved) = (known.status, known.time, known.address() != address);
        let member = self.describe(now, alive, versions, address, status, time);
        if moved {
            self.rejoin.on_here(&alive.node, address);
        }
        self.say(Event::Updated(member));
        self.settle(now);
    }

    /// Takes over what a member says of itself.
    fn describe(
        &mut self,
        now: Instant,
        alive: &Alive,
        versions: Versions,
        address: SocketAddr,
        status: MemberStatus,
        time: LamportTime,
    ) -> Arc<Member> {
        let name = Arc::clone(&alive.node);
        let tags = self.members.tags_of(&name, alive.meta.as_ref());
        let member = Arc::new(Member { name, address, tags, status, versions });
        let meta = alive.meta.clone();
        let record = Record { member: Arc::clone(&member), meta, time, founder: usize::MAX };
        self.members.put(now, record);
        member
    }

    /// Someone is dead or left, this member itself included. `own_word`: it says, or once said, so
    /// itself. If it just told its intent, it has left, even if that was not believed: a later word
    /// about it may never have reached it. (A Serf agent takes it for failed.)
    pub(crate) fn on_gone(&mut self, now: Instant, name: &str, own_word: bool) {
        let Some(known) = self.members.get(name) else { return };
        let (status, time) = (known.status, known.time);
        let leave_lasts = self.timing.broadcast_timeout + self.timing.leave_propagation;
        let told = self.members.doubted.remove(name);
        let is_meant = told.is_some_and(|told| own_word && now.since(told) <= leave_lasts);
        match status {
            MemberStatus::Leaving => self.go(now, name, MemberStatus::Left, time, Event::Left),
            MemberStatus::Alive if is_meant => {
                self.go(now, name, MemberStatus::Left, time, Event::Left);
            }
            MemberStatus::Alive => self.go(now, name, MemberStatus::Failed, time, Event::Failed),
            MemberStatus::None | MemberStatus::Left | MemberStatus::Failed => {}
        }
        self.settle(now);
    }

    /// Someone is gone in this way.
    fn go(
        &mut self,
        now: Instant,
        name: &str,
        status: MemberStatus,
        time: LamportTime,
        event: fn(Arc<Member>) -> Event,
    ) {
        self.rejoin.on_gone(name);
        if let Some(member) = self.members.change(now, name, status, time) {
            self.say(event(member));
        }
    }

    /// A leave intent that was told: whether it should be told on.
    pub(super) fn on_leave_told(&mut self, now: Instant, leave: &Leave) -> bool {
        let is_news = self.on_leave_intent(now, leave);
        let known = self.members.get(&leave.node).filter(|_| leave.node != self.name);
        if known.is_some_and(|known| known.status == MemberStatus::Alive)
            && !self.planted.is(Fault::LeaveToldBefore)
        {
            self.members.doubted.insert(Arc::clone(&leave.node), now);
        }
        is_news
    }

    /// A leave intent, as told or as another holds it: whether it is news.
    pub(super) fn on_leave_intent(&mut self, now: Instant, leave: &Leave) -> bool {
        self.witness_member(leave.time);
        let Some(known) = self.members.get(&leave.node) else {
            let intent = Intent { leaves: true, time: leave.time, heard: now };
            return self.buffer_intent(&leave.node, intent);
        };
        let before = known.status;
        // Someone would force us out, or remembers a former life of ours. An intent of the same
        // time as ours may have come to others first: the next is of a later time.
        let is_ours = leave.node == self.name && !self.is_leaving();
        let trusts_all = self.planted.is(Fault::LeaveIntentIgnoresClock);
        if is_ours && (leave.time >= known.time || trusts_all) {
            self.say(Event::Refuted);
            self.announce_join(now);
            return false;
        }
        if leave.time <= known.time && !trusts_all {
            return false;
        }
        let status = match before {
            MemberStatus::Alive | MemberStatus::Leaving => MemberStatus::Leaving,
            MemberStatus::Failed | MemberStatus::Left => MemberStatus::Left,
            MemberStatus::None => return false,
        };
        if before == MemberStatus::Failed {
            self.go(now, &leave.node, status, leave.time, Event::Left);
        } else {
            self.members.change(now, &leave.node, status, leave.time);
        }
        if leave.prune {
            self.prune(now, &leave.node, status);
        }
        true
    }

    /// Keeps what was said of someone unknown, if it is newer; whether it was. Nobody can have a
    /// name that no datagram carries.
    fn buffer_intent(&mut self, node: &Arc<str>, intent: Intent) -> bool {
        node.len() <= self.timing.datagram_bytes && self.members.remember_intent(node, intent)
    }

    /// A join intent that was told: whether it should be told on.
    ///
    /// Whoever holds a member for gone speaks of a leave one tick after its last word, which may be
    /// the tick at which it says that it is back. Its own word counts then, whichever came first.
    /// What others hold does not: those who know of a leave would call it back among themselves.
    pub(super) fn on_join_intent(&mut self, now: Instant, join: &Join) -> bool {
        let told = self.members.get(&join.node).filter(|_| join.node != self.name);
        let same_tick = told.filter(|known| known.time == join.time);
        let Some(status) = same_tick.and_then(|known| self.back_from(known.status)) else {
            return self.on_join_held(now, join);
        };
        self.witness_member(join.time);
        self.members.change(now, &join.node, status, join.time);
        self.stays(&join.node);
        true
    }

    /// That someone has joined, as told or as another holds it: whether it is news.
    pub(super) fn on_join_held(&mut self, now: Instant, join: &Join) -> bool {
        self.witness_member(join.time);
        let Some(known) = self.members.get(&join.node) else {
            let intent = Intent { leaves: false, time: join.time, heard: now };
            return self.buffer_intent(&join.node, intent);
        };
        if join.time <= known.time {
            return false;
        }
        let leaves_itself = join.node == self.name && self.is_leaving();
        let back = self.back_from(known.status).filter(|_| !leaves_itself);
        self.members.change(now, &join.node, back.unwrap_or(known.status), join.time);
        if back.is_some() {
            self.stays(&join.node);
        }
        true
    }

    /// What someone is that spoke after it began to leave, if that is something else.
    ///
    /// Whoever speaks after its leave has not left. Until the failure detector meets it, it is
    /// missed like one that failed: held for left still, each exchange would tell a later leave.
    /// That is no death, and none is told.
    fn back_from(&self, status: MemberStatus) -> Option<MemberStatus> {
        match status {
            MemberStatus::Leaving => Some(MemberStatus::Alive),
            MemberStatus::Left if !self.planted.is(Fault::ReturnKeepsLeft) => {
                Some(MemberStatus::Failed)
            }
            MemberStatus::None
            | MemberStatus::Alive
            | MemberStatus::Left
            | MemberStatus::Failed => None,
        }
    }

    /// Others know of a word about this member that is from `time`. If that is later than its own,
    /// it may have been a leave, and they would wait for its end for ever. At most one is answered
    /// each reap interval, and none that came by broadcast: two of one name would never stop.
    pub(super) fn contradict(&mut self, now: Instant, time: LamportTime) {
        let last = self.contradicted;
        let rested = last.is_none_or(|last| now.since(last) >= self.timing.reap_interval);
        if time > self.announced && rested && !self.is_leaving() {
            self.contradicted = Some(now);
            self.announce_join(now);
        }
    }

    /// Tells all that this member is here.
    pub(super) fn announce_join(&mut self, now: Instant) {
        let join = Join { time: self.clocks.member, node: Arc::clone(&self.name) };
        self.on_join_intent(now, &join);
        self.announced = join.time;
        if self.someone_else_here() {
            self.tell_intent(Message::Join(join).to_bytes(), false);
        }
    }

    /// Whether anyone else is alive.
    pub(super) fn someone_else_here(&self) -> bool {
        let alive = |known: Known<'_>| {
            let status = known.status;
            status == MemberStatus::Alive && *known.name() != self.name
        };
        self.members.here() > 0 && self.members.iter().any(alive)
    }

    /// Forgets someone at once, or, if it is just leaving, when the leave is known to all.
    fn prune(&mut self, now: Instant, name: &Arc<str>, status: MemberStatus) {
        if status == MemberStatus::Leaving {
            let wait = self.timing.broadcast_timeout + self.timing.leave_propagation;
            self.timers.set(Timer::Prune(Arc::clone(name)), now.after(wait));
        } else {
            self.erase(name);
        }
    }

    /// The wait of [`Self::prune`] is over. Who has come back meanwhile stays. Who is still about
    /// to leave is not gone for the failure detector, which would never tell of it again: that one
    /// is waited for.
    pub(super) fn finish_prune(&mut self, now: Instant, name: &Arc<str>) {
        match self.members.get(name).map(|known| known.status) {
            Some(MemberStatus::Leaving) => self.prune(now, name, MemberStatus::Leaving),
            Some(MemberStatus::Left | MemberStatus::Failed) => self.erase(name),
            Some(MemberStatus::Alive | MemberStatus::None) | None => {}
        }
    }

    /// Someone does not leave after all: whoever met it as one that does must hear of it.
    fn stays(&mut self, name: &Arc<str>) {
        self.keep(name);
        if let Some(member) = self.member(name) {
            self.say(Event::Updated(member));
        }
    }

    /// Someone is here after all: it is not forgotten when it next goes.
    fn keep(&mut self, name: &Arc<str>) {
        self.timers.clear(&Timer::Prune(Arc::clone(name)));
    }

    /// Forgets someone; never this member itself.
    fn erase(&mut self, name: &str) {
        if *name == *self.name {
            return;
        }
        if let Some(member) = self.member(name) {
            self.members.erase(name);
            self.vivaldi.forget(name);
            self.say(Event::Reaped(member));
        }
    }

    /// Forgets who has been gone for too long, and intents that nobody came to; asks after those
    /// whose leave has no end.
    pub(super) fn reap(&mut self, now: Instant) {
        self.ask_after_leaving(now);
        let forget_at_once = self.planted.is(Fault::ReapForgetsFailedAtOnce);
        let failed = self
            .members
            .gone(MemberStatus::Failed)
            .filter(|(name, since)| forget_at_once || now.since(*since) > self.patience(name));
        let tombstone = self.timing.tombstone_timeout;
        let left = self.members.gone(MemberStatus::Left);
        let left = left.filter(|(_, since)| now.since(*since) > tombstone);
        let over: Vec<Arc<str>> = failed.chain(left).map(|(name, _)| Arc::clone(name)).collect();
        for name in over {
            self.erase(&name);
        }
        let patience = self.timing.intent_timeout;
        self.members.intents.forget_old(now, patience);
    }

    /// A leave takes seconds. Who is still here may never have heard that it leaves, or have
    /// spoken of itself at the very time of that word, and then no exchange tells the two apart:
    /// it is told again, and contradicts.
    fn ask_after_leaving(&mut self, now: Instant) {
        let interval = self.timing.reap_interval;
        let leaving = self.members.gone(MemberStatus::Leaving);
        let late =
            leaving.filter(|(name, since)| now.since(*since) >= interval && **name != self.name);
        let late: Vec<Arc<str>> = late.map(|(name, _)| Arc::clone(name)).collect();
        for node in late {
            let time = self.members.get(&node).map_or(LamportTime(0), |known| known.time);
            let leave = Leave { time, node, prune: false };
            self.tell(Queue::Intents, Message::Leave(leave).to_bytes());
        }
    }

    /// How long a failed member is kept: its own word (`rc_tm`), or this pool's.
    fn patience(&self, name: &str) -> Duration {
        let own = self.members.get(name).and_then(|known| {
            let text = known.tags().get("rc_tm")?;
            proconsul_syntax::duration::parse_unsigned(text).ok()
        });
        own.filter(|own| !own.is_zero()).unwrap_or(self.timing.reconnect_timeout)
    }

    /// Tries to meet one failed member again, as often as the pool together should try each once.
    pub(super) fn reconnect(&mut self) {
        let failed = self.members.failed_count();
        if failed == 0 || self.is_leaving() {
            return;
        }
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if self.rng.chance(wide(failed), wide(self.members.here().max(1))) {
            let chosen = self.rng.index(failed);
            let name = self.members.gone(MemberStatus::Failed).nth(chosen).map(|(name, _)| name);
            let known = name.and_then(|name| self.members.get(name));
            let seeds = known.map(|known| known.address()).into_iter().collect();
            self.ask_join(seeds);
        }
    }

    /// Sets the timers that are needed only while someone is gone.
    pub(super) fn settle_members(&mut self, now: Instant) {
        if self.members.is_passing() && self.timers.get(&Timer::Reap).is_none() {
            self.timers.set(Timer::Reap, now.after(self.timing.reap_interval));
        }
        if self.members.failed_count() > 0 && self.timers.get(&Timer::Reconnect).is_none() {
            self.timers.set(Timer::Reconnect, now.after(self.timing.reconnect_interval));
        }
    }
}
