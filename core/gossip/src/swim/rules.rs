//! What news about a member change: the rules of alive, suspect and dead.

use super::members::{Members, Record, reachable, versions_of};
use super::news::News;
use super::{Swim, Turn};
use crate::config::Admission;
use crate::face::Event;
use crate::serf::Candidate;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use proconsul_types::{Fault, Incarnation, Liveness};
use proconsul_wire::memberlist::{Accusation, Alive, Message, NodeState};

/// What a known name's claim to be elsewhere means.
enum Claim {
    /// It is where it was.
    Same,
    /// It may move.
    Moves,
    /// Someone else has the name.
    Conflict,
}

impl Swim {
    /// Someone says that a member is alive. With `own`, this member says so of itself.
    pub(super) fn alive(&mut self, turn: &mut Turn<'_>, heard: &Arc<Alive>, own: bool) {
        let about_us = self.is_own(&heard.node);
        if about_us && self.leaving.has_begun() {
            return;
        }
        if heard.node.is_empty() {
            // It could be pinged, but never be asked after, or given up, by its name.
            turn.notice(String::from("Ignoring an alive message without a name"));
            return;
        }
        let versions = versions_of(heard);
        let (low, high) = (versions.protocol_min, versions.protocol_max);
        if heard.versions.len() >= 3 && (low == 0 || high == 0 || low > high) {
            turn.notice(format!("Ignoring an alive message for '{}': bad versions", heard.node));
            return;
        }
        let held = self.members.get(&heard.node).cloned();
        if !own && !self.admits(turn, heard, held.as_ref()) {
            return;
        }
        let is_there = held.as_ref().is_some_and(|held| held.alive.address == heard.address);
        if !own && !is_there && !heard.address.is_none_or(|address| self.is_allowed(address)) {
            turn.notice(format!(
                "Rejected node {} at an address outside of the allowed networks",
                heard.node
            ));
            return;
        }
        let alive = self.complete(heard);
        let mut moves = false;
        match held.as_ref().map(|held| self.claim(turn, held, &alive)) {
            Some(Claim::Conflict) => {
                self.report_conflict(turn, held.as_ref(), &alive);
                return;
            }
            Some(Claim::Moves) => moves = true,
            None | Some(Claim::Same) => {}
        }
        let known = held.as_ref().map_or(Incarnation(0), Record::incarnation);
        if about_us {
            if alive.incarnation < known {
                return;
            }
        } else if alive.incarnation <= known && !moves {
            if let Some(held) = held.filter(|held| alive.incarnation == known && !held.is_gone()) {
                self.ask_which(turn, &held, alive);
            }
            return;
        }
        if !own && !self.fits(&Message::Alive(Arc::clone(&alive))) {
            turn.notice(String::from("Ignoring an alive message too long to be told on"));
            return;
        }
        if let Some(held) = &held {
            self.stop_suspecting(held);
        }
        match &held {
            Some(held) if about_us && !own => {
                let same = alive.incarnation == known
                    && alive.meta == held.alive.meta
                    && versions == held.versions();
                if !same {
                    self.refute(turn, alive.incarnation);
                }
            }
            Some(_) | None => self.take_over(turn, held.as_ref(), alive),
        }
    }

    /// Whether others may be at this address.
    pub(super) fn is_allowed(&self, address: IpAddr) -> bool {
        let allowed = &self.config.allowed;
        allowed.is_empty() || allowed.iter().any(|network| network.contains(address))
    }

    /// Whether an alive message passes the filter. One that says what is held of its member already
    /// passed once.
    fn admits(&self, turn: &mut Turn<'_>, heard: &Arc<Alive>, held: Option<&Record>) -> bool {
        if self.config.admission == Admission::Anyone {
            return true;
        }
        if heard.versions.len() < 6 {
            let name = &heard.node;
            turn.notice(format!(
                "Ignoring an alive message for '{name}' because Vsn is not present"
            ));
            return false;
        }
        if held.is_some_and(|held| Arc::ptr_eq(&held.alive, heard) || held.alive.meta == heard.meta)
        {
            return true;
        }
        let candidate = Candidate { alive: heard, liveness: Liveness::Alive };
        match turn.serf.admit(&[candidate]) {
            Ok(()) => true,
            Err(reason) => {
                turn.notice(format!("Ignoring an alive message for '{}': {reason}", heard.node));
                false
            }
        }
    }

