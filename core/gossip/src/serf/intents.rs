//! What was said of members that nobody here has seen: kept for a while, so that it counts when
//! they come, and never more than a pool of this size can have use for.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use proconsul_types::{Duration, Instant, LamportTime};

/// A join or a leave of someone unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intent {
    /// Whether it is a leave.
    pub(super) leaves: bool,
    /// In member time.
    pub(super) time: LamportTime,
    /// When it came.
    pub(super) heard: Instant,
}

/// The newest word about each of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Intents {
    by_name: BTreeMap<Arc<str>, (u64, Intent)>,
    /// Names in the order in which they were last heard of.
    by_age: BTreeMap<u64, Arc<str>>,
    next: u64,
}

impl Intents {
    pub(super) fn get(&self, name: &str) -> Option<&Intent> {
        self.by_name.get(name).map(|(_, intent)| intent)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Keeps a word about someone, if it is the newest. Whether it was. Of more names than `most`,
    /// those heard of least lately are forgotten.
    pub(super) fn remember(&mut self, name: &Arc<str>, intent: Intent, most: usize) -> bool {
        let known = self.by_name.get(name);
        if known.is_some_and(|(_, old)| intent.time <= old.time) {
            return false;
        }
        if let Some((age, _)) = known {
            self.by_age.remove(age);
        }
        self.by_name.insert(Arc::clone(name), (self.next, intent));
        self.by_age.insert(self.next, Arc::clone(name));
        self.next += 1;
        while self.by_age.len() > most
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_name.remove(&oldest);
        }
        true
    }

    /// Forgets what was said longer ago than `patience`.
    pub(super) fn forget_old(&mut self, now: Instant, patience: Duration) {
        let Self { by_name, by_age, .. } = self;
        by_name.retain(|_, (age, intent)| {
            let stays = now.since(intent.heard) <= patience;
            if !stays {
                by_age.remove(age);
            }
            stays
        });
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.by_age.len() == self.by_name.len(), "each intent has one age");
        for (age, name) in &self.by_age {
            let known = self.by_name.get(name).map(|(age, _)| age);
            assert!(known == Some(age), "ages are those of the newest words");
        }
    }
}
