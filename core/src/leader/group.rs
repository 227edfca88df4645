//! Which servers belong to the group: whoever is here is brought in without a vote, whoever left is
//! taken out, whoever failed stays until autopilot gives it up.

use super::Duty;
use crate::node::Node;
use crate::proposals::Asked;
use crate::{Effect, Event};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use proconsul_gossip::{Member, Server, server_of};
use proconsul_raft::{Member as Seat, MembershipChange};
use proconsul_types::{Fault, MemberStatus, NodeId, Pool};

/// How a member stands with the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As it must, or it is no server.
    Settled,
    /// A change is under way: look again.
    Later,
}

/// What the group needs because of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing: it is as it must be.
    Nothing,
    /// Another look: it is not known yet.
    Patience,
    /// This one goes.
    Removal(NodeId),
    /// This one gets a seat without a vote.
    Seat(NodeId),
}

impl Node {
    /// Brings the group in line with what gossip says of this name.
    pub(crate) fn reconcile_group(
        &mut self,
        name: &str,
        member: Option<&Member>,
        out: &mut Vec<Effect>,
    ) -> Standing {
        let need = match member {
            Some(member) => self.group_needs(member, out),
            None => self.seat_of_pruned(name).map_or(Need::Nothing, Need::Removal),
        };
        let change = match need {
            Need::Nothing => return Standing::Settled,
            Need::Patience => return Standing::Later,
            Need::Removal(id) => MembershipChange::Remove(id),
            Need::Seat(id) => MembershipChange::Set(id, Seat { voter: false }),
        };
        self.change_group(change);
        Standing::Later
    }

    /// Proposes a change unless another one is under way.
    pub(crate) fn change_group(&mut self, change: MembershipChange) {
        if self.duties.changing {
            return;
        }
        self.duties.changing = true;
        if let MembershipChange::Remove(id) = change {
            // Who comes again earns its vote again.
            self.duties.watched.remove(&id);
        }
        let ticket = self.proposals.ticket(Asked::Duty(Some(Duty::Group)), None);
        self.raft_input(proconsul_raft::Input::Change(ticket, change));
    }

    fn group_needs(&self, member: &Member, out: &mut Vec<Effect>) -> Need {
        let Some(server) = server_of(member) else { return Need::Nothing };
        let Some(id) = server.id.filter(|_| server.datacenter == self.config.facts.datacenter)
        else {
            return Need::Nothing;
        };
        let has_seat = self.raft.membership().contains(id);
        match member.status {
            // A voter that returns keeps its vote.
            MemberStatus::Alive | MemberStatus::Leaving if has_seat => {
                self.predecessor(id, &server).map_or(Need::Nothing, |old| {
                    if self.answers(id) { Need::Removal(old) } else { Need::Patience }
                })
            }
            MemberStatus::Alive if self.has_two_founders(&server, out) => Need::Nothing,
            MemberStatus::Alive => match self.predecessor(id, &server) {
                Some(old) if self.planted.is(Fault::OldNameTakesSeat) => Need::Removal(old),
                Some(_) | None => Need::Seat(id),
            },
            MemberStatus::Left => {
                let goes = has_seat
                    && id != self.config.id
                    && !self.servers.lives_as_another(id, &member.name);
                if goes { Need::Removal(id) } else { Need::Nothing }
            }
            MemberStatus::Leaving | MemberStatus::Failed | MemberStatus::None => Need::Nothing,
        }
    }

    /// Two servers that each bootstrap alone do not belong together.
    fn has_two_founders(&self, server: &Server, out: &mut Vec<Effect>) -> bool {
        if !server.bootstrap {
            return false;
        }
        let other = self.servers.all().find(|(id, known)| {
            known.bootstrap && Some(*id) != server.id && known.status == MemberStatus::Alive
        });
        if let Some((_, other)) = other {
            let text = format!(
                "'{}' and '{}' are both in bootstrap mode. Only one node should be in bootstrap \
                 mode, not adding Raft peer.",
                server.name, other.name
            );
            out.push(Effect::Event(Event::Notice(text)));
        }
        other.is_some()
    }

    /// A server of the group whose place, its address, this one has taken with a new identity. It
    /// keeps its seat until the new one answers raft: agents that did not hear of a new identity
    /// tell of the former one, and nobody contradicts them while their server is down.
    fn predecessor(&self, id: NodeId, server: &Server) -> Option<NodeId> {
        let is_gone = |other: NodeId| {
            let known = self.servers.get(other);
            known.is_none_or(|known| known.status != MemberStatus::Alive)
        };
        self.seats_at(id, server).find(|other| is_gone(*other))
    }

    /// Other servers of the group at the address of this one.
    fn seats_at(&self, id: NodeId, server: &Server) -> impl Iterator<Item = NodeId> {
        let seats = self.raft.membership().members.keys().copied();
        let others = seats.filter(move |other| *other != id && *other != self.config.id);
        let at = server.rpc();
        others.filter(move |other| self.addresses.get(*other) == Some(at))
    }

    /// Whether what is said of a member cannot be, by who answers raft: it is here, and another
    /// server answers from its address; or it left, and answers itself. Agents that lived through
    /// the loss of all servers still tell of the old ones, until the new ones refute it; a leader
    /// may not have heard that a server came back, and one that leaves asks for it itself.
    pub(crate) fn is_of_the_past(&self, member: &Member) -> bool {
        if self.planted.is(Fault::OldNameTakesSeat) {
            return false;
        }
        let Some(server) = server_of(member) else { return false };
        let Some(id) = server.id else { return false };
        let is_member = self.raft.membership().contains(id);
        match member.status {
            MemberStatus::Alive => {
                !is_member && self.seats_at(id, &server).any(|other| self.is_heard(other))
            }
            MemberStatus::Left => is_member && self.is_heard(id),
            MemberStatus::Leaving | MemberStatus::Failed | MemberStatus::None => false,
        }
    }

    /// The seat of a server that left and was forgotten at once, as an operator wished. Whoever
    /// gossip forgets for another reason keeps its seat until autopilot finds that the rest is
    /// safe without it.
    fn seat_of_pruned(&self, name: &str) -> Option<NodeId> {
        let id = *self.duties.pruned.get(name)?;
        let goes = self.raft.membership().contains(id)
            && id != self.config.id
            && self.servers.get(id).is_none();
        goes.then_some(id)
    }

    /// Tells everyone that a failed server has left, in both pools.
    pub(crate) fn give_up_server(&mut self, id: NodeId, out: &mut Vec<Effect>) {
        let Some(server) = self.servers.get(id) else {
            // Gossip does not know it at all: nobody has to be told.
            self.change_group(MembershipChange::Remove(id));
            return;
        };
        let (name, datacenter) = (server.name.clone(), server.datacenter.clone());
        let text = format!("Attempting removal of failed server node {name}");
        out.push(Effect::Event(Event::Notice(text)));
        self.force_leave_everywhere(&name, &datacenter, false);
    }

    /// The leave of a failed member is told in the pools it is known in; whether any knows it.
    pub(crate) fn force_leave_everywhere(
        &mut self,
        name: &str,
        datacenter: &str,
        prune: bool,
    ) -> bool {
        let full = format!("{name}.{datacenter}");
        let mut known = false;
        for (pool, node) in [(Pool::Lan, name.to_string()), (Pool::Wan, full)] {
            if self.pools.member(pool, &node).is_some() {
                known = true;
                let node = node.into();
                self.pools.tell(pool, proconsul_gossip::Input::ForceLeave { node, prune });
            }
        }
        known
    }
}
