//! Keys and values: every verb, and the reads.

use crate::catalog::{Catalog, Effects, LockDelay, domain, reject};
use crate::command::{KvOp, KvVerb};
use crate::digest;
use crate::outcome::{Fact, Outcome};
use crate::radix::Keyed;
use crate::table::{Key, Row};
use crate::watch::Topic;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CatalogIndex, Duration, Fault, KvPair, SessionId};

/// Beyond this many keys a recursive delete names its prefix instead of each key.
const NAMED_KEYS_MAX: usize = 16;

/// A pair, and its hash as it is part of the catalog's sum.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    pub(crate) pair: KvPair,
    pub(crate) digest: u64,
}

impl Keyed for Filed {
    fn key(&self) -> &[u8] {
        self.pair.key()
    }

    fn index(&self) -> u64 {
        self.pair.index()
    }
}

/// What became of a KV write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KvResult {
    /// Done. Nothing could have stopped it.
    Done,
    /// The condition held and it is done, or it did not hold.
    Answer(bool),
    /// The key may not be acquired yet.
    Delayed,
    /// There is no such session.
    NoSession(SessionId),
}

impl Catalog {
    pub(crate) fn apply_kv(
        &mut self,
        index: CatalogIndex,
        op: &KvOp,
        effects: &mut Effects,
    ) -> Outcome {
        match self.write(index, op, effects) {
            KvResult::Done => Outcome::Done,
            KvResult::Answer(held) => Outcome::Answer(held),
            KvResult::Delayed => Outcome::Answer(false),
            KvResult::NoSession(id) => reject(invalid_session(id)),
        }
    }

    /// One KV write.
    pub(crate) fn write(
        &mut self,
        index: CatalogIndex,
        op: &KvOp,
        effects: &mut Effects,
    ) -> KvResult {
        let key = &op.key;
        match op.verb {
            KvVerb::Set => {
                let kept = self.kv_get(key).and_then(|pair| pair.session);
                self.store(index, op, 0, kept, effects);
                KvResult::Done
            }
            KvVerb::Cas(expected) => {
                let current = self.kv_get(key).map_or(0, |pair| pair.modified.0);
                if current != expected && !self.planted.is(Fault::CasIgnoresIndex) {
                    return KvResult::Answer(false);
                }
                let kept = self.kv_get(key).and_then(|pair| pair.session);
                self.store(index, op, 0, kept, effects);
                KvResult::Answer(true)
            }
            KvVerb::Delete => {
                self.delete(index, key, effects);
                KvResult::Done
            }
            KvVerb::DeleteCas(expected) => match self.kv_get(key).map(|pair| pair.modified.0) {
                None => KvResult::Answer(true),
                Some(current)
                    if current != expected && !self.planted.is(Fault::CasIgnoresIndex) =>
                {
                    KvResult::Answer(false)
                }
                Some(_) => {
                    self.delete(index, key, effects);
                    KvResult::Answer(true)
                }
            },
            KvVerb::DeleteTree => {
                self.delete_tree(index, key, effects);
                KvResult::Done
            }
            KvVerb::Acquire(session) => self.acquire(index, op, session, effects),
            KvVerb::Release(session) => {
                let Some(pair) = self.kv_get(key).filter(|pair| pair.session == Some(session))
                else {
                    return KvResult::Answer(false);
                };
                let locks = pair.lock_index;
                self.store(index, op, locks, None, effects);
                KvResult::Answer(true)
            }
        }
    }

    fn acquire(
        &mut self,
        index: CatalogIndex,
        op: &KvOp,
        session: SessionId,
        effects: &mut Effects,
    ) -> KvResult {
        if self.delays.get(op.key.as_bytes()).is_some() {
            return KvResult::Delayed;
        }
        if self.session(session).is_none() {
            return KvResult::NoSession(session);
        }
        let locks = match self.kv_get(&op.key) {
            None => 1,
            Some(pair) => match pair.session {
                None => pair.lock_index + 1,
                Some(holder) if holder == session => pair.lock_index,
                Some(_) if self.planted.is(Fault::AcquireIgnoresHolder) => pair.lock_index + 1,
                Some(_) => return KvResult::Answer(false),
            },
        };
        self.store(index, op, locks, Some(session), effects);
        KvResult::Answer(true)
    }

