//! What is held of peers by name, of a limited number of them: those of late.

use crate::digest::{ByName, Named};
use alloc::sync::Arc;

/// Values by name. One too many takes the place of the one that was touched longest ago.
#[derive(Clone, Debug)]
pub(crate) struct Recent<T> {
    held: ByName<Held<T>>,
    tick: u64,
    most: usize,
}

#[derive(Clone, Debug)]
struct Held<T> {
    name: Arc<str>,
    /// The tick at which it was touched.
    touched: u64,
    value: T,
}

impl<T> Named for Held<T> {
    fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Recent<T> {
    /// Room for `most`.
    pub(crate) fn new(most: usize) -> Self {
        assert!(most > 0, "there is room for one");
        Self { held: ByName::default(), tick: 0, most }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.held.get(name).map(|held| &held.value)
    }

    /// What is held of `name`, or `first` if nothing is.
    pub(crate) fn touch(&mut self, name: &Arc<str>, first: impl FnOnce() -> T) -> &mut T {
        self.tick += 1;
        let touched = self.tick;
        if self.held.len() >= self.most && self.held.get(name).is_none() {
            self.forget_oldest();
        }
        let first = || Held { name: Arc::clone(name), touched, value: first() };
        let held = self.held.get_or_insert(name, first);
        held.touched = touched;
        &mut held.value
    }

    fn forget_oldest(&mut self) {
        let oldest = self.held.iter().min_by_key(|held| held.touched);
        if let Some(oldest) = oldest.map(|held| Arc::clone(&held.name)) {
            self.remove(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.held.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn it_holds_those_of_late(
            steps in prop::collection::vec((0_u8..30, any::<bool>()), 0..300),
        ) {
            let mut recent = Recent::new(9);
            let mut model: Vec<(u8, usize)> = Vec::new();
            for (number, (name, touch)) in steps.into_iter().enumerate() {
                let text: Arc<str> = format!("n{name}").into();
                let before = model.iter().position(|(other, _)| *other == name);
                let before = before.map(|at| model.remove(at));
                if touch {
                    let value = *recent.touch(&text, || number);
                    prop_assert_eq!(value, before.map_or(number, |(_, value)| value));
                    model.push((name, value));
                    if model.len() > 9 {
                        model.remove(0);
                    }
                } else {
                    recent.remove(&text);
                }
                for name in 0..30 {
                    let held = model.iter().find(|(other, _)| *other == name);
                    prop_assert_eq!(recent.get(&format!("n{name}")), held.map(|(_, value)| value));
                }
            }
        }
    }
}
