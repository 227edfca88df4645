//! Transactions over nodes, services and checks.

use crate::catalog::{Catalog, Effects};
use crate::command::{CheckRegistration, NodeRegistration, RecordVerb};
use crate::outcome::TxnResult;
use crate::quoted::Quoted;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use proconsul_types::{CatalogIndex, Fault, ServiceRegistration};

/// The text for something on a node that is not there.
const MISSING_NODE: &str = "Missing node registration";

/// Whether a record may be written: its modify index (`None` if there is none) is the one expected,
/// and 0 expects none.
fn may_write(current: Option<CatalogIndex>, expected: u64) -> bool {
    current.map_or(0, |index| index.0) == expected
}

/// Whether a record may be removed: unlike a key, it must be there.
fn may_remove(current: Option<CatalogIndex>, expected: u64) -> bool {
    current.is_some_and(|index| index.0 == expected)
}

impl Catalog {
    fn ignores_index(&self) -> bool {
        self.planted.is(Fault::CasIgnoresIndex)
    }

    /// One operation on a node. A deletion shows nothing.
    pub(crate) fn txn_node(
        &mut self,
        index: CatalogIndex,
        verb: RecordVerb,
        new: &NodeRegistration,
        effects: &mut Effects,
    ) -> Result<Option<TxnResult>, String> {
        let name = Quoted(&new.name);
        let current = self.node(&new.name).map(|node| node.modified);
        match verb {
            RecordVerb::Get => {
                let found = match new.id {
                    Some(id) => self.node_by_id(id),
                    None => self.node(&new.name),
                };
                let node = found.ok_or_else(|| format!("node {name} doesn't exist"))?;
                return Ok(Some(TxnResult::Node(Box::new(node.clone()))));
            }
            RecordVerb::Cas(expected) if !may_write(current, expected) && !self.ignores_index() => {
                return Err(format!("failed to set node {name}, index is stale"));
            }
            RecordVerb::Set | RecordVerb::Cas(_) => {
                self.node_conflict(new)?;
                self.register_node(index, new, effects);
            }
            RecordVerb::DeleteCas(expected)
                if !may_remove(current, expected) && !self.ignores_index() =>
            {
                return Err(format!("failed to delete node {name}, index is stale"));
            }
            RecordVerb::Delete | RecordVerb::DeleteCas(_) => {
                self.remove_node(index, &new.name, effects);
                return Ok(None);
            }
        }
        Ok(self.node(&new.name).map(|node| TxnResult::Node(Box::new(node.clone()))))
    }

    /// One operation on an instance. A deletion shows nothing.
    pub(crate) fn txn_service(
        &mut self,
        index: CatalogIndex,
        verb: RecordVerb,
        node: &Arc<str>,
        new: &ServiceRegistration,
        effects: &mut Effects,
    ) -> Result<Option<TxnResult>, String> {
        let (id, on) = (Quoted(&new.id), Quoted(node));
        let current = self.service(node, &new.id).map(|service| service.modified);
        match verb {
            RecordVerb::Get if current.is_none() => {
                return Err(format!("service {id} on node {on} doesn't exist"));
            }
            RecordVerb::Get => {}
            RecordVerb::Cas(expected) if !may_write(current, expected) && !self.ignores_index() => {
                return Err(format!("failed to set service {id} on node {on}, index is stale"));
            }
            RecordVerb::Set | RecordVerb::Cas(_) => {
                if self.node(node).is_none() {
                    return Err(MISSING_NODE.into());
                }
                if new.id.is_empty() {
                    return Err("failed inserting service: object missing primary index".into());
                }
                self.register_service(index, node, new, effects);
            }
            RecordVerb::DeleteCas(expected)
                if !may_remove(current, expected) && !self.ignores_index() =>
            {
                return Err(format!("failed to delete service {id} on node {on}, index is stale"));
            }
            RecordVerb::Delete | RecordVerb::DeleteCas(_) => {
                self.remove_service(index, node, &new.id, effects);
                return Ok(None);
            }
        }
        let service = self.service(node, &new.id);
        Ok(service.map(|service| TxnResult::Service(Box::new(service.clone()))))
    }

    /// One operation on a check. A deletion shows nothing.
    pub(crate) fn txn_check(
        &mut self,
        index: CatalogIndex,
        verb: RecordVerb,
        node: &Arc<str>,
        new: &CheckRegistration,
        effects: &mut Effects,
    ) -> Result<Option<TxnResult>, String> {
        let (id, on) = (Quoted(&new.id), Quoted(node));
        let current = self.check(node, &new.id).map(|check| check.modified);
        match verb {
            RecordVerb::Get if current.is_none() => {
                return Err(format!("check {id} on node {on} doesn't exist"));
            }
            RecordVerb::Get => {}
            RecordVerb::Cas(expected) if !may_write(current, expected) && !self.ignores_index() => {
                return Err(format!("failed to set check {id} on node {on}, index is stale"));
            }
            RecordVerb::Set | RecordVerb::Cas(_) => {
                if self.node(node).is_none() {
                    return Err(MISSING_NODE.into());
                }
                if !new.service_id.is_empty() && self.service(node, &new.service_id).is_none() {
                    return Err("Missing service registration".into());
                }
                if new.id.is_empty() {
                    return Err("failed inserting check: object missing primary index".into());
                }
                self.register_check(index, node, new, effects);
            }
            RecordVerb::DeleteCas(expected)
                if !may_remove(current, expected) && !self.ignores_index() =>
            {
                return Err(format!("failed to delete check {id} on node {on}, index is stale"));
            }
            RecordVerb::Delete | RecordVerb::DeleteCas(_) => {
                self.remove_check(index, node, &new.id, effects);
                return Ok(None);
            }
        }
        let check = self.check(node, &new.id);
        Ok(check.map(|check| TxnResult::Check(Box::new(check.clone()))))
    }
}
