//! The pools inside the node: what goes in, what comes out, and what of it others see.

use crate::cluster::Cluster;
use crate::node::Node;
use crate::rejoin::{KeptFile, keyring};
use crate::timers::Timer;
use crate::{BootError, Config, Effect, Event, ExitReason, Wakeup};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_disk::{IoError, IoToken};
use proconsul_gossip::{self as gossip, Asked, Gossip, Member};
use proconsul_http::{PoolMembers, PoolView};
use proconsul_types::{Duration, Instant, MemberStatus, NodeId, Pool, Rng};

/// Both pools, and what they were asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pools {
    lan: Option<Box<Part>>,
    wan: Option<Box<Part>>,
    /// What the pools will hear next.
    inputs: VecDeque<(Pool, gossip::Input)>,
    /// What they said when they were made.
    first: Vec<(Pool, gossip::Effect)>,
    effects: Vec<gossip::Effect>,
    next_asked: u64,
    /// What others see is older than what is.
    changed: bool,
}

/// One pool and its files.
#[derive(Clone, Debug)]
struct Part {
    gossip: Gossip,
    rejoin: KeptFile,
    keys: KeptFile,
}

/// First completion token of this part's files; the agent's begin above them.
const FIRST_TOKEN: u64 = 1 << 61;
/// How often places in the network are shown anew although no member changed.
const REFRESH: Duration = Duration::from_secs(10);

impl Pools {
    /// The pools of `config`, as the disk remembers them.
    pub(crate) fn new(
        config: &Config,
        rng: &Rng,
        files: &BTreeMap<Arc<str>, Bytes>,
    ) -> Result<Self, BootError> {
        let mut pools = Self::default();
        let Some(cluster) = &config.cluster else {
            return Ok(pools);
        };
        let lan = pools.part(Pool::Lan, cluster, cluster.lan.clone(), rng, files)?;
        pools.lan = Some(lan);
        if let Some(wan) = &cluster.wan {
            let wan = pools.part(Pool::Wan, cluster, wan.clone(), rng, files)?;
            pools.wan = Some(wan);
        }
        pools.changed = true;
        Ok(pools)
    }

    fn part(
        &mut self,
        pool: Pool,
        cluster: &Cluster,
        mut config: gossip::Config,
        rng: &Rng,
        files: &BTreeMap<Arc<str>, Bytes>,
    ) -> Result<Box<Part>, BootError> {
        let (name, snapshot, ring, token) = match pool {
            Pool::Lan => ("gossip.lan", "serf/local.snapshot", "serf/local.keyring", 0),
            Pool::Wan => ("gossip.wan", "serf/remote.snapshot", "serf/remote.keyring", 1),
        };
        let token = FIRST_TOKEN + (token << 32);
        let mut effects = Vec::new();
        let keys = KeptFile::new(ring, files, token + (1 << 31));
        if cluster.keyring_file && config.durable {
            let given = config.keyring.primary().cloned();
            config.keyring = keyring(&keys, files, config.keyring)?;
            if given.is_some_and(|given| !config.keyring.keys().contains(&given)) {
                let cluster = pool.name();
                effects.push(gossip::Effect::Event(gossip::Event::Notice(format!(
                    "keyring doesn't include key provided with -encrypt, using keyring: \
                     keyring={cluster}"
                ))));
            }
        }
        let remembered = files.get(snapshot).cloned().unwrap_or_default();
        if keys.is_new() && cluster.keyring_file && config.durable && !config.keyring.is_empty() {
            let bytes = Bytes::from(config.keyring.to_json().into_bytes());
            effects.push(gossip::Effect::SaveKeys(bytes));
        }
        let rejoin = KeptFile::new(snapshot, files, token);
        let gossip =
            Gossip::new(config, &rng.split(name), &remembered, Instant::START, &mut effects);
        self.first.extend(effects.into_iter().map(|effect| (pool, effect)));
        Ok(Box::new(Part { gossip, rejoin, keys }))
    }

    fn get(&self, pool: Pool) -> Option<&Part> {
        match pool {
            Pool::Lan => self.lan.as_deref(),
            Pool::Wan => self.wan.as_deref(),
        }
    }

    fn get_mut(&mut self, pool: Pool) -> Option<&mut Part> {
        match pool {
            Pool::Lan => self.lan.as_deref_mut(),
            Pool::Wan => self.wan.as_deref_mut(),
        }
    }

