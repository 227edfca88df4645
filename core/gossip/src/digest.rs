//! Names as numbers, so that tables of names are searched without reading them.

use alloc::vec::Vec;
use proconsul_types::mix;

/// A number that is nearly always another for another name, spread evenly over all numbers. Two
/// names may share one: whoever finds a number compares the name.
pub(crate) fn digest(name: &str) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    for word in words {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    // the length in the highest byte tells a short end from one of zeros
    let end = rest
        .iter()
        .fold(u64::try_from(rest.len()).unwrap_or(0), |end, byte| (end << 8) | u64::from(*byte));
    mix(hash ^ end)
}

/// How far a guess may be off before the search halves what is left.
const STEPS_MAX: usize = 12;

/// The first place in these sorted digests whose digest is not below `wanted`. They are spread
/// evenly, so the place is guessed and rarely far away.
pub(crate) fn find(digests: &[u64], wanted: u64) -> usize {
    let len = u128::try_from(digests.len()).unwrap_or(0);
    let mut at = usize::try_from((u128::from(wanted) * len) >> 64).unwrap_or(0);
    for _ in 0..STEPS_MAX {
        let below = at == 0 || digests[at - 1] < wanted;
        let above = digests.get(at).is_none_or(|digest| *digest >= wanted);
        match (below, above) {
            (true, true) => return at,
            (true, false) => at += 1,
            (false, true | false) => at -= 1,
        }
    }
    digests.partition_point(|digest| *digest < wanted)
}

/// What has a name.
pub(crate) trait Named {
    /// The name.
    fn name(&self) -> &str;
}

/// A few entries of a large pool by name, found by its digest.
#[derive(Clone, Debug)]
pub(crate) struct ByName<T> {
    /// Digests of names, sorted; beside each in `entries` whose it is.
    digests: Vec<u64>,
    entries: Vec<T>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { digests: Vec::new(), entries: Vec::new() }
    }
}

impl<T: Named> ByName<T> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn place(&self, name: &str, digest: u64) -> Result<usize, usize> {
        let mut at = find(&self.digests, digest);
        while self.digests.get(at) == Some(&digest) {
            let held = self.entries[at].name();
            // most names are shared, and those need not be read
            if core::ptr::eq(held, name) || held == name {
                return Ok(at);
            }
            at += 1;
        }
        Err(at)
    }

    /// The entry of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        if self.digests.is_empty() {
            return None;
        }
        let at = self.place(name, digest(name)).ok()?;
        self.entries.get(at)
    }

    /// The entry of `name`, or the `first` one.
    pub(crate) fn get_or_insert(&mut self, name: &str, first: impl FnOnce() -> T) -> &mut T {
        let digest = digest(name);
        let at = self.place(name, digest).unwrap_or_else(|at| {
            self.digests.insert(at, digest);
            self.entries.insert(at, first());
            at
        });
        &mut self.entries[at]
    }

    /// Puts an entry in place of what there was under its name.
    pub(crate) fn insert(&mut self, entry: T) -> Option<T> {
        let digest = digest(entry.name());
        match self.place(entry.name(), digest) {
            Ok(at) => Some(core::mem::replace(&mut self.entries[at], entry)),
            Err(at) => {
                self.digests.insert(at, digest);
                self.entries.insert(at, entry);
                None
            }
        }
    }

    /// Takes out the entry of `name`.
    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let at = self.place(name, digest(name)).ok()?;
        self.digests.remove(at);
        Some(self.entries.remove(at))
    }

    /// All entries, by digest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    /// The entries with this digest.
    pub(crate) fn with_digest(&self, digest: u64) -> impl Iterator<Item = &T> {
        let first = find(&self.digests, digest);
        let same = self.digests[first..].iter().take_while(move |other| **other == digest);
        self.entries[first..].iter().zip(same).map(|(entry, _)| entry)
    }

    /// Takes all out.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.digests.clear();
        core::mem::take(&mut self.entries)
    }

    /// Panics unless entries are filed under their names.
    pub(crate) fn check_invariants(&self) {
        assert!(self.digests.len() == self.entries.len(), "each entry has a digest");
        assert!(self.digests.is_sorted(), "digests are sorted");
        for (known, entry) in self.digests.iter().zip(&self.entries) {
            assert!(*known == digest(entry.name()), "an entry is filed under its name");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use proptest::prelude::*;

    impl Named for (alloc::string::String, u8) {
        fn name(&self) -> &str {
            &self.0
        }
    }

    #[test]
    fn names_have_their_own_numbers() {
        let names = ["", "\0", "\0\0", "a", "a\0", "abcdefgh", "abcdefgh\0", "hgfedcba"];
        let named = (0..20_000).map(|number| digest(&format!("n{number}")));
        let all: BTreeSet<u64> = names.iter().map(|name| digest(name)).chain(named).collect();
        assert_eq!(all.len(), names.len() + 20_000);
    }

    proptest! {
        #[test]
        fn a_table_by_name_is_a_map(steps in prop::collection::vec((0_u8..40, 0_u8..9), 0..200)) {
            let (mut table, mut model) = (ByName::default(), BTreeMap::new());
            for (name, value) in steps {
                let name = format!("n{name}");
                if value == 0 {
                    let removed = table.remove(&name).map(|(_, value)| value);
                    prop_assert_eq!(removed, model.remove(&name));
                } else {
                    let old = table.insert((name.clone(), value)).map(|(_, value)| value);
                    prop_assert_eq!(old, model.insert(name, value));
                }
                table.check_invariants();
            }
            prop_assert_eq!(table.len(), model.len());
            for (name, value) in &model {
                prop_assert_eq!(table.get(name), Some(&(name.clone(), *value)));
                let number = digest(name);
                prop_assert_eq!(table.with_digest(number).count(), 1);
            }
            prop_assert_eq!(table.take().len(), model.len());
            prop_assert!(table.get("n1").is_none());
        }

        #[test]
        fn a_guess_finds_what_halving_finds(
            mut digests in prop::collection::vec(prop_oneof![any::<u64>(), 0_u64..9], 0..300),
            wanted in prop_oneof![any::<u64>(), 0_u64..9],
        ) {
            digests.sort_unstable();
            for wanted in digests.iter().copied().chain([wanted]).collect::<Vec<u64>>() {
                let halved = digests.partition_point(|digest| *digest < wanted);
                prop_assert_eq!(find(&digests, wanted), halved);
            }
        }
    }
}
