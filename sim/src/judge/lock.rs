//! One holder at any time: what clients may believe of their locks.
//!
//! A client that was told `true` holds the key until it gives it back, ends the session it holds it
//! with, or the last successful renewal of that is older than the TTL. While one may believe so, no
//! other may be told `true`.

use crate::options::Options;
use proconsul_core::types::SessionId;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct LockJudge {
    ttl: u64,
    /// Each client's session, and since when it is surely alive: the sending of the last renewal
    /// answered.
    alive: BTreeMap<usize, (SessionId, u64)>,
    /// Who believes to hold a key, with which session, and since which index.
    holders: BTreeMap<u8, (usize, SessionId, u64)>,
    /// When each client last asked to give a key back.
    released: BTreeMap<(usize, u8), u64>,
    /// When each client last asked to end its session, or for a new one.
    ended: BTreeMap<usize, u64>,
    patience: u64,
}

impl LockJudge {
    pub(crate) fn new(options: &Options) -> Self {
        // Clocks may run a little fast; the servers wait for twice the TTL. Where they run as they
        // like nobody may count on a lock.
        let ttl = if options.judge_default { options.session_ttl_ms * 900_000 } else { 0 };
        Self {
            ttl,
            alive: BTreeMap::new(),
            holders: BTreeMap::new(),
            released: BTreeMap::new(),
            ended: BTreeMap::new(),
            patience: options.patience * 1_000,
        }
    }

    pub(crate) fn created(&mut self, client: usize, session: SessionId, sent: u64) {
        self.ends(client);
        self.alive.insert(client, (session, sent));
    }

    pub(crate) fn renewed(&mut self, client: usize, session: SessionId, sent: u64) {
        if let Some((own, alive)) = self.alive.get_mut(&client)
            && *own == session
        {
            *alive = sent.max(*alive);
        }
    }

    pub(crate) fn releases(&mut self, now: u64, client: usize, key: u8) {
        self.released.insert((client, key), now);
        if self.holders.get(&key).is_some_and(|(holder, ..)| *holder == client) {
            self.holders.remove(&key);
        }
    }

    /// The client asks for the end of its session, or for a new one.
    pub(crate) fn gives_up(&mut self, now: u64, client: usize) {
        self.ended.insert(client, now);
        self.ends(client);
    }

    /// The client gives up its session, and all it holds.
    fn ends(&mut self, client: usize) {
        self.holders.retain(|_, (holder, ..)| *holder != client);
        self.alive.remove(&client);
    }

    /// A client that asked at `sent` was told that it holds the key. If it asked to give the key
    /// back at about the same time, it cannot know which came first, and believes nothing. Whoever
    /// deletes a key (last at index `deleted`) takes it from its holder: locks are advice.
    pub(crate) fn acquired(
        &mut self,
        (sent, now): (u64, u64),
        key: u8,
        (client, session): (usize, SessionId),
        (index, deleted): (u64, u64),
    ) -> Option<(&'static str, String)> {
        let released = self.released.get(&(client, key));
        let unsure = released.is_some_and(|at| at + self.patience > sent)
            || self.ended.get(&client).is_some_and(|at| *at > sent)
            || deleted > index;
        if unsure || !self.believes(client, session, now) {
            return None;
        }
        if let Some((other, with, since)) = self.holders.get(&key).copied()
            && other != client
            && deleted < since.min(index)
            && self.believes(other, with, now)
        {
            let text = format!("clients {other} and {client} both hold k/{key}");
            return Some(("lock.one-holder", text));
        }
        self.holders.insert(key, (client, session, index));
        None
    }

    /// Whether a client may still count on a session. One it no longer renews does not live on by
    /// the renewals of the next.
    fn believes(&self, client: usize, session: SessionId, now: u64) -> bool {
        self.alive.get(&client).is_some_and(|(own, sent)| *own == session && now < sent + self.ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_believers_are_one_too_many() {
        let options = Options { session_ttl_ms: 1_000, patience: 0, ..Options::default() };
        let mut locks = LockJudge::new(&options);
        let (one, two, old) = (SessionId(1), SessionId(2), SessionId(3));
        locks.created(1, one, 0);
        locks.created(2, two, 0);
        assert_eq!(locks.acquired((0, 1), 7, (1, one), (9, 0)), None);
        assert!(locks.acquired((1, 2), 7, (2, two), (9, 0)).is_some());
        locks.releases(2, 1, 7);
        assert_eq!(locks.acquired((3, 3), 7, (2, two), (9, 0)), None);
        locks.renewed(1, one, 2_000_000_000);
        assert_eq!(
            locks.acquired((2_100_000_000, 2_100_000_000), 7, (1, one), (9, 0)),
            None,
            "the other's session is too old"
        );
        locks.renewed(2, two, 2_000_000_000);
        locks.releases(2_150_000_000, 2, 7);
        assert_eq!(
            locks.acquired((2_140_000_000, 2_200_000_000), 7, (2, two), (8, 0)),
            None,
            "it asked to give the key back before it heard that it had it"
        );
        let late = locks.acquired((2_200_000_000, 2_250_000_000), 8, (2, old), (10, 0));
        assert_eq!(late, None);
        let other = locks.acquired((2_300_000_000, 2_300_000_000), 8, (1, one), (11, 0));
        assert_eq!(other, None, "nobody renews the session that held it");
    }
}
