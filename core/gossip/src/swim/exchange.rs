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
struct Common {
    protocol: (u8, u8),
    delegate: (u8, u8),
}

impl Common {
    fn new() -> Self {
        Self { protocol: (0, u8::MAX), delegate: (0, u8::MAX) }
    }

    fn narrow(&mut self, by: Versions) {
        let (low, high) = self.protocol;
        self.protocol = (low.max(by.protocol_min), high.min(by.protocol_max));
        let (low, high) = self.delegate;
        self.delegate = (low.max(by.delegate_min), high.min(by.delegate_max));
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

impl Swim {
    /// Everything this side knows.
    pub(super) fn local_state(&self, turn: &Turn<'_>, join: bool) -> PushPull {
        let mut nodes = Vec::with_capacity(self.members.len());
        nodes.extend(self.members.iter().map(super::members::Record::state));
        PushPull { join, nodes, user: Some(turn.serf.local_state()) }
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
        self.check_versions(&theirs.nodes)?;
        if join {
            let candidate =
                |state: &'a NodeState| Candidate { alive: &state.alive, liveness: state.liveness };
            let candidates: Vec<Candidate<'_>> = theirs.nodes.iter().map(candidate).collect();
            turn.serf.admit(&candidates)?;
        }
        for (place, state) in theirs.nodes.iter().enumerate() {
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

    /// Whether the record at this place is the very same value. Pools that were founded together
    /// hold most records in common, so most of an exchange is compared without a look at a name.
    fn is_held(&self, place: usize, state: &NodeState) -> bool {
        self.members.at(place).is_some_and(|record| {
            Arc::ptr_eq(&record.alive, &state.alive) && record.liveness == state.liveness
        })
    }

    /// Everyone, of any liveness, must speak what everyone alive understands.
    fn check_versions(&self, theirs: &[NodeState]) -> Result<(), String> {
        let mut common = Common::new();
        let news = || theirs.iter().enumerate().filter(|(at, state)| !self.is_held(*at, state));
        for (_, state) in news() {
            if state.liveness == Liveness::Alive && !state.alive.versions.is_empty() {
                common.narrow(versions_of(&state.alive));
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
