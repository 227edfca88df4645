//! What a reader can wait for, and what a writer wakes.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Something a blocking read can depend on.
///
/// Names are folded to lower case for nodes and services, exact for keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// One key (also while absent).
    Key(Arc<str>),
    /// All keys with a prefix. A reader of it is woken by every change below; written, it says that
    /// everything below may have changed, which also wakes readers of prefixes above.
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
    /// The table of coordinates.
    Coordinates,
    /// Everything (a restore).
    All,
}

/// The topics one command touched, without repetition.
#[derive(Clone, Debug, Default)]
pub struct Topics {
    topics: Vec<Topic>,
    /// The same as a set, once there are too many to look at one after the other.
    seen: BTreeSet<Topic>,
}

/// Up to here a scan beats a set.
const SCANNED_MAX: usize = 16;

impl Topics {
    /// Adds a topic.
    pub fn add(&mut self, topic: Topic) {
        if self.topics.len() < SCANNED_MAX {
            if self.topics.contains(&topic) {
                return;
            }
        } else {
            if self.seen.is_empty() {
                self.seen.extend(self.topics.iter().cloned());
            }
            if !self.seen.insert(topic.clone()) {
                return;
            }
        }
        self.topics.push(topic);
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

impl PartialEq for Topics {
    fn eq(&self, other: &Self) -> bool {
        self.topics == other.topics
    }
}

impl Eq for Topics {}
