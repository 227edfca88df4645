//! The second opinion: is there any order of a key's operations that explains all answers? Wing and
//! Gong's search with Lowe's memory, per key, with a budget of steps instead of a clock. It knows
//! nothing of indexes, so it would notice if the first opinion trusted a wrong log.

use super::Violation;
use crate::client::{self, KEYS_MAX};
use crate::model::{Key, Written};
use crate::schedule::Want;
use crate::world::Run;
use std::collections::{BTreeMap, BTreeSet};

/// What an operation did to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It wrote this; `None` is a deletion.
    Write(Option<u64>),
    /// It read this.
    Read(Option<u64>),
}

/// One operation on one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it was asked.
    pub asked: u64,
    /// When it was answered; `u64::MAX` if never: it may have happened, or not, or may yet.
    pub answered: u64,
    /// What it did.
    pub kind: Kind,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// There is an order.
    Explained,
    /// There is none.
    Impossible,
    /// The budget was not enough to tell.
    Unknown,
}

/// Looks for an order of `operations` that one register could have gone through.
#[must_use]
pub fn search(operations: &[Operation], budget: usize) -> Opinion {
    let mut operations = operations.to_vec();
    operations.sort_by_key(|operation| (operation.asked, operation.answered));
    let words = operations.len().div_ceil(64);
    let mut seen: BTreeSet<(Vec<u64>, Option<u64>)> = BTreeSet::new();
    let mut open = vec![(vec![0_u64; words], None)];
    let mut steps = 0;
    let mut pending = Vec::with_capacity(operations.len());
    while let Some((done, state)) = open.pop() {
        let is_done = |place: usize| done[place / 64] >> (place % 64) & 1 == 1;
        pending.clear();
        pending.extend((0..operations.len()).filter(|place| !is_done(*place)));
        let first_answer = pending.iter().map(|place| operations[*place].answered).min();
        if first_answer.is_none_or(|first| first == u64::MAX) {
            return Opinion::Explained;
        }
        for place in pending.iter().copied().rev() {
            steps += 1;
            if steps > budget {
                return Opinion::Unknown;
            }
            let operation = &operations[place];
            if Some(operation.asked) > first_answer {
                continue;
            }
            let next = match operation.kind {
                Kind::Write(value) => value,
                Kind::Read(value) if value == state => state,
                Kind::Read(_) => continue,
            };
            let mut with = done.clone();
            with[place / 64] |= 1 << (place % 64);
            if seen.insert((with.clone(), next)) {
                open.push((with, next));
            }
        }
    }
    Opinion::Impossible
}

/// What clients asked and heard, kept only if a second opinion is wanted.
#[derive(Debug)]
pub(crate) struct Histories {
    wanted: bool,
    reads: [Vec<Operation>; KEYS_MAX],
    answered: BTreeMap<usize, (u64, bool)>,
}

impl Histories {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, reads: Default::default(), answered: BTreeMap::new() }
    }

    pub(crate) fn wrote(&mut self, place: usize, now: u64, said: bool, _written: &Written) {
        if self.wanted {
            self.answered.insert(place, (now, said));
        }
    }

    pub(crate) fn read(&mut self, key: usize, run: &Run, now: u64, value: Option<u64>) {
        if self.wanted {
            let kind = Kind::Read(value);
            self.reads[key].push(Operation { asked: run.invoked, answered: now, kind });
        }
    }

    /// Judges every key.
    pub(crate) fn judge(
        &self,
        runs: &[Run],
        keys: &[Key; KEYS_MAX],
        violation: &mut Option<Violation>,
        now: u64,
    ) {
        if !self.wanted || violation.is_some() {
            return;
        }
        for (key, reads) in self.reads.iter().enumerate() {
            let mut operations = reads.clone();
            for (place, run) in runs.iter().enumerate() {
                operations.extend(self.write_of(place, run, key));
            }
            // A key that went with its session was deleted by nobody, at any time.
            let kind = Kind::Write(None);
            let gone = Operation { asked: 0, answered: u64::MAX, kind };
            operations.extend((0..keys[key].ended).map(|_| gone));
            if search(&operations, 20_000) == Opinion::Impossible {
                let text =
                    format!("no order explains the {} operations on k/{key}", operations.len());
                *violation = Some(Violation { rule: "linear.search".into(), text, at: now });
                return;
            }
        }
    }

    fn write_of(&self, place: usize, run: &Run, key: usize) -> Option<Operation> {
        let want = run.want.filter(|want| run.started > 0 && !client::is_read(*want))?;
        let value = match want {
            Want::Put { key: one }
            | Want::Cas { key: one }
            | Want::Acquire { key: one }
            | Want::Release { key: one } => {
                (usize::from(one) == key).then(|| Some(crate::world::tag_of(place)))?
            }
            Want::Txn { key: one, other } => (usize::from(one) == key || usize::from(other) == key)
                .then(|| Some(crate::world::tag_of(place)))?,
            Want::Delete { key: one } | Want::DeleteCas { key: one } => {
                (usize::from(one) == key).then_some(None)?
            }
            Want::DeleteTree => None,
            Want::Get { .. }
            | Want::List { .. }
            | Want::Fill { .. }
            | Want::Session
            | Want::Ephemeral
            | Want::Renew
            | Want::Destroy
            | Want::WatchKey { .. }
            | Want::WatchPrefix { .. }
            | Want::WatchService { .. }
            | Want::Register { .. }
            | Want::Deregister { .. }
            | Want::DeregisterNode { .. }
            | Want::Health { .. }
            | Want::Services { .. }
            | Want::Transfer { .. }
            | Want::RemovePeer { .. } => return None,
        };
        let answered = match self.answered.get(&place) {
            Some((_, false)) => return None,
            Some((at, true)) => *at,
            None => u64::MAX,
        };
        Some(Operation { asked: run.started, answered, kind: Kind::Write(value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(asked: u64, answered: u64, kind: Kind) -> Operation {
        Operation { asked, answered, kind }
    }

    #[test]
    fn overlapping_operations_may_go_either_way() {
        let history = [
            operation(0, 10, Kind::Write(Some(1))),
            operation(5, 15, Kind::Write(Some(2))),
            operation(20, 25, Kind::Read(Some(1))),
        ];
        assert_eq!(search(&history, 1_000), Opinion::Explained);
    }

    #[test]
    fn a_stale_read_has_no_order() {
        let history = [
            operation(0, 10, Kind::Write(Some(1))),
            operation(11, 15, Kind::Write(Some(2))),
            operation(20, 25, Kind::Read(Some(1))),
        ];
        assert_eq!(search(&history, 1_000), Opinion::Impossible);
        assert_eq!(search(&history, 1), Opinion::Unknown);
    }

    #[test]
    fn an_unknown_write_may_come_late_or_never() {
        let unknown = operation(0, u64::MAX, Kind::Write(Some(7)));
        let late =
            [unknown, operation(50, 60, Kind::Read(None)), operation(70, 80, Kind::Read(Some(7)))];
        assert_eq!(search(&late, 1_000), Opinion::Explained);
        let back =
            [unknown, operation(50, 60, Kind::Read(Some(7))), operation(70, 80, Kind::Read(None))];
        assert_eq!(search(&back, 1_000), Opinion::Impossible);
    }
}
