//! What a reader can wait for, and what a writer wakes.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// Something a blocking read can depend on.
///
/// Names are folded to lower case for nodes and services, exact for keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// One key (also while absent).
    Key(Arc<str>),
    /// All keys with a prefix. Woken by `Key` changes below it.
    Prefix(Arc<str>),
    /// The table of nodes.
    Nodes,
    /// One node's record, services or checks.
    Node(Arc<str>),
    /// The table of services.
    Services,
    /// Instances of one service, and the nodes they run on.
    Service(Arc<str>),
    /// Health of one service: its instances, their checks, their nodes' checks.
    ServiceHealth(Arc<str>),
    /// The table of checks.
    Checks,
    /// The table of sessions.
    Sessions,
    /// Everything (a restore).
    All,
}

/// The topics one command touched, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    topics: Vec<Topic>,
}

impl Topics {
    /// Adds a topic.
    pub fn add(&mut self, topic: Topic) {
        if !self.topics.contains(&topic) {
            self.topics.push(topic);
        }
    }

    /// The topics in the order they were added.
    pub fn iter(&self) -> core::slice::Iter<'_, Topic> {
        self.topics.iter()
    }

    /// Whether nothing was touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}
