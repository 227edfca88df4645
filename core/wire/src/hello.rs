//! What each side of a connection says first.

use crate::codec::{DecodeError, EncodeError, decode_as, frame_as};
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::NodeId;
use serde::{Deserialize, Serialize};

/// The byte that chooses our protocol on the server port; nothing else that listens there uses it.
pub const FIRST_BYTE: u8 = 0x50;

/// Version of the greeting itself. It never changes: whoever meets a newer or older build can read
/// which messages that one speaks.
pub const GREETING_VERSION: u8 = 1;

/// The greeting: who speaks, and where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Newest version of the messages the speaker understands. Both use the lower of the two.
    pub version: u8,
    /// The speaker's identity.
    pub id: NodeId,
    /// The speaker's datacenter. Servers of all datacenters greet one another; who belongs to
    /// whose group is not decided here.
    pub datacenter: Arc<str>,
    /// Where the speaker's own RPC port can be reached in its own datacenter. Servers of others
    /// know better by gossip.
    pub advertised: SocketAddr,
}

impl Hello {
    /// The greeting as a frame.
    ///
    /// # Errors
    /// As [`crate::frame()`].
    pub fn to_frame(&self) -> Result<Bytes, EncodeError> {
        frame_as(GREETING_VERSION, self)
    }

    /// The greeting in a frame's content.
    ///
    /// # Errors
    /// As [`crate::decode`].
    pub fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        decode_as(GREETING_VERSION, content)
    }

    /// Whether this side, which speaks [`crate::VERSION`] alone, and `other` can talk: a newer
    /// build writes what this one reads, an older one would read nothing.
    #[must_use]
    pub fn can_talk(&self, other: &Self) -> bool {
        other.version >= self.version
    }
}
