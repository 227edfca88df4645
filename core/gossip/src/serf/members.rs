//! Who is here, left or failed, by whose word and when.

use super::{Serf, Timer};
use crate::face::{Event, Member};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::radix::{Keyed, Tree};
use proconsul_types::{Duration, Fault, Instant, LamportTime, MemberStatus, TextMap};
use proconsul_wire::memberlist::{Alive, Versions};
use proconsul_wire::serf::{self, Join, Leave, Message};

/// A member, and when its status was last spoken of, in member time.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) member: Arc<Member>,
    meta: Option<Bytes>,
    time: LamportTime,
}

impl Keyed for Record {
    fn key(&self) -> &[u8] {
        self.member.name.as_bytes()
    }
}

/// What was said of a member that nobody here has seen.
#[derive(Clone, Copy, Debug)]
struct Intent {
    leaves: bool,
    time: LamportTime,
    heard: Instant,
}

/// Everyone known.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    tree: Tree<Record>,
    /// Since when.
    failed: BTreeMap<Arc<str>, Instant>,
    /// Since when.
    left: BTreeMap<Arc<str>, Instant>,
    intents: BTreeMap<Arc<str>, Intent>,
}

impl Members {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Record>> {
        self.tree.get(name.as_bytes())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.tree.iter().map(|record| &record.member)
    }

    /// How many are known, of every status.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// How many are here, those that will leave included.
    pub(super) fn here(&self) -> usize {
        self.tree.len() - self.failed.len() - self.left.len()
    }

    pub(super) fn failed(&self) -> &BTreeMap<Arc<str>, Instant> {
        &self.failed
    }

    /// When everyone was last spoken of.
    pub(super) fn times(&self) -> impl Iterator<Item = (Arc<str>, LamportTime)> {
        self.tree.iter().map(|record| (Arc::clone(&record.member.name), record.time))
    }

    /// Who left.
    pub(super) fn left(&self) -> impl Iterator<Item = Arc<str>> {
        self.left.keys().map(Arc::clone)
    }

    /// The tags in `meta`, read anew only if they are not those that `name` has.
    pub(super) fn tags_of(&self, name: &str, meta: Option<&Bytes>) -> Arc<TextMap> {
        if let Some(record) = self.get(name)
            && record.meta.as_ref() == meta
        {
            return Arc::clone(&record.member.tags);
        }
        Arc::new(serf::decode_tags(meta.map_or(&[], AsRef::as_ref)))
    }

    /// Whether there is anything that will once be forgotten.
    fn is_passing(&self) -> bool {
        !(self.failed.is_empty() && self.left.is_empty() && self.intents.is_empty())
    }

    /// Keeps what was said of someone unknown, if it is newer. Whether it was.
    fn remember_intent(&mut self, node: &Arc<str>, intent: Intent) -> bool {
        let newer = self.intents.get(node).is_none_or(|old| intent.time > old.time);
        if newer {
            self.intents.insert(Arc::clone(node), intent);
        }
        newer
    }

    /// Gives `record` another status, and another time if there is one.
    fn change(
        &mut self,
        now: Instant,
        record: &Record,
        status: MemberStatus,
        time: LamportTime,
    ) -> Arc<Member> {
        let member = if record.member.status == status {
            Arc::clone(&record.member)
        } else {
            Arc::new(Member { status, ..Member::clone(&record.member) })
        };
        self.put(now, Record { member: Arc::clone(&member), meta: record.meta.clone(), time });
        member
    }

    fn put(&mut self, now: Instant, record: Record) {
        let name = &record.member.name;
        for (list, status) in
            [(&mut self.failed, MemberStatus::Failed), (&mut self.left, MemberStatus::Left)]
        {
            if record.member.status == status {
                list.entry(Arc::clone(name)).or_insert(now);
            } else {
                list.remove(name);
            }
        }
        self.tree.insert(Arc::new(record));
    }

    fn erase(&mut self, name: &str) -> Option<Arc<Record>> {
        self.failed.remove(name);
        self.left.remove(name);
        self.tree.remove(name.as_bytes(), 0)
    }

    pub(super) fn check_invariants(&self) {
        self.tree.check_invariants();
        let count = |status| self.iter().filter(|member| member.status == status).count();
        assert_eq!(count(MemberStatus::Failed), self.failed.len(), "the failed are listed");
        assert_eq!(count(MemberStatus::Left), self.left.len(), "who left is listed");
        for name in self.failed.keys().chain(self.left.keys()) {
            assert!(self.get(name).is_some(), "who is listed is known");
        }
    }
}

/// Members that pools begin with, all alive. Cloning is one reference count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Founders(Tree<Record>);

