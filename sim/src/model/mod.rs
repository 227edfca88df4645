//! A model beside the system: what the committed commands mean, said as simply as possible.
//!
//! It replays the one sequence of committed commands and remembers every version of every key, the
//! sessions that live, and what each client's write must have answered.

mod kv;
mod service;
mod session;

pub use kv::{Interval, Key, Pair, Version};
pub use service::{Instances, SERVICES_MAX, Service, name_of};
pub use session::SessionModel;

use crate::client::KEYS_MAX;
use proconsul_core::catalog::{Command, KvOp, KvVerb, TxnOp};
use proconsul_core::types::{Duration, SessionBehavior, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a client's write came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Where it stands in the log; 0: nowhere.
    pub index: u64,
    /// What it must have answered; `None` for a refusal.
    pub answer: Option<bool>,
    /// How often it is in the log.
    pub count: u32,
}

/// The state that all committed commands so far lead to, with its past.
#[derive(Debug, Default)]
pub struct Model {
    /// The index of the last command replayed.
    pub applied: u64,
    /// The keys that clients use.
    pub keys: [Key; KEYS_MAX],
    /// Sessions that live.
    pub sessions: BTreeMap<SessionId, SessionModel>,
    /// Sessions that ever lived.
    pub sessions_ever: BTreeSet<SessionId>,
    /// Nodes of the catalog.
    pub nodes: BTreeSet<Arc<str>>,
    /// The services that clients use.
    pub services: [Service; SERVICES_MAX],
    /// Keys that may not be locked yet: since when (nanoseconds of the world), and for how long.
    pub delayed: BTreeMap<u8, (u64, Duration)>,
    /// By the number in the value.
    pub written: Vec<Written>,
    /// A write that is in the log more than once.
    pub twice: Option<u64>,
    /// Something happened that the model does not follow (a restore): it judges no more.
    pub lost: bool,
    now: u64,
}

impl Model {
    /// Replays a command. `now` is when it was first seen committed.
    pub fn apply(&mut self, index: u64, now: u64, command: &Command) {
        assert!(index > self.applied, "commands are replayed once, in order");
        self.applied = index;
        self.now = now;
        match command {
            Command::Kv(op) => {
                let answer = self.write(index, op);
                self.remember(op.flags, index, answer);
            }
            Command::Txn(ops) => self.txn(index, ops),
            Command::SessionCreate(create) => {
                if self.nodes.contains(&*create.node) {
                    self.sessions_ever.insert(create.id);
                    let new = || SessionModel::new(create, now);
                    self.sessions.entry(create.id).or_insert_with(new);
                }
            }
            Command::SessionDestroy(id) => self.end_session(index, *id),
            Command::LockDelayOver(keys) => {
                for key in keys.iter().filter_map(|key| number_of(key)) {
                    self.delayed.remove(&key);
                }
            }
            Command::Deregister(deregister) => {
                for (number, service) in self.services.iter_mut().enumerate() {
                    service.deregisters(number, deregister, index, now);
                }
                if deregister.service_id.is_none() && deregister.check_id.is_none() {
                    self.nodes.remove(&*deregister.node);
                    let gone: Vec<SessionId> = (self.sessions.iter())
                        .filter(|(_, session)| *session.node == *deregister.node)
                        .map(|(id, _)| *id)
                        .collect();
                    for id in gone {
                        self.end_session(index, id);
                    }
                }
            }
            Command::Register(register) => {
                self.nodes.insert(register.node.name.clone());
                for (number, service) in self.services.iter_mut().enumerate() {
                    service.registers(number, register, index, now);
                }
            }
            Command::Coordinates(_)
            | Command::Autopilot(_)
            | Command::RestoreBegin
            | Command::RestorePart(_) => {}
            Command::Restore(_) | Command::RestoreEnd(_) => self.lost = true,
        }
    }

    /// What became of the write whose values carry `tag`.
    #[must_use]
    pub fn written(&self, tag: u64) -> Written {
        let place = usize::try_from(tag).unwrap_or(usize::MAX);
        self.written.get(place).copied().unwrap_or_default()
    }

    fn remember(&mut self, tag: u64, index: u64, answer: Option<bool>) {
        let place = usize::try_from(tag).unwrap_or(usize::MAX);
        if tag == 0 || place > 1_000_000 {
            return;
        }
        if self.written.len() <= place {
            self.written.resize(place + 1, Written::default());
        }
        let written = &mut self.written[place];
        written.count += 1;
        if written.index == 0 {
            (written.index, written.answer) = (index, answer);
        } else {
            self.twice = Some(tag);
        }
    }

