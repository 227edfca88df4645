//! `bootstrap_expect`: when enough servers have found one another, and none of them has a group
//! already, all of them start one, each by itself and all the same one.

use crate::node::Node;
use crate::timers::Timer;
use crate::{Call, CallAnswer, CallId, Effect, Event, PeerMessage};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use proconsul_gossip::Server;
use proconsul_raft::{Member, Membership};
use proconsul_types::{Duration, Fault, LogIndex, MemberStatus, NodeId, Pool};

/// Where a server stands that waits for others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expecting {
    /// How many are awaited; 0: none (any more).
    count: u32,
    /// A round of questions that is under way.
    round: Option<Round>,
    /// How many rounds went without all answers.
    tried: u32,
}

/// Everyone is asked whether there is a group.
#[derive(Clone, Debug)]
struct Round {
    /// Who would belong to the group.
    servers: BTreeMap<NodeId, Member>,
    /// Who has not answered.
    open: BTreeMap<CallId, NodeId>,
}

/// A round without all answers is tried again after 1, 2, 4, .. seconds, so often.
const ROUNDS_MAX: u32 = 6;

impl Expecting {
    /// Waits for so many servers, this one included.
    pub(crate) fn new(count: u32) -> Self {
        Self { count, ..Self::default() }
    }
}

impl Node {
    /// A server of this datacenter appeared, or a round is due: perhaps all are here.
    pub(crate) fn expect_servers(&mut self) {
        if self.expecting.count > 0 && self.expecting.round.is_none() {
            self.timers.set(Timer::Expect, self.now);
        }
    }

    /// Looks who is here, and asks everyone whether there is a group.
    pub(crate) fn look_for_group(&mut self, out: &mut Vec<Effect>) {
        self.expecting.round = None;
        if self.expecting.count == 0 {
            return;
        }
        if !self.has_no_group() {
            self.expecting = Expecting::default();
            return;
        }
        let Some(servers) = self.who_would_found() else {
            return;
        };
        if self.planted.is(Fault::BootstrapExpectIgnoresPeers) {
            self.found_group(servers, out);
            return;
        }
        let mut open = BTreeMap::new();
        let others: Vec<NodeId> =
            servers.keys().copied().filter(|id| *id != self.config.id).collect();
        for id in others {
            let call = self.calls.fresh();
            open.insert(call, id);
            let message = PeerMessage::Call { id: call, hops: 1, call: Box::new(Call::Peers) };
            self.send_peer(id, message, out);
        }
        if open.is_empty() {
            self.found_group(servers, out);
            return;
        }
        let pause = Duration::from_secs(1) * 2_u32.pow(self.expecting.tried.min(ROUNDS_MAX - 1));
        self.expecting.tried = (self.expecting.tried + 1) % ROUNDS_MAX;
        self.expecting.round = Some(Round { servers, open });
        self.timers.set(Timer::Expect, self.now.after(pause));
    }

    /// Whether this server never belonged to a group.
    fn has_no_group(&self) -> bool {
        self.raft.last().index == LogIndex(0) && self.raft.membership().members.is_empty()
    }

    /// Everyone who would belong to the group, if they are enough and want the same. A server that
    /// is on its way to others does not know yet whom to ask: they may have a group.
    fn who_would_found(&self) -> Option<BTreeMap<NodeId, Member>> {
        if self.is_joining(Pool::Lan) {
            return None;
        }
        let awaited = self.expecting.count;
        let mut servers = BTreeMap::new();
        let here = |server: &Server| server.status == MemberStatus::Alive;
        for (id, server) in self.servers.all().filter(|(_, server)| here(server)) {
            let disagrees = server.expect != 0 && server.expect != awaited;
            if disagrees || server.bootstrap {
                return None;
            }
            servers.insert(id, Member { voter: !server.non_voter });
        }
        let voters = servers.values().filter(|member| member.voter).count();
        let enough = u32::try_from(voters).is_ok_and(|voters| voters >= awaited);
        (enough && servers.contains_key(&self.config.id)).then_some(servers)
    }

    /// A server said who belongs to its group.
    pub(crate) fn peers_told(
        &mut self,
        id: CallId,
        answer: &CallAnswer,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(round) = self.expecting.round.as_mut() else {
            return false;
        };
        if round.open.remove(&id).is_none() {
            return false;
        }
        match answer {
            CallAnswer::Peers(peers) if peers.is_empty() => {
                if round.open.is_empty() {
                    let servers = core::mem::take(&mut round.servers);
                    self.all_answered(servers, out);
                }
            }
            CallAnswer::Peers(_) => {
                // There is a group: its leader will find this server.
                self.expecting = Expecting::default();
                self.timers.clear(&Timer::Expect);
            }
            CallAnswer::Http(_)
            | CallAnswer::Applied(_)
            | CallAnswer::NotLeader(_)
            | CallAnswer::Failed(_)
            | CallAnswer::Done
            | CallAnswer::Node(_)
            | CallAnswer::Dns(_)
            | CallAnswer::Keys(_) => {}
        }
        true
    }

    /// Nobody who was asked has a group. Who came meanwhile is asked too.
    fn all_answered(&mut self, servers: BTreeMap<NodeId, Member>, out: &mut Vec<Effect>) {
        if self.who_would_found().as_ref() == Some(&servers) {
            self.found_group(servers, out);
        } else {
            self.expecting.round = None;
            self.expect_servers();
        }
    }

    fn found_group(&mut self, servers: BTreeMap<NodeId, Member>, out: &mut Vec<Effect>) {
        self.expecting = Expecting::default();
        self.timers.clear(&Timer::Expect);
        let text = "Found expected number of peers, attempting bootstrap".to_string();
        out.push(Effect::Event(Event::Notice(text)));
        let membership = Membership { members: servers };
        self.raft_input(proconsul_raft::Input::Bootstrap(membership));
    }
}