impl Founders {
    pub(crate) fn add(&mut self, alive: &Alive, versions: Versions, address: SocketAddr) {
        let name = Arc::clone(&alive.node);
        let tags = Arc::new(serf::decode_tags(alive.meta.as_ref().map_or(&[], AsRef::as_ref)));
        let member = Member { name, address, tags, status: MemberStatus::Alive, versions };
        let (meta, time) = (alive.meta.clone(), LamportTime(0));
        self.0.insert(Arc::new(Record { member: Arc::new(member), meta, time }));
    }
}

impl Serf {
    /// Begins with these, as if they had been met long ago: nobody is told.
    pub(crate) fn found(&mut self, now: Instant, founders: &Founders) {
        assert!(self.members.len() == 0, "a pool is founded before anyone is met");
        self.members.tree = founders.0.clone();
        if self.rejoin.is_durable() {
            for member in self.members.iter() {
                self.rejoin.on_here(&member.name, member.address);
            }
        }
        self.settle(now);
    }

    /// Someone is here (again), this member itself included: dead, left or unknown to alive.
    /// `address` has the receiver's port in place of port 0.
    pub(crate) fn on_joined(
        &mut self,
        now: Instant,
        alive: &Alive,
        versions: Versions,
        address: SocketAddr,
    ) {
        let name = &alive.node;
        let (status, time) = match (self.members.get(name), self.members.intents.get(name)) {
            (Some(known), _) => (MemberStatus::Alive, known.time),
            (None, Some(intent)) if intent.leaves => (MemberStatus::Leaving, intent.time),
            (None, Some(intent)) => (MemberStatus::Alive, intent.time),
            (None, None) => (MemberStatus::Alive, LamportTime(0)),
        };
        let member = self.describe(now, alive, versions, address, status, time);
        self.rejoin.on_here(name, address);
        self.say(Event::Joined(member));
        self.settle(now);
    }

    /// The meta, address or versions of someone alive changed, this member itself included.
    pub(crate) fn on_updated(
        &mut self,
        now: Instant,
        alive: &Alive,
        versions: Versions,
        address: SocketAddr,
    ) {
        let Some(known) = self.members.get(&alive.node) else { return };
        let (status, time, moved) =
            (known.member.status, known.time, known.member.address != address);
        let member = self.describe(now, alive, versions, address, status, time);
        if moved {
            self.rejoin.on_here(&alive.node, address);
        }
        self.say(Event::Updated(member));
        self.settle(now);
    }

    /// Takes over what a member says of itself.
    fn describe(
        &mut self,
        now: Instant,
        alive: &Alive,
        versions: Versions,
        address: SocketAddr,
        status: MemberStatus,
        time: LamportTime,
    ) -> Arc<Member> {
        let name = Arc::clone(&alive.node);
        let tags = self.members.tags_of(&name, alive.meta.as_ref());
        let member = Arc::new(Member { name, address, tags, status, versions });
        let meta = alive.meta.clone();
        self.members.put(now, Record { member: Arc::clone(&member), meta, time });
        member
    }

    /// Someone is dead or left, this member itself included.
    pub(crate) fn on_gone(&mut self, now: Instant, name: &str) {
        let Some(record) = self.members.get(name).map(Arc::clone) else { return };
        match record.member.status {
            MemberStatus::Leaving => {
                let member = self.members.change(now, &record, MemberStatus::Left, record.time);
                self.rejoin.on_gone(name);
                self.say(Event::Left(member));
            }
            MemberStatus::Alive => {
                let member = self.members.change(now, &record, MemberStatus::Failed, record.time);
                self.rejoin.on_gone(name);
                self.say(Event::Failed(member));
            }
            MemberStatus::None | MemberStatus::Left | MemberStatus::Failed => {}
        }
        self.settle(now);
    }

    /// A leave intent: whether it should be told on.
    pub(super) fn on_leave_intent(&mut self, now: Instant, leave: &Leave) -> bool {
        self.witness_member(leave.time);
        let Some(record) = self.members.get(&leave.node).map(Arc::clone) else {
            let intent = Intent { leaves: true, time: leave.time, heard: now };
            return self.members.remember_intent(&leave.node, intent);
        };
        if leave.time <= record.time && !self.planted.is(Fault::LeaveIntentIgnoresClock) {
            return false;
        }
        if leave.node == self.name && !self.is_leaving() {
            // Someone would force us out, or remembers a former life of ours.
            self.say(Event::Refuted);
            self.announce_join(now);
            return false;
        }
        let status = match record.member.status {
            MemberStatus::Alive | MemberStatus::Leaving => MemberStatus::Leaving,
            MemberStatus::Failed | MemberStatus::Left => MemberStatus::Left,
            MemberStatus::None => return false,
        };
        let member = self.members.change(now, &record, status, leave.time);
        if record.member.status == MemberStatus::Failed {
            self.rejoin.on_gone(&leave.node);
            self.say(Event::Left(member));
        }
        if leave.prune {
            self.prune(now, &leave.node, status);
        }
        true
    }

