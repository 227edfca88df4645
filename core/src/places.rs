//! Places in the network on their way to the catalog: each agent tells its own, the leader writes
//! them down in batches.

use crate::cluster::Coordinates;
use crate::node::Node;
use crate::open::{Job, Origin};
use crate::proposals::Asked;
use crate::timers::Timer;
use crate::{Effect, Event};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{Command, Place};
use proconsul_types::{Coordinate, Duration, Pool, Rng};

/// What the leader holds until the next write.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    newest: BTreeMap<(Arc<str>, Arc<str>), Coordinate>,
    /// How many there was no room for.
    discarded: usize,
    rng: Rng,
}

/// Further away than this is no place in a network, in seconds.
const FAR: f64 = 10_000.0;

impl Places {
    /// None yet.
    pub(crate) fn new(rng: Rng) -> Self {
        Self { newest: BTreeMap::new(), discarded: 0, rng }
    }

    /// What was told and not written is lost: the next leader is told anew.
    pub(crate) fn forget(&mut self) {
        self.newest.clear();
        self.discarded = 0;
    }
}

/// How many places one write takes.
fn room(settings: &Coordinates) -> usize {
    settings.batch_size.max(1) * settings.batches_max
}

/// Whether a coordinate is a place at all.
fn is_place(coordinate: &Coordinate) -> bool {
    let Coordinate { vector, error, adjustment, height } = coordinate;
    let numbers = vector.iter().chain([error, adjustment, height]);
    numbers.into_iter().all(|number| number.is_finite() && number.abs() < FAR)
}

impl Node {
    fn coordinates(&self) -> Option<&Coordinates> {
        self.config.cluster.as_ref()?.coordinates.as_ref()
    }

    /// This agent will tell its place, from now on.
    pub(crate) fn start_coordinates(&mut self) {
        if let Some(pause) = self.place_pause() {
            self.timers.set(Timer::Place, self.now.after(pause));
        }
    }

    /// Between two times: all agents together stay below the rate, and do not come at once.
    fn place_pause(&mut self) -> Option<Duration> {
        let settings = self.coordinates()?;
        let members = u32::try_from(self.pools.lan_count()).unwrap_or(u32::MAX);
        let fair = Duration::from_secs(1) * members / settings.rate_target.max(1);
        let pause = fair.max(settings.interval_min);
        Some(pause + self.places.rng.duration(Duration::ZERO, pause))
    }

    /// It is time to tell this agent's place.
    pub(crate) fn tell_place(&mut self) {
        self.start_coordinates();
        let Some(lan) = self.pools.pool(Pool::Lan) else {
            return;
        };
        let coordinate = lan.coordinate().clone();
        let node = Arc::clone(&self.config.facts.name);
        let place = Place { node, segment: "".into(), coordinate };
        let id = self.agent.fresh();
        self.accept(Origin::Agent(id), Job::Place(alloc::boxed::Box::new(place)), 0);
    }

    /// An agent told its place to this leader.
    pub(crate) fn note_place(&mut self, place: Place) -> Result<(), &'static str> {
        let Place { node, segment, coordinate } = place;
        if !is_place(&coordinate) {
            return Err("invalid coordinate");
        }
        if self.catalog.node(&node).is_none() {
            // The catalog would not take it either; the agent tells it again.
            return Ok(());
        }
        let settings = self.coordinates().cloned().unwrap_or_default();
        if self.timers.get(&Timer::Places).is_none() {
            self.timers.set(Timer::Places, self.now.after(settings.period));
        }
        let key = (node, segment);
        if self.places.newest.len() < room(&settings) || self.places.newest.contains_key(&key) {
            self.places.newest.insert(key, coordinate);
        } else {
            self.places.discarded += 1;
        }
        Ok(())
    }

    /// What was told since the last time is written.
    pub(crate) fn write_places(&mut self, out: &mut Vec<Effect>) {
        let newest = core::mem::take(&mut self.places.newest);
        let discarded = core::mem::take(&mut self.places.discarded);
        if !self.publisher.is_leader() {
            return;
        }
        let settings = self.coordinates().cloned().unwrap_or_default();
        if discarded > 0 {
            let text = format!("discarded {discarded} coordinate updates");
            out.push(Effect::Event(Event::Notice(text)));
        }
        let mut batch = Vec::new();
        for ((node, segment), coordinate) in newest {
            batch.push(Place { node, segment, coordinate });
            if batch.len() == settings.batch_size.max(1) {
                self.propose_places(core::mem::take(&mut batch));
            }
        }
        if !batch.is_empty() {
            self.propose_places(batch);
        }
    }

    fn propose_places(&mut self, batch: Vec<Place>) {
        self.propose(Asked::Duty(None), Command::Coordinates(batch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_no_place() {
        let place = |first: f64| Coordinate {
            vector: [first; 8],
            error: 1.5,
            adjustment: 0.0,
            height: 0.1,
        };
        assert!(is_place(&place(0.01)));
        assert!(!is_place(&place(f64::NAN)));
        assert!(!is_place(&place(f64::INFINITY)));
        assert!(!is_place(&place(20_000.0)));
    }
}
