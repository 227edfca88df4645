//! Registering and deregistering: one command for a node and what is on it.

use crate::catalog::{Catalog, Effects};
use crate::command::{Deregister, NodeRegistration, Register};
use crate::quoted::Quoted;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use proconsul_types::{CatalogIndex, Node};

impl Catalog {
    /// Registers what is named, in the order node, services, checks; or says why not, and changes
    /// nothing.
    pub(crate) fn register(
        &mut self,
        index: CatalogIndex,
        new: &Register,
        effects: &mut Effects,
    ) -> Result<(), String> {
        let node = self.node(&new.node.name);
        let changes = match node {
            None => true,
            Some(node) => !new.skip_node_update && differs(&new.node, node),
        };
        let name = match node {
            Some(node) if !changes => Arc::clone(&node.name),
            Some(_) | None => Arc::clone(&new.node.name),
        };
        if changes {
            self.node_conflict(&new.node)
                .map_err(|text| format!("failed inserting node: {text}"))?;
        }
        for check in &new.checks {
            let id = &check.service_id;
            let known = id.is_empty()
                || new.services.iter().any(|service| service.id == *id)
                || self.service(&name, id).is_some();
            if !known {
                return Err(format!(
                    "failed inserting check: Missing service registration on node {}",
                    Quoted(&name)
                ));
            }
        }
        if changes {
            self.register_node(index, &new.node, effects);
        }
        for service in &new.services {
            self.register_service(index, &name, service, effects);
        }
        for check in &new.checks {
            self.register_check(index, &name, check, effects);
        }
        Ok(())
    }

    /// Removes the narrowest thing named, if it is there.
    pub(crate) fn deregister(
        &mut self,
        index: CatalogIndex,
        old: &Deregister,
        effects: &mut Effects,
    ) {
        if let Some(service) = &old.service_id {
            self.remove_service(index, &old.node, service, effects);
        } else if let Some(check) = &old.check_id {
            self.remove_check(index, &old.node, check, effects);
        } else {
            self.remove_node(index, &old.node, effects);
        }
    }
}

fn differs(new: &NodeRegistration, old: &Node) -> bool {
    new.id != old.id
        || new.name != old.name
        || new.address != old.address
        || new.datacenter != old.datacenter
        || new.tagged_addresses != old.tagged_addresses
        || new.meta != old.meta
}
