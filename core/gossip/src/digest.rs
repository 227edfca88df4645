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

/// The half of a digest by which entries are sorted. The other half of the number says where the
/// entry lies, so that one read tells both.
const HIGH: u64 = 0xffff_ffff_0000_0000;

/// A few entries of a large pool by name, found by its digest.
#[derive(Clone, Debug)]
pub(crate) struct ByName<T> {
    /// A number for each entry: the high half of the digest of its name, and its place in
    /// `entries`. Sorted by the former.
    numbers: Vec<u64>,
    /// In the order in which they came, but the last fills the place of one that goes.
    entries: Vec<T>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { numbers: Vec::new(), entries: Vec::new() }
    }
}

/// Where the entry of a number lies.
fn place_of(number: u64) -> usize {
    usize::try_from(number & !HIGH).unwrap_or(usize::MAX)
}

fn number(digest: u64, place: usize) -> u64 {
    let place = u32::try_from(place).expect("fewer than 2^32 entries");
    (digest & HIGH) | u64::from(place)
}

impl<T: Named> ByName<T> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Which number is that of `name`, or where it belongs.
    fn find(&self, name: &str, digest: u64) -> Result<usize, usize> {
        let mut at = find(&self.numbers, digest & HIGH);
        while let Some(number) =
            self.numbers.get(at).filter(|number| *number & HIGH == digest & HIGH)
        {
            let held = self.entries[place_of(*number)].name();
            // most names are shared, and those need not be read
            if core::ptr::eq(held, name) || held == name {
                return Ok(at);
            }
            at += 1;
        }
        Err(at)
    }

    /// Where the entry of `name` lies, until one is removed.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        if self.numbers.is_empty() {
            return None;
        }
        let at = self.find(name, digest(name)).ok()?;
        Some(place_of(self.numbers[at]))
    }

    /// The entry at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&T> {
        self.entries.get(place)
    }

    /// The entry of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.entries.get(self.place(name)?)
    }

    /// The entry of `name`, to be changed; not its name.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let place = self.place(name)?;
        self.entries.get_mut(place)
    }

    /// The entry of `name`, or the `first` one.
    pub(crate) fn get_or_insert(&mut self, name: &str, first: impl FnOnce() -> T) -> &mut T {
        let digest = digest(name);
        let place = match self.find(name, digest) {
            Ok(at) => place_of(self.numbers[at]),
            Err(at) => self.add(at, digest, first()),
        };
        &mut self.entries[place]
    }

    /// Puts an entry in place of what there was under its name.
    pub(crate) fn insert(&mut self, entry: T) -> Option<T> {
        let digest = digest(entry.name());
        match self.find(entry.name(), digest) {
            Ok(at) => {
                let place = place_of(self.numbers[at]);
                Some(core::mem::replace(&mut self.entries[place], entry))
            }
            Err(at) => {
                self.add(at, digest, entry);
                None
            }
        }
    }

    /// Adds an entry whose number belongs there. Where it lies.
    fn add(&mut self, at: usize, digest: u64, entry: T) -> usize {
        let place = self.entries.len();
        self.numbers.insert(at, number(digest, place));
        self.entries.push(entry);
        place
    }

    /// Takes out the entry of `name`.
    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let at = self.find(name, digest(name)).ok()?;
        let place = place_of(self.numbers.remove(at));
        let gone = self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            let digest = digest(moved.name());
            let from = number(digest, self.entries.len());
            let mut at = find(&self.numbers, digest & HIGH);
            while self.numbers[at] != from {
                at += 1;
            }
            self.numbers[at] = number(digest, place);
        }
        Some(gone)
    }

    /// All entries, by digest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.numbers.iter().filter_map(|number| self.entries.get(place_of(*number)))
    }

    /// Takes all out.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.numbers.clear();
        core::mem::take(&mut self.entries)
    }

    /// Panics unless entries are filed under their names.
    pub(crate) fn check_invariants(&self) {
        assert!(self.numbers.len() == self.entries.len(), "each entry has a number");
        let sorted = self.numbers.is_sorted_by_key(|number| number & HIGH);
        assert!(sorted, "entries are sorted by digest");
        for known in &self.numbers {
            let entry = self.entries.get(place_of(*known));
            let same = entry.is_some_and(|entry| digest(entry.name()) & HIGH == known & HIGH);
            assert!(same, "an entry is filed under its name");
        }
        let mut places: Vec<usize> = self.numbers.iter().map(|known| place_of(*known)).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..self.len()), "each entry is filed once");
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
                let place = table.place(name).and_then(|place| table.at(place));
                prop_assert_eq!(place, table.get(name));
                prop_assert_eq!(table.get_mut(name).map(|entry| entry.1), Some(*value));
            }
            let sorted = table.iter().map(|entry| digest(&entry.0)).is_sorted();
            prop_assert!(sorted, "by digest");
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
