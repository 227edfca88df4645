//! Everyone the failure detector knows, in a table that pools can share.
//!
//! Records lie in places `0..len` without holes. The table is counted by reference: a clone costs a
//! few counts. Who holds it alone changes it in place; who shares it keeps what it learned beside
//! it, until that is so much that a copy is better. So ten thousand simulated pools that were
//! founded with the same members hold them once, and each pays only for what it learned since.
//! Places make random draws and probe orders cheap; a tree finds them by name.

use super::beside::Beside;
use super::exchange::Spoken;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use proconsul_types::radix::{Keyed, Tree};
use proconsul_types::{Duration, Incarnation, Instant, Liveness, Rng};
use proconsul_wire::memberlist::{Alive, NodeState, Versions};
use proconsul_wire::shared::SharedList;

/// So much may at least lie beside a shared table before it is copied.
const BESIDE_MAX_MIN: usize = 64;
/// Beyond, one in so many may.
const BESIDE_SHARE: usize = 8;

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
    /// The number of its suspicion, while it is suspected.
    pub(crate) suspicion: u32,
    /// Whether no more accusers can hasten the end of that suspicion.
    pub(crate) confirmed: bool,
    /// The highest protocol version that it understands.
    pub(crate) protocol_max: u8,
}

impl Record {
    /// Someone of whom nothing is suspected.
    pub(crate) fn new(alive: Arc<Alive>, liveness: Liveness, changed: Instant) -> Self {
        let protocol_max = versions_of(&alive).protocol_max;
        Self { alive, liveness, changed, suspicion: 0, confirmed: false, protocol_max }
    }

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

/// What pools may hold in common.
#[derive(Clone, Debug, Default)]
struct Common {
    records: Vec<Record>,
    /// What full exchanges ask of them, made once for those who were founded together.
    exchanged: Option<Exchanged>,
}

/// A table as full exchanges see it.
#[derive(Clone, Debug)]
struct Exchanged {
    states: Arc<Vec<NodeState>>,
    spoken: Spoken,
}

/// Members by place and by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    common: Arc<Common>,
    /// What is held in place of common records, or behind them.
    beside: Beside,
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
                members.add(Record::new(alive, Liveness::Alive, now));
            }
        }
        let common = members.own();
        let states = Arc::new(common.records.iter().map(Record::state).collect());
        let mut spoken = Spoken::default();
        common.records.iter().for_each(|record| spoken.add(record.versions()));
        common.exchanged = Some(Exchanged { states, spoken });
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
        let beside = self.beside.of(name).map(|(_, record)| record);
        beside.or_else(|| self.common.records.get(self.places.get(name.as_bytes())?.at))
    }

    /// The record at a place below [`Self::len`].
    pub(crate) fn at(&self, place: usize) -> Option<&Record> {
        self.beside.at(place).or_else(|| self.common.records.get(place))
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        let beside = self.beside.of(name).map(|(place, _)| place);
        beside.or_else(|| self.places.get(name.as_bytes()).map(|place| place.at))
    }

    /// Everyone, by place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        (0..self.len()).filter_map(|place| self.at(place))
    }

    /// Everyone as a full exchange tells of them.
    pub(crate) fn states(&self) -> SharedList<NodeState> {
        match &self.common.exchanged {
            Some(exchanged) => {
                let beside = self.beside.iter().map(|(place, record)| (place, record.state()));
                SharedList::new(Arc::clone(&exchanged.states), beside.collect())
            }
            None => self.iter().map(Record::state).collect(),
        }
    }

    /// The places at which what another told may differ from what is held, by place; `None`: all
    /// that it told of.
    pub(crate) fn differing(&self, told: &SharedList<NodeState>) -> Option<Vec<usize>> {
        let states = &self.common.exchanged.as_ref()?.states;
        if !told.shares(states) {
            return None;
        }
        let told = told.changed().iter().map(|(place, _)| *place);
        let held = self.beside.iter().map(|(place, _)| place).filter(|at| *at < states.len());
        let mut places: Vec<usize> = told.chain(held).collect();
        places.sort_unstable();
        places.dedup();
        Some(places)
    }

    /// All versions that occur in the shared table, and those of the records beside it; `None`:
    /// nobody has counted them.
    pub(crate) fn spoken(&self) -> Option<(&Spoken, Vec<Versions>)> {
        let exchanged = self.common.exchanged.as_ref()?;
        let beside = self.beside.iter().map(|(_, record)| record.versions());
        Some((&exchanged.spoken, beside.collect()))
    }

    /// Adds someone new at the end.
    pub(crate) fn add(&mut self, record: Record) {
        let at = self.len();
        self.alive += usize::from(record.liveness == Liveness::Alive);
        let old = self.places.insert(Arc::new(Place { name: Arc::clone(record.name()), at }));
        assert!(old.is_none(), "a member is added once");
        self.put(at, record);
    }

    /// Replaces what is held of someone known.
    pub(crate) fn set(&mut self, record: Record) {
        if let Some(held) = self.beside.of_mut(record.name()) {
            self.alive -= usize::from(held.liveness == Liveness::Alive);
            self.alive += usize::from(record.liveness == Liveness::Alive);
            *held = record;
            return;
        }
        let place = self.places.get(record.name().as_bytes()).map(|place| place.at);
        let Some((place, before)) = place.and_then(|at| Some((at, self.common.records.get(at)?)))
        else {
            return;
        };
        self.alive -= usize::from(before.liveness == Liveness::Alive);
        self.alive += usize::from(record.liveness == Liveness::Alive);
        self.put(place, record);
    }

    /// Lets this record be at this place.
    fn put(&mut self, place: usize, record: Record) {
        let shared = Arc::get_mut(&mut self.common).is_none();
        if !shared || self.beside.len() >= BESIDE_MAX_MIN.max(self.len() / BESIDE_SHARE) {
            let records = &mut self.own().records;
            match records.get_mut(place) {
                Some(slot) => *slot = record,
                None => records.push(record),
            }
        } else {
            self.beside.put(place, record);
        }
    }

    /// The whole table, held by nobody else.
    fn own(&mut self) -> &mut Common {
        let common = Arc::make_mut(&mut self.common);
        common.exchanged = None;
        for (place, record) in self.beside.take() {
            match common.records.get_mut(place) {
                Some(slot) => *slot = record,
                None => common.records.push(record),
            }
        }
        common
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
        let records = &mut self.own().records;
        let gone = records.swap_remove(place);
        let moved = records.get(place).map(|moved| Arc::clone(moved.name()));
        self.alive -= usize::from(gone.liveness == Liveness::Alive);
        if let Some(name) = moved {
            self.places.insert(Arc::new(Place { name, at: place }));
        }
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
            let spoken = record.versions().protocol_max;
            assert!(record.protocol_max == spoken, "a record shows what its member understands");
            assert!(record.alive.port != 0, "a record has a port");
        }
        assert!(self.at(self.len()).is_none(), "there is no record beyond the last place");
        assert!(alive == self.alive, "the count of the alive is kept");
        self.beside.check_invariants();
        if let Some(Exchanged { states, .. }) = &self.common.exchanged {
            let same = states.iter().zip(&self.common.records).all(|(state, record)| {
                Arc::ptr_eq(&state.alive, &record.alive) && state.liveness == record.liveness
            });
            assert!(same && states.len() == self.common.records.len(), "exchanges tell the same");
        }
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
        Record::new(alive, liveness, Instant(changed))
    }

    #[test]
    fn a_clone_keeps_what_it_was() {
        let mut members = Members::default();
        for name in 0..200 {
            members.add(record(name, Liveness::Alive, 0));
        }
        let before = members.clone();
        members.set(record(150, Liveness::Dead, 1));
        assert!(Arc::ptr_eq(&before.common, &members.common), "the table is shared");
        members.forget_gone(Instant(2));
        assert_eq!((before.len(), before.alive()), (200, 200));
        assert_eq!((members.len(), members.alive()), (199, 199));
        assert!(before.get("n150").is_some() && members.get("n150").is_none());
        members.check_invariants();
        before.check_invariants();
    }

    #[test]
    fn an_exchange_between_those_who_share_is_about_what_changed() {
        let founders = (0..200).map(|name| record(name, Liveness::Alive, 0).alive);
        let founding = Members::founding(founders, Instant(0));
        let (mut one, mut other) = (founding.clone(), founding);
        one.set(record(7, Liveness::Dead, 1));
        one.add(record(300, Liveness::Alive, 1));
        other.set(record(9, Liveness::Suspect, 1));
        let told = one.states();
        assert_eq!(other.differing(&told), Some(vec![7, 9, 200]));
        assert_eq!(one.differing(&other.states()), Some(vec![7, 9]));
        assert!(told.iter().eq(one.iter().map(Record::state).collect::<Vec<_>>().iter()));
        let plain: SharedList<NodeState> = told.iter().cloned().collect();
        assert_eq!(other.differing(&plain), None);
    }

    proptest! {
        #[test]
        fn it_is_a_map(
            steps in prop::collection::vec((0_u16..300, 0_u8..4, 0_u64..9), 0..400),
            shared in 0_usize..4,
        ) {
            let mut members = Members::default();
            let mut model = BTreeMap::new();
            let mut kept = Vec::new();
            for (number, (name, liveness, time)) in steps.into_iter().enumerate() {
                if shared > 0 && number % (50 * shared) == 0 {
                    kept.push((members.clone(), model.clone()));
                }
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
            kept.push((members, model));
            for (members, model) in kept {
                members.check_invariants();
                prop_assert_eq!(members.len(), model.len());
                for (name, record) in &model {
                    prop_assert_eq!(members.get(&format!("n{name}")), Some(record));
                }
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