    /// One pool, if this node is in it.
    pub(crate) fn pool(&self, pool: Pool) -> Option<&Gossip> {
        self.get(pool).map(|part| &part.gossip)
    }

    /// How many members of the LAN are known.
    pub(crate) fn lan_count(&self) -> usize {
        self.pool(Pool::Lan).map_or(1, Gossip::member_count)
    }

    /// A member of a pool.
    pub(crate) fn member(&self, pool: Pool, name: &str) -> Option<Arc<Member>> {
        self.pool(pool)?.member(name)
    }

    /// Who has this id in a pool.
    fn named(&self, pool: Pool, id: NodeId) -> Option<Arc<str>> {
        let text = id.to_string();
        let has = |member: &Arc<Member>| {
            member.status == MemberStatus::Alive
                && member.tags.get("id").is_some_and(|tag| **tag == *text)
        };
        self.pool(pool)?.members().find(has).map(|member| Arc::clone(&member.name))
    }

    /// Tells a pool something; it hears it in this step.
    pub(crate) fn tell(&mut self, pool: Pool, input: gossip::Input) {
        if self.get(pool).is_some() {
            self.inputs.push_back((pool, input));
        }
    }

    /// A name for something asked of a pool.
    pub(crate) fn asked(&mut self) -> Asked {
        self.next_asked += 1;
        Asked(self.next_asked)
    }

    /// Whether a completion is one of this part's.
    pub(crate) fn owns(token: IoToken) -> bool {
        (FIRST_TOKEN..1 << 62).contains(&token.0)
    }

    /// What others see must be shown anew.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// Whether there is anything to do in this step.
    pub(crate) fn is_busy(&self) -> bool {
        !self.inputs.is_empty() || !self.first.is_empty()
    }

    /// When a pool wants to be woken.
    pub(crate) fn next_wakeup(&self) -> Option<(Instant, Wakeup)> {
        let wan = self.pool(Pool::Wan).and_then(Gossip::next_wakeup);
        let lan = self.pool(Pool::Lan).and_then(Gossip::next_wakeup);
        [lan, wan].into_iter().flatten().min().map(|at| (at, Wakeup::Gossip))
    }

    /// Panics with the rule in words if a pool contradicts itself.
    pub(crate) fn check_invariants(&self) {
        for pool in [Pool::Lan, Pool::Wan] {
            if let Some(gossip) = self.pool(pool) {
                gossip.check_invariants();
            }
        }
        assert!(self.inputs.is_empty(), "a step tells the pools everything");
    }
}

impl Node {
    /// Whatever a pool has to do now.
    pub(crate) fn wake_pools(&mut self) {
        for pool in [Pool::Lan, Pool::Wan] {
            let at = self.pools.pool(pool).and_then(Gossip::next_wakeup);
            if at.is_some_and(|at| at <= self.now) {
                self.pools.tell(pool, gossip::Input::Wake);
            }
        }
    }

    /// The connection to an agent broke. Mostly it died, and its pools find out sooner when they
    /// are told to look.
    pub(crate) fn doubt(&mut self, id: NodeId) {
        for pool in [Pool::Lan, Pool::Wan] {
            if let Some(name) = self.pools.named(pool, id) {
                self.pools.tell(pool, gossip::Input::Doubt(name));
            }
        }
    }

    /// Lets the pools hear what waits for them, and performs what comes out, in order.
    pub(crate) fn step_pools(&mut self, out: &mut Vec<Effect>) {
        for (pool, effect) in core::mem::take(&mut self.pools.first) {
            self.pool_effect(pool, effect, out);
        }
        while let Some((pool, input)) = self.pools.inputs.pop_front() {
            let mut effects = core::mem::take(&mut self.pools.effects);
            let now = self.now;
            if let Some(part) = self.pools.get_mut(pool) {
                part.gossip.step(now, input, &mut effects);
            }
            for effect in effects.drain(..) {
                self.pool_effect(pool, effect, out);
            }
            self.pools.effects = effects;
        }
    }

    /// An operation on a file of a pool completed.
    pub(crate) fn pools_io(
        &mut self,
        token: IoToken,
        result: &Result<(), IoError>,
        out: &mut Vec<Effect>,
    ) {
        for pool in [Pool::Lan, Pool::Wan] {
            let Some(part) = self.pools.get_mut(pool) else { continue };
            let remembered = part.rejoin.on_io(token, result.clone(), out);
            let saved = part.keys.on_io(token, result.clone(), out);
            if remembered.is_err() {
                self.pools.tell(pool, gossip::Input::Unwritten);
            }
            for error in [remembered, saved].into_iter().filter_map(Result::err) {
                let text = format!("a file of gossip could not be written: {error}");
                out.push(Effect::Event(Event::Notice(text)));
            }
        }
    }

