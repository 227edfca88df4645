//! What a change in a pool means here: each duty that watches members is told, in one place.

use crate::node::Node;
use crate::timers::Timer;
use crate::{Effect, Event};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_gossip::{self as gossip, Member, server_of};
use proconsul_types::{Duration, MemberStatus, Pool};

/// Between two looks for servers that the WAN pool lacks.
const FLOOD_INTERVAL: Duration = Duration::from_secs(60);

impl Node {
    /// A member is here, again or with news of itself.
    pub(crate) fn member_here(&mut self, pool: Pool, member: &Arc<Member>, out: &mut Vec<Effect>) {
        self.note_change(pool, member, out);
        if pool == Pool::Lan {
            self.reconcile_soon(&member.name);
            if server_of(member).is_some() {
                self.expect_servers();
                self.flood_soon();
            }
        }
    }

    /// A member failed or left.
    pub(crate) fn member_away(&mut self, pool: Pool, member: &Arc<Member>, out: &mut Vec<Effect>) {
        self.note_change(pool, member, out);
        if let Some(server) = self.server_gone(pool, member) {
            self.server_away(server);
        }
        if server_of(member).is_some() {
            self.meet_again_soon(pool);
        }
        if pool == Pool::Lan {
            self.reconcile_soon(&member.name);
        }
    }

    /// A member is forgotten.
    pub(crate) fn member_forgotten(&mut self, pool: Pool, member: &Arc<Member>) {
        self.forget_server(pool, member);
        self.pools.changed();
        if pool == Pool::Lan {
            self.scale_anti_entropy();
            self.reap_soon(member);
        }
    }

    fn note_change(&mut self, pool: Pool, member: &Arc<Member>, out: &mut Vec<Effect>) {
        self.note_server(pool, member);
        self.pools.changed();
        if pool == Pool::Lan {
            self.scale_anti_entropy();
        }
        let (name, status) = (member.name.to_string(), member.status);
        out.push(Effect::Event(Event::Member(pool, name, status)));
    }

    /// Looks for servers of the LAN that the WAN pool lacks, at the end of this step's events.
    fn flood_soon(&mut self) {
        if self.pools.pool(Pool::Wan).is_some() {
            self.timers.set(Timer::Flood, self.now);
        }
    }

    /// Every server of this datacenter that the WAN pool does not show as alive is met there.
    pub(crate) fn flood(&mut self) {
        if self.pools.pool(Pool::Wan).is_none() || self.departure.is_some() {
            return;
        }
        self.timers.set(Timer::Flood, self.now.after(FLOOD_INTERVAL));
        let mut seeds = Vec::new();
        for (id, server) in self.servers.all() {
            if id == self.config.id || server.status != MemberStatus::Alive {
                continue;
            }
            let name = format!("{}.{}", server.name, server.datacenter);
            let there = self.pools.member(Pool::Wan, &name);
            if there.is_some_and(|member| member.status == MemberStatus::Alive) {
                continue;
            }
            let mut address = server.gossip;
            let default = self.config.facts.serf_wan_port;
            address.set_port(server.wan_join_port.unwrap_or(default));
            seeds.push(address);
        }
        if !seeds.is_empty() {
            let asked = self.pools.asked();
            self.pools.tell(Pool::Wan, gossip::Input::Join { asked, seeds, replay: false });
        }
    }
}
