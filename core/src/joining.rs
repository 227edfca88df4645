//! Meeting others: at the start, again and again, and when an operator asks.

use crate::cluster::{Joining, seed};
use crate::node::Node;
use crate::open::{Origin, Stage};
use crate::timers::Timer;
use crate::{Effect, Event, ExitReason, Lookup};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use proconsul_checks::LocalError;
use proconsul_gossip::{self as gossip, Asked, server_of};
use proconsul_types::{Fault, MemberStatus, Pool};

/// What gossip says where nobody listens.
const REFUSED: &str = "connection refused";

/// Attempts that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joins {
    attempts: BTreeMap<Asked, Attempt>,
    /// Attempts that wait for a name to be looked up.
    lookups: BTreeMap<Lookup, (Asked, u16)>,
    next_lookup: u64,
    /// Pools whose list was met once: to meet it again is no condition of going on.
    met: BTreeSet<Pool>,
    /// How often each pool's list was tried.
    tried_lan: u32,
    tried_wan: u32,
}

/// One attempt to meet some others.
#[derive(Clone, Debug)]
struct Attempt {
    pool: Pool,
    why: Why,
    seeds: Vec<SocketAddr>,
    lookups_open: usize,
    errors: Vec<String>,
    /// Whether this agent is among those to be met.
    is_listed: bool,
}

/// Who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// `start_join`: a failure is fatal.
    Start,
    /// `retry_join`.
    Retry,
    /// A request.
    Request(Origin),
}

impl Node {
    /// The first step of a node with pools: it meets whom its configuration names.
    pub(crate) fn start_joining(&mut self, out: &mut Vec<Effect>) {
        let Some(cluster) = &self.config.cluster else {
            return;
        };
        let lists = [(Pool::Lan, cluster.join.clone()), (Pool::Wan, cluster.join_wan.clone())];
        for (pool, list) in lists {
            if self.pools.pool(pool).is_none() {
                continue;
            }
            if !list.start.is_empty() {
                self.attempt(pool, Why::Start, &list.start, out);
            }
            if !list.retry.is_empty() {
                self.timers.set(Timer::Join(pool), self.now);
            }
        }
        self.rebalance();
        self.start_coordinates();
    }

    fn joining(&self, pool: Pool) -> Option<&Joining> {
        let cluster = self.config.cluster.as_ref()?;
        Some(match pool {
            Pool::Lan => &cluster.join,
            Pool::Wan => &cluster.join_wan,
        })
    }

    /// Whether an attempt to meet others is under way.
    pub(crate) fn is_joining(&self, pool: Pool) -> bool {
        self.joins.attempts.values().any(|attempt| attempt.pool == pool)
    }

    /// The list of a pool is tried, again.
    pub(crate) fn retry_join(&mut self, pool: Pool, out: &mut Vec<Effect>) {
        if let Some(list) = self.joining(pool).map(|list| list.retry.clone()) {
            self.attempt(pool, Why::Retry, &list, out);
        }
    }

    /// Someone went away. An agent that no server is left to meets its list again: those that it
    /// met may never come back, and those that live may know nothing of it.
    pub(crate) fn meet_again_soon(&mut self, pool: Pool) {
        let is_set = self.timers.get(&Timer::Join(pool)).is_some();
        if is_set || self.departure.is_some() || self.planted.is(Fault::ListMetOnce) {
            return;
        }
        let Some(interval) = self.joining(pool).map(|list| list.interval) else { return };
        if self.joins.met.contains(&pool) && self.lacks_servers(pool) {
            self.timers.set(Timer::Join(pool), self.now.after(interval));
        }
    }

    /// Whether no other server of a pool is alive.
    fn lacks_servers(&self, pool: Pool) -> bool {
        self.pools.pool(pool).is_some_and(|pool| {
            let own = pool.local();
            let helps = |member: &gossip::Member| {
                let alive = member.status == MemberStatus::Alive && member.name != own.name;
                alive && server_of(member).is_some()
            };
            !pool.members().any(|member| helps(&member))
        })
    }

    /// A request to meet someone.
    pub(crate) fn join(&mut self, origin: Origin, address: &str, wan: bool, out: &mut Vec<Effect>) {
        let pool = if wan { Pool::Wan } else { Pool::Lan };
        if self.pools.pool(pool).is_none() {
            let text = match wan {
                true => "Must be a server to join WAN cluster",
                false => "this agent runs without gossip",
            };
            self.refuse(origin, &LocalError { status: 500, text: text.to_string() });
            return;
        }
        if let Some(open) = self.opens.get_mut(&origin) {
            open.stage = Stage::Writing;
        }
        self.attempt(pool, Why::Request(origin), &[address.into()], out);
    }

    fn attempt(&mut self, pool: Pool, why: Why, texts: &[Arc<str>], out: &mut Vec<Effect>) {
        let asked = self.pools.asked();
        let key = match pool {
            Pool::Lan => "lan_addresses",
            Pool::Wan => "wan_addresses",
        };
        let (cluster, listed) = (pool.name(), texts.join(" "));
        out.push(Effect::Event(Event::Notice(format!("({cluster}) joining: {key}=[{listed}]"))));
        let port = match pool {
            Pool::Lan => self.config.facts.serf_lan_port,
            Pool::Wan => self.config.facts.serf_wan_port,
        };
        let (seeds, errors) = (Vec::new(), Vec::new());
        let mut attempt = Attempt { pool, why, seeds, lookups_open: 0, errors, is_listed: false };
        for text in texts {
            match seed(text, port) {
                Ok(address) => attempt.seeds.push(address),
                Err((host, port)) => {
                    self.joins.next_lookup += 1;
                    let lookup = Lookup(self.joins.next_lookup);
                    self.joins.lookups.insert(lookup, (asked, port));
                    attempt.lookups_open += 1;
                    out.push(Effect::Resolve(lookup, host.into()));
                }
            }
        }
        let ready = attempt.lookups_open == 0;
        self.joins.attempts.insert(asked, attempt);
        if ready {
            self.meet(asked, out);
        }
    }

