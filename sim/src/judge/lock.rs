//! One holder at any time: what clients may believe of their locks.
//!
//! A client that was told `true` holds the key until it gives it back, ends its session, or its last
//! successful renewal is older than the TTL. While one may believe so, no other may be told `true`.

use crate::options::Options;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct LockJudge {
    ttl: u64,
    /// Since when each client's session is surely alive: the sending of the last renewal answered.
    alive: BTreeMap<usize, u64>,
    holders: BTreeMap<u8, usize>,
}

impl LockJudge {
    pub(crate) fn new(options: &Options) -> Self {
        // Clocks may run a little fast; the servers wait for twice the TTL.
        let ttl = options.session_ttl_ms * 900_000;
        Self { ttl, alive: BTreeMap::new(), holders: BTreeMap::new() }
    }

    pub(crate) fn created(&mut self, client: usize, sent: u64) {
        self.ends(client);
        self.alive.insert(client, sent);
    }

    pub(crate) fn renewed(&mut self, client: usize, sent: u64) {
        if let Some(alive) = self.alive.get_mut(&client) {
            *alive = sent.max(*alive);
        }
    }

    pub(crate) fn releases(&mut self, client: usize, key: u8) {
        if self.holders.get(&key) == Some(&client) {
            self.holders.remove(&key);
        }
    }

    /// The client gives up its session, and all it holds.
    pub(crate) fn ends(&mut self, client: usize) {
        self.holders.retain(|_, holder| *holder != client);
        self.alive.remove(&client);
    }

    pub(crate) fn acquired(
        &mut self,
        now: u64,
        key: u8,
        client: usize,
    ) -> Option<(&'static str, String)> {
        let mine = self.believes(client, now);
        if let Some(other) = self.holders.get(&key).copied()
            && other != client
            && self.believes(other, now)
        {
            let text = format!("clients {other} and {client} both hold k/{key}");
            return Some(("lock.one-holder", text));
        }
        if mine {
            self.holders.insert(key, client);
        }
        None
    }

    fn believes(&self, client: usize, now: u64) -> bool {
        self.alive.get(&client).is_some_and(|sent| now < sent + self.ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_believers_are_one_too_many() {
        let options = Options { session_ttl_ms: 1_000, ..Options::default() };
        let mut locks = LockJudge::new(&options);
        locks.created(1, 0);
        locks.created(2, 0);
        assert_eq!(locks.acquired(1, 7, 1), None);
        assert!(locks.acquired(2, 7, 2).is_some());
        locks.releases(1, 7);
        assert_eq!(locks.acquired(3, 7, 2), None);
        locks.renewed(1, 2_000_000_000);
        assert_eq!(locks.acquired(2_100_000_000, 7, 1), None, "the other's session is too old");
    }
}
