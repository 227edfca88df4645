//! Maintenance mode: a critical check that stands for an operator's word.

use super::{Local, Source};
use crate::{CheckDefinition, CheckKind, LocalEffect, LocalError, Ticket};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CheckStatus, Instant};

/// Id of the check that puts the whole node under maintenance.
pub const NODE_MAINTENANCE: &str = "_node_maintenance";
/// The id of a service's maintenance check is this and the service's id.
pub const SERVICE_MAINTENANCE_PREFIX: &str = "_service_maintenance:";

const NODE_REASON: &str = "Maintenance mode is enabled for this node, but no reason was provided. This is a default message.";
const SERVICE_REASON: &str = "Maintenance mode is enabled for this service, but no reason was provided. This is a default message.";

impl Local {
    /// Puts a service under maintenance or takes it out. Doing either twice changes nothing.
    ///
    /// # Errors
    /// There is no such service.
    pub fn service_maintenance(
        &mut self,
        service: &str,
        enable: bool,
        reason: &str,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        let Some(id) = self.services.get_key_value(service).map(|(id, _)| id.clone()) else {
            let text = format!("No service registered with ID {service:?}");
            return Err(LocalError::not_found(text));
        };
        let reason = if reason.is_empty() { SERVICE_REASON } else { reason };
        let check = CheckDefinition {
            id: format!("{SERVICE_MAINTENANCE_PREFIX}{service}").into(),
            name: "Service Maintenance Mode".into(),
            notes: reason.into(),
            service_id: id,
            ..maintenance_check()
        };
        self.switch(check, enable, now, out)
    }

    /// Puts the node under maintenance or takes it out. Doing either twice changes nothing.
    ///
    /// # Errors
    /// Never; the form is that of the other operations.
    pub fn node_maintenance(
        &mut self,
        enable: bool,
        reason: &str,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        let reason = if reason.is_empty() { NODE_REASON } else { reason };
        let check = CheckDefinition {
            id: NODE_MAINTENANCE.into(),
            name: "Node Maintenance Mode".into(),
            notes: Arc::from(reason),
            ..maintenance_check()
        };
        self.switch(check, enable, now, out)
    }

    fn switch(
        &mut self,
        check: CheckDefinition,
        enable: bool,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        match (enable, self.checks.contains_key(&check.id)) {
            (true, false) => self.put_check(check, Source::Api, now, out)?,
            (false, true) => self.remove_check(&check.id, true, out),
            (true, true) | (false, false) => return Ok(None),
        }
        let ticket = self.keeper.seal();
        self.after_change(now, out);
        Ok(ticket)
    }
}

fn maintenance_check() -> CheckDefinition {
    CheckDefinition {
        kind: CheckKind::Fixed,
        initial: Some(CheckStatus::Critical),
        ..CheckDefinition::default()
    }
}