    /// The host looked a name up.
    pub(crate) fn resolved(
        &mut self,
        lookup: Lookup,
        found: Result<Vec<IpAddr>, String>,
        out: &mut Vec<Effect>,
    ) {
        let Some((asked, port)) = self.joins.lookups.remove(&lookup) else {
            return;
        };
        let Some(attempt) = self.joins.attempts.get_mut(&asked) else {
            return;
        };
        attempt.lookups_open -= 1;
        match found {
            Ok(ips) => {
                attempt.seeds.extend(ips.into_iter().map(|ip| SocketAddr::new(ip, port)));
            }
            Err(text) => attempt.errors.push(text),
        }
        if attempt.lookups_open == 0 {
            self.meet(asked, out);
        }
    }

    /// Every name of the attempt is an address now.
    fn meet(&mut self, asked: Asked, out: &mut Vec<Effect>) {
        let Some(attempt) = self.joins.attempts.get_mut(&asked) else {
            return;
        };
        let mut seeds = core::mem::take(&mut attempt.seeds);
        let pool = attempt.pool;
        let own = self.pools.pool(pool).map(|pool| pool.local().address);
        // Every server has the same list, so it is in its own. To have met oneself is to have met
        // nobody: one that was cut off when it started would stay alone for ever.
        let others = seeds.iter().filter(|seed| Some(**seed) != own).count();
        if attempt.why == Why::Retry && others > 0 {
            attempt.is_listed = others < seeds.len();
            seeds.retain(|seed| Some(*seed) != own);
        }
        if seeds.is_empty() {
            self.join_done(asked, 0, &[], out);
        } else {
            self.pools.tell(pool, gossip::Input::Join { asked, seeds, replay: false });
        }
    }

    /// An attempt ended.
    pub(crate) fn join_done(
        &mut self,
        asked: Asked,
        met: usize,
        failed: &[(SocketAddr, String)],
        out: &mut Vec<Effect>,
    ) {
        let Some(mut attempt) = self.joins.attempts.remove(&asked) else {
            return;
        };
        if attempt.pool == Pool::Lan {
            self.expect_servers();
        }
        for (address, text) in failed {
            let text = match text.as_str() {
                REFUSED => format!("dial tcp {address}: connect: {REFUSED}"),
                _ => text.clone(),
            };
            attempt.errors.push(format!("Failed to join {}: {text}", address.ip()));
        }
        if met > 0 {
            let cluster = attempt.pool.name();
            let text = format!("({cluster}) joined: number_of_nodes={met}");
            out.push(Effect::Event(Event::Notice(text)));
            match attempt.why {
                Why::Request(origin) => self.answer_empty(origin),
                Why::Start => {}
                Why::Retry => {
                    self.joins.met.insert(attempt.pool);
                    out.push(Effect::Event(Event::Notice(format!(
                        "Join cluster completed. Synced with initial agents: cluster={cluster} \
                         num_agents={met}"
                    ))));
                    // Whom it met may be about to leave.
                    self.meet_again_soon(attempt.pool);
                }
            }
            return;
        }
        let text = many_errors(&attempt.errors);
        match attempt.why {
            Why::Request(origin) => self.refuse(origin, &LocalError { status: 500, text }),
            Why::Start => self.stop(ExitReason::Join(text), out),
            Why::Retry if self.joins.met.contains(&attempt.pool) => {
                self.meet_again_soon(attempt.pool);
            }
            Why::Retry => self.join_failed(attempt.pool, &text, attempt.is_listed, out),
        }
    }

    fn join_failed(&mut self, pool: Pool, text: &str, listed: bool, out: &mut Vec<Effect>) {
        let Some(list) = self.joining(pool) else {
            return;
        };
        let (interval, attempts_max) = (list.interval, list.attempts_max);
        let tried = match pool {
            Pool::Lan => &mut self.joins.tried_lan,
            Pool::Wan => &mut self.joins.tried_wan,
        };
        *tried += 1;
        let cluster = pool.name();
        out.push(Effect::Event(Event::Warning(format!(
            "({cluster}) couldn't join: number_of_nodes=0 error=\"{text}\""
        ))));
        if attempts_max > 0 && *tried > attempts_max {
            if listed {
                // It is there itself, which is all that Consul asks for.
                return;
            }
            self.stop(ExitReason::JoinRetried(pool), out);
            return;
        }
        out.push(Effect::Event(Event::Warning(format!(
            "Join cluster failed, will retry: cluster={cluster} retry_interval={}",
            proconsul_syntax::duration::format_duration(interval)
        ))));
        self.timers.set(Timer::Join(pool), self.now.after(interval));
    }
}

/// Errors as Consul lists them.
fn many_errors(errors: &[String]) -> String {
    let count = match errors.len() {
        1 => String::from("1 error"),
        count => format!("{count} errors"),
    };
    format!("{count} occurred:\n\t* {}\n\n", errors.join("\n\t* "))
}