    fn pool_effect(&mut self, pool: Pool, effect: gossip::Effect, out: &mut Vec<Effect>) {
        use gossip::Effect as Gossip;
        match effect {
            Gossip::Send(to, datagram) => out.push(Effect::Send { pool, to, datagram }),
            Gossip::Dial(stream, to) => out.push(Effect::Dial { pool, stream, to }),
            Gossip::Write(stream, message) => out.push(Effect::Write { pool, stream, message }),
            Gossip::Close(stream) => out.push(Effect::Close { pool, stream }),
            Gossip::Remember(bytes) => {
                if let Some(part) = self.pools.get_mut(pool) {
                    part.rejoin.append(bytes, out);
                }
            }
            Gossip::Compact(bytes) => {
                if let Some(part) = self.pools.get_mut(pool) {
                    part.rejoin.replace(bytes, out);
                }
            }
            Gossip::SaveKeys(bytes) => {
                // Without the file, keys live as long as the agent.
                let keeps = self.config.cluster.as_ref().is_some_and(|c| c.keyring_file);
                if let Some(part) = self.pools.get_mut(pool).filter(|_| keeps) {
                    part.keys.replace(bytes, out);
                }
            }
            Gossip::Event(event) => self.pool_event(pool, event, out),
        }
    }

    fn pool_event(&mut self, pool: Pool, event: gossip::Event, out: &mut Vec<Effect>) {
        use gossip::Event as Gossip;
        match event {
            Gossip::Joined(member) | Gossip::Updated(member) => {
                self.member_here(pool, &member, out);
            }
            Gossip::Failed(member) | Gossip::Left(member) => self.member_away(pool, &member, out),
            Gossip::Reaped(member) => self.member_forgotten(pool, &member),
            Gossip::JoinDone(asked, met, failed) => self.join_done(asked, met, &failed, out),
            Gossip::User { time, name, payload, coalesce: _ } => {
                self.user_event(pool, time, &name, &payload, out);
            }
            Gossip::Keys(asked, report) => self.keys_reported(asked, report),
            Gossip::LeftPool => self.left_pool(pool),
            Gossip::LostName => self.stop(ExitReason::LostName, out),
            Gossip::Notice(text) => out.push(Effect::Event(Event::Notice(text))),
            Gossip::Suspected(name) => {
                out.push(Effect::Event(Event::Suspected(pool, name.to_string())));
            }
            Gossip::Refuted => out.push(Effect::Event(Event::Refuted(pool))),
            // Nothing here asks or answers queries of its own: keys are Serf's.
            Gossip::Query { .. }
            | Gossip::Acked(..)
            | Gossip::Response(..)
            | Gossip::QueryDone(_) => {}
        }
    }

    /// The pools as others see them, if that changed.
    pub(crate) fn refresh_pool_view(&mut self) {
        if !core::mem::take(&mut self.pools.changed) {
            return;
        }
        let view = PoolView {
            lan: self.pools.get(Pool::Lan).map(|part| Arc::new(part.shown(false))),
            wan: self.pools.get(Pool::Wan).map(|part| Arc::new(part.shown(true))),
            events: self.events.listed(),
            autopilot: self.duties.health(),
            datacenters: Arc::new(self.servers.datacenters().cloned().collect()),
            known_servers: self.servers.alive_count(),
        };
        self.publisher.pools_changed(Arc::new(view));
        self.timers.set(Timer::PoolView, self.now.after(REFRESH));
    }
}

impl Part {
    fn shown(&self, with_places: bool) -> PoolMembers {
        let mut members: Vec<Arc<Member>> = Vec::with_capacity(self.gossip.member_count());
        members.extend(self.gossip.members());
        let coordinates = members.iter().filter(|_| with_places).filter_map(|member| {
            let place = self.gossip.coordinate_of(&member.name)?;
            Some((Arc::clone(&member.name), place.clone()))
        });
        PoolMembers {
            clocks: self.gossip.clocks(),
            queues: self.gossip.queue_lengths(),
            coordinate_resets: self.gossip.coordinate_resets(),
            coordinates: coordinates.collect(),
            coordinate: self.gossip.coordinate().clone(),
            encrypted: !self.gossip.keyring().is_empty(),
            health_score: self.gossip.health_score(),
            members,
        }
    }
}
