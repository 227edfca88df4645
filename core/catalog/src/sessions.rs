//! The table of sessions, and what their end does to keys.

use crate::catalog::{Catalog, Effects, domain, reject};
use crate::command::SessionCreate;
use crate::outcome::{Fact, Outcome};
use crate::table::{Key, Row, fold, key_of};
use crate::ttl;
use crate::watch::Topic;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{
    CatalogIndex, CheckStatus, Fault, Session, SessionBehavior, SessionId, limits,
};

/// The refusal of a session on a node that is not there.
const MISSING_NODE: &str = "Missing node registration";

impl Catalog {
    pub(crate) fn session_create(
        &mut self,
        index: CatalogIndex,
        new: &SessionCreate,
        effects: &mut Effects,
    ) -> Outcome {
        let Some(node) = self.node(&new.node) else {
            return reject(MISSING_NODE);
        };
        if self.session(new.id).is_some() {
            // The same proposal again: its first copy made the session.
            return Outcome::Session(new.id);
        }
        for check in new.node_checks.iter().chain(&new.service_checks) {
            match self.check(&new.node, check).map(|check| check.status) {
                None => return reject(format!("Missing check '{check}' registration")),
                Some(CheckStatus::Critical) => {
                    return reject(format!("Check '{check}' is in critical state"));
                }
                Some(CheckStatus::Passing | CheckStatus::Warning) => {}
            }
        }
        let node = if node.name == new.node { &node.name } else { &new.node };
        self.put_session(Session {
            id: new.id,
            name: self.intern(&new.name),
            node: Arc::clone(node),
            lock_delay: new.lock_delay,
            behavior: new.behavior,
            ttl: self.intern(&new.ttl),
            node_checks: new.node_checks.clone(),
            service_checks: new.service_checks.clone(),
            created: index,
            modified: index,
        });
        self.marks.sessions = index.0;
        effects.topics.add(Topic::Sessions);
        effects.facts.push(Fact::SessionCreated(new.id, ttl::parse(&new.ttl)));
        Outcome::Session(new.id)
    }

    /// Files a session, with all that follows from it. Sessions never change.
    pub(crate) fn put_session(&mut self, session: Session) {
        self.count_in(domain::SESSION, &session);
        let id = session.id;
        self.node_sessions.insert(Row::new(&node_key(&session), id));
        for key in watched_keys(&session) {
            self.watched.insert(Row::new(&key, id));
        }
        self.sessions.insert(Row::new(&id.0.to_be_bytes(), Arc::new(session)));
    }

    /// Ends a session. Nothing happens if there is none.
    pub(crate) fn session_destroy(
        &mut self,
        index: CatalogIndex,
        id: SessionId,
        effects: &mut Effects,
    ) {
        let Some(row) = self.sessions.remove(&id.0.to_be_bytes(), 0) else {
            return;
        };
        let session = &*row.value;
        self.count_out(domain::SESSION, session);
        self.node_sessions.remove(&node_key(session), 0);
        for key in watched_keys(session) {
            self.watched.remove(&key, 0);
        }
        self.marks.sessions = index.0;
        effects.topics.add(Topic::Sessions);
        effects.facts.push(Fact::SessionDestroyed(id));
        if self.planted.is(Fault::DestroyKeepsLocks) {
            return;
        }
        let delay = session.lock_delay.min(limits::LOCK_DELAY_MAX);
        let keys: Vec<Arc<str>> = self.session_keys(id).map(Arc::clone).collect();
        for key in &keys {
            match session.behavior {
                SessionBehavior::Release => self.unlock(index, key, effects),
                SessionBehavior::Delete => self.delete(index, key, effects),
            }
            if !delay.is_zero() && !self.planted.is(Fault::NoLockDelay) {
                self.delay(key, delay, effects);
            }
        }
    }

    /// Ends the sessions that depend on a check.
    pub(crate) fn end_sessions_watching(
        &mut self,
        index: CatalogIndex,
        node: &str,
        check: &str,
        effects: &mut Effects,
    ) {
        let ids: Vec<SessionId> =
            self.watched.prefix(&key_of(&[node, check])).map(|row| row.value).collect();
        for id in ids {
            self.session_destroy(index, id, effects);
        }
    }

    pub(crate) fn session_ids_of(&self, node: &str) -> Vec<SessionId> {
        self.node_sessions.prefix(&key_of(&[&fold(node)])).map(|row| row.value).collect()
    }

    /// One session.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id.0.to_be_bytes()).map(|row| &*row.value)
    }

    /// All sessions by id.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().map(|row| &*row.value)
    }

    /// The sessions of a node by id.
    pub fn node_sessions<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Session> + use<'a> {
        self.node_sessions.prefix(&key_of(&[&fold(node)])).filter_map(|row| self.session(row.value))
    }

    /// The index that governs reads of sessions.
    #[must_use]
    pub fn sessions_index(&self) -> CatalogIndex {
        self.shown(self.marks.sessions)
    }

    /// The keys a session holds.
    pub fn session_keys(&self, id: SessionId) -> impl Iterator<Item = &Arc<str>> {
        self.held.prefix(&id.0.to_be_bytes()).map(|row| &row.value)
    }

    /// How long a session lives without renewal, if it has a TTL.
    #[must_use]
    pub fn session_ttl(&self, id: SessionId) -> Option<proconsul_types::Duration> {
        self.session(id).and_then(|session| ttl::parse(&session.ttl))
    }
}

fn node_key(session: &Session) -> Key {
    let mut key = key_of(&[&fold(&session.node)]);
    key.push(&session.id.0.to_be_bytes());
    key
}

fn watched_keys(session: &Session) -> impl Iterator<Item = Key> {
    session.node_checks.iter().chain(&session.service_checks).map(|check| {
        let mut key = key_of(&[&fold(&session.node), check]);
        key.push(&session.id.0.to_be_bytes());
        key
    })
}