    /// Writes a pair, unless nothing about it changes.
    fn store(
        &mut self,
        index: CatalogIndex,
        op: &KvOp,
        lock_index: u64,
        session: Option<SessionId>,
        effects: &mut Effects,
    ) {
        let (key, created) = match self.kv_get(&op.key) {
            Some(old)
                if *old.value == *op.value
                    && old.flags == op.flags
                    && old.lock_index == lock_index
                    && old.session == session =>
            {
                return;
            }
            Some(old) => (Arc::clone(&old.key), old.created),
            None if self.planted.is(Fault::ApplyDependsOnNode) => {
                (Arc::clone(&op.key), CatalogIndex(index.0 - (self.salt & 1)))
            }
            None => (Arc::clone(&op.key), index),
        };
        self.put(KvPair {
            key: Arc::clone(&key),
            value: Arc::clone(&op.value),
            flags: op.flags,
            lock_index,
            session,
            created,
            modified: index,
        });
        effects.topics.add(Topic::Key(key));
    }

    /// Files a pair, with all that follows from it.
    pub(crate) fn put(&mut self, pair: KvPair) {
        let digest = digest::of_pair(domain::KV, &pair);
        self.sum = self.sum.wrapping_add(digest);
        let filed = Arc::new(Filed { pair, digest });
        let old = self.kv.insert(Arc::clone(&filed));
        let before = old.as_ref().and_then(|old| old.pair.session);
        if let Some(old) = &old {
            self.sum = self.sum.wrapping_sub(old.digest);
        }
        let pair = &filed.pair;
        if before == pair.session {
            return;
        }
        if let Some(session) = before {
            self.held.remove(&held_key(session, &pair.key), 0);
        }
        if let Some(session) = pair.session {
            let row = Row::new(&held_key(session, &pair.key), Arc::clone(&pair.key));
            self.held.insert(row);
        }
    }

    /// Clears the lock of a key, as its session's end does.
    pub(crate) fn unlock(&mut self, index: CatalogIndex, key: &Arc<str>, effects: &mut Effects) {
        let Some(pair) = self.kv_get(key) else {
            return;
        };
        let pair = KvPair { session: None, modified: index, ..pair.clone() };
        self.put(pair);
        effects.topics.add(Topic::Key(Arc::clone(key)));
    }

    pub(crate) fn delete(&mut self, index: CatalogIndex, key: &Arc<str>, effects: &mut Effects) {
        let raised = if self.planted.is(Fault::DeleteKeepsPrefixIndex) { 0 } else { index.0 };
        if let Some(old) = self.kv.remove(key.as_bytes(), raised) {
            self.forget(&old);
            effects.topics.add(Topic::Key(Arc::clone(&old.pair.key)));
        }
    }

    fn delete_tree(&mut self, index: CatalogIndex, prefix: &Arc<str>, effects: &mut Effects) {
        let gone: Vec<Arc<Filed>> = self.kv.prefix(prefix.as_bytes()).map(Arc::clone).collect();
        for filed in &gone {
            self.forget(filed);
        }
        if gone.len() > NAMED_KEYS_MAX {
            effects.topics.add(Topic::Prefix(Arc::clone(prefix)));
        } else {
            for filed in &gone {
                effects.topics.add(Topic::Key(Arc::clone(&filed.pair.key)));
            }
        }
        let raised = if self.planted.is(Fault::DeleteKeepsPrefixIndex) { 0 } else { index.0 };
        self.kv.remove_prefix(prefix.as_bytes(), raised);
    }

    /// Takes a removed pair out of what is kept beside the pairs.
    fn forget(&mut self, Filed { pair, digest }: &Filed) {
        self.sum = self.sum.wrapping_sub(*digest);
        if let Some(session) = pair.session {
            self.held.remove(&held_key(session, &pair.key), 0);
        }
    }

    /// Refuses to lock `key` until its delay is over.
    pub(crate) fn delay(&mut self, key: &Arc<str>, delay: Duration, effects: &mut Effects) {
        self.put_delay(LockDelay { key: Arc::clone(key), delay });
        effects.facts.push(Fact::LockDelayed(Arc::clone(key), delay));
    }

