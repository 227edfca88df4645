//! What the loop and the workers share: the published view, the way into the loop, the clock.

use crate::clock::Clock;
use crate::peers::Lines;
use arc_swap::ArcSwap;
use bytes::Bytes;
use proconsul_core::http::{BodyCache, Request, Response, View};
use proconsul_core::types::NodeId;
use proconsul_core::{DnsTransport, Input, PeerMessage, RequestId};
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};

/// Bodies are kept per worker thread; more threads than this share.
const CACHES: usize = 4;

/// What enters the loop.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A request that the view alone could not answer.
    Http(RequestId, Request, oneshot::Sender<Response>),
    /// Its client went away.
    HttpGone(RequestId),
    /// A question of DNS that a server has to answer. Nobody takes one back: it is answered soon.
    Dns(RequestId, DnsTransport, Bytes, oneshot::Sender<Bytes>),
    /// Anything that needs no bookkeeping by the host.
    Input(Input),
    /// Another agent speaks. Its connection hears no more while too much of it waits here.
    Peer(NodeId, PeerMessage, OwnedSemaphorePermit),
    /// Configuration is to be read again.
    Reload,
    /// The connection to a peer is broken, though nobody noticed.
    HangUp(NodeId),
}

/// The sending side of the loop's inbox. It never blocks: every producer has at most a few things
/// on the way (a connection one request, a lane one completion per operation, a peer so many
/// bytes).
pub(crate) type Inbox = mpsc::UnboundedSender<Inbound>;

/// What the loop and the workers share.
pub(crate) struct Shared {
    /// The newest published view.
    pub(crate) view: ArcSwap<View>,
    /// The agent's clock.
    pub(crate) clock: Clock,
    /// The way into the loop.
    pub(crate) inbox: Inbox,
    /// Connections of agents that nobody can dial.
    pub(crate) lines: Lines,
    /// Rings once the log says what `peers.json` said.
    pub(crate) group_kept: Notify,
    requests: AtomicU64,
    caches: [Mutex<BodyCache>; CACHES],
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Shared {
    /// With this first view.
    #[must_use]
    pub(crate) fn new(view: Arc<View>, clock: Clock, inbox: Inbox) -> Self {
        Self {
            view: ArcSwap::new(view),
            clock,
            inbox,
            lines: Lines::default(),
            group_kept: Notify::new(),
            requests: AtomicU64::new(1),
            caches: std::array::from_fn(|_| Mutex::new(BodyCache::default())),
        }
    }

    /// A name for a request that no other request of this agent has.
    #[must_use]
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// The bodies this thread keeps. Nearly never contended: a thread comes back to its own.
    pub(crate) fn cache(&self) -> MutexGuard<'_, BodyCache> {
        self.caches[thread_number() % CACHES].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an input into the inbox. After the loop has ended nobody listens any more.
    pub(crate) fn input(&self, input: Input) {
        self.enter(Inbound::Input(input));
    }

    /// Puts something into the inbox.
    pub(crate) fn enter(&self, inbound: Inbound) {
        drop(self.inbox.send(inbound));
    }
}

/// A small number of this thread, given when it first asks.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        mine.get()
    })
}
