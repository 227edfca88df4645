//! What one pool holds beside a table that it shares: the few records that differ.

use super::members::Record;
use crate::digest::{ByName, Named};
use alloc::vec::Vec;

/// Records by name and by place. What is heard in a large pool is mostly about these few.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    records: ByName<Placed>,
    /// Places, sorted, each with where in `records` its record lies: none is ever removed alone.
    places: Vec<(u32, u32)>,
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

fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 members")
}

fn widen(place: u32) -> usize {
    usize::try_from(place).expect("32 bits fit an index")
}

impl Beside {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place and the record of `name`.
    pub(super) fn of(&self, name: &str) -> Option<(usize, &Record)> {
        self.records.get(name).map(|placed| (placed.place, &placed.record))
    }

    /// The record of `name`, to be replaced by another of that name.
    pub(super) fn of_mut(&mut self, name: &str) -> Option<&mut Record> {
        self.records.get_mut(name).map(|placed| &mut placed.record)
    }

    /// The record at a place.
    pub(super) fn at(&self, place: usize) -> Option<&Record> {
        let place = u32::try_from(place).ok()?;
        let found = self.places.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        self.records.at(widen(self.places[found].1)).map(|placed| &placed.record)
    }

    /// Lets this record be at this place, where there was one of the same name or none.
    pub(super) fn put(&mut self, place: usize, record: Record) {
        if self.records.insert(Placed { place, record }).is_none() {
            let (at, lies) = (narrow(place), narrow(self.records.len() - 1));
            let gap = self.places.partition_point(|(other, _)| *other < at);
            self.places.insert(gap, (at, lies));
        }
    }

    /// All by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Record)> {
        let placed = self.places.iter().filter_map(|(_, lies)| self.records.at(widen(*lies)));
        placed.map(|placed| (placed.place, &placed.record))
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
        for (place, lies) in &self.places {
            let placed = self.records.at(widen(*lies));
            let same = placed.is_some_and(|placed| placed.place == widen(*place));
            assert!(same, "a record is filed under its place");
        }
    }
}
