//! Probes the host runs for us.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CheckStatus, Duration};

/// Names one run of one probe. An outcome with an old name is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckRun(pub u64);

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeSpec {
    /// Ask a URL.
    Http {
        /// URL.
        url: Arc<str>,
        /// Method.
        method: Arc<str>,
        /// Headers.
        headers: Vec<(Arc<str>, Arc<str>)>,
        /// Body.
        body: Arc<str>,
        /// Whether certificates are not verified.
        tls_skip_verify: bool,
        /// Give up after.
        timeout: Duration,
        /// Bytes of output to keep.
        output_bytes_max: usize,
    },
    /// Open a connection.
    Tcp {
        /// `host:port`.
        address: Arc<str>,
        /// Give up after.
        timeout: Duration,
    },
    /// Run a program.
    Script {
        /// Program and arguments.
        args: Box<[Arc<str>]>,
        /// Kill it after.
        timeout: Duration,
        /// Bytes of output to keep.
        output_bytes_max: usize,
    },
}

/// How a run ended, in the words of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// Status.
    pub status: CheckStatus,
    /// Output, as Consul words it.
    pub output: String,
}
