//! What gossip talks about: pools, incarnations, clocks, statuses, network coordinates.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Which membership: the agents of one datacenter, or the servers of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pool {
    /// Every agent of one datacenter (port 8301).
    Lan,
    /// The servers of every datacenter (port 8302).
    Wan,
}

impl Pool {
    /// How people and logs call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lan => "LAN",
            Self::Wan => "WAN",
        }
    }
}

/// How often a member has spoken for itself: news about it with a lower number is old. It starts
/// at 1 and grows with each refutation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u32);

/// Serf's logical time of intents, events and queries (Lamport, 1978).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LamportTime(pub u64);

/// What the failure detector holds of a member. The numbers are memberlist's, on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Liveness {
    /// It answers, or did.
    Alive = 0,
    /// It did not answer; it may still refute.
    Suspect = 1,
    /// It did not refute in time.
    Dead = 2,
    /// It said that it goes.
    Left = 3,
}

/// What users see of a member. The numbers are Serf's (`Status` in the API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberStatus {
    /// Heard of, never seen.
    None = 0,
    /// Alive, or suspected and not yet given up.
    Alive = 1,
    /// Has said that it will leave.
    Leaving = 2,
    /// Left in good order, or was forced out.
    Left = 3,
    /// Went away without a word.
    Failed = 4,
}

impl MemberStatus {
    /// Serf's number for it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Alive => 1,
            Self::Leaving => 2,
            Self::Left => 3,
            Self::Failed => 4,
        }
    }
}

impl fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Alive => "alive",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Failed => "failed",
        })
    }
}

/// A place in the network, in seconds (Vivaldi: Dabek et al., SIGCOMM 2004, with height and the
/// adjustment of Lee et al., IMC 2010).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinate {
    /// Position; 8 dimensions.
    pub vector: [f64; 8],
    /// How little it is trusted; 1.5 at first.
    pub error: f64,
    /// Offset learned from past estimates.
    pub adjustment: f64,
    /// Distance to the core of the network.
    pub height: f64,
}
