//! Clients: they ask any server, wait, give up, try another; what they do not know stays unknown.

use super::{Engine, Ev, Life, MICRO, MILLI, small};
use crate::client::{self, Context};
use crate::draw::{between, draw, stream};
use crate::machine;
use crate::schedule::{Freshness, Op, Want};
use proconsul_core::http::{Method, Request, Response};
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
    /// The server and its life that gave the last answer of a blocking query.
    pub last: Option<(usize, u32)>,
    request: Option<Box<Request>>,
    attempt: u16,
    patience: u64,
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
        let Some(request) = self.request_of(place, run) else {
            self.runs[place].done = true;
            return;
        };
        let now = self.now;
        let run = &mut self.runs[place];
        if run.started == 0 {
            run.started = now;
            self.judge.begins(place, run);
        }
        run.invoked = now;
        run.open = true;
        run.attempt += 1;
        run.floor = self.judge.floor(run.want);
        let (attempt, host, want) = (run.attempt, small(run.server), run.want);
        let deadline = run.started + run.patience;
        self.trace.event(now, u64::from(host), 11, u64::from(number));
        self.judge.asks(place, &self.runs[place], &self.clients);
        if self.lines.are_kept() {
            let text = format!("{:?} {}?{}", request.method, request.path, request.query);
            self.note(None, || format!("client asks s{host} #{number}: {text}"));
        }
        let at = now + self.client_delay(number, u64::from(attempt) * 2);
        self.queue.push(at, Ev::Ask { host, run: number, attempt, request: Box::new(request) });
        if !want.is_some_and(client::is_watch) {
            self.queue.push(deadline.max(now + MILLI), Ev::Deadline { run: number, attempt });
        }
    }

    fn request_of(&self, place: usize, run: &Run) -> Option<Request> {
        let Some(want) = run.want else {
            return run.request.as_deref().cloned();
        };
        let id = |server: u8| self.ids[usize::from(server) % self.ids.len()];
        if let Want::Transfer { to } = want {
            let target = format!("/v1/operator/raft/transfer-leader?id={}", id(to));
            return Some(Request::new(Method::Post, &target, bytes::Bytes::new()));
        }
        if let Want::RemovePeer { server } = want {
            let target = format!("/v1/operator/raft/peer?id={}", id(server));
            return Some(Request::new(Method::Delete, &target, bytes::Bytes::new()));
        }
        client::request(
            want,
            &Context {
                client: &self.clients[run.client],
                tag: tag_of(place),
                index: run.index,
                ttl_ms: self.options.session_ttl_ms,
                delay_ms: self.options.lock_delay_ms,
            },
        )
    }

    fn client_delay(&self, run: u32, number: u64) -> u64 {
        between(draw(self.seed, stream::CLIENT, u64::from(run), number), 100 * MICRO, 2 * MILLI)
    }

    /// A request reaches its server.
    pub(crate) fn ask(&mut self, server: usize, run: u32, attempt: u16, request: Request) {
        if self.runs[index(run)].attempt != attempt || !self.runs[index(run)].open {
            return;
        }
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
        let Some(want) = self.runs[place].want else {
            self.runs[place].done = true;
            self.answers.insert(number, Ok(answer.clone()));
            self.woken = true;
            return;
        };
        let definite = answer.status < 500;
        if !definite {
            let refused = machine::certainly_refused(answer);
            if refused {
                self.judge.refused_write(place, want);
            }
            if refused || client::is_read(want) {
                self.retry(number);
            } else {
                self.runs[place].done = true;
            }
            return;
        }
        let served = (from, self.hosts[from].starts);
        self.judge.answered(place, &mut self.runs[place], answer, &mut self.clients, served);
        self.runs[place].last = Some(served);
        if client::is_watch(want) {
            let wait = if answer.status == 200 || answer.status == 404 { 1 } else { 200 };
            self.queue.push(self.now + wait * MILLI, Ev::Again { run: number });
        } else {
            self.runs[place].done = true;
        }
    }

    /// The connection was refused, or reset before an answer came although the request was taken.
    pub(crate) fn unanswered(&mut self, number: u32, attempt: u16, taken: bool) {
        let run = &mut self.runs[index(number)];
        if run.attempt != attempt || !run.open {
            return;
        }
        run.open = false;
        if let Some(want) = run.want {
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
        let server = run.server;
        if run.want.is_none() {
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
        let drawn = draw(self.seed, stream::RETRY, u64::from(number), self.now);
        let wait = between(drawn, 20 * MILLI, 200 * MILLI);
        let run = &mut self.runs[index(number)];
        let patient =
            run.want.is_some_and(client::is_watch) || self.now + wait < run.started + run.patience;
        if patient {
            run.server = (run.server + 1) % servers;
            self.queue.push(self.now + wait, Ev::Again { run: number });
        } else {
            run.done = true;
        }
    }

    /// After healing: a leader must be there, and every key must take a write again.
    pub(crate) fn probe_liveness(&mut self) {
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
        for key in 0..self.options.keys {
            let what = Want::Put { key };
            let at = self.now / MICRO + u64::from(key) * 1_000;
            let run = self.plan(&Op { at, client: 0, server: key, what });
            self.runs[index(run)].patience = self.options.bound * MICRO;
        }
        let fresh = Freshness::Consistent;
        let at = self.now / MICRO + 500_000;
        self.plan(&Op { at, client: 0, server: 1, what: Want::List { fresh } });
    }

    /// The end: did everything come to rest as it should?
    pub(crate) fn verdict(&mut self) {
        self.trace.event(self.now, 0, 15, 0);
        for host in &self.hosts {
            if let Life::Up(node) = &host.life {
                node.check_invariants();
            }
        }
        self.judge.verdict(&self.runs, &self.hosts, &self.options);
    }
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
