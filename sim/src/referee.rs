//! The judges of a world for a player outside of this crate: the same clients, rules and table of
//! links as in the event loop, fed by whoever runs the nodes.
//!
//! The player says what happens ([`Referee::started`], [`Referee::stepped`], [`Referee::died`]),
//! sends what clients ask ([`Referee::ask`]) and brings the answers; the referee says what is
//! wrong.

use crate::client::Client;
use crate::clock::Clock;
use crate::judge::{Judge, Seen, Violation};
use crate::machine::{self, Node, View};
use crate::net::{Net, Trouble};
use crate::options::Options;
use crate::schedule::{Action, Mark, Op, Target, Want};
use crate::story::Glimpse;
use crate::world::{self, MICRO, MILLI, Next, Run};
use proconsul_core::catalog::Catalog;
use proconsul_core::http::{Request, Response};
use proconsul_core::types::{CatalogIndex, Instant, NodeId, Planted, Seed};
use proconsul_core::{Config, Effect, PeerMessage};
use std::net::SocketAddr;
use std::sync::Arc;

/// A server, as the player keeps it up to date.
#[derive(Debug)]
pub struct Seat {
    /// Whether its process runs, or is about to.
    pub up: bool,
    /// How often it was started.
    pub life: u32,
    /// How many faults let it stand still.
    pub paused: u32,
    /// Its clock, which may be bent.
    pub clock: Clock,
    /// Bytes on its disk.
    pub disk_bytes: u64,
    /// How often it came back under another address.
    pub moves: u8,
    view: Arc<View>,
    words: String,
}

impl Seen for Seat {
    fn is_up(&self) -> bool {
        self.up
    }

    fn node(&self) -> Option<&Node> {
        None
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn local(&self, now: u64) -> Instant {
        self.clock.local(now)
    }

    fn is_paused(&self) -> bool {
        self.paused > 0
    }

    fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    fn standing(&self) -> String {
        let leadership = &self.view.leadership;
        let (term, index) = (leadership.term, machine::catalog_index(&self.view));
        let office = if leadership.is_leader { "leads" } else { "follows" };
        let life = if self.up { office } else { "down" };
        format!("{life} in term {term}, shows {index}{}", self.words)
    }
}

/// What a client sends.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Whom it asks.
    pub server: usize,
    /// What.
    pub request: Request,
    /// Until when it waits, in nanoseconds of the world; `None`: for ever.
    pub deadline: Option<u64>,
}

/// The judges and clients of a world.
#[derive(Debug)]
pub struct Referee {
    /// The servers.
    pub seats: Vec<Seat>,
    options: Options,
    seed: u64,
    ids: Vec<NodeId>,
    net: Net,
    clients: Vec<Client>,
    runs: Vec<Run>,
    judge: Judge,
    now: u64,
}

impl Referee {
    /// Before anything happened: nobody is up.
    #[must_use]
    pub fn new(seed: u64, options: &Options) -> Self {
        let servers = usize::from(options.servers);
        let ids: Vec<NodeId> = (0..servers).map(|server| world::id_of(seed, server)).collect();
        let seat = |server: usize| Seat {
            up: false,
            life: 0,
            paused: 0,
            clock: Clock::new(0),
            disk_bytes: 0,
            moves: 0,
            view: Arc::new(machine::first_view(&machine::config(ids[server], server, options))),
            words: String::new(),
        };
        Self {
            seats: (0..servers).map(seat).collect(),
            options: options.clone(),
            seed,
            net: Net::new(seed, options),
            clients: (0..options.clients).map(|_| Client::default()).collect(),
            runs: Vec::new(),
            judge: Judge::new(options),
            now: 0,
            ids,
        }
    }

    /// The options of this world.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The seed of this world.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// It is `now`, in nanoseconds since the world began.
    pub fn tick(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.judge.now = self.now;
    }

