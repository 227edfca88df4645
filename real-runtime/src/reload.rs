//! Reading configuration again while the agent runs.

use proconsul_core::checks::{CheckDefinition, ServiceDefinition};
use proconsul_core::dns;
use proconsul_core::types::{NodeId, TextMap};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// What may change while the agent runs.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// Services from files.
    pub services: Vec<ServiceDefinition>,
    /// Checks from files.
    pub checks: Vec<CheckDefinition>,
    /// Where servers can be reached, if a file says so.
    pub addresses: Option<BTreeMap<NodeId, SocketAddr>>,
    /// Metadata of the node, whole.
    pub node_meta: Option<TextMap>,
    /// `dns_config` and friends.
    pub dns: Option<Arc<dns::Config>>,
    /// `discard_check_output`.
    pub discard_check_output: Option<bool>,
    /// `limits.http_max_conns_per_client`.
    pub http_conns_per_client_max: Option<usize>,
    /// `limits.rpc_max_conns_per_client`.
    pub rpc_conns_per_client_max: Option<usize>,
}

type Read = dyn FnMut() -> Result<Reloaded, String> + Send;

/// How to read it.
pub struct Reloading(Option<Box<Read>>);

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reloading").field(&self.0.is_some()).finish()
    }
}

impl Reloading {
    /// By calling this; `Err` is the reason why nothing changes.
    #[must_use]
    pub fn by(read: impl FnMut() -> Result<Reloaded, String> + Send + 'static) -> Self {
        Self(Some(Box::new(read)))
    }

    /// There is nothing to read.
    #[must_use]
    pub fn nothing() -> Self {
        Self(None)
    }

    pub(crate) fn read(&mut self) -> Result<Reloaded, String> {
        self.0.as_mut().map_or_else(|| Ok(Reloaded::default()), |read| read())
    }
}