    /// With a port and six versions: what is stored and told on.
    fn complete(&self, heard: &Arc<Alive>) -> Arc<Alive> {
        if heard.port != 0 && heard.versions.len() == 6 {
            return Arc::clone(heard);
        }
        let mut alive = Alive::clone(heard);
        if alive.port == 0 {
            alive.port = self.config.bind_port.max(1);
        }
        alive.versions.resize(6, 0);
        Arc::new(alive)
    }

    fn claim(&self, turn: &Turn<'_>, held: &Record, alive: &Alive) -> Claim {
        if held.alive.address == alive.address && held.alive.port == alive.port {
            return Claim::Same;
        }
        let reclaim = self.config.timing.dead_reclaim;
        let free = match held.liveness {
            Liveness::Left => true,
            Liveness::Dead if self.config.planted.is(Fault::ReclaimIgnoresTime) => true,
            Liveness::Dead => !reclaim.is_zero() && turn.now.since(held.changed) > reclaim,
            Liveness::Alive | Liveness::Suspect => false,
        };
        if free { Claim::Moves } else { Claim::Conflict }
    }

    fn report_conflict(&self, turn: &mut Turn<'_>, held: Option<&Record>, alive: &Alive) {
        let Some(held) = held else {
            return;
        };
        let (mine, theirs) = (reachable(&held.alive), reachable(alive));
        turn.notice(format!(
            "Conflicting address for {}. Mine: {mine} Theirs: {theirs} Old state: {:?}",
            alive.node, held.liveness
        ));
        turn.serf.on_conflict(turn.now, &alive.node, mine, theirs);
    }

    /// Believes what a member said of itself, and tells it on.
    fn take_over(&mut self, turn: &mut Turn<'_>, held: Option<&Record>, alive: Arc<Alive>) {
        self.tell_all(News::Alive(Arc::clone(&alive)));
        let was_here = held.filter(|held| !held.is_gone());
        let changed = match held {
            Some(held) if held.liveness == Liveness::Alive => held.changed,
            Some(_) | None => turn.now,
        };
        let news = match was_here {
            None => Some(true),
            Some(held) if held.alive.meta != alive.meta => Some(false),
            Some(_) => None,
        };
        let record = Record::new(Arc::clone(&alive), Liveness::Alive, changed);
        if held.is_some() {
            self.members.set(record);
        } else {
            self.members.add(record);
        }
        let (versions, address) = (versions_of(&alive), reachable(&alive));
        match news {
            Some(true) => turn.serf.on_joined(turn.now, &alive, versions, address),
            Some(false) => turn.serf.on_updated(turn.now, &alive, versions, address),
            None => {}
        }
    }

    /// One incarnation says two things: an agent that lost its disk came back before it was
    /// missed. Neither is newer, so each would stay where it is: its member hears both, and refutes
    /// the one that is wrong.
    fn ask_which(&mut self, turn: &mut Turn<'_>, held: &Record, other: Arc<Alive>) {
        let meta = |alive: &Alive| alive.meta.clone().unwrap_or_default();
        let same = meta(&held.alive) == meta(&other);
        if same || self.config.planted.is(Fault::OneIncarnationTwice) {
            return;
        }
        if let Some(address) = held.address() {
            let checksum = held.protocol_max >= 5;
            let both = Vec::from([Arc::clone(&held.alive), other].map(Message::Alive));
            self.send(turn, address, checksum, both);
        }
    }

    /// Answers what is wrongly said of this member with a higher incarnation.
    fn refute(&mut self, turn: &mut Turn<'_>, said: Incarnation) {
        let Some(own) = self.own().cloned() else {
            return;
        };
        if !self.config.planted.is(Fault::RefuteWithoutHigherIncarnation) {
            let next = self.incarnation.0.saturating_add(1).max(said.0.saturating_add(1));
            self.incarnation = Incarnation(next);
        }
        self.strain(1);
        let mut alive = Alive::clone(&own.alive);
        alive.incarnation = self.incarnation;
        let alive = Arc::new(alive);
        self.members.set(Record { alive: Arc::clone(&alive), ..own });
        self.tell_all(News::Alive(alive));
        turn.tell(Event::Refuted);
    }

    /// Whoever was wrong about this member hears what it says now; chance may be late. A leader
    /// that holds someone for left takes out what it offers.
    pub(super) fn contradict(&mut self, turn: &mut Turn<'_>, who: SocketAddr) {
        if let Some(own) = self.own() {
            let alive = Message::Alive(Arc::clone(&own.alive));
            self.send(turn, who, false, Vec::from([alive]));
        }
    }

