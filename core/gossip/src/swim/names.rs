//! Where the records of names lie, found by digests.
//!
//! Each name is one number: the high half of its digest, and below it a place. The numbers are
//! sorted, and digests are spread evenly, so one look finds a name or shows that it is unknown.
//! Whoever searches says which name lies at a place: names are not held twice.

use crate::digest::{HIGH, find, number, place_of};
use alloc::vec::Vec;

/// Places by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: Vec<u64>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The place of the name with this digest, of those that are the `same` name.
    pub(super) fn place(&self, digest: u64, same: impl Fn(usize) -> bool) -> Option<usize> {
        let numbers = &self.numbers[find(&self.numbers, digest & HIGH)..];
        let numbers = numbers.iter().take_while(|number| *number & HIGH == digest & HIGH);
        numbers.map(|number| place_of(*number)).find(|place| same(*place))
    }

    /// Adds a name that is not there yet.
    pub(super) fn add(&mut self, digest: u64, place: usize) {
        let at = find(&self.numbers, digest & HIGH);
        self.numbers.insert(at, number(digest, place));
    }

    /// Where the name with this digest and place is filed.
    fn filed(&self, digest: u64, place: usize) -> Option<usize> {
        let first = find(&self.numbers, digest & HIGH);
        let behind = self.numbers[first..].iter().position(|n| *n == number(digest, place))?;
        Some(first + behind)
    }

    /// Lets the name with this digest lie elsewhere.
    pub(super) fn shift(&mut self, digest: u64, from: usize, to: usize) {
        if let Some(at) = self.filed(digest, from) {
            self.numbers[at] = number(digest, to);
        }
    }

    /// Takes out the name with this digest and place.
    pub(super) fn remove(&mut self, digest: u64, place: usize) {
        if let Some(at) = self.filed(digest, place) {
            self.numbers.remove(at);
        }
    }

    /// Panics unless the numbers are sorted.
    pub(super) fn check_invariants(&self) {
        let sorted = self.numbers.is_sorted_by_key(|number| number & HIGH);
        assert!(sorted, "names are sorted by digest");
    }
}
