//! What is promised for a time: a session lives at least for its TTL after it was made or a renewal
//! was answered, and a key may not be locked before the lock-delay has passed.

use crate::client;
use crate::model::{Model, number_of};
use crate::options::Options;
use proconsul_core::catalog::Command;
use proconsul_core::types::{Duration, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// Clocks may run up to a tenth too fast: so many tenths of a span have surely passed.
const SURE_TENTHS: u64 = 9;

#[derive(Debug)]
pub(crate) struct SessionJudge {
    /// Whether clocks keep within the drift they are allowed.
    wanted: bool,
    /// When the last renewal that was answered had been sent.
    renewed: BTreeMap<SessionId, u64>,
    /// Sessions whose end somebody asked for.
    given_up: BTreeSet<SessionId>,
}

impl SessionJudge {
    pub(crate) fn new(options: &Options) -> Self {
        Self { wanted: options.judge_default, renewed: BTreeMap::new(), given_up: BTreeSet::new() }
    }

    /// A renewal that was sent then was answered.
    pub(crate) fn renewed(&mut self, id: SessionId, sent: u64) {
        let last = self.renewed.entry(id).or_insert(sent);
        *last = sent.max(*last);
    }

    /// A client asks for the end of a session.
    pub(crate) fn gives_up(&mut self, id: SessionId) {
        self.given_up.insert(id);
    }

    /// A command was committed, which the model is yet to replay. Only clients' sessions are
    /// looked at: what stories do with theirs they judge themselves.
    pub(crate) fn committed(
        &self,
        now: u64,
        model: &Model,
        command: &Command,
    ) -> Option<(&'static str, String)> {
        if !self.wanted || model.lost {
            return None;
        }
        if let Command::SessionDestroy(id) = command {
            let session = model.sessions.get(id).filter(|it| &*it.node == client::HOME)?;
            if self.given_up.contains(id) {
                return None;
            }
            let alive = self.renewed.get(id).copied().unwrap_or(0).max(session.created);
            let early = session.ttl.is_none_or(|ttl| now < alive + sure(ttl));
            return early.then(|| {
                let lived = now.saturating_sub(alive) / 1_000_000;
                let text =
                    format!("session {id} ends after {lived} ms, its TTL is {:?}", session.ttl);
                ("session.expires-early", text)
            });
        }
        if let Command::LockDelayOver(keys) = command {
            let delayed = |key: &u8| model.delayed.get(key).map(|delay| (*key, *delay));
            let keys = keys.iter().filter_map(|key| number_of(key));
            let (key, (since, delay)) = keys
                .filter_map(|key| delayed(&key))
                .find(|(_, (since, delay))| now < since + sure(*delay))?;
            let passed = (now - since) / 1_000_000;
            let text = format!("k/{key} may be locked after {passed} ms, its delay is {delay:?}");
            return Some(("lock.delay-short", text));
        }
        None
    }
}

/// How much of a span has surely passed when a server's clock says that all of it has.
fn sure(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).map_or(u64::MAX / 16, |nanos| nanos / 10 * SURE_TENTHS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::catalog::{NodeRegistration, Register, SessionCreate};
    use proconsul_core::types::SessionBehavior;

    const MILLI: u64 = 1_000_000;

    #[test]
    fn a_session_lives_for_its_ttl_after_each_answer() {
        let mut judge = SessionJudge::new(&Options::default());
        let mut model = Model::default();
        let node = NodeRegistration { name: client::HOME.into(), ..NodeRegistration::default() };
        let (services, checks) = (Vec::new(), Vec::new());
        let home = Register { node, skip_node_update: false, services, checks };
        model.apply(1, 0, &Command::Register(Box::new(home)));
        let id = SessionId(7);
        let create = SessionCreate {
            id,
            name: "c".into(),
            node: client::HOME.into(),
            lock_delay: Duration::from_millis(300),
            behavior: SessionBehavior::Release,
            ttl: "1000ms".into(),
            node_checks: Box::default(),
            service_checks: Box::default(),
        };
        model.apply(2, 0, &Command::SessionCreate(Box::new(create)));
        let end = Command::SessionDestroy(id);
        assert_eq!(judge.committed(950 * MILLI, &model, &end), None);
        judge.renewed(id, 800 * MILLI);
        let early = judge.committed(1_600 * MILLI, &model, &end);
        assert_eq!(early.map(|(rule, _)| rule), Some("session.expires-early"));
        assert_eq!(judge.committed(1_701 * MILLI, &model, &end), None);
        judge.gives_up(id);
        assert_eq!(judge.committed(801 * MILLI, &model, &end), None);

        model.delayed.insert(3, (2_000 * MILLI, Duration::from_millis(300)));
        let over = Command::LockDelayOver(vec!["k/3".into()]);
        let early = judge.committed(2_200 * MILLI, &model, &over);
        assert_eq!(early.map(|(rule, _)| rule), Some("lock.delay-short"));
        assert_eq!(judge.committed(2_270 * MILLI, &model, &over), None);
    }
}
