//! Everyone the failure detector knows, in a table that pools can share.
//!
//! Records lie in places `0..len` without holes, in chunks that are counted by reference: a clone
//! costs two counts, and a change copies one chunk. So ten thousand simulated pools that were
//! founded with the same members hold them once, and each pays only for what it learned since.
//! Places make random draws and probe orders cheap; a tree finds them by name.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use proconsul_types::radix::{Keyed, Tree};
use proconsul_types::{Duration, Incarnation, Instant, Liveness, Rng};
use proconsul_wire::memberlist::{Alive, NodeState, Versions};

/// Records in a chunk.
const CHUNK: usize = 64;

/// What the failure detector holds of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// What it said of itself last. The incarnation is the last one anyone spoke of, the port is
    /// not 0, and there are six versions.
    pub(crate) alive: Arc<Alive>,
    /// Whether it answers.
    pub(crate) liveness: Liveness,
    /// Since when.
    pub(crate) changed: Instant,
}

impl Record {
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.alive.node
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.alive.incarnation
    }

    /// Where it is, if its address was one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        address_of(&self.alive)
    }

    pub(crate) fn versions(&self) -> Versions {
        versions_of(&self.alive)
    }

    /// Dead or left.
    pub(crate) fn is_gone(&self) -> bool {
        is_gone(self.liveness)
    }

    /// What a push/pull says of it.
    pub(crate) fn state(&self) -> NodeState {
        NodeState { alive: Arc::clone(&self.alive), liveness: self.liveness }
    }
}

/// Dead or left.
pub(crate) fn is_gone(liveness: Liveness) -> bool {
    match liveness {
        Liveness::Dead | Liveness::Left => true,
        Liveness::Alive | Liveness::Suspect => false,
    }
}

/// Where a member says it is.
pub(crate) fn address_of(alive: &Alive) -> Option<SocketAddr> {
    alive.address.map(|ip| SocketAddr::new(ip, alive.port))
}

/// Where a member says it is, for those above; one whose address was none is nowhere.
pub(crate) fn reachable(alive: &Alive) -> SocketAddr {
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    SocketAddr::new(alive.address.unwrap_or(nowhere), alive.port)
}

/// A member's versions; those it did not send are 0.
pub(crate) fn versions_of(alive: &Alive) -> Versions {
    let at = |place: usize| alive.versions.get(place).copied().unwrap_or(0);
    Versions {
        protocol_min: at(0),
        protocol_max: at(1),
        protocol: at(2),
        delegate_min: at(3),
        delegate_max: at(4),
        delegate: at(5),
    }
}

/// Where a name's record lies.
#[derive(Clone, Debug)]
struct Place {
    name: Arc<str>,
    at: usize,
}

impl Keyed for Place {
    fn key(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

/// Members by place and by name. Cloning is two reference counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    chunks: Arc<Vec<Arc<Vec<Record>>>>,
    places: Tree<Place>,
    alive: usize,
}

impl Members {
    /// A table of members that are all alive since `now`. Names that repeat are taken once.
    pub(crate) fn founding(everyone: impl IntoIterator<Item = Arc<Alive>>, now: Instant) -> Self {
        let mut members = Self::default();
        for alive in everyone {
            assert!(alive.port != 0, "a founding member has a port");
            assert!(alive.versions.len() == 6, "a founding member has six versions");
            if members.get(&alive.node).is_none() {
                members.add(Record { alive, liveness: Liveness::Alive, changed: now });
            }
        }
        members
    }

    /// How many are known, of every liveness.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many are alive and not suspected.
    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    /// The record of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Record> {
        self.at(self.place(name)?)
    }

