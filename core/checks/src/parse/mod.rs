//! Definitions as people write them: API bodies and configuration files.

pub mod json;

mod check;
mod scan;
mod service;

pub use check::{check_definition, check_registration};
pub use service::{service_definition, service_registration};

use alloc::format;
use alloc::string::String;
use core::fmt;
use proconsul_types::{Duration, ServiceKind};

/// What a probe may take if its author did not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Where a definition was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The body of an API call: names without underscores, but for a few. Whether it may name
    /// programs is for the agent's configuration to say.
    Api(Scripts),
    /// A configuration file: names with or without underscores.
    File,
}

/// Whether clients may have programs run (`enable_script_checks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// They may.
    Run,
    /// They may not.
    Refused,
}

/// A definition that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Status code of the API.
    pub status: u16,
    /// The exact text.
    pub text: String,
}

impl ParseError {
    pub(crate) fn bad(text: String) -> Self {
        Self { status: 400, text }
    }

    pub(crate) fn decode(reason: &str) -> Self {
        Self::bad(format!("Request decode failed: {reason}"))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The kind of service a word of the API names.
pub(crate) fn kind(word: &str) -> Option<ServiceKind> {
    Some(match word {
        "" | "typical" => ServiceKind::Typical,
        "connect-proxy" => ServiceKind::ConnectProxy,
        "mesh-gateway" => ServiceKind::MeshGateway,
        "terminating-gateway" => ServiceKind::TerminatingGateway,
        "ingress-gateway" => ServiceKind::IngressGateway,
        _ => return None,
    })
}

/// A probe's timeout: the default if none was given.
pub(crate) fn timeout(given: Duration) -> Duration {
    if given.is_zero() { TIMEOUT_DEFAULT } else { given }
}

/// The name of a field as it is matched.
pub(crate) fn field_name(origin: Origin, key: &str) -> String {
    let mut name = key.to_ascii_lowercase();
    if origin == Origin::File {
        name.retain(|letter| letter != '_');
    }
    name
}

/// A reason that names a key of a file, seen from one level further out.
pub(crate) fn below(path: &str, reason: String) -> String {
    match reason.strip_prefix(UNKNOWN_KEY) {
        Some(key) => format!("{UNKNOWN_KEY}{path}.{key}"),
        None => reason,
    }
}

/// What is said before the name of a key that a file may not have.
const UNKNOWN_KEY: &str = "invalid config key ";

/// A field nobody knows.
pub(crate) fn unknown(origin: Origin, key: &str) -> String {
    match origin {
        Origin::Api(_) => json::unknown_field(key),
        Origin::File => format!("{UNKNOWN_KEY}{key}"),
    }
}
