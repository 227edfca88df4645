//! What others may see of this agent's services and checks.

use crate::{CheckDefinition, ServiceDefinition};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use proconsul_types::CheckStatus;

/// This agent's services and checks at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalView {
    /// By service id.
    pub services: BTreeMap<Arc<str>, Arc<LocalService>>,
    /// By check id.
    pub checks: BTreeMap<Arc<str>, Arc<LocalCheck>>,
    /// Rises with every change.
    pub version: u64,
}

/// A service of this agent.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalService {
    /// As defined.
    pub definition: ServiceDefinition,
    /// Whether the catalog has it as it is here.
    pub in_sync: bool,
}

/// A check of this agent.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalCheck {
    /// As defined.
    pub definition: CheckDefinition,
    /// Name of its service; empty for the node.
    pub service_name: Arc<str>,
    /// Tags of its service.
    pub service_tags: alloc::boxed::Box<[Arc<str>]>,
    /// What it last said.
    pub status: CheckStatus,
    /// What it last printed.
    pub output: Arc<str>,
    /// Whether the catalog has it as it is here.
    pub in_sync: bool,
}