    pub(crate) fn put_delay(&mut self, delay: LockDelay) {
        self.count_in(domain::DELAY, &delay);
        let key = Arc::clone(&delay.key);
        let row = Row::new(key.as_bytes(), delay);
        if let Some(old) = self.delays.insert(row) {
            self.count_out(domain::DELAY, &old.value);
        }
    }

    pub(crate) fn lock_delays_over(&mut self, keys: &[Arc<str>], effects: &mut Effects) {
        for key in keys {
            if let Some(old) = self.delays.remove(key.as_bytes(), 0) {
                self.count_out(domain::DELAY, &old.value);
                effects.facts.push(Fact::LockDelayOver(Arc::clone(key)));
            }
        }
    }

    /// The pair under `key`.
    #[must_use]
    pub fn kv_get(&self, key: &str) -> Option<&KvPair> {
        self.kv.get(key.as_bytes()).map(|filed| &filed.pair)
    }

    /// The pairs whose keys start with `prefix`, in the order of their bytes.
    pub fn kv_prefix<'a>(&'a self, prefix: &str) -> impl Iterator<Item = &'a KvPair> + use<'a> {
        self.kv.prefix(prefix.as_bytes()).map(|filed| &filed.pair)
    }

    /// Of the pairs whose keys start with `prefix`, those after the key `after`.
    pub fn kv_after<'a>(
        &'a self,
        prefix: &'a str,
        after: &str,
    ) -> impl Iterator<Item = &'a KvPair> + use<'a> {
        let pairs = if after < prefix {
            self.kv.prefix(prefix.as_bytes())
        } else {
            self.kv.after(after.as_bytes())
        };
        pairs.map(|filed| &filed.pair).take_while(move |pair| pair.key.starts_with(prefix))
    }

    /// The keys that start with `prefix`; with a separator, cut after its first occurrence past the
    /// prefix, each once.
    #[must_use]
    pub fn kv_keys(&self, prefix: &str, separator: &str) -> Vec<Arc<str>> {
        if separator.is_empty() {
            return self.kv_prefix(prefix).map(|pair| Arc::clone(&pair.key)).collect();
        }
        let mut keys: Vec<Arc<str>> = Vec::new();
        let mut rest = self.kv.prefix(prefix.as_bytes());
        while let Some(filed) = rest.next() {
            let key = &filed.pair.key;
            if !key.starts_with(prefix) {
                break;
            }
            let Some(cut) = key[prefix.len()..].find(separator) else {
                keys.push(Arc::clone(key));
                continue;
            };
            let group = &key[..prefix.len() + cut + separator.len()];
            keys.push(Arc::from(group));
            // The bound sorts after every key of the group and before every other: no UTF-8 text
            // has a byte 255.
            let mut bound = group.as_bytes().to_vec();
            bound.push(u8::MAX);
            rest = self.kv.after(&bound);
        }
        keys
    }

    /// How many keys there are.
    #[must_use]
    pub fn kv_len(&self) -> usize {
        self.kv.len()
    }

    /// The index that governs a read of one key.
    #[must_use]
    pub fn kv_key_index(&self, key: &str) -> CatalogIndex {
        self.shown(self.kv.key_index(key.as_bytes()))
    }

    /// The index that governs a read of all pairs with a prefix.
    #[must_use]
    pub fn kv_prefix_index(&self, prefix: &str) -> CatalogIndex {
        self.shown(self.kv.prefix_index(prefix.as_bytes()))
    }

    /// The index that governs a read of all keys with a prefix.
    #[must_use]
    pub fn kv_keys_index(&self, prefix: &str) -> CatalogIndex {
        self.kv_prefix_index(prefix)
    }

    /// The keys that cannot be acquired until [`crate::Command::LockDelayOver`], with their whole
    /// delays.
    pub fn lock_delays(&self) -> impl Iterator<Item = (&Arc<str>, Duration)> {
        self.delays.iter().map(|row| (&row.value.key, row.value.delay))
    }
}

/// The text for a lock asked by a session that is not there.
pub(crate) fn invalid_session(id: SessionId) -> String {
    format!("invalid session \"{id}\"")
}

/// The key under which a held key is filed.
pub(crate) fn held_key(session: SessionId, key: &str) -> Key {
    let mut filed = Key::new();
    filed.push(&session.0.to_be_bytes());
    filed.push(key.as_bytes());
    filed
}