    /// A join intent: whether it should be told on.
    pub(super) fn on_join_intent(&mut self, now: Instant, join: &Join) -> bool {
        self.witness_member(join.time);
        let Some(record) = self.members.get(&join.node).map(Arc::clone) else {
            let intent = Intent { leaves: false, time: join.time, heard: now };
            return self.members.remember_intent(&join.node, intent);
        };
        if join.time <= record.time {
            return false;
        }
        let leaves_itself = join.node == self.name && self.is_leaving();
        let status = match record.member.status {
            MemberStatus::Leaving if !leaves_itself => MemberStatus::Alive,
            status @ (MemberStatus::None
            | MemberStatus::Alive
            | MemberStatus::Leaving
            | MemberStatus::Left
            | MemberStatus::Failed) => status,
        };
        self.members.change(now, &record, status, join.time);
        true
    }

    /// Tells all that this member is here.
    pub(super) fn announce_join(&mut self, now: Instant) {
        let join = Join { time: self.clocks.member, node: Arc::clone(&self.name) };
        self.on_join_intent(now, &join);
        if self.someone_else_here() {
            self.tell_intent(Message::Join(join).to_bytes(), false);
        }
    }

    /// Whether anyone else is alive.
    pub(super) fn someone_else_here(&self) -> bool {
        let alive =
            |member: &Arc<Member>| member.status == MemberStatus::Alive && member.name != self.name;
        self.members.here() > 0 && self.members.iter().any(alive)
    }

    /// Forgets someone at once, or, if it is just leaving, when the leave is known to all.
    fn prune(&mut self, now: Instant, name: &Arc<str>, status: MemberStatus) {
        if status == MemberStatus::Leaving {
            let wait = self.timing.broadcast_timeout + self.timing.leave_propagation;
            self.timers.set(Timer::Prune(Arc::clone(name)), now.after(wait));
        } else {
            self.erase(name);
        }
    }

    /// The wait of [`Self::prune`] is over. Who has come back meanwhile stays.
    pub(super) fn finish_prune(&mut self, name: &str) {
        let status = self.members.get(name).map(|record| record.member.status);
        if status.is_some_and(|status| status != MemberStatus::Alive) {
            self.erase(name);
        }
    }

    /// Forgets someone; never this member itself.
    fn erase(&mut self, name: &str) {
        if *name == *self.name {
            return;
        }
        if let Some(record) = self.members.erase(name) {
            self.vivaldi.forget(name);
            self.places.remove(name);
            self.say(Event::Reaped(Arc::clone(&record.member)));
        }
    }

    /// Forgets who has been gone for too long, and intents that nobody came to.
    pub(super) fn reap(&mut self, now: Instant) {
        let tombstone = self.timing.tombstone_timeout;
        let mut over: Vec<Arc<str>> = Vec::new();
        for (name, since) in &self.members.failed {
            let forget_at_once = self.planted.is(Fault::ReapForgetsFailedAtOnce);
            if forget_at_once || now.since(*since) > self.patience(name) {
                over.push(Arc::clone(name));
            }
        }
        let left = self.members.left.iter().filter(|(_, since)| now.since(**since) > tombstone);
        over.extend(left.map(|(name, _)| Arc::clone(name)));
        for name in over {
            self.erase(&name);
        }
        let patience = self.timing.intent_timeout;
        self.members.intents.retain(|_, intent| now.since(intent.heard) <= patience);
    }

    /// How long a failed member is kept: its own word (`rc_tm`), or this pool's.
    fn patience(&self, name: &str) -> Duration {
        let own = self.members.get(name).and_then(|record| {
            let text = record.member.tags.get("rc_tm")?;
            proconsul_syntax::duration::parse_unsigned(text).ok()
        });
        own.filter(|own| !own.is_zero()).unwrap_or(self.timing.reconnect_timeout)
    }

    /// Tries to meet one failed member again, as often as the pool together should try each once.
    pub(super) fn reconnect(&mut self) {
        let failed = self.members.failed().len();
        if failed == 0 || self.is_leaving() {
            return;
        }
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if self.rng.chance(wide(failed), wide(self.members.here().max(1))) {
            let chosen = self.rng.index(failed);
            let name = self.members.failed().keys().nth(chosen).map(Arc::clone);
            let name = name.expect("the index is below the length");
            let address = self.members.get(&name).map(|record| record.member.address);
            self.ask_join(address.into_iter().collect());
        }
    }

    /// Sets the timers that are needed only while someone is gone.
    pub(super) fn settle_members(&mut self, now: Instant) {
        if self.members.is_passing() && self.timers.get(&Timer::Reap).is_none() {
            self.timers.set(Timer::Reap, now.after(self.timing.reap_interval));
        }
        if !self.members.failed.is_empty() && self.timers.get(&Timer::Reconnect).is_none() {
            self.timers.set(Timer::Reconnect, now.after(self.timing.reconnect_interval));
        }
    }
}
