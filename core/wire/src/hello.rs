//! What each side of a connection says first.

use alloc::sync::Arc;
use core::net::SocketAddr;
use proconsul_types::NodeId;
use serde::{Deserialize, Serialize};

/// The byte that chooses our protocol on the server port; nothing else that listens there uses it.
pub const FIRST_BYTE: u8 = 0x50;

/// The greeting: who speaks, and where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Newest version of the messages the speaker understands. Both use the lower of the two.
    pub version: u8,
    /// The speaker's identity.
    pub id: NodeId,
    /// The speaker's datacenter; a connection between two of them is refused.
    pub datacenter: Arc<str>,
    /// Where the speaker's own RPC port can be reached.
    pub advertised: SocketAddr,
}
