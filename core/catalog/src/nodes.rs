//! The table of nodes.

use crate::catalog::{Catalog, Effects, NodeEntry, domain, id_key};
use crate::command::NodeRegistration;
use crate::table::{Row, fold, fold_arc, key_of};
use crate::watch::Topic;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CatalogIndex, CheckStatus, Node, NodeId};

/// The check by which gossip says whether a node is alive.
const SERF_HEALTH: &str = "serfHealth";

impl Catalog {
    pub(crate) fn node_entry(&self, name: &str) -> Option<&NodeEntry> {
        self.nodes.get(&key_of(&[&fold(name)])).map(|row| &row.value)
    }

    /// Says why a node may not be registered, if so.
    pub(crate) fn node_conflict(&self, new: &NodeRegistration) -> Result<(), String> {
        let Some(id) = new.id else {
            return Ok(());
        };
        match self.node_ids.get(&id_key(id)) {
            Some(row) if *row.value == *fold(&new.name) => Ok(()),
            Some(_) => self.name_is_free(new, id, false).map_err(|text| {
                format!("Error while renaming Node ID: \"{id}\" ({}): {text}", new.address)
            }),
            None => self
                .name_is_free(new, id, true)
                .map_err(|text| format!("Error while renaming Node ID: \"{id}\": {text}")),
        }
    }

    /// Registers a node that conflicts with none.
    pub(crate) fn register_node(
        &mut self,
        index: CatalogIndex,
        new: &NodeRegistration,
        effects: &mut Effects,
    ) {
        let folded = fold_arc(&new.name);
        let named = new.id.and_then(|id| self.node_ids.get(&id_key(id)));
        let mut old = None;
        if let Some(named) = named.filter(|row| row.value != folded) {
            let named = Arc::clone(&named.value);
            old = self.node(&named).map(|node| node.created);
            self.remove_node(index, &named, effects);
        }
        let existing = self.node(&new.name);
        let created = old.or_else(|| existing.map(|node| node.created)).unwrap_or(index);
        let node = Node {
            id: new.id,
            name: Arc::clone(&new.name),
            address: Arc::clone(&new.address),
            datacenter: self.intern(&new.datacenter),
            tagged_addresses: new.tagged_addresses.clone(),
            meta: new.meta.clone(),
            created,
            modified: index,
        };
        if let Some(existing) = existing
            && *existing == (Node { modified: existing.modified, ..node.clone() })
        {
            return;
        }
        self.put_node(NodeEntry { node, touched: index });
        self.marks.nodes = index.0;
        effects.topics.add(Topic::Nodes);
        effects.topics.add(Topic::Node(Arc::clone(&folded)));
        self.touch_services_of(index, &folded, true, effects);
    }

    /// Whether `new` may take its name, which a node with another id may have. A node that
    /// gossip does not say is alive gives its name away; one without an id does if `upgrade`.
    fn name_is_free(
        &self,
        new: &NodeRegistration,
        id: NodeId,
        upgrade: bool,
    ) -> Result<(), String> {
        let Some(holder) = self.node(&new.name).filter(|holder| holder.id != Some(id)) else {
            return Ok(());
        };
        let alive = self
            .check(&holder.name, SERF_HEALTH)
            .is_some_and(|check| check.status != CheckStatus::Critical);
        if !alive || (upgrade && holder.id.is_none()) {
            return Ok(());
        }
        let holder_id = holder.id.map(|id| format!("{id}")).unwrap_or_default();
        Err(format!(
            "Node name {} is reserved by node {holder_id} with name {} ({})",
            new.name, holder.name, holder.address
        ))
    }

    /// Files a node, with all that follows from it.
    pub(crate) fn put_node(&mut self, entry: NodeEntry) {
        let folded = fold_arc(&entry.node.name);
        self.count_in(domain::NODE, &entry);
        let id = entry.node.id;
        let old = self.nodes.insert(Row::new(&key_of(&[&folded]), entry));
        if let Some(old) = &old {
            self.count_out(domain::NODE, &old.value);
            if let Some(before) = old.value.node.id
                && Some(before) != id
            {
                self.node_ids.remove(&id_key(before), 0);
            }
        }
        if let Some(id) = id {
            self.node_ids.insert(Row::new(&id_key(id), folded));
        }
    }

    /// Removes a node with everything on it. Nothing happens if there is none.
    pub(crate) fn remove_node(&mut self, index: CatalogIndex, name: &str, effects: &mut Effects) {
        let Some(entry) = self.node_entry(name) else {
            return;
        };
        let id = entry.node.id;
        let folded = fold_arc(&entry.node.name);
        let services: Vec<Arc<str>> = self
            .node_services(&folded)
            .map(|service| Arc::clone(&service.registration.id))
            .collect();
        for service in services {
            self.remove_service(index, &folded, &service, effects);
        }
        let checks: Vec<Arc<str>> =
            self.node_checks(&folded).map(|check| Arc::clone(&check.id)).collect();
        for check in checks {
            self.remove_check(index, &folded, &check, effects);
        }
        for session in self.session_ids_of(&folded) {
            self.session_destroy(index, session, effects);
        }
        self.remove_places(index, &folded, effects);
        if let Some(old) = self.nodes.remove(&key_of(&[&folded]), 0) {
            self.count_out(domain::NODE, &old.value);
        }
        if let Some(id) = id {
            self.node_ids.remove(&id_key(id), 0);
        }
        self.marks.nodes = index.0;
        effects.topics.add(Topic::Nodes);
        effects.topics.add(Topic::Node(folded));
    }

    /// Notes that something on a node changed.
    pub(crate) fn touch_node(&mut self, index: CatalogIndex, folded: &str, effects: &mut Effects) {
        let Some(entry) = self.node_entry(folded) else {
            return;
        };
        if entry.touched != index {
            let entry = NodeEntry { touched: index, ..entry.clone() };
            self.put_node(entry);
        }
        effects.topics.add(Topic::Node(Arc::from(folded)));
    }

    /// The shared copy of a text, if one is at hand.
    pub(crate) fn intern(&self, text: &Arc<str>) -> Arc<str> {
        if text.is_empty() {
            Arc::clone(&self.empty)
        } else if **text == *self.datacenter {
            Arc::clone(&self.datacenter)
        } else {
            Arc::clone(text)
        }
    }

    /// The node with this name, whatever its case.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.node_entry(name).map(|entry| &entry.node)
    }

    /// The node with this id.
    #[must_use]
    pub fn node_by_id(&self, id: NodeId) -> Option<&Node> {
        self.node_ids.get(&id_key(id)).and_then(|row| self.node(&row.value))
    }

    /// All nodes by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().map(|row| &row.value.node)
    }

    /// The index that governs the list of nodes.
    #[must_use]
    pub fn nodes_index(&self) -> CatalogIndex {
        self.shown(self.marks.nodes)
    }

    /// The index that governs one node, its services and its checks.
    #[must_use]
    pub fn node_index(&self, name: &str) -> CatalogIndex {
        self.shown(self.node_entry(name).map_or(self.marks.nodes, |entry| entry.touched.0))
    }
}
