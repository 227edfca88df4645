//! Ways back to agents that cannot be dialled: the connections they opened.

use proconsul_core::PeerMessage;
use proconsul_core::types::NodeId;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// Messages that wait for one agent; more are dropped (and the loop hears of it).
const QUEUE_MESSAGES_MAX: usize = 4096;

/// One way back for each agent: its newest connection.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    open: Mutex<BTreeMap<NodeId, mpsc::Sender<PeerMessage>>>,
}

impl Lines {
    /// `id` opened a connection; what is for it comes out here.
    pub(super) fn open(
        &self,
        id: NodeId,
    ) -> (mpsc::Sender<PeerMessage>, mpsc::Receiver<PeerMessage>) {
        let (sender, messages) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(id, sender.clone());
        (sender, messages)
    }

    /// That connection ended; whether it was the agent's newest.
    pub(super) fn close(&self, id: NodeId, line: &mpsc::Sender<PeerMessage>) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_newest = open.get(&id).is_some_and(|newest| newest.same_channel(line));
        if is_newest {
            open.remove(&id);
        }
        is_newest
    }

    /// Queues a message; false if there is no way, or no room.
    pub(super) fn send(&self, to: NodeId, message: PeerMessage) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&to).is_some_and(|line| line.try_send(message).is_ok())
    }
}