    /// Performs a KV write and says what it must answer; `None` means a refusal.
    fn write(&mut self, index: u64, op: &KvOp) -> Option<bool> {
        let now = self.now;
        if op.verb == KvVerb::DeleteTree {
            for number in 0..KEYS_MAX {
                if text_of(number).starts_with(&*op.key) {
                    self.keys[number].delete(index, now);
                }
            }
            return Some(true);
        }
        let number = usize::from(number_of(&op.key)?);
        let held = self.keys[number].holder();
        let current = self.keys[number].modified();
        let pair = |session| Pair { tag: op.flags, session };
        match op.verb {
            KvVerb::Set => {
                self.keys[number].set(index, now, pair(held));
                Some(true)
            }
            KvVerb::Cas(expected) => {
                let yes = current == expected;
                if yes {
                    self.keys[number].set(index, now, pair(held));
                }
                Some(yes)
            }
            KvVerb::Delete => {
                self.keys[number].delete(index, now);
                Some(true)
            }
            KvVerb::DeleteCas(expected) => {
                // What is not there need not go.
                let yes = current == expected || !self.keys[number].exists();
                self.keys[number].conditional.push((index, expected, yes));
                if yes {
                    self.keys[number].delete(index, now);
                }
                Some(yes)
            }
            KvVerb::DeleteTree => Some(true),
            KvVerb::Acquire(session) => {
                let key = u8::try_from(number).unwrap_or(0);
                // The delay is looked at first, whoever asks.
                if self.delayed.contains_key(&key) {
                    return Some(false);
                }
                self.sessions.get(&session)?;
                let yes = held.is_none_or(|holder| holder == session);
                if yes {
                    self.keys[number].set(index, now, pair(Some(session)));
                }
                Some(yes)
            }
            KvVerb::Release(session) => {
                let yes = held == Some(session);
                if yes {
                    self.keys[number].set(index, now, pair(None));
                }
                Some(yes)
            }
        }
    }

    fn txn(&mut self, index: u64, ops: &[TxnOp]) {
        let before: Vec<usize> = self.keys.iter().map(Key::len).collect();
        let mut fine = true;
        let mut tag = 0;
        for op in ops {
            fine &= match op {
                TxnOp::Write(op) => {
                    tag = op.flags.max(tag);
                    self.write(index, op) == Some(true)
                }
                TxnOp::Get(key) => {
                    number_of(key).is_some_and(|key| self.keys[usize::from(key)].exists())
                }
                TxnOp::GetTree(_) => true,
                // A key that does not exist has no index, not index 0.
                TxnOp::CheckIndex(key, expected) => number_of(key).is_some_and(|key| {
                    let key = &self.keys[usize::from(key)];
                    key.exists() && key.modified() == *expected
                }),
                TxnOp::CheckSession(key, session) => number_of(key)
                    .is_some_and(|key| self.keys[usize::from(key)].holder() == Some(*session)),
                TxnOp::CheckNotExists(key) => {
                    number_of(key).is_none_or(|key| !self.keys[usize::from(key)].exists())
                }
                TxnOp::CheckHolder(key, text) => number_of(key).is_some_and(|key| {
                    let key = &self.keys[usize::from(key)];
                    let holder = key.holder().map(|id| id.to_string()).unwrap_or_default();
                    key.exists() && holder == **text
                }),
                TxnOp::Node(..) | TxnOp::Service(..) | TxnOp::Check(..) => {
                    unreachable!("the clients of a world send transactions of keys")
                }
            };
        }
        if !fine {
            for (key, len) in self.keys.iter_mut().zip(before) {
                key.forget_after(len);
            }
        }
        self.remember(tag, index, Some(fine));
    }

    fn end_session(&mut self, index: u64, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        let now = self.now;
        for number in 0..KEYS_MAX {
            if self.keys[number].holder() != Some(id) {
                continue;
            }
            if !session.delay.is_zero() {
                self.delayed.insert(u8::try_from(number).unwrap_or(0), (now, session.delay));
            }
            match session.behavior {
                SessionBehavior::Release => {
                    let tag = self.keys[number].tag();
                    self.keys[number].set(index, now, Pair { tag, session: None });
                }
                SessionBehavior::Delete => {
                    self.keys[number].ended += 1;
                    self.keys[number].delete(index, now);
                }
            }
        }
    }
}

/// The number of a key that clients use.
#[must_use]
pub fn number_of(key: &str) -> Option<u8> {
    let number: u8 = key.strip_prefix("k/")?.parse().ok()?;
    (usize::from(number) < KEYS_MAX).then_some(number)
}

fn text_of(number: usize) -> String {
    format!("k/{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(verb: KvVerb, key: &str, flags: u64) -> Command {
        Command::Kv(KvOp { verb, key: key.into(), value: Arc::default(), flags })
    }

    #[test]
    fn versions_and_answers() {
        let mut model = Model::default();
        model.apply(3, 0, &op(KvVerb::Set, "k/1", 1));
        model.apply(5, 0, &op(KvVerb::Cas(2), "k/1", 2));
        model.apply(6, 0, &op(KvVerb::Cas(3), "k/1", 3));
        model.apply(9, 0, &op(KvVerb::DeleteTree, "k/", 0));
        assert_eq!(model.written(2).answer, Some(false));
        assert_eq!(model.written(3), Written { index: 6, answer: Some(true), count: 1 });
        assert!(!model.keys[1].exists());
        assert_eq!(model.keys[1].at(4).map(|pair| pair.tag), Some(1));
        assert_eq!(model.keys[1].at(8).map(|pair| pair.tag), Some(3));
    }

    #[test]
    fn a_failed_transaction_leaves_nothing() {
        let mut model = Model::default();
        let set = |key: &str| {
            TxnOp::Write(KvOp {
                verb: KvVerb::Set,
                key: key.into(),
                value: Arc::default(),
                flags: 7,
            })
        };
        let ops = vec![set("k/0"), set("k/1"), TxnOp::CheckIndex("k/2".into(), 9)];
        model.apply(4, 0, &Command::Txn(ops));
        assert!(!model.keys[0].exists() && !model.keys[1].exists());
        assert_eq!(model.written(7).answer, Some(false));
    }
}