    /// Someone says that a member did not answer.
    pub(super) fn suspect(&mut self, turn: &mut Turn<'_>, said: &Arc<Accusation>) {
        // Most of what is heard in a large pool is known: that is found out first.
        let known = self.members.get(&said.node);
        let Some(held) = known.filter(|held| !held.is_gone() && !held.confirmed) else {
            return;
        };
        if said.incarnation < held.incarnation() {
            return;
        }
        if held.liveness == Liveness::Suspect {
            self.confirm_suspicion(turn, held.suspicion, said);
            return;
        }
        if self.is_own(&said.node) {
            self.refute(turn, said.incarnation);
            return;
        }
        let held = held.clone();
        self.tell_all(News::Suspect(Arc::clone(said)));
        let record = Self::marked(turn, &held, said.incarnation, Liveness::Suspect);
        self.start_suspecting(turn, said, record);
        turn.tell(Event::Suspected(Arc::clone(&said.node)));
    }

    /// Someone says that a member is dead, or a member that it goes.
    pub(super) fn dead(&mut self, turn: &mut Turn<'_>, said: &Arc<Accusation>) {
        let known = self.members.get(&said.node);
        let Some(held) = known.filter(|held| !held.is_gone()).cloned() else {
            return;
        };
        let old = said.incarnation < held.incarnation();
        if old && !self.config.planted.is(Fault::DeadBeatsNewerAlive) {
            return;
        }
        if self.is_own(&said.node) && !self.leaving.has_begun() {
            self.refute(turn, said.incarnation);
            return;
        }
        self.stop_suspecting(&held);
        self.tell_all(News::Dead(Arc::clone(said)));
        let liveness = if said.from == said.node { Liveness::Left } else { Liveness::Dead };
        let at = said.incarnation.max(held.incarnation());
        self.members.set(Self::marked(turn, &held, at, liveness));
        turn.serf.on_gone(turn.now, &said.node, liveness == Liveness::Left);
    }

    /// What is held of someone from now on, who said nothing new.
    fn marked(turn: &Turn<'_>, held: &Record, at: Incarnation, liveness: Liveness) -> Record {
        let alive = if held.incarnation() == at {
            Arc::clone(&held.alive)
        } else {
            let mut alive = Alive::clone(&held.alive);
            alive.incarnation = at;
            Arc::new(alive)
        };
        Record::new(alive, liveness, turn.now)
    }

    /// Ends a suspicion, if there is one. What is held of its member changes at once.
    fn stop_suspecting(&mut self, held: &Record) {
        let suspected = held.liveness == Liveness::Suspect;
        if suspected && self.suspicions.remove(held.suspicion).is_some() {
            self.refutations.clear(&held.suspicion);
        }
    }

    /// What another holds of a member, as learned by a full exchange: a death there is only a
    /// suspicion here, for the member may be able to refute it.
    pub(super) fn merge_state(&mut self, turn: &mut Turn<'_>, state: &NodeState) {
        let said = |from: &Arc<str>| {
            let node = Arc::clone(&state.alive.node);
            let incarnation = state.alive.incarnation;
            Arc::new(Accusation { incarnation, node, from: Arc::clone(from) })
        };
        let trusted = self.config.planted.is(Fault::PushPullTrustsRemoteDeath);
        match state.liveness {
            Liveness::Alive => self.alive(turn, &state.alive, false),
            Liveness::Left => self.dead(turn, &said(&state.alive.node)),
            Liveness::Dead if trusted => self.dead(turn, &said(&self.config.name)),
            Liveness::Dead | Liveness::Suspect => {
                let said = said(&self.config.name);
                self.suspect(turn, &said);
            }
        }
    }

    /// Queues news for everyone, in place of older ones about the same member.
    pub(super) fn tell_all(&mut self, news: News) {
        let bytes = Message::from(news.clone()).encoded_len();
        if !self.has_room_for(bytes) {
            return;
        }
        if self.config.planted.is(Fault::BroadcastNotInvalidated) {
            self.queue.keep(bytes, news);
        } else {
            self.queue.push(bytes, news);
        }
    }

    /// Forgets members that have been gone for longer than they are told of.
    pub(super) fn forget_gone(&mut self, turn: &Turn<'_>) {
        let horizon = turn.now.before(self.config.timing.gossip_to_the_dead);
        self.members.forget_gone(horizon);
    }

    /// Whether a member still hears of news: everyone here, and those that died lately.
    pub(super) fn hears_news(&self, turn: &Turn<'_>, record: &Record) -> bool {
        let lately = self.config.timing.gossip_to_the_dead;
        match record.liveness {
            Liveness::Alive | Liveness::Suspect => !self.is_own(record.name()),
            Liveness::Dead => Members::went_within(record, turn.now, lately),
            Liveness::Left => false,
        }
    }
}
