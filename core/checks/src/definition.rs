//! Services and checks as people define them, after parsing and validation.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CheckStatus, Duration, ServiceRegistration};

/// A service of this agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceDefinition {
    /// What the catalog is told of it.
    pub registration: ServiceRegistration,
    /// Its checks; ids are given (`service:<id>`, `service:<id>:<n>`) where the author gave none.
    pub checks: Vec<CheckDefinition>,
    /// Token to register it with; kept, never shown.
    pub token: Arc<str>,
}

/// A check of this agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckDefinition {
    /// Unique on this agent.
    pub id: Arc<str>,
    /// Text for people.
    pub name: Arc<str>,
    /// Text for people.
    pub notes: Arc<str>,
    /// The service it is about; empty for the node.
    pub service_id: Arc<str>,
    /// How it learns its status.
    pub kind: CheckKind,
    /// Status before the first outcome.
    pub initial: Option<CheckStatus>,
    /// Outcomes in a row before it turns passing (0 and 1: at once).
    pub success_before_passing: u32,
    /// Failures in a row before it turns critical (0 and 1: at once).
    pub failures_before_critical: u32,
    /// Deregister its service after it was critical for this long.
    pub deregister_after: Option<Duration>,
    /// Bytes of output that are kept, as its author asked; 0 leaves it to the agent, whose own
    /// bound no check exceeds.
    pub output_bytes_max: usize,
    /// Token to register it with; kept, never shown.
    pub token: Arc<str>,
    /// It stands alone in a configuration file: such a check shows no type.
    pub typeless: bool,
}

/// How a check learns its status.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum CheckKind {
    /// Someone calls in before the time runs out.
    Ttl(Duration),
    /// The agent asks a URL.
    Http {
        /// URL.
        url: Arc<str>,
        /// Method; GET if empty.
        method: Arc<str>,
        /// Headers.
        headers: Vec<(Arc<str>, Arc<str>)>,
        /// Body.
        body: Arc<str>,
        /// Whether certificates are not verified.
        tls_skip_verify: bool,
        /// How often.
        interval: Duration,
        /// How long.
        timeout: Duration,
    },
    /// The agent opens a connection.
    Tcp {
        /// `host:port`.
        address: Arc<str>,
        /// How often.
        interval: Duration,
        /// How long.
        timeout: Duration,
    },
    /// The agent runs a program: exit code 0 is passing, 1 warning, anything else critical.
    Script {
        /// Program and arguments.
        args: Box<[Arc<str>]>,
        /// How often.
        interval: Duration,
        /// How long.
        timeout: Duration,
    },
    /// Another service's health, on this agent or another node.
    Alias {
        /// Node; empty for this one.
        node: Arc<str>,
        /// Service id.
        service: Arc<str>,
    },
    /// Nobody runs it: its status is set by registration only (maintenance, restored definitions).
    #[default]
    Fixed,
}

impl CheckDefinition {
    /// `Type` of the API, empty if it shows none: `ttl`, `http`, `tcp`, `script`, `alias`,
    /// `maintenance`.
    #[must_use]
    pub fn type_word(&self) -> &'static str {
        if self.typeless {
            return "";
        }
        match self.kind {
            CheckKind::Ttl(_) => "ttl",
            CheckKind::Http { .. } => "http",
            CheckKind::Tcp { .. } => "tcp",
            CheckKind::Script { .. } => "script",
            CheckKind::Alias { .. } => "alias",
            CheckKind::Fixed => "maintenance",
        }
    }
}
