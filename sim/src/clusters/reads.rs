//! What keys may say: nothing that was never written, and nothing older than what was acknowledged
//! before one asked.

use crate::schedule::Freshness;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct Write {
    number: u64,
    invoked: u64,
    /// When it was acknowledged. One that was not may still take effect at any time.
    acknowledged: Option<u64>,
}

/// All keys of all datacenters.
#[derive(Debug, Default)]
pub(super) struct Keys {
    writes: BTreeMap<(u8, u8), Vec<Write>>,
    /// Writes of before a datacenter lost its state.
    lost: BTreeMap<u8, u64>,
}

impl Keys {
    pub(super) fn begins(&mut self, key: (u8, u8), number: u64, now: u64) {
        let write = Write { number, invoked: now, acknowledged: None };
        self.writes.entry(key).or_default().push(write);
    }

    pub(super) fn written(&mut self, key: (u8, u8), number: u64, now: u64) {
        let writes = self.writes.entry(key).or_default();
        if let Some(write) = writes.iter_mut().find(|write| write.number == number) {
            write.acknowledged = Some(now);
        }
    }

    /// When the first write was acknowledged that was begun after `since`.
    pub(super) fn first_acknowledged(&self, key: (u8, u8), since: u64) -> Option<u64> {
        let writes = self.writes.get(&key)?.iter();
        writes.filter(|write| write.invoked > since).filter_map(|write| write.acknowledged).min()
    }

    /// A datacenter lost everything it had.
    pub(super) fn lose(&mut self, dc: u8, now: u64) {
        self.lost.insert(dc, now);
    }

    /// Judges an answer: the number of the write that it shows, or `None` if there was no key.
    pub(super) fn read(
        &self,
        key: (u8, u8),
        found: Option<u64>,
        invoked: u64,
        how: Freshness,
    ) -> Option<(&'static str, String)> {
        let writes = self.writes.get(&key).map(Vec::as_slice).unwrap_or_default();
        let lost = self.lost.get(&key.0).copied().unwrap_or(0);
        let shown = found.and_then(|found| writes.iter().find(|write| write.number == found));
        if found.is_some() && shown.is_none() {
            return Some(("read.phantom", format!("{key:?} shows {found:?}, never written")));
        }
        if how == Freshness::Stale {
            return None;
        }
        // What was acknowledged before this was asked, and begun after what is shown was done.
        let newer = writes.iter().find(|write| {
            let before = write.acknowledged.is_some_and(|at| at < invoked);
            let after = match shown {
                Some(shown) => shown.acknowledged.is_some_and(|at| at < write.invoked),
                None => true,
            };
            before && after && write.invoked > lost
        })?;
        let newer = newer.number;
        Some(("read.lost", format!("{key:?} shows {found:?}, although {newer} was acknowledged")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_invented_answers_are_told() {
        let mut keys = Keys::default();
        let key = (0, 1);
        keys.begins(key, 1, 10);
        keys.written(key, 1, 20);
        keys.begins(key, 2, 30);
        assert_eq!(keys.read(key, Some(1), 35, Freshness::Default), None);
        assert_eq!(keys.read(key, Some(2), 35, Freshness::Default), None, "it may be done");
        assert_eq!(keys.read(key, None, 15, Freshness::Default), None);
        assert_eq!(keys.read(key, None, 25, Freshness::Default).unwrap().0, "read.lost");
        keys.written(key, 2, 40);
        let old = keys.read(key, Some(1), 45, Freshness::Consistent);
        assert_eq!(old.unwrap().0, "read.lost");
        assert_eq!(keys.read(key, Some(1), 45, Freshness::Stale), None);
        let none = keys.read(key, Some(9), 45, Freshness::Stale);
        assert_eq!(none.unwrap().0, "read.phantom");
        keys.lose(0, 50);
        assert_eq!(keys.read(key, None, 60, Freshness::Default), None, "all was lost");
    }
}