    /// The record at a place below [`Self::len`].
    pub(crate) fn at(&self, place: usize) -> Option<&Record> {
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name.as_bytes()).map(|place| place.at)
    }

    /// Everyone, by place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Adds someone new at the end.
    pub(crate) fn add(&mut self, record: Record) {
        let at = self.len();
        self.alive += usize::from(record.liveness == Liveness::Alive);
        let old = self.places.insert(Arc::new(Place { name: Arc::clone(record.name()), at }));
        assert!(old.is_none(), "a member is added once");
        let chunks = Arc::make_mut(&mut self.chunks);
        if at.is_multiple_of(CHUNK) {
            chunks.push(Arc::new(Vec::with_capacity(CHUNK.min(at + 1))));
        }
        let last = chunks.last_mut().expect("a chunk was just made if there was none");
        Arc::make_mut(last).push(record);
    }

    /// Replaces what is held of someone known.
    pub(crate) fn set(&mut self, record: Record) {
        let Some(place) = self.place(record.name()) else {
            return;
        };
        let slot = self.slot(place);
        let before = core::mem::replace(slot, record);
        let now_alive = slot.liveness == Liveness::Alive;
        self.alive -= usize::from(before.liveness == Liveness::Alive);
        self.alive += usize::from(now_alive);
    }

    fn slot(&mut self, place: usize) -> &mut Record {
        let chunks = Arc::make_mut(&mut self.chunks);
        &mut Arc::make_mut(&mut chunks[place / CHUNK])[place % CHUNK]
    }

    /// Forgets those that have been gone since before `horizon`. The last ones move into their
    /// places.
    pub(crate) fn forget_gone(&mut self, horizon: Instant) {
        let mut place = 0;
        while let Some(record) = self.at(place) {
            if record.is_gone() && record.changed < horizon {
                self.remove_at(place);
            } else {
                place += 1;
            }
        }
    }

    fn remove_at(&mut self, place: usize) {
        let chunks = Arc::make_mut(&mut self.chunks);
        let last_chunk = chunks.last_mut().expect("a place below the length lies in a chunk");
        let last = Arc::make_mut(last_chunk).pop().expect("no chunk is empty");
        if last_chunk.is_empty() {
            chunks.pop();
        }
        if place + 1 == self.len() {
            self.alive -= usize::from(last.liveness == Liveness::Alive);
            self.places.remove(last.name().as_bytes(), 0);
            return;
        }
        let moved = Place { name: Arc::clone(last.name()), at: place };
        let gone = core::mem::replace(self.slot(place), last);
        self.alive -= usize::from(gone.liveness == Liveness::Alive);
        self.places.insert(Arc::new(moved));
        self.places.remove(gone.name().as_bytes(), 0);
    }

    /// Appends the places of `count` random members that `pass`, without repeats. In a small pool
    /// all are tried; in a larger one chance may find fewer.
    pub(crate) fn draw(
        &self,
        rng: &mut Rng,
        count: usize,
        out: &mut Vec<usize>,
        pass: impl Fn(&Record) -> bool,
    ) {
        let len = self.len();
        out.clear();
        if len < 3 * count {
            out.extend(0..len);
            rng.shuffle(out);
            let mut found = 0;
            out.retain(|place| {
                let take = found < count && self.at(*place).is_some_and(&pass);
                found += usize::from(take);
                take
            });
            return;
        }
        for _ in 0..3 * len {
            if out.len() == count {
                return;
            }
            let place = rng.index(len);
            if !out.contains(&place) && self.at(place).is_some_and(&pass) {
                out.push(place);
            }
        }
    }

    /// Whether a member has been gone for less than `time`.
    pub(crate) fn went_within(record: &Record, now: Instant, time: Duration) -> bool {
        now.since(record.changed) <= time
    }

    /// Panics unless places, names and counts agree.
    pub(crate) fn check_invariants(&self) {
        let mut alive = 0;
        for place in 0..self.len() {
            let record = self.at(place).expect("places have no holes");
            alive += usize::from(record.liveness == Liveness::Alive);
            assert!(self.place(record.name()) == Some(place), "members are found by name");
            assert!(record.alive.versions.len() == 6, "a record has six versions");
            assert!(record.alive.port != 0, "a record has a port");
        }
        assert!(self.at(self.len()).is_none(), "there is no record beyond the last place");
        assert!(alive == self.alive, "the count of the alive is kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::vec;
    use proconsul_types::{Rng, Seed};
    use proptest::prelude::*;

    fn record(name: u16, liveness: Liveness, changed: u64) -> Record {
        let alive = Arc::new(Alive {
            incarnation: Incarnation(1),
            node: format!("n{name}").into(),
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: 1,
            meta: None,
            versions: vec![1, 5, 2, 2, 5, 4],
        });
        Record { alive, liveness, changed: Instant(changed) }
    }

    #[test]
    fn a_clone_keeps_what_it_was() {
        let mut members = Members::default();
        for name in 0..200 {
            members.add(record(name, Liveness::Alive, 0));
        }
        let before = members.clone();
        members.set(record(150, Liveness::Dead, 1));
        members.forget_gone(Instant(2));
        assert_eq!((before.len(), before.alive()), (200, 200));
        assert_eq!((members.len(), members.alive()), (199, 199));
        assert!(before.get("n150").is_some() && members.get("n150").is_none());
        assert!(Arc::ptr_eq(&before.chunks[0], &members.chunks[0]), "chunks are shared");
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0_u16..300, 0_u8..4, 0_u64..9), 0..400)) {
            let mut members = Members::default();
            let mut model = BTreeMap::new();
            for (name, liveness, time) in steps {
                let liveness = [Liveness::Alive, Liveness::Suspect, Liveness::Dead, Liveness::Left]
                    [usize::from(liveness)];
                let new = record(name, liveness, time);
                if model.insert(name, new.clone()).is_none() {
                    members.add(new);
                } else {
                    members.set(new);
                }
                if time == 8 {
                    members.forget_gone(Instant(3));
                    model.retain(|_, r| !(r.is_gone() && r.changed < Instant(3)));
                }
                members.check_invariants();
            }
            prop_assert_eq!(members.len(), model.len());
            for (name, record) in &model {
                prop_assert_eq!(members.get(&format!("n{name}")), Some(record));
            }
        }

        #[test]
        fn draws_are_distinct_and_pass(len in 0_u16..60, count in 0_usize..8, seed in 0_u64..99) {
            let mut members = Members::default();
            for name in 0..len {
                let liveness = if name % 3 == 0 { Liveness::Dead } else { Liveness::Alive };
                members.add(record(name, liveness, 0));
            }
            let mut out = Vec::new();
            members.draw(&mut Rng::new(Seed(seed)), count, &mut out, |r| !r.is_gone());
            prop_assert!(out.len() <= count);
            let mut sorted = out.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), out.len());
            prop_assert!(out.iter().all(|place| !members.at(*place).unwrap().is_gone()));
        }
    }
}
