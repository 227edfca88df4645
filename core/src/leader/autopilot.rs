//! Autopilot: how the servers are, who has earned a vote, who is given up.

use super::reconcile;
use crate::Effect;
use crate::node::Node;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::AutopilotConfig;
use proconsul_http::{AutopilotHealth, ServerHealth};
use proconsul_raft::{FollowerStatus, Member, MembershipChange, Status};
use proconsul_types::{
    Duration, Fault, Instant, LogIndex, MemberStatus, NodeId, Planted, Term, WallTime,
};

/// What is remembered of a server from one look to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    healthy: bool,
    /// Whether raft heard it lately.
    heard: bool,
    since: Instant,
    since_wall: WallTime,
    /// Since when gossip does not know it.
    lost_since: Option<Instant>,
}

/// A server as autopilot judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    id: NodeId,
    voter: bool,
    /// Raft does not hear it, and gossip does not say that it is alive.
    away: bool,
    /// Away, and failed or unknown to gossip for long.
    dead: bool,
    /// For how long it has been healthy.
    stable: Option<Duration>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Give it a vote.
    Promote(NodeId),
    /// Give it up.
    GiveUp(NodeId),
}

/// A server that gossip never mentions is as good as dead after this long.
const LOST_AFTER: Duration = Duration::from_secs(60);
/// Contact is never asked to be fresher than so many heartbeats.
const HEARTBEATS: u32 = 4;

/// What to do about these servers.
pub(crate) fn decide(config: &AutopilotConfig, servers: &[Judged], planted: Planted) -> Vec<Step> {
    let mut steps = Vec::new();
    let earned = |server: &&Judged| {
        let at_once = planted.is(Fault::AutopilotPromotesAtOnce) && !server.dead;
        let stable = server.stable.is_some_and(|time| time >= config.server_stabilization_time);
        !server.voter && (stable || at_once)
    };
    if let Some(server) = servers.iter().find(earned) {
        steps.push(Step::Promote(server.id));
    }
    if !config.cleanup_dead_servers {
        return steps;
    }
    let voters = servers.iter().filter(|server| server.voter).count();
    let dead_voters = servers.iter().filter(|server| server.voter && server.dead).count();
    let left = u64::try_from(voters - dead_voters).unwrap_or(u64::MAX);
    // Only where those that stay are a safe majority of those that were, so that what they decide
    // without the dead is decided for all. Who is away may be dead before anybody knows: a leader
    // of a group that has just started has not met the dead.
    let missing = if planted.is(Fault::AutopilotCountsFailedOnly) {
        dead_voters
    } else {
        servers.iter().filter(|server| server.voter && server.away).count()
    };
    let is_safe = missing < voters / 2 && left >= config.min_quorum;
    let may = is_safe || planted.is(Fault::AutopilotBelowQuorum);
    let dead = servers.iter().filter(|server| server.dead && (!server.voter || may));
    steps.extend(dead.map(|server| Step::GiveUp(server.id)));
    steps
}

impl Node {
    /// Judges every server of the group.
    pub(crate) fn watch_servers(&mut self) {
        let raft = self.raft.status();
        let config = self.autopilot_config();
        let mut servers = Vec::new();
        let members: Vec<NodeId> = raft.membership.members.keys().copied().collect();
        self.duties.watched.retain(|id, _| members.contains(id));
        for id in members {
            servers.push(self.judge(&raft, &config, id));
        }
        let healthy_voters = servers.iter().filter(|server| server.voter && server.healthy).count();
        let quorum = raft.membership.voter_count() / 2 + 1;
        let tolerance = healthy_voters.saturating_sub(quorum);
        let health = AutopilotHealth {
            healthy: servers.iter().all(|server| server.healthy),
            failure_tolerance: u32::try_from(tolerance).unwrap_or(u32::MAX),
            servers,
        };
        self.duties.health = Some(Arc::new(health));
        self.pools.changed();
    }

