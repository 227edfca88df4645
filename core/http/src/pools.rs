//! What an agent shows of its pools: members, places, events, keys, and the health of the servers.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_gossip::{Clocks, Member, QueueLengths};
use proconsul_types::{
    Coordinate, Duration, LamportTime, LogIndex, MemberStatus, NodeId, Term, WallTime,
};
use serde::{Deserialize, Serialize};

/// Both pools as this agent sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolView {
    /// The agents of this datacenter; `None` for a node that runs without gossip.
    pub lan: Option<Arc<PoolMembers>>,
    /// The servers of all datacenters; servers alone are in it.
    pub wan: Option<Arc<PoolMembers>>,
    /// The newest user events whose filters this agent matched, oldest first; at most 256.
    pub events: Arc<Vec<Arc<UserEvent>>>,
    /// What autopilot holds of the servers; the leader alone knows.
    pub autopilot: Option<Arc<AutopilotHealth>>,
    /// Datacenters with a server in the WAN pool (any status), sorted; this one is among them.
    pub datacenters: Arc<Vec<Arc<str>>>,
    /// How many servers of this datacenter can be asked (client agents: `known_servers`).
    pub known_servers: usize,
}

/// One pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolMembers {
    /// Every member, whatever its status, by name.
    pub members: Vec<Arc<Member>>,
    /// This agent's own place.
    pub coordinate: Coordinate,
    /// The places of others as last heard by gossip, by member name. In the LAN the catalog's are
    /// shown instead; these serve the WAN.
    pub coordinates: BTreeMap<Arc<str>, Coordinate>,
    /// Whether what is sent is encrypted.
    pub encrypted: bool,
    /// Lifeguard's score of this agent; 0 is best.
    pub health_score: u32,
    /// Serf's clocks.
    pub clocks: Clocks,
    /// What waits to be told to others.
    pub queues: QueueLengths,
    /// How often this agent's place became invalid and started anew.
    pub coordinate_resets: u64,
}

/// A user event as it travels and as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvent {
    /// Identity, in the form of a node id.
    pub id: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// What it carries.
    pub payload: Bytes,
    /// Regular expression over node names; empty: all.
    pub node_filter: Arc<str>,
    /// Regular expression over names of local services; empty: all.
    pub service_filter: Arc<str>,
    /// Regular expression over tags of those services; empty: all.
    pub tag_filter: Arc<str>,
    /// Version of this form: 1.
    pub version: i64,
    /// Event clock at the receiver; 0 where it was fired.
    pub time: LamportTime,
}

/// A change of keys on every member of every pool, or their list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyringOp {
    /// What to do.
    pub action: KeyAction,
    /// The raw key (16, 24 or 32 bytes); empty for a list.
    pub key: Bytes,
    /// How many others pass each answer on as well; 0 to 5.
    pub relay_factor: u8,
    /// Only the pools of the server that is asked.
    pub local_only: bool,
}

/// What is done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyAction {
    /// `GET`: which keys does who have?
    List,
    /// `POST`: accept this key.
    Install,
    /// `PUT`: send with this key.
    Use,
    /// `DELETE`: forget this key.
    Remove,
}

/// What one pool answered to a [`KeyringOp`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyringAnswer {
    /// Whether it is the WAN pool.
    pub wan: bool,
    /// Its datacenter (of the server that asked it).
    pub datacenter: Arc<str>,
    /// Why a member failed, by name.
    pub messages: BTreeMap<Arc<str>, String>,
    /// How many have each key (base64).
    pub keys: BTreeMap<String, u32>,
    /// How many send with each key (base64).
    pub primary_keys: BTreeMap<String, u32>,
    /// Members asked.
    pub members: u32,
    /// The whole in one text, if not all succeeded.
    pub error: Option<String>,
}

/// What autopilot holds of the servers (`/v1/operator/autopilot/health`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutopilotHealth {
    /// Whether every server is healthy.
    pub healthy: bool,
    /// How many healthy voters may fail without the loss of a quorum.
    pub failure_tolerance: u32,
    /// Each server of the group.
    pub servers: Vec<ServerHealth>,
}

/// What autopilot holds of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHealth {
    /// Identity.
    pub id: NodeId,
    /// Node name.
    pub name: Arc<str>,
    /// RPC address, if known.
    pub address: Option<SocketAddr>,
    /// What gossip holds of it.
    pub status: MemberStatus,
    /// Its version without revision, as its `build` tag says.
    pub version: Arc<str>,
    /// Whether it leads.
    pub leader: bool,
    /// How long ago it last answered; `None` if never. The leader shows zero.
    pub last_contact: Option<Duration>,
    /// Term of its last entry.
    pub last_term: Term,
    /// Index of its last entry.
    pub last_index: LogIndex,
    /// Whether it is alive, in contact and close enough behind.
    pub healthy: bool,
    /// Whether it votes.
    pub voter: bool,
    /// Since when its health is what it is.
    pub stable_since: WallTime,
}
