//! Clients: they ask any server, wait, give up, try another; what they do not know stays unknown.

use super::{Engine, Ev, Life, MICRO, MILLI, small};
use crate::client::{self, Client, Context};
use crate::draw::{between, draw, stream};
use crate::judge::Judge;
use crate::machine;
use crate::options::Options;
use crate::schedule::{Freshness, Op, Want};
use proconsul_core::http::{Method, Request, Response};
use proconsul_core::types::NodeId;
use proconsul_core::{Input, RequestId};

/// No answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The connection was refused or reset.
    Reset,
    /// Patience ran out.
    TimedOut,
}

/// One thing a client wants, from its first attempt to its last.
#[derive(Clone, Debug)]
pub struct Run {
    /// What; a story's own request has none.
    pub want: Option<Want>,
    /// Who.
    pub client: usize,
    /// Whom it asks now.
    pub server: usize,
    /// When it began.
    pub started: u64,
    /// When the present attempt began.
    pub invoked: u64,
    /// Whether an attempt is open.
    pub open: bool,
    /// Whether it is over.
    pub done: bool,
    /// Index of the last answer of a blocking query.
    pub index: u64,
    /// What was known to be committed when the attempt began: nothing older may be answered.
    pub floor: crate::judge::Floor,
    /// The modify index that the present attempt makes its condition.
    pub seen: u64,
    /// The server and its life that gave the last answer of a blocking query.
    pub last: Option<(usize, u32)>,
    request: Option<Box<Request>>,
    attempt: u16,
    pub(crate) patience: u64,
}

impl Run {
    pub(crate) fn of(op: &Op, clients: u8, servers: u8) -> Self {
        Self {
            want: Some(op.what),
            client: usize::from(op.client % clients.max(1)),
            server: usize::from(op.server % servers.max(1)),
            started: 0,
            invoked: 0,
            open: false,
            done: false,
            index: 0,
            seen: 0,
            floor: crate::judge::Floor::default(),
            last: None,
            request: None,
            attempt: 0,
            patience: 0,
        }
    }

    pub(crate) fn story(server: usize, request: Request, patience: u64) -> Self {
        Self {
            want: None,
            request: Some(Box::new(request)),
            patience,
            ..Self::of(&Op { at: 0, client: 0, server: 0, what: Want::Renew }, 1, 1)
        }
        .at(server)
    }

    /// A client begins an attempt, at `now`: the judge takes note.
    pub(crate) fn begins(&mut self, now: u64, client: &Client, judge: &mut Judge) {
        if self.started == 0 {
            self.started = now;
        }
        self.invoked = now;
        self.open = true;
        self.attempt += 1;
        self.floor = judge.floor(self.want);
        if let Some(Want::DeleteCas { key }) = self.want {
            self.seen = client.seen[usize::from(key) % client::KEYS_MAX];
        }
        judge.asks(self, client);
    }

    /// When patience ends; watches have it without end.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let endless = self.want.is_some_and(client::is_watch);
        (!endless).then_some(self.started + self.patience)
    }

    /// Whether it may ask another server at `then`: it is over if not.
    pub(crate) fn goes_on(&mut self, then: u64, servers: usize) -> bool {
        if self.deadline().is_some_and(|deadline| then >= deadline) {
            self.done = true;
            return false;
        }
        self.server = (self.server + 1) % servers;
        true
    }

    fn at(mut self, server: usize) -> Self {
        self.server = server;
        self
    }
}

impl Engine {
    pub(crate) fn add_run(&mut self, mut run: Run) -> u32 {
        if run.patience == 0 {
            run.patience = self.options.patience * MICRO;
        }
        self.runs.push(run);
        u32::try_from(self.runs.len() - 1).expect("fewer than 2^32 operations")
    }

    /// A client asks, for the first time or again.
    pub(crate) fn issue(&mut self, number: u32) {
        let place = index(number);
        let run = &self.runs[place];
        let asked = request_of(place, run, &self.clients[run.client], &self.ids, &self.options);
        let Some(request) = asked else {
            self.runs[place].done = true;
            return;
        };
        let now = self.now;
        let run = &mut self.runs[place];
        run.begins(now, &self.clients[run.client], &mut self.judge);
        let (attempt, host) = (run.attempt, small(run.server));
        let deadline = run.deadline();
        self.trace.event(now, u64::from(host), 11, u64::from(number));
        if self.lines.are_kept() {
            let text = format!("{:?} {}?{}", request.method, request.path, request.query);
            self.note(None, || format!("client asks s{host} #{number}: {text}"));
        }
        let at = now + self.client_delay(number, u64::from(attempt) * 2);
        self.queue.push(at, Ev::Ask { host, run: number, attempt, request: Box::new(request) });
        if let Some(deadline) = deadline {
            self.queue.push(deadline.max(now + MILLI), Ev::Deadline { run: number, attempt });
        }
    }