    /// What autopilot goes by.
    pub(crate) fn autopilot_config(&self) -> AutopilotConfig {
        let configured = self.config.cluster.as_ref().map(|cluster| &cluster.autopilot);
        let stored = self.catalog.autopilot().map(|stored| &stored.config);
        stored.or(configured).cloned().unwrap_or_default()
    }

    fn judge(&mut self, raft: &Status, config: &AutopilotConfig, id: NodeId) -> ServerHealth {
        let own = id == self.config.id;
        let server = self.servers.get(id);
        let status = match server {
            Some(server) => server.status,
            None if own => MemberStatus::Alive,
            None => MemberStatus::None,
        };
        let follower = raft.followers.iter().find(|follower| follower.id == id);
        let (contact, last_index) = match follower {
            _ if own => (Some(Duration::ZERO), raft.last.index),
            Some(follower) => (self.contact(follower), follower.matched),
            None => (None, LogIndex(0)),
        };
        let last_term = match self.raft.entry_id(last_index) {
            Some(entry) => entry.term,
            // Behind the log's beginning; a leader's entries begin after its election.
            None => Term::default(),
        };
        let behind = raft.last.index.0.saturating_sub(last_index.0);
        let heard = contact.is_some_and(|contact| contact <= self.patience(config));
        let healthy = status == MemberStatus::Alive && heard && behind <= config.max_trailing_logs;
        let (now, wall) = (self.now, self.wall);
        let fresh = Watched { healthy, heard, since: now, since_wall: wall, lost_since: None };
        let watched = self.duties.watched.entry(id).or_insert(fresh);
        if watched.healthy != healthy {
            *watched = Watched { lost_since: watched.lost_since, ..fresh };
        }
        watched.heard = heard;
        watched.lost_since = match status {
            MemberStatus::None => watched.lost_since.or(Some(now)),
            MemberStatus::Alive
            | MemberStatus::Leaving
            | MemberStatus::Left
            | MemberStatus::Failed => None,
        };
        ServerHealth {
            id,
            name: server.map_or_else(|| format!("{id}").into(), |server| server.name.clone()),
            address: self.addresses.get(id),
            status,
            version: server.map_or_else(|| "".into(), |server| reconcile::version(server).into()),
            leader: own,
            last_contact: contact,
            last_term,
            last_index,
            healthy,
            voter: raft.membership.is_voter(id),
            stable_since: watched.since_wall,
        }
    }

    /// Who was heard this long ago is there.
    fn patience(&self, config: &AutopilotConfig) -> Duration {
        config.last_contact_threshold.max(self.config.raft.heartbeat_interval * HEARTBEATS)
    }

    /// How long ago raft heard a follower.
    fn contact(&self, follower: &FollowerStatus) -> Option<Duration> {
        (follower.heard_at > Instant::START).then(|| self.now.since(follower.heard_at))
    }

    /// Whether a server of the group answers raft, whatever gossip says of it. One that a new
    /// leader has not heard yet may do so at any moment.
    pub(crate) fn is_heard(&self, id: NodeId) -> bool {
        let patience = self.patience(&self.autopilot_config());
        let raft = self.raft.status();
        let follower = raft.followers.iter().find(|follower| follower.id == id);
        follower.is_some_and(|follower| {
            let silence = self.now.since(self.duties.since);
            self.contact(follower).unwrap_or(silence) <= patience
        })
    }

    /// Whether a server of the group answered this leader, and did so lately.
    pub(crate) fn answers(&self, id: NodeId) -> bool {
        let raft = self.raft.status();
        let follower = raft.followers.iter().find(|follower| follower.id == id);
        let asked = follower.filter(|follower| follower.matched > LogIndex(0));
        asked.is_some() && self.is_heard(id)
    }

