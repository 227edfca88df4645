//! What one pool holds beside a table that it shares: the few records that differ.

use super::members::Record;
use crate::digest::{ByName, Named, digest};
use alloc::vec::Vec;

/// Records by name and by place. What is heard in a large pool is mostly about these few.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    records: ByName<Placed>,
    /// Places, sorted, each with the digest of who is there.
    places: Vec<(usize, u64)>,
}

#[derive(Clone, Debug)]
struct Placed {
    place: usize,
    record: Record,
}

impl Named for Placed {
    fn name(&self) -> &str {
        self.record.name()
    }
}

impl Beside {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place and the record of `name`.
    pub(super) fn of(&self, name: &str) -> Option<(usize, &Record)> {
        self.records.get(name).map(|placed| (placed.place, &placed.record))
    }

    /// The record at a place.
    pub(super) fn at(&self, place: usize) -> Option<&Record> {
        let found = self.places.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        self.numbered(place, self.places[found].1)
    }

    fn numbered(&self, place: usize, digest: u64) -> Option<&Record> {
        let mut same = self.records.with_digest(digest);
        same.find(|placed| placed.place == place).map(|placed| &placed.record)
    }

    /// Lets this record be at this place, where there was one of the same name or none.
    pub(super) fn put(&mut self, place: usize, record: Record) {
        let digest = digest(record.name());
        if self.records.insert(Placed { place, record }).is_none() {
            let gap = self.places.partition_point(|(other, _)| *other < place);
            self.places.insert(gap, (place, digest));
        }
    }

    /// All by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Record)> {
        let record =
            |(place, digest): &(usize, u64)| Some((*place, self.numbered(*place, *digest)?));
        self.places.iter().filter_map(record)
    }

    /// Takes all out, by place.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (usize, Record)> {
        self.places.clear();
        let mut all = self.records.take();
        all.sort_unstable_by_key(|placed| placed.place);
        all.into_iter().map(|placed| (placed.place, placed.record))
    }

    /// Panics unless names and places agree.
    pub(super) fn check_invariants(&self) {
        self.records.check_invariants();
        assert!(self.records.len() == self.places.len(), "each record has a place");
        assert!(self.places.is_sorted_by(|one, other| one.0 < other.0), "each place has one");
        for placed in self.records.iter() {
            let filed = (placed.place, digest(placed.record.name()));
            assert!(self.places.contains(&filed), "a record is filed under its place");
        }
    }
}
