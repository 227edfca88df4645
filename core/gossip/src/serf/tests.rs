//! Serf alone: its asks are passed on by hand, its broadcasts by a rumour that reaches everyone.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test picks the events it is about")]

mod admission;
mod events;
mod faults;
mod hostile;
mod keys;
mod members;
mod queries;
mod rejoin;

use super::{Ask, Candidate, Serf};
use crate::config::{Admission, Config, Timing};
use crate::face::{Effect, Event, Member};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::{
    Duration, Incarnation, Instant, Liveness, MemberStatus, Planted, Pool as PoolKind, Rng, Seed,
    TextMap,
};
use proconsul_wire::crypto::{Key, Keyring};
use proconsul_wire::memberlist::{Alive, Versions};

const VERSIONS: Versions = Versions {
    protocol_min: 1,
    protocol_max: 5,
    protocol: 2,
    delegate_min: 2,
    delegate_max: 5,
    delegate: 4,
};

fn second(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn tags(pairs: &[(&str, &str)]) -> TextMap {
    pairs.iter().map(|(tag, value)| (Arc::from(*tag), Arc::from(*value))).collect()
}

fn address(name: &str) -> SocketAddr {
    let last = name.bytes().fold(1_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    SocketAddr::from(([10, 0, 0, last], 8301))
}

fn config(name: &str) -> Config {
    Config {
        pool: PoolKind::Lan,
        name: Arc::from(name),
        advertised: address(name),
        bind_port: 8301,
        tags: tags(&[("role", "node"), ("dc", "dc1")]),
        admission: Admission::Anyone,
        keyring: Keyring::default(),
        verify_incoming: true,
        verify_outgoing: true,
        label: Arc::from(""),
        compress: true,
        delegate_version: 4,
        durable: true,
        rejoin_after_leave: false,
        resolve_conflicts: true,
        allowed: Vec::new(),
        event_bytes_max: 512,
        timing: Timing::lan(),
        planted: Planted::none(),
    }
}

fn key(byte: u8) -> Key {
    Key::new(&[byte; 16]).unwrap()
}

/// A member's self-description.
fn alive(serf: &Serf) -> Alive {
    Alive {
        incarnation: Incarnation(1),
        node: Arc::clone(&serf.name),
        address: Some(serf.address.ip()),
        port: serf.address.port(),
        meta: Some(serf.meta()),
        versions: [1, 5, 2, 2, 5, 4].to_vec(),
    }
}

/// Members, and everything that stands around them.
struct Pool {
    now: Instant,
    serfs: BTreeMap<String, Serf>,
    events: BTreeMap<String, Vec<Event>>,
    files: BTreeMap<String, Vec<u8>>,
    saved_keys: BTreeMap<String, String>,
    joins: Vec<(String, Vec<SocketAddr>)>,
    /// Who hears nothing and is heard by nobody.
    cut_off: BTreeSet<String>,
}

impl Pool {
    /// These members, all of whom know one another.
    fn of(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    fn with(names: &[&str], change: impl Fn(&mut Config)) -> Self {
        let mut pool = Self {
            now: Instant::START,
            serfs: BTreeMap::new(),
            events: BTreeMap::new(),
            files: BTreeMap::new(),
            saved_keys: BTreeMap::new(),
            joins: Vec::new(),
            cut_off: BTreeSet::new(),
        };
        for name in names {
            let mut config = config(name);
            change(&mut config);
            pool.start(config);
        }
        for name in names {
            pool.meet(name);
        }
        pool.settle();
        pool
    }

    /// Starts a member that knows itself.
    fn start(&mut self, config: Config) {
        let name = config.name.to_string();
        let file = self.files.get(&name).cloned().unwrap_or_default();
        let rng = Rng::new(Seed(42)).split(&name);
        let mut serf = Serf::new(&config, &rng, &file, self.now);
        let own = alive(&serf);
        serf.on_joined(self.now, &own, VERSIONS, config.advertised);
        self.serfs.insert(name.clone(), serf);
        self.events.entry(name).or_default();
    }

    /// Everyone else hears that `name` is here, and it that they are.
    fn meet(&mut self, name: &str) {
        let own = alive(&self.serfs[name]);
        let others: Vec<String> =
            self.serfs.keys().filter(|other| **other != name).cloned().collect();
        for other in others {
            let theirs = alive(&self.serfs[&other]);
            let at = self.serfs[&other].address;
            let now = self.now;
            if self.status(name, &other) != Some(MemberStatus::Alive) {
                self.serf(name).on_joined(now, &theirs, VERSIONS, at);
            }
            if self.status(&other, name) != Some(MemberStatus::Alive) {
                self.serf(&other).on_joined(now, &own, VERSIONS, address(name));
            }
        }
    }

    fn serf(&mut self, name: &str) -> &mut Serf {
        self.serfs.get_mut(name).unwrap()
    }

    /// Both tell each other everything.
    fn exchange(&mut self, one: &str, other: &str) {
        let (ours, theirs) = (self.serfs[one].local_state(), self.serfs[other].local_state());
        let now = self.now;
        self.serf(other).merge(now, &ours, false);
        self.serf(one).merge(now, &theirs, false);
        self.settle();
    }

    /// The failure detector of everyone else gives `name` up.
    fn die(&mut self, name: &str) {
        self.cut_off.insert(name.to_string());
        let now = self.now;
        for (other, serf) in &mut self.serfs {
            if other != name {
                serf.on_gone(now, name, false);
            }
        }
        self.settle();
    }

    /// Passes everything on until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            let names: Vec<String> = self.serfs.keys().cloned().collect();
            for name in &names {
                let mut told = Vec::new();
                self.serf(name).broadcasts(1300, &mut told);
                while let Some(ask) = self.serf(name).take_ask() {
                    quiet = false;
                    self.perform(name, ask);
                }
                if self.cut_off.contains(name) {
                    continue;
                }
                for bytes in &told {
                    quiet = false;
                    for other in names.iter().filter(|other| *other != name) {
                        self.deliver(other, bytes);
                    }
                }
            }
            if quiet {
                break;
            }
        }
        for serf in self.serfs.values() {
            serf.check_invariants();
        }
    }

    fn perform(&mut self, name: &str, ask: Ask) {
        match ask {
            Ask::Send(to, bytes) => {
                let receiver = self.serfs.values().find(|serf| serf.address == to);
                let receiver = receiver.map(|serf| serf.name.to_string());
                if let Some(receiver) = receiver
                    && !self.cut_off.contains(name)
                {
                    self.deliver(&receiver, &bytes);
                }
            }
            Ask::Join(seeds) => self.joins.push((name.to_string(), seeds)),
            Ask::LeaveSwim => {
                let now = self.now;
                for serf in self.serfs.values_mut() {
                    serf.on_gone(now, name, true);
                }
                self.serf(name).on_swim_left(now);
            }
            Ask::SetMeta(_) => {
                let own = alive(&self.serfs[name]);
                let now = self.now;
                for serf in self.serfs.values_mut() {
                    serf.on_updated(now, &own, VERSIONS, address(name));
                }
            }
            Ask::SetKeys(ring) => assert_eq!(&ring, self.serfs[name].keyring()),
            Ask::Effect(Effect::Event(event)) => {
                self.events.get_mut(name).unwrap().push(event);
            }
            Ask::Effect(Effect::Remember(lines)) => {
                self.files.entry(name.to_string()).or_default().extend_from_slice(&lines);
            }
            Ask::Effect(Effect::Compact(whole)) => {
                self.files.insert(name.to_string(), whole.to_vec());
            }
            Ask::Effect(Effect::SaveKeys(json)) => {
                let json = String::from_utf8(json.to_vec()).unwrap();
                self.saved_keys.insert(name.to_string(), json);
            }
            Ask::Effect(other) => panic!("Serf does not ask for {other:?}"),
        }
    }

    fn deliver(&mut self, name: &str, bytes: &Bytes) {
        if !self.cut_off.contains(name) {
            let now = self.now;
            self.serf(name).on_user(now, bytes);
        }
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        loop {
            let next = self.serfs.values().filter_map(Serf::next_wakeup).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            self.serfs.values_mut().for_each(|serf| serf.wake(now));
            self.settle();
        }
        self.now = end;
    }

    fn status(&self, at: &str, of: &str) -> Option<MemberStatus> {
        self.serfs[at].member(of).map(|member| member.status)
    }

    /// What `name` was told since this was last asked.
    fn take_events(&mut self, name: &str) -> Vec<Event> {
        core::mem::take(self.events.get_mut(name).unwrap())
    }

    fn forget_events(&mut self) {
        self.events.values_mut().for_each(Vec::clear);
    }

    /// The names of the user events that `name` was told.
    fn user_events(&mut self, name: &str) -> Vec<String> {
        let events = self.take_events(name).into_iter();
        events
            .filter_map(|event| match event {
                Event::User { time, name, .. } => Some(alloc::format!("{name}@{}", time.0)),
                _ => None,
            })
            .collect()
    }
}

/// How often something was said of `of`.
fn count(events: &[Event], of: &str, kind: fn(&Event) -> Option<&Arc<Member>>) -> usize {
    events.iter().filter_map(kind).filter(|member| &*member.name == of).count()
}

fn failed(event: &Event) -> Option<&Arc<Member>> {
    if let Event::Failed(member) = event { Some(member) } else { None }
}

fn left(event: &Event) -> Option<&Arc<Member>> {
    if let Event::Left(member) = event { Some(member) } else { None }
}

fn joined(event: &Event) -> Option<&Arc<Member>> {
    if let Event::Joined(member) = event { Some(member) } else { None }
}

fn reaped(event: &Event) -> Option<&Arc<Member>> {
    if let Event::Reaped(member) = event { Some(member) } else { None }
}

fn updated(event: &Event) -> Option<&Arc<Member>> {
    if let Event::Updated(member) = event { Some(member) } else { None }
}

fn is_alive(name: &str, meta: &TextMap, liveness: Liveness) -> (Alive, Liveness) {
    let alive = Alive {
        incarnation: Incarnation(1),
        node: Arc::from(name),
        address: Some(address(name).ip()),
        port: 8301,
        meta: Some(proconsul_wire::serf::encode_tags(meta)),
        versions: [1, 5, 2, 2, 5, 4].to_vec(),
    };
    (alive, liveness)
}

fn admit(serf: &Serf, batch: &[(Alive, Liveness)]) -> Result<(), String> {
    let batch: Vec<Candidate<'_>> =
        batch.iter().map(|(alive, liveness)| Candidate { alive, liveness: *liveness }).collect();
    serf.admit(&batch)
}