    /// Does what the judgement asks for.
    pub(crate) fn promote_or_give_up(&mut self, out: &mut Vec<Effect>) {
        let Some(health) = self.duties.health.clone() else {
            return;
        };
        let now = self.now;
        let without_vote = |id: NodeId| self.servers.get(id).is_some_and(|server| server.non_voter);
        let judged: Vec<Judged> = health
            .servers
            .iter()
            .filter_map(|server| {
                let watched = self.duties.watched.get(&server.id)?;
                let lost = watched.lost_since.is_some_and(|at| now.since(at) >= LOST_AFTER);
                // Whatever gossip says: who answers raft is not dead.
                let away = server.id != self.config.id
                    && !watched.heard
                    && server.status != MemberStatus::Alive;
                Some(Judged {
                    id: server.id,
                    voter: server.voter,
                    away,
                    dead: away && (server.status == MemberStatus::Failed || lost),
                    // Some servers are never to have a vote.
                    stable: (watched.healthy && !without_vote(server.id))
                        .then(|| now.since(watched.since)),
                })
            })
            .collect();
        for step in decide(&self.autopilot_config(), &judged, self.planted) {
            match step {
                Step::Promote(id) => {
                    self.change_group(MembershipChange::Set(id, Member { voter: true }));
                }
                Step::GiveUp(id) => self.give_up_server(id, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u128, voter: bool, dead: bool, stable_seconds: u64) -> Judged {
        let stable = (!dead).then(|| Duration::from_secs(stable_seconds));
        Judged { id: NodeId(number), voter, away: dead, dead, stable }
    }

    fn steps(servers: &[Judged]) -> Vec<Step> {
        decide(&AutopilotConfig::default(), servers, Planted::none())
    }

    #[test]
    fn a_vote_is_earned_by_time() {
        let rest = [server(1, true, false, 100), server(2, true, false, 100)];
        let with = |new: Judged| [rest[0], rest[1], new];
        assert_eq!(steps(&with(server(3, false, false, 9))), []);
        assert_eq!(steps(&with(server(3, false, false, 10))), [Step::Promote(NodeId(3))]);
    }

    #[test]
    fn the_dead_are_given_up_where_the_rest_is_safe() {
        let of = |voters: u128, dead: u128| {
            let servers: Vec<Judged> =
                (0..voters).map(|number| server(number, true, number < dead, 100)).collect();
            steps(&servers).len()
        };
        assert_eq!(of(3, 1), 0, "two of three are no safe group of two");
        assert_eq!(of(4, 1), 1);
        assert_eq!(of(5, 1), 1);
        assert_eq!(of(5, 2), 0);
        assert_eq!(of(7, 2), 2);
        assert_eq!(of(7, 3), 0);
    }

    #[test]
    fn who_is_away_unmet_counts_before_anyone_goes() {
        let mut servers: Vec<Judged> =
            (0..5).map(|number| server(number, true, number == 0, 100)).collect();
        assert_eq!(steps(&servers), [Step::GiveUp(NodeId(0))]);
        (servers[1].away, servers[1].stable) = (true, None);
        assert_eq!(steps(&servers), [], "three of five are left");
        (servers[1].voter, servers[1].dead) = (false, true);
        assert_eq!(steps(&servers), [Step::GiveUp(NodeId(0)), Step::GiveUp(NodeId(1))]);
    }

    #[test]
    fn the_dead_without_a_vote_cost_nothing() {
        let servers = [
            server(1, true, false, 100),
            server(2, true, false, 100),
            server(3, true, true, 0),
            server(4, false, true, 0),
        ];
        assert_eq!(steps(&servers), [Step::GiveUp(NodeId(4))]);
    }

    #[test]
    fn settings_hold() {
        let servers: Vec<Judged> =
            (0..5).map(|number| server(number, true, number == 0, 100)).collect();
        let keep = AutopilotConfig { cleanup_dead_servers: false, ..AutopilotConfig::default() };
        assert_eq!(decide(&keep, &servers, Planted::none()), []);
        let five = AutopilotConfig { min_quorum: 5, ..AutopilotConfig::default() };
        assert_eq!(decide(&five, &servers, Planted::none()), []);
        let four = AutopilotConfig { min_quorum: 4, ..AutopilotConfig::default() };
        assert_eq!(decide(&four, &servers, Planted::none()), [Step::GiveUp(NodeId(0))]);
    }
}
