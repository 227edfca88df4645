//! The connections that others opened: ways back to agents that cannot be dialled, and how to tell
//! any agent that something for it was lost.

use proconsul_core::PeerMessage;
use proconsul_core::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// Messages that wait for one agent; more are dropped (and the loop hears of it).
const QUEUE_MESSAGES_MAX: usize = 4096;

/// One way back for each agent: its newest connection.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    open: Mutex<BTreeMap<NodeId, mpsc::Sender<PeerMessage>>>,
    /// The newest connection of each agent that is heard.
    heard: Mutex<BTreeMap<NodeId, watch::Sender<()>>>,
    /// What was warned of already.
    warned: Mutex<BTreeSet<String>>,
}

/// So many warnings are remembered; more are none.
const WARNINGS_MAX: usize = 256;

/// A connection on which an agent is heard.
#[derive(Debug)]
pub(super) struct Heard {
    id: NodeId,
    over: watch::Receiver<()>,
}

impl Heard {
    /// Waits until the connection is over: a newer one took its place, or it lost something.
    pub(super) async fn over(&mut self) {
        // An error says that there is a newer one.
        drop(self.over.changed().await);
    }
}

impl Lines {
    /// `id` opened a connection on which it is heard from now on; older ones of it are over. The
    /// connection is over when what is returned changes. The second value says whether `id` had
    /// another one, whose end nobody else tells.
    pub(super) fn listens(&self, id: NodeId) -> (Heard, bool) {
        let (sender, over) = watch::channel(());
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let older = heard.insert(id, sender);
        (Heard { id, over }, older.is_some())
    }

    /// That connection has ended; whether it was the newest of its agent.
    pub(super) fn ended(&self, connection: Heard) -> bool {
        let Heard { id, over } = connection;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_newest = heard.get(&id).is_some_and(|newest| newest.subscribe().same_channel(&over));
        if is_newest {
            heard.remove(&id);
            self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
        is_newest
    }

    /// Something for `id` was lost on a way that it knows nothing of: its own connection ends, so
    /// that it asks again what it waits for.
    pub(super) fn lost(&self, id: NodeId) {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = heard.get(&id) {
            newest.send_replace(());
        }
    }

    /// Warns of a peer of another version, once: it comes again and again.
    pub(super) fn warn_of(&self, error: &io::Error) {
        if error.kind() != io::ErrorKind::Unsupported {
            return;
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < WARNINGS_MAX && warned.insert(error.to_string()) {
            tracing::warn!(target: "agent.server.rpc", "{error}");
        }
    }

    /// `id` can be answered on its newest connection only; what is for it comes out here.
    pub(super) fn open(&self, id: NodeId) -> mpsc::Receiver<PeerMessage> {
        let (sender, messages) = mpsc::channel(QUEUE_MESSAGES_MAX);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        messages
    }

    /// Queues a message; false if there is no way, or no room.
    pub(super) fn send(&self, to: NodeId, message: PeerMessage) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&to).is_some_and(|line| line.try_send(message).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    async fn is_over(connection: &mut Heard) -> bool {
        let mut over = Box::pin(connection.over());
        poll_fn(|cx| Poll::Ready(over.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn a_newer_connection_ends_the_older_ones() {
        let (lines, peer) = (Lines::default(), NodeId(7));
        let (mut first, had_another) = lines.listens(peer);
        assert!(!had_another && !is_over(&mut first).await);
        let (mut second, had_another) = lines.listens(peer);
        assert!(had_another && is_over(&mut first).await && !is_over(&mut second).await);
        assert!(!lines.ended(first), "its end was told when the second began");
        lines.lost(NodeId(8));
        assert!(!is_over(&mut second).await);
        lines.lost(peer);
        assert!(is_over(&mut second).await && lines.ended(second));
        assert!(!lines.listens(peer).1, "nothing is left");
    }
}
