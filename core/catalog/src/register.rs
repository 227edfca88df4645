//! Registering and deregistering: one command for a node and what is on it.

use crate::catalog::{Catalog, Effects};
use crate::command::{Deregister, NodeRegistration, Register};
use alloc::format;
use alloc::string::String;
use proconsul_types::{CatalogIndex, Node};

impl Catalog {
    /// Registers what is named, in the order node, services, checks. After an error the caller puts
    /// back what was before.
    pub(crate) fn register(
        &mut self,
        index: CatalogIndex,
        new: &Register,
        effects: &mut Effects,
    ) -> Result<(), String> {
        let name = &new.node.name;
        let changes = match self.node(name) {
            None => true,
            Some(node) => !new.skip_node_update && differs(&new.node, node),
        };
        if changes {
            self.register_node(index, &new.node, effects)
                .map_err(|text| format!("failed inserting node: {text}"))?;
        }
        for service in &new.services {
            self.register_service(index, name, service, effects)
                .map_err(|text| format!("failed inserting service: {text}"))?;
        }
        for check in &new.checks {
            self.register_check(index, name, check, effects)
                .map_err(|text| format!("failed inserting check: {text}"))?;
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
