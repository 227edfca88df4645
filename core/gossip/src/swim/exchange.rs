//! Full exchanges: what one side says of everyone, and when the other side takes it.

use super::members::versions_of;
use super::{Swim, Turn};
use crate::serf::Candidate;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::Liveness;
use proconsul_wire::memberlist::{NodeState, PushPull, Versions};

/// What everyone alive understands.
#[derive(Clone, Copy, Debug)]
struct Understood {
    protocol: (u8, u8),
    delegate: (u8, u8),
}

impl Understood {
    fn new() -> Self {
        Self { protocol: (0, u8::MAX), delegate: (0, u8::MAX) }
    }

    fn narrow(&mut self, by: Versions) {
        let (low, high) = self.protocol;
        self.protocol = (low.max(by.protocol_min), high.min(by.protocol_max));
        let (low, high) = self.delegate;
        self.delegate = (low.max(by.delegate_min), high.min(by.delegate_max));
    }

    fn understands(&self, speaks: Versions) -> bool {
        (self.protocol.0..=self.protocol.1).contains(&speaks.protocol)
            && (self.delegate.0..=self.delegate.1).contains(&speaks.delegate)
    }

    fn check(&self, name: &str, speaks: Versions) -> Result<(), String> {
        let checks = [
            ("protocol version", speaks.protocol, self.protocol),
            ("delegate protocol version", speaks.delegate, self.delegate),
        ];
        for (what, spoken, (low, high)) in checks {
            if spoken < low || spoken > high {
                return Err(format!(
                    "Node '{name}' {what} ({spoken}) is incompatible: [{low}, {high}]"
                ));
            }
        }
        Ok(())
    }
}

/// All versions that occur among some members, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spoken(Vec<Versions>);

impl Spoken {
    pub(super) fn add(&mut self, versions: Versions) {
        if !self.0.contains(&versions) {
            self.0.push(versions);
        }
    }
}

impl Swim {
    /// Everything this side knows.
    pub(super) fn local_state(&self, turn: &Turn<'_>, join: bool) -> PushPull {
        PushPull { join, nodes: self.members.states(), user: Some(turn.serf.local_state()) }
    }

    /// Takes over what another knows, unless someone in it could not be understood or may not come
    /// in. `ignore_old`: events from before are not wanted.
    pub(super) fn merge<'a>(
        &mut self,
        turn: &mut Turn<'_>,
        theirs: &'a PushPull,
        join: bool,
        ignore_old: bool,
    ) -> Result<(), String> {
        // Pools that were founded together hold most records in common: those are not looked at.
        let told: Vec<(usize, &NodeState)> = match self.members.differing(&theirs.nodes) {
            Some(places) => {
                let state = |place| theirs.nodes.get(place).map(|state| (place, state));
                places.into_iter().filter_map(state).collect()
            }
            None => theirs.nodes.iter().enumerate().collect(),
        };
        self.check_versions(&told)?;
        if join {
            let candidate =
                |state: &'a NodeState| Candidate { alive: &state.alive, liveness: state.liveness };
            let candidates: Vec<Candidate<'_>> = theirs.nodes.iter().map(candidate).collect();
            turn.serf.admit(&candidates)?;
        }
        for (place, state) in told {
            // what is held is no news; but to share a suspicion is to confirm it
            let confirms = state.liveness == Liveness::Suspect;
            if confirms || !self.is_held(place, state) {
                self.merge_state(turn, state);
            }
        }
        if let Some(user) = &theirs.user {
            turn.serf.merge(turn.now, user, ignore_old);
        }
        Ok(())
    }

    /// Whether the record at this place is the very same value.
    fn is_held(&self, place: usize, state: &NodeState) -> bool {
        self.members.at(place).is_some_and(|record| {
            Arc::ptr_eq(&record.alive, &state.alive) && record.liveness == state.liveness
        })
    }

    /// Everyone, of any liveness, must speak what everyone alive understands.
    fn check_versions(&self, told: &[(usize, &NodeState)]) -> Result<(), String> {
        let mut common = Understood::new();
        let news = || told.iter().filter(|(at, state)| !self.is_held(*at, state));
        for (_, state) in news() {
            if state.liveness == Liveness::Alive && !state.alive.versions.is_empty() {
                common.narrow(versions_of(&state.alive));
            }
        }
        // If all understand one another even if everyone held is alive, they do.
        if let Some((spoken, beside)) = self.members.spoken() {
            let held = || spoken.0.iter().copied().chain(beside.iter().copied());
            let mut narrowest = common;
            held().for_each(|versions| narrowest.narrow(versions));
            let mut all = held().chain(news().map(|(_, state)| versions_of(&state.alive)));
            if all.all(|speaks| narrowest.understands(speaks)) {
                return Ok(());
            }
        }
        for record in self.members.iter() {
            if record.liveness == Liveness::Alive {
                common.narrow(record.versions());
            }
        }
        for (_, state) in news() {
            common.check(&state.alive.node, versions_of(&state.alive))?;
        }
        for record in self.members.iter() {
            common.check(record.name(), record.versions())?;
        }
        Ok(())
    }
}
