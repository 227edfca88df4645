//! What is held of peers by name, of a limited number of them: those of late.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// Values by name. One too many takes the place of the one that was touched longest ago.
#[derive(Clone, Debug)]
pub(crate) struct Recent<T> {
    /// With the tick at which each was touched.
    held: BTreeMap<Arc<str>, (u64, T)>,
    tick: u64,
    most: usize,
}

impl<T> Recent<T> {
    /// Room for `most`.
    pub(crate) fn new(most: usize) -> Self {
        assert!(most > 0, "there is room for one");
        Self { held: BTreeMap::new(), tick: 0, most }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.held.get(name).map(|(_, value)| value)
    }

    /// What is held of `name`, or `first` if nothing is.
    pub(crate) fn touch(&mut self, name: &Arc<str>, first: impl FnOnce() -> T) -> &mut T {
        self.tick += 1;
        let tick = self.tick;
        if !self.held.contains_key(name) && self.held.len() >= self.most {
            let oldest = self.held.iter().min_by_key(|(_, (tick, _))| *tick);
            if let Some(oldest) = oldest.map(|(name, _)| Arc::clone(name)) {
                self.held.remove(&oldest);
            }
        }
        let slot = self.held.entry(Arc::clone(name)).or_insert_with(|| (tick, first()));
        slot.0 = tick;
        &mut slot.1
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.held.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn one_too_many_replaces_the_one_touched_longest_ago() {
        let mut recent = Recent::new(2);
        let names = ["a", "b", "a", "c", "a", "d"].map(Arc::<str>::from);
        let counts: Vec<u32> = names
            .iter()
            .map(|name| {
                let count = recent.touch(name, || 0);
                *count += 1;
                *count
            })
            .collect();
        assert_eq!(counts, [1, 1, 2, 1, 3, 1]);
        let held = ["a", "b", "c", "d"].map(|name| recent.get(name).copied());
        assert_eq!(held, [Some(3), None, None, Some(1)]);
        recent.remove("a");
        assert_eq!(recent.get("a"), None);
    }
}