    fn client_delay(&self, run: u32, number: u64) -> u64 {
        between(draw(self.seed, stream::CLIENT, u64::from(run), number), 100 * MICRO, 2 * MILLI)
    }

    /// A request reaches its server.
    pub(crate) fn ask(&mut self, server: usize, run: u32, attempt: u16, request: Request) {
        if self.runs[index(run)].attempt != attempt || !self.runs[index(run)].open {
            return;
        }
        self.note(Some(server), || format!("hears client #{run}"));
        self.trace.event(self.now, u64::from(small(server)), 12, u64::from(run));
        if !matches!(self.hosts[server].life, Life::Up(_)) {
            let at = self.now + self.client_delay(run, 77);
            self.queue.push(at, Ev::Refused { run, attempt, taken: false });
            return;
        }
        let id = RequestId((u64::from(run) << 16) | u64::from(attempt));
        self.serve(server, id, request);
    }

    /// A server answers.
    pub(crate) fn respond(&mut self, server: usize, id: RequestId, response: Response) {
        let host = &mut self.hosts[server];
        if let Some(at) = host.open.iter().position(|open| *open == id) {
            host.open.swap_remove(at);
        } else if host.gone.contains(&id) {
            return;
        } else {
            self.judge.broken("http.one-answer", || {
                format!("s{server} answers request {} twice, or one nobody asked", id.0)
            });
            return;
        }
        let (run, attempt) = parts(id);
        let at = self.now + self.client_delay(run, u64::from(attempt) * 2 + 1);
        let (from, response) = (small(server), Box::new(response));
        self.queue.push(at, Ev::Answer { run, attempt, from, response });
    }

    /// The server's process died: its clients see a reset.
    pub(crate) fn hang_up_on_client(&mut self, id: RequestId) {
        let (run, attempt) = parts(id);
        let at = self.now + self.client_delay(run, 78);
        self.queue.push(at, Ev::Refused { run, attempt, taken: true });
    }

    /// An answer reaches its client.
    pub(crate) fn answered(&mut self, number: u32, attempt: u16, from: usize, answer: &Response) {
        let place = index(number);
        let run = &mut self.runs[place];
        if run.attempt != attempt || !run.open {
            return;
        }
        run.open = false;
        self.trace.event(self.now, u64::from(small(from)), 13, u64::from(answer.status));
        self.trace.bytes(&answer.body);
        if self.lines.are_kept() {
            let body = String::from_utf8_lossy(&answer.body);
            let body: String = body.chars().take(100).collect();
            let text = format!("client #{number} hears {}: {body}", answer.status);
            self.note(None, || text);
        }
        if self.runs[place].want.is_none() {
            self.runs[place].done = true;
            self.answers.insert(number, Ok(answer.clone()));
            self.woken = true;
            return;
        }
        let served = (from, self.hosts[from].starts);
        let run = &mut self.runs[place];
        match heard(&mut self.judge, place, run, answer, &mut self.clients, served) {
            Next::Over => self.runs[place].done = true,
            Next::Again(wait) => self.queue.push(self.now + wait, Ev::Again { run: number }),
            Next::Elsewhere => self.retry(number),
        }
    }

    /// The connection was refused, or reset before an answer came although the request was taken.
    pub(crate) fn unanswered(&mut self, number: u32, attempt: u16, taken: bool) {
        let run = &mut self.runs[index(number)];
        if run.attempt != attempt || !run.open {
            return;
        }
        run.open = false;
        let (want, server) = (run.want, run.server);
        self.note(None, || {
            let how = if taken { "sees its connection reset" } else { "is refused" };
            format!("client #{number} {how} by s{server}")
        });
        let run = &mut self.runs[index(number)];
        if let Some(want) = want {
            if !taken || client::is_read(want) {
                self.retry(number);
            } else {
                // The request may have been taken before the process died: unknown.
                run.done = true;
            }
        } else {
            run.done = true;
            self.answers.insert(number, Err(Lost::Reset));
            self.woken = true;
        }
    }

    pub(crate) fn deadline(&mut self, number: u32, attempt: u16) {
        let run = &mut self.runs[index(number)];
        if run.attempt != attempt || !run.open {
            return;
        }
        run.open = false;
        run.done = true;
        let (server, asked) = (run.server, run.want.is_none());
        self.note(None, || format!("client #{number} gives up on s{server}"));
        if asked {
            self.answers.insert(number, Err(Lost::TimedOut));
            self.woken = true;
        }
        let id = RequestId((u64::from(number) << 16) | u64::from(attempt));
        let host = &mut self.hosts[server];
        if let Some(at) = host.open.iter().position(|open| *open == id) {
            host.open.swap_remove(at);
            host.gone.push(id);
            self.feed(server, Input::HttpGone(id));
        }
    }

