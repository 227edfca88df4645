//! People who watch keys: whoever is answered asks again, with the index it was told.
//!
//! - `watch.back`: an index never falls, unless a datacenter lost everything it had.
//! - `watch.slept`: a write that is acknowledged wakes who waited for it before it was begun.
//! - `watch.idle`: nobody is answered early with what it knew.
//! - `watch.silent`: nobody waits for longer than it wanted to.
//!
//! The last three are about calm worlds: where servers die, a question may wait for another one.

use super::asks::Purpose;
use super::world::{SECOND, World};
use crate::schedule::Freshness;
use proconsul_core::http::{Method, Response};

/// Seconds that a question waits for a change.
const WAIT: u64 = 60;
/// A sixteenth is added to that by chance; before, a server may look for a leader for 7 s.
const WAIT_MAX: u64 = (WAIT + WAIT / 16 + 1 + 7) * SECOND;
/// Who is woken answers within this.
const WOKEN: u64 = 5 * SECOND;
/// After this much calm, what was asked of servers that are gone has been asked of others.
const ASKED_ANEW: u64 = 30 * SECOND;

/// Someone who watches a key through an agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    by: usize,
    key: (u8, u8),
    /// What it was told last; 0: nothing yet.
    index: u64,
    /// Which of its datacenter's lives that was in.
    era: u64,
    /// Since when it waits for an answer.
    asked_at: Option<u64>,
}

impl World {
    /// Someone begins to watch a key.
    pub(super) fn watch(&mut self, by: usize, key: (u8, u8)) {
        let era = self.judge.era(key.0.into());
        self.watches.push(Watch { by, key, index: 0, era, asked_at: None });
        self.ask_again(self.watches.len() - 1);
    }

    fn ask_again(&mut self, number: usize) {
        let Watch { by, key: (dc, key), index, .. } = self.watches[number];
        if self.machines.get(by).is_none_or(|machine| !machine.is_up()) {
            return;
        }
        self.watches[number].asked_at = Some(self.now);
        let target = format!("/v1/kv/k/{key}?raw&dc=dc{dc}&index={index}&wait={WAIT}s");
        self.ask(by, Purpose::Watch { number }, Method::Get, &target, "");
    }

    /// The agent that was asked is gone.
    pub(super) fn unwatched(&mut self, number: usize) {
        self.watches[number].asked_at = None;
    }

    /// Who watches is answered.
    pub(super) fn watched(&mut self, number: usize, id: u64, response: &Response) {
        let watch = &mut self.watches[number];
        let Some(asked_at) = watch.asked_at.take() else { return };
        let index = response.header("X-Consul-Index").and_then(|text| text.parse().ok());
        let text = std::str::from_utf8(&response.body).unwrap_or_default().trim();
        let (index, found) = match (index, response.status) {
            (Some(index), 200) => (index, text.parse().ok()),
            (Some(index), 404) => (index, None),
            _ => return,
        };
        let (key, known, dc) = (watch.key, watch.index, usize::from(watch.key.0));
        let era = self.judge.era(dc);
        let same_life = era == self.watches[number].era;
        (self.watches[number].index, self.watches[number].era) = (index, era);
        if let Some((rule, text)) =
            self.judge.keys.read(key, found, asked_at, Freshness::Default).filter(|_| same_life)
        {
            self.judge.broken(rule, self.now, || format!("watch #{id}: {text}"));
        }
        if same_life && index < known {
            self.judge.broken("watch.back", self.now, || {
                format!("#{id} of {key:?} knew index {known} and is told {index}")
            });
        }
        let early = known > 0 && self.now < asked_at + WAIT * SECOND;
        if early && index == known && self.is_calm_for(ASKED_ANEW) {
            let after = (self.now - asked_at) / 1_000_000;
            self.judge.broken("watch.idle", self.now, || {
                format!("#{id} of {key:?} knew index {known} and is told it again after {after} ms")
            });
        }
    }

    /// Who has waited for too long; and who does not wait asks again.
    pub(super) fn look_at_watches(&mut self) {
        for number in 0..self.watches.len() {
            let Watch { by, key, index, era, asked_at } = self.watches[number];
            let Some(asked_at) = asked_at else {
                self.ask_again(number);
                continue;
            };
            let calm = self.is_calm_for(ASKED_ANEW) && self.has_quorum(key.0.into());
            if !calm || !self.machines[by].is_up() || self.judge.is_missed(by) {
                continue;
            }
            let missed = self.judge.keys.first_acknowledged(key, asked_at);
            // Indexes begin anew where all is lost: one of before may be ahead, and waits.
            let same_life = era == self.judge.era(key.0.into());
            if index > 0
                && same_life
                && let Some(at) = missed.filter(|at| self.now > at + WOKEN)
            {
                let late = (self.now - at) / SECOND;
                self.judge.broken("watch.slept", self.now, || {
                    format!("m{by} waits for {key:?} although it was written {late} s ago")
                });
            }
            if self.now > asked_at + WAIT_MAX + WOKEN {
                let late = (self.now - asked_at) / SECOND;
                self.judge.broken("watch.silent", self.now, || {
                    format!("m{by} waits for {key:?} for {late} s, and wanted {WAIT}")
                });
            }
        }
    }
}
