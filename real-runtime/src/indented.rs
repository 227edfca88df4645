//! JSON for people.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// Four spaces a level, as the agent and Consul's tools indent.
#[must_use]
pub(crate) fn indented(value: &Value) -> String {
    // A value can always be written; if not, then in one line.
    indented_by(b"    ", value).unwrap_or_else(|_| value.to_string())
}

/// So much a level.
pub(crate) fn indented_by(
    indent: &[u8],
    value: &(impl Serialize + ?Sized),
) -> Result<String, serde_json::Error> {
    let mut text = Vec::new();
    let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(indent));
    value.serialize(&mut writer)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
