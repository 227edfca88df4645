//! Committed entries become state, in order, each exactly once.

use crate::node::Node;
use crate::{Effect, Event, ExitReason};
use alloc::format;
use alloc::vec::Vec;
use proconsul_catalog::{Applied, Outcome, codec};
use proconsul_raft::{Entry, Payload};
use proconsul_types::{CatalogIndex, LogIndex};

impl Node {
    /// Whether an entry of the present term is applied: then everything is that earlier leaders
    /// logged or promised.
    pub(crate) fn has_applied_own_term(&self) -> bool {
        self.applied.term == self.raft.term()
    }

    /// Applies a batch. Its answers and wake-ups follow when the whole batch is applied and the
    /// view is published.
    pub(crate) fn commit(&mut self, entries: Vec<Entry>, out: &mut Vec<Effect>) {
        for entry in entries {
            assert!(
                entry.id.index == self.applied.index.next(),
                "committed entries are applied in order, each exactly once"
            );
            let proposed = self.proposals.committed(entry.id);
            // Another leader: whoever restored is not there to end it.
            if entry.id.term > self.applied.term && self.catalog.restore_lost() {
                self.replaced();
            }
            let outcome = match entry.payload {
                Payload::Noop | Payload::Membership(_) => Outcome::Done,
                Payload::Command(bytes) => {
                    self.snapshots.log_grew(bytes.len());
                    let kept = proposed.as_ref().and_then(|(_, command)| command.as_ref());
                    let index = CatalogIndex(entry.id.index.0);
                    let applied = match kept {
                        Some(command) => self.catalog.apply(index, command),
                        None => match codec::decode_command(&bytes) {
                            Ok(command) => self.catalog.apply(index, &command),
                            Err(error) => {
                                let text = format!(
                                    "log entry {} was written by a newer version ({error}); \
                                     start this server with that version",
                                    entry.id
                                );
                                self.stop(ExitReason::Log(text), out);
                                return;
                            }
                        },
                    };
                    out.push(Effect::Event(Event::Applied(index)));
                    self.took_effect(applied)
                }
            };
            self.applied = entry.id;
            self.compare_states(out);
            if let Some((asked, _)) = proposed {
                self.outcome(asked, outcome);
            }
        }
        self.raft_input(proconsul_raft::Input::Applied(self.applied.index));
        self.reads_applied();
        if self.has_applied_own_term() {
            self.compare_with_new_leader();
            self.renewals_again();
            self.duties_may_begin();
        }
        self.consider_snapshot(out);
    }

    /// Says once when the group that this start was given by hand is what the state rests on, by
    /// the log or by a snapshot.
    pub(crate) fn tell_group_kept(&mut self, out: &mut Vec<Effect>) {
        let recorded = self.raft.membership_index();
        if self.forming && recorded > LogIndex(0) && recorded <= self.applied.index {
            self.forming = false;
            out.push(Effect::Event(Event::GroupKept));
        }
    }

    /// Tells everyone inside what one command changed.
    fn took_effect(&mut self, applied: Applied) -> Outcome {
        self.publisher.changed();
        for topic in applied.topics.iter() {
            if matches!(topic, proconsul_catalog::Topic::Nodes | proconsul_catalog::Topic::All) {
                // Servers are shown with the names of their nodes.
                self.publisher.leadership_changed();
            }
        }
        self.blocking.touched(&applied.topics);
        for fact in applied.facts {
            self.session_fact(fact);
        }
        applied.outcome
    }

    /// Everything was replaced from outside the log: wakes everyone and rebuilds every timer.
    pub(crate) fn replaced(&mut self) {
        self.publisher.changed();
        self.publisher.leadership_changed();
        self.blocking.touched_all();
        self.session_fact(proconsul_catalog::Fact::Restored);
        self.reads_applied();
    }
}
