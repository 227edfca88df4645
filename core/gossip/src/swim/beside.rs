//! What one pool holds beside a table that it shares: the few records that differ.

use super::members::Record;
use crate::digest::{HIGH, find};
use alloc::vec::Vec;
use proconsul_types::Liveness;

/// Below the digest, a number of a name has the place and these two bits: so most of what is heard
/// is found out to be known without a look at records.
const GONE: u64 = 1;
const CONFIRMED: u64 = 2;
const FLAG_BITS: u32 = 2;

/// Records by name and by place. What is heard in a large pool is mostly about these few.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// For each record the high half of the digest of its name, its place and what is most asked of
    /// it. Sorted by the former.
    names: Vec<u64>,
    /// Where in `records` it lies, for each of `names`.
    lies: Vec<u32>,
    /// Places, sorted, each with where in `records` its record lies: none is ever removed alone.
    places: Vec<(u32, u32)>,
    records: Vec<Record>,
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 members")
}

fn widen(place: u32) -> usize {
    usize::try_from(place).expect("32 bits fit an index")
}

/// What the number of a record says.
fn number(digest: u64, place: usize, record: &Record) -> u64 {
    let low = u64::from(narrow(place)) << FLAG_BITS;
    assert!(low & HIGH == 0, "fewer than 2^30 members");
    let gone = if record.is_gone() { GONE } else { 0 };
    let confirmed = if record.confirmed { CONFIRMED } else { 0 };
    (digest & HIGH) | low | gone | confirmed
}

fn place_of(number: u64) -> usize {
    usize::try_from((number & !HIGH) >> FLAG_BITS).unwrap_or(usize::MAX)
}

impl Beside {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Under which number the record of the name with this digest is filed, or where it belongs.
    /// `same` says whether the name at a place is that name.
    pub(super) fn find(
        &self,
        digest: u64,
        same: impl Fn(usize, &Self, usize) -> bool,
    ) -> Result<usize, usize> {
        let mut at = find(&self.names, digest & HIGH);
        while let Some(number) = self.names.get(at).filter(|n| *n & HIGH == digest & HIGH) {
            if same(place_of(*number), self, at) {
                return Ok(at);
            }
            at += 1;
        }
        Err(at)
    }

    /// The record that is filed there.
    pub(super) fn filed(&self, at: usize) -> &Record {
        &self.records[widen(self.lies[at])]
    }

    /// Its place.
    pub(super) fn place(&self, at: usize) -> usize {
        place_of(self.names[at])
    }

    /// Whether it is of someone dead or left.
    pub(super) fn is_gone(&self, at: usize) -> bool {
        self.names[at] & GONE != 0
    }

    /// Whether it is of someone whose suspicion is confirmed.
    pub(super) fn is_confirmed(&self, at: usize) -> bool {
        self.names[at] & CONFIRMED != 0
    }

    /// Replaces the record that is filed there by another of that name.
    pub(super) fn set(&mut self, at: usize, record: Record) -> Liveness {
        let held = &mut self.records[widen(self.lies[at])];
        self.names[at] = number(self.names[at], place_of(self.names[at]), &record);
        core::mem::replace(held, record).liveness
    }

    /// The record at a place of a table of this size.
    pub(super) fn at(&self, place: usize, len: usize) -> Option<&Record> {
        let wanted = u32::try_from(place).ok()?;
        let found = self.find_place(wanted, len);
        let (_, lies) = self.places.get(found).filter(|(other, _)| *other == wanted)?;
        self.records.get(widen(*lies))
    }

    /// The first of `places` that is not below this one. Mostly chance decides who differs, so that
    /// a guess is rarely far off.
    fn find_place(&self, wanted: u32, len: usize) -> usize {
        /// How far it may be off before the search halves what there is.
        const STEPS_MAX: usize = 16;
        let mut at = (widen(wanted) * self.places.len() / len.max(1)).min(self.places.len());
        for _ in 0..STEPS_MAX {
            let below = at == 0 || self.places[at - 1].0 < wanted;
            let above = self.places.get(at).is_none_or(|(place, _)| *place >= wanted);
            match (below, above) {
                (true, true) => return at,
                (true, false) => at += 1,
                (false, true | false) => at -= 1,
            }
        }
        self.places.partition_point(|(place, _)| *place < wanted)
    }

    /// Lets this record be at this place, and its number at `gap`, where [`Self::find`] said that
    /// it belongs.
    pub(super) fn put(&mut self, gap: usize, digest: u64, place: usize, record: Record) {
        let (at, lies) = (narrow(place), narrow(self.records.len()));
        self.names.insert(gap, number(digest, place, &record));
        self.lies.insert(gap, lies);
        let gap = self.places.partition_point(|(other, _)| *other < at);
        self.places.insert(gap, (at, lies));
        self.records.push(record);
    }

    /// All by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Record)> {
        let placed = |(place, lies): &(u32, u32)| {
            self.records.get(widen(*lies)).map(|record| (widen(*place), record))
        };
        self.places.iter().filter_map(placed)
    }

    /// Takes all out, by place.
    pub(super) fn take(&mut self) -> Vec<(usize, Record)> {
        let all = self.iter().map(|(place, record)| (place, record.clone())).collect();
        *self = Self::default();
        all
    }

    /// Panics unless names and places agree. `digest_of` says the digest of a record's name.
    pub(super) fn check_invariants(&self, digest_of: impl Fn(&Record) -> u64) {
        assert!(self.records.len() == self.places.len(), "each record has a place");
        assert!(self.records.len() == self.names.len(), "each record has a number");
        assert!(self.records.len() == self.lies.len(), "each number has a record");
        let sorted = self.names.is_sorted_by_key(|number| number & HIGH);
        assert!(sorted, "records are sorted by digest");
        assert!(self.places.is_sorted_by(|one, other| one.0 < other.0), "each place has one");
        let mut filed: Vec<(u32, u32)> = Vec::new();
        for (name, lies) in self.names.iter().zip(&self.lies) {
            let record = &self.records[widen(*lies)];
            let same = number(digest_of(record), place_of(*name), record) == *name;
            assert!(same, "a number says what its record is");
            filed.push((narrow(place_of(*name)), *lies));
        }
        filed.sort_unstable();
        assert!(filed == self.places, "a record is filed under its place");
    }
}
