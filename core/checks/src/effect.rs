//! Everything a [`Local`](crate::Local) can ask of the node it is part of.

use crate::{CheckRun, ProbeSpec};
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use proconsul_disk::FileOp;
use proconsul_types::CheckStatus;

/// Names a change that is on its way to the disk; [`LocalEffect::Settled`] brings it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What must happen because of something this agent offers, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalEffect {
    /// Run a probe.
    RunCheck(CheckRun, ProbeSpec),
    /// Stop caring about a probe.
    StopCheck(CheckRun),
    /// Work on a file of the local lane.
    File(FileOp),
    /// A change is durable, or could not be made durable for this reason. What was registered
    /// stays registered in memory either way.
    Settled(Ticket, Result<(), Arc<str>>),
    /// The view changed: publish it.
    Changed,
    /// A check changed its status.
    CheckChanged(Arc<str>, CheckStatus),
    /// The catalog should be told: call `sync_plan`.
    SyncDue,
    /// A run of a check ended badly, as often as it does so.
    CheckFailed(Arc<str>, CheckStatus),
    /// Nobody spoke for a TTL check in time.
    TtlMissed(Arc<str>),
    /// The catalog was told something.
    Synced(Synced),
    /// The catalog could not be told; it will be tried again.
    SyncFailed(String),
    /// For operators, in words.
    Notice(String),
    /// The same about something that is odd.
    Warning(String),
}

/// What the catalog says now of this agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The node itself.
    Node,
    /// This service, with its checks.
    Service(Arc<str>),
    /// This check.
    Check(Arc<str>),
    /// That this service is gone.
    ServiceGone(Arc<str>),
    /// That this check is gone.
    CheckGone(Arc<str>),
}

/// Why an operation was refused, as the API words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalError {
    /// Status code.
    pub status: u16,
    /// The exact text.
    pub text: String,
}

impl LocalError {
    /// A refusal with status 500, as most of an agent's are.
    pub(crate) fn internal(text: String) -> Self {
        Self { status: 500, text }
    }

    /// A refusal with status 404.
    pub(crate) fn not_found(text: String) -> Self {
        Self { status: 404, text }
    }
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
