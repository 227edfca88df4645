//! How shared texts are read back.

use alloc::sync::Arc;
use core::fmt;
use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads a text into its own place at once, and an empty one into none at all: the usual way makes
/// a `String` first, for each of the many fields of a record.
///
/// # Errors
/// What comes is no text.
pub fn shared<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
    struct Shared;
    impl Visitor<'_> for Shared {
        type Value = Arc<str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Arc<str>, E> {
            Ok(if text.is_empty() { Arc::default() } else { Arc::from(text) })
        }
    }
    from.deserialize_str(Shared)
}