    /// The first broken rule.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.judge.violation.as_ref()
    }

    /// A rule is broken, as the player sees it. Only the first counts.
    pub fn broken(&mut self, rule: &str, text: impl FnOnce() -> String) {
        self.judge.broken(rule, text);
    }

    /// How many commands of clients were committed, or at least their newest index.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.judge.model.applied
    }

    /// What a server is.
    #[must_use]
    pub fn config(&self, server: usize) -> Config {
        machine::config(self.ids[server], server, &self.options)
    }

    /// The seed of a server's present life.
    #[must_use]
    pub fn seed_of(&self, server: usize) -> Seed {
        world::seed_of(self.seed, server, self.seats[server].life)
    }

    /// How long a server's n-th sync takes, in nanoseconds.
    #[must_use]
    pub fn sync_time(&self, server: usize, number: u64) -> u64 {
        world::sync_time(self.seed, server, number, &self.options)
    }

    /// Whether the n-th fault, a crash, takes the power with it.
    #[must_use]
    pub fn loses_power(&self, fault: u64) -> bool {
        world::loses_power(self.seed, fault)
    }

    /// Who is where.
    #[must_use]
    pub fn addresses(&self) -> Vec<(NodeId, SocketAddr)> {
        let place = |(server, seat): (usize, &Seat)| world::address_of(server, seat.moves);
        self.ids.iter().copied().zip(self.seats.iter().enumerate().map(place)).collect()
    }

    /// A process begins from what its disk holds; its clock counts from now.
    pub fn started(&mut self, server: usize, node: &Node) {
        let seat = &mut self.seats[server];
        seat.view = node.view();
        seat.clock.begin(self.now, 0);
        self.judge.remembers(server, node);
        self.judge.started(server);
    }

    /// A process does not start from what its disk holds.
    pub fn refused(&mut self, server: usize, reason: &str) {
        self.seats[server].up = false;
        self.judge.refused(server, reason);
    }

    /// A process is gone.
    pub fn died(&mut self, server: usize) {
        let config = self.config(server);
        let seat = &mut self.seats[server];
        seat.up = false;
        seat.paused = 0;
        seat.view = Arc::new(machine::first_view(&config));
        self.judge.died(server);
    }

    /// Whether one more disk may go bad without making the loss of data legal.
    #[must_use]
    pub fn may_rot(&self, server: usize) -> bool {
        self.judge.may_rot(server)
    }

    /// A bit of a server's disk flipped: from now on it may refuse to start.
    pub fn rots(&mut self, server: usize) {
        self.judge.rots(server);
    }

    /// A node took a step and asks for this. Returns the protocol events, and the server each is
    /// about. Panics if the step broke an invariant of the node.
    pub fn stepped(
        &mut self,
        server: usize,
        node: &Node,
        effects: &[Effect],
    ) -> Vec<(Mark, Option<usize>)> {
        node.check_invariants();
        let mut marks = Vec::new();
        for effect in effects {
            if let Effect::Publish(view) = effect {
                let old = Arc::clone(&self.seats[server].view);
                self.judge.published(server, &old, view);
                self.seats[server].view = Arc::clone(view);
            } else if let Effect::SendPeer { to, message: PeerMessage::Raft(said), .. } = effect {
                if let Some(to) = self.server_of(*to) {
                    self.judge.sends(server, to, said, node);
                }
            } else if let Effect::Event(event) = effect {
                self.judge.event(server, event, node, &self.seats);
                if let Some((mark, other)) = machine::mark(event) {
                    marks.push((mark, other.and_then(|other| self.server_of(other))));
                }
            }
        }
        marks
    }

    fn server_of(&self, id: NodeId) -> Option<usize> {
        self.ids.iter().position(|known| *known == id)
    }

    /// Who leads in the newest term, if anyone says that it does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leads = |(_, seat): &(usize, &Seat)| seat.up && seat.view.leadership.is_leader;
        let seats = self.seats.iter().enumerate().rev().filter(leads);
        seats.max_by_key(|(_, seat)| seat.view.leadership.term).map(|(server, _)| server)
    }

    /// What can be seen of a server.
    #[must_use]
    pub fn glimpse(&self, server: usize) -> Glimpse {
        let seat = &self.seats[server];
        Glimpse {
            up: seat.up,
            leads: seat.up && seat.view.leadership.is_leader,
            term: seat.view.leadership.term.0,
            index: machine::catalog_index(&seat.view),
            state: machine::state_hash(&seat.view),
            disk_bytes: seat.disk_bytes,
            words: seat.standing(),
        }
    }

    /// Whom a fault strikes; `actor` and `other` are those of the event that set it off.
    #[must_use]
    pub fn resolve(
        &self,
        target: Target,
        actor: Option<usize>,
        other: Option<usize>,
    ) -> Option<usize> {
        world::resolve(target, (self.leader(), self.seats.len()), (actor, other))
    }

    /// Something is wrong with the links from now on; the number takes it away again. `None` if
    /// the action is none of links being cut.
    pub fn cut(
        &mut self,
        number: usize,
        action: &Action,
        actor: Option<usize>,
        other: Option<usize>,
    ) -> Option<()> {
        let who = |target: &Target| self.resolve(*target, actor, other);
        let trouble = match action {
            Action::Cut { from, to, .. } => Trouble::Cut(who(from)?, who(to)?),
            Action::Isolate { who: target, .. } => Trouble::Isolated(who(target)?),
            Action::Split { side, .. } => Trouble::Split { side: *side, middle: None },
            Action::Bridge { middle, side, .. } => {
                Trouble::Split { side: *side, middle: who(middle) }
            }
            Action::Crash { .. }
            | Action::Restart { .. }
            | Action::Pause { .. }
            | Action::Slow { .. }
            | Action::Lossy { .. }
            | Action::Narrow { .. }
            | Action::Reset { .. }
            | Action::DiskSlow { .. }
            | Action::DiskHang { .. }
            | Action::DiskFail { .. }
            | Action::DiskFull { .. }
            | Action::BitRot { .. }
            | Action::ClockRate { .. }
            | Action::ClockJump { .. }
            | Action::WallJump { .. }
            | Action::Heal => return None,
        };
        self.net.add(number, trouble);
        self.judge.network_changed(self.now, &self.net);
        Some(())
    }

    /// A cut ends.
    pub fn mend(&mut self, number: usize) {
        self.judge.lonely_leaders(&self.seats);
        self.net.remove(number);
        self.judge.network_changed(self.now, &self.net);
    }

    /// All links are whole.
    pub fn mend_all(&mut self) {
        self.judge.lonely_leaders(&self.seats);
        self.net.heal();
        self.judge.network_changed(self.now, &self.net);
    }

    /// Whether what one says reaches another.
    #[must_use]
    pub fn hears(&self, from: usize, to: usize) -> bool {
        self.net.hears(from, to)
    }

    /// A client's operation; the number stands for it from now on.
    pub fn plan(&mut self, op: &Op) -> usize {
        let mut run = Run::of(op, self.options.clients, self.options.servers);
        run.patience = self.options.patience * MICRO;
        self.runs.push(run);
        self.runs.len() - 1
    }

    /// What an operation sends now; `None` if its client cannot ask this.
    pub fn ask(&mut self, place: usize) -> Option<Ask> {
        let run = &self.runs[place];
        let client = &self.clients[run.client];
        let request = world::request_of(place, run, client, &self.ids, &self.options);
        let run = &mut self.runs[place];
        let Some(request) = request else {
            run.done = true;
            return None;
        };
        run.begins(self.now, &self.clients[run.client], &mut self.judge);
        let deadline = run.deadline().map(|deadline| deadline.max(self.now + MILLI));
        Some(Ask { server: run.server, request, deadline })
    }

    /// An answer came from a server in its n-th life. `Some`: the client asks again after so many
    /// nanoseconds; with none it is done.
    pub fn answered(&mut self, place: usize, life: u32, answer: &Response) -> Option<u64> {
        let run = &mut self.runs[place];
        run.open = false;
        let served = (run.server, life);
        match world::heard(&mut self.judge, place, run, answer, &mut self.clients, served) {
            Next::Over => {
                self.runs[place].done = true;
                None
            }
            Next::Again(wait) => Some(wait),
            Next::Elsewhere => self.elsewhere(place),
        }
    }

    /// No answer came: the connection was refused, or (`taken`) broke after the request was sent.
    /// `Some`: the client asks again after so many nanoseconds.
    pub fn unanswered(&mut self, place: usize, taken: bool) -> Option<u64> {
        let run = &mut self.runs[place];
        run.open = false;
        if taken && !run.want.is_some_and(crate::client::is_read) {
            run.done = true;
            return None;
        }
        self.elsewhere(place)
    }

    /// Patience ran out.
    pub fn gave_up(&mut self, place: usize) {
        let run = &mut self.runs[place];
        (run.open, run.done) = (false, true);
    }

    fn elsewhere(&mut self, place: usize) -> Option<u64> {
        let wait = world::pause_of(self.seed, place, self.now);
        self.runs[place].goes_on(self.now + wait, self.seats.len()).then_some(wait)
    }

    /// Some time after healing: a leader must be there, and no watcher may sleep. Returns the
    /// operations that must go through now.
    pub fn probe(&mut self) -> Vec<Op> {
        if !self.judge.expects_liveness(&self.seats) {
            return Vec::new();
        }
        if self.leader().is_none() {
            let states: Vec<String> = self.seats.iter().map(Seen::standing).collect();
            self.broken("live.leader", || {
                format!("no leader in time after everything was whole: {}", states.join("; "))
            });
            return Vec::new();
        }
        self.judge.watchers_awake(&self.runs, &self.seats);
        self.judge.probes = self.runs.len()..self.runs.len() + usize::from(self.options.keys);
        world::last_asks(&self.options, self.now)
    }

    /// An operation of [`Self::probe`]: it has as long as healing may take.
    pub fn plan_probe(&mut self, op: &Op) -> usize {
        let place = self.plan(op);
        if matches!(op.what, Want::Put { .. }) {
            self.runs[place].patience = self.options.bound * MICRO;
        }
        place
    }

    /// The end: did everything come to rest as it should, and do all servers hold what the one
    /// sequence of committed commands comes to where no driver has a hand in it?
    pub fn verdict(&mut self) {
        self.judge.verdict(&self.runs, &self.seats, &self.options);
        self.same_as_alone();
    }

    /// The digest of every server is that of a bare catalog after the same commands.
    fn same_as_alone(&mut self) {
        if !self.judge.expects_liveness(&self.seats) {
            return;
        }
        let up = self.seats.iter().enumerate().filter(|(_, seat)| seat.up);
        let shown: Vec<(usize, u64, u64)> = up
            .map(|(server, seat)| {
                let view = &seat.view;
                (server, machine::catalog_index(view), machine::state_hash(view))
            })
            .collect();
        let mut alone = Catalog::new("dc1".into(), Planted::none());
        let mut digests = vec![(0, alone.state_hash())];
        for entry in self.judge.committed() {
            let index = entry.id.index.0;
            match machine::command(&entry.payload) {
                Ok(Some(command)) => {
                    alone.apply(CatalogIndex(index), &command);
                    digests.push((index, alone.state_hash()));
                }
                Ok(None) => {}
                Err(error) => panic!("a committed command can be read: {error}"),
            }
        }
        for (server, index, state) in shown {
            let place = digests.partition_point(|(at, _)| *at <= index) - 1;
            if digests[place] != (index, state) {
                let (at, alone) = digests[place];
                self.broken("state.digest", || {
                    format!("s{server} holds {state:#x} at {index}, alone it is {alone:#x} at {at}")
                });
            }
        }
    }
}
