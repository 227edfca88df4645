//! Who is meant: machines, servers, sessions.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u128);

        impl $name {
            /// An id from 128 random bits. Consul sets no version bits, and neither do we.
            #[must_use]
            pub fn from_bits(bits: u128) -> Self {
                Self(bits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0_u8; 36];
                f.write_str(Uuid::from_u128(self.0).hyphenated().encode_lower(&mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Parses the 36-character form only, in either case.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.len() != 36 {
                    // The library accepts more forms than clients may use.
                    return Uuid::try_parse("").map(|_| Self(0));
                }
                Uuid::try_parse(text).map(|uuid| Self(uuid.as_u128()))
            }
        }
    };
}

uuid_newtype!(
    /// A machine, for as long as its data directory lives. Shown as `ID` of a node.
    NodeId
);
uuid_newtype!(
    /// A lock owner (`/v1/session`).
    SessionId
);

/// A Raft server is known by its node id; its address may change at any time (design D15).
pub type ServerId = NodeId;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_round_trip() {
        let text = "859dd897-9323-16ec-ed85-14e0cca3dd82";
        let id: NodeId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert!("859dd897932316eced8514e0cca3dd82".parse::<NodeId>().is_err());
        assert!("".parse::<SessionId>().is_err());
    }
}
