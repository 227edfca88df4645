//! The table of coordinates: where in the network each agent is.

use crate::catalog::{Catalog, Effects, domain};
use crate::services::share;
use crate::table::{Key, Row, fold, key_of};
use crate::watch::Topic;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CatalogIndex, Coordinate};
use serde::{Deserialize, Serialize};

/// Where an agent is. There is one per node and network segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The node.
    pub node: Arc<str>,
    /// Its network segment; empty for the only one there is.
    pub segment: Arc<str>,
    /// Its place. One that is not finite in every part is never stored.
    pub coordinate: Coordinate,
}

impl Place {
    fn numbers(&self) -> impl Iterator<Item = f64> {
        let Coordinate { vector, error, adjustment, height } = &self.coordinate;
        vector.iter().copied().chain([*error, *adjustment, *height])
    }

    /// Whether it is a place at all: finite in every part.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.numbers().all(f64::is_finite)
    }
}

/// Equal to the bit: what two servers must agree on.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        let bits = |(a, b): (f64, f64)| a.to_bits() == b.to_bits();
        self.node == other.node
            && self.segment == other.segment
            && self.numbers().zip(other.numbers()).all(bits)
    }
}

impl Eq for Place {}

impl Catalog {
    /// Takes the places of nodes that are there. What is no place is left out.
    pub(crate) fn update_places(
        &mut self,
        index: CatalogIndex,
        places: &[Place],
        effects: &mut Effects,
    ) {
        for place in places {
            let Some(node) = self.node(&place.node) else { continue };
            let place = Place { node: Arc::clone(&node.name), ..place.clone() };
            let known = self.places.get(&place_key(&place)).is_some_and(|row| *row.value == place);
            if place.is_valid() && !known {
                self.put_place(place);
                self.marks.coordinates = index.0;
                effects.topics.add(Topic::Coordinates);
            }
        }
    }

    /// Files a place.
    pub(crate) fn put_place(&mut self, mut place: Place) {
        if let Some(node) = self.node(&place.node) {
            share(&mut place.node, &node.name);
        }
        place.segment = self.intern(&place.segment);
        self.count_in(domain::PLACE, &place);
        if let Some(old) = self.places.insert(Row::new(&place_key(&place), Arc::new(place))) {
            self.count_out(domain::PLACE, &*old.value);
        }
    }

    /// Forgets where a node is, as its removal does.
    pub(crate) fn remove_places(&mut self, index: CatalogIndex, node: &str, effects: &mut Effects) {
        let gone: Vec<_> = self.places.prefix(&key_of(&[&fold(node)])).map(Arc::clone).collect();
        for row in gone {
            self.count_out(domain::PLACE, &*row.value);
            self.places.remove(&place_key(&row.value), 0);
            self.marks.coordinates = index.0;
            effects.topics.add(Topic::Coordinates);
        }
    }

    /// All places by node, then segment.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().map(|row| &*row.value)
    }

    /// The places of one node by segment.
    pub fn node_places<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Place> + use<'a> {
        self.places.prefix(&key_of(&[&fold(node)])).map(|row| &*row.value)
    }

    /// The index that governs every read of places.
    #[must_use]
    pub fn places_index(&self) -> CatalogIndex {
        self.shown(self.marks.coordinates)
    }
}

fn place_key(place: &Place) -> Key {
    key_of(&[&fold(&place.node), &place.segment])
}