    /// Tries another server a little later, while patience lasts.
    fn retry(&mut self, number: u32) {
        let servers = self.hosts.len();
        let wait = pause_of(self.seed, index(number), self.now);
        if self.runs[index(number)].goes_on(self.now + wait, servers) {
            self.queue.push(self.now + wait, Ev::Again { run: number });
        }
    }

    /// After healing: a leader must be there, and every key must take a write again.
    pub(crate) fn probe_liveness(&mut self) {
        self.note(None, || "by now someone must lead".into());
        self.trace.event(self.now, 0, 14, 0);
        if !self.judge.expects_liveness(&self.hosts) {
            return;
        }
        if self.leader().is_none() {
            let states: Vec<String> = (self.hosts.iter().enumerate())
                .map(|(server, host)| format!("s{server} {}", machine::standing(host)))
                .collect();
            self.judge.broken("live.leader", || {
                format!("no leader in time after everything was whole: {}", states.join("; "))
            });
            return;
        }
        self.judge.watchers_awake(&self.runs, &self.hosts);
        self.judge.probes = self.runs.len()..self.runs.len() + usize::from(self.options.keys);
        for op in last_asks(&self.options, self.now) {
            let run = self.plan(&op);
            if matches!(op.what, Want::Put { .. }) {
                self.runs[index(run)].patience = self.options.bound * MICRO;
            }
        }
    }

    /// The end: did everything come to rest as it should?
    pub(crate) fn verdict(&mut self) {
        self.note(None, || "by now everything must have come to rest".into());
        self.trace.event(self.now, 0, 15, 0);
        for host in &self.hosts {
            if let Life::Up(node) = &host.life {
                node.check_invariants();
            }
        }
        self.judge.verdict(&self.runs, &self.hosts, &self.options);
    }
}

/// What a client does after an answer, or after none came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: it has what it wanted, or will never know.
    Over,
    /// It asks the same server again, after so many nanoseconds.
    Again(u64),
    /// It asks another server, while its patience lasts.
    Elsewhere,
}

/// A client hears an answer, and the judge with it.
pub(crate) fn heard(
    judge: &mut Judge,
    place: usize,
    run: &mut Run,
    answer: &Response,
    clients: &mut [Client],
    served: (usize, u32),
) -> Next {
    let Some(want) = run.want else { return Next::Over };
    if answer.status >= 500 {
        let refused = machine::certainly_refused(answer);
        if refused {
            judge.refused_write(place, want);
        }
        return if refused || client::is_read(want) { Next::Elsewhere } else { Next::Over };
    }
    judge.answered(place, run, answer, clients, served);
    run.last = Some(served);
    if client::is_watch(want) {
        Next::Again(if answer.status == 200 || answer.status == 404 { 1 } else { 200 } * MILLI)
    } else {
        Next::Over
    }
}

/// How long a client waits before it asks another server.
pub(crate) fn pause_of(seed: u64, place: usize, now: u64) -> u64 {
    let drawn = draw(seed, stream::RETRY, u64::try_from(place).unwrap_or(0), now);
    between(drawn, 20 * MILLI, 200 * MILLI)
}

/// What an operation sends now, if its client can ask this at all.
pub(crate) fn request_of(
    place: usize,
    run: &Run,
    client: &Client,
    ids: &[NodeId],
    options: &Options,
) -> Option<Request> {
    let Some(want) = run.want else {
        return run.request.as_deref().cloned();
    };
    let id = |server: u8| ids[usize::from(server) % ids.len()];
    if let Want::Transfer { to } = want {
        let target = format!("/v1/operator/raft/transfer-leader?id={}", id(to));
        return Some(Request::new(Method::Post, &target, bytes::Bytes::new()));
    }
    if let Want::RemovePeer { server } = want {
        let target = format!("/v1/operator/raft/peer?id={}", id(server));
        return Some(Request::new(Method::Delete, &target, bytes::Bytes::new()));
    }
    let (ttl_ms, delay_ms) = (options.session_ttl_ms, options.lock_delay_ms);
    let context = Context { client, tag: tag_of(place), index: run.index, ttl_ms, delay_ms };
    client::request(want, &context)
}

/// After healing every key must take a write again, and be read with all others.
pub(crate) fn last_asks(options: &Options, now: u64) -> Vec<Op> {
    let now = now / MICRO;
    let write = |key: u8| Op {
        at: now + u64::from(key) * 1_000,
        client: 0,
        server: key,
        what: Want::Put { key },
    };
    let fresh = Freshness::Consistent;
    let read = Op { at: now + 500_000, client: 0, server: 1, what: Want::List { fresh } };
    (0..options.keys).map(write).chain([read]).collect()
}

/// The number that values of an operation carry.
pub(crate) fn tag_of(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(0) + 1
}

pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit an index")
}

fn parts(id: RequestId) -> (u32, u16) {
    let run = u32::try_from(id.0 >> 16).expect("made from 32 bits");
    let attempt = u16::try_from(id.0 & 0xffff).expect("masked to 16 bits");
    (run, attempt)
}
