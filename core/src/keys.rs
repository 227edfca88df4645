//! Changes of keys: in both pools of this server, and through one server of each other datacenter.

use crate::node::Node;
use crate::open::{Job, Origin, Stage};
use crate::{CallAnswer, Effect};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_checks::LocalError;
use proconsul_gossip::{self as gossip, Asked, KeyOp, KeyReport};
use proconsul_http::{KeyAction, KeyringAnswer, KeyringOp};
use proconsul_types::Pool;

/// Operations that wait for the answers of pools.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyOps {
    gathers: BTreeMap<Origin, Gather>,
    asked: BTreeMap<Asked, (Origin, Pool)>,
    /// Calls to other datacenters: requests of this node for one of its own.
    parts: BTreeMap<u64, (Origin, Arc<str>)>,
}

/// One operation.
#[derive(Clone, Debug)]
struct Gather {
    action: KeyAction,
    answers: Vec<KeyringAnswer>,
    pools: BTreeSet<Asked>,
    parts: BTreeSet<u64>,
}

impl Node {
    /// A request to change or list keys.
    pub(crate) fn change_keys(&mut self, origin: Origin, op: &KeyringOp, from_afar: bool) {
        if self.pools.pool(Pool::Lan).is_none() {
            let text = String::from("this agent runs without gossip");
            self.refuse(origin, &LocalError { status: 500, text });
            return;
        }
        let key = op.key.clone();
        let wanted = match op.action {
            KeyAction::List => KeyOp::List,
            KeyAction::Install => KeyOp::Install(key),
            KeyAction::Use => KeyOp::Use(key),
            KeyAction::Remove => KeyOp::Remove(key),
        };
        if let Some(open) = self.opens.get_mut(&origin) {
            open.stage = Stage::Writing;
        }
        let mut gather = Gather {
            action: op.action,
            answers: Vec::new(),
            pools: BTreeSet::new(),
            parts: BTreeSet::new(),
        };
        // The WAN is one for all: whoever was asked first asks it, unless it is only for here.
        let here = from_afar || op.local_only;
        let pools = if here { &[Pool::Lan][..] } else { &[Pool::Wan, Pool::Lan][..] };
        for pool in pools {
            if self.pools.pool(*pool).is_some() {
                let asked = self.pools.asked();
                gather.pools.insert(asked);
                self.key_ops.asked.insert(asked, (origin, *pool));
                self.pools.tell(*pool, gossip::Input::Keys(asked, wanted.clone(), op.relay_factor));
            }
        }
        if !here {
            let own = &self.config.facts.datacenter;
            let others: Vec<Arc<str>> =
                self.servers.datacenters().filter(|name| *name != own).cloned().collect();
            for datacenter in others {
                let part = self.agent.fresh();
                gather.parts.insert(part);
                self.key_ops.parts.insert(part, (origin, Arc::clone(&datacenter)));
                self.accept(Origin::Agent(part), Job::Keys(op.clone(), Some(datacenter)), 0);
            }
        }
        self.key_ops.gathers.insert(origin, gather);
    }

    /// A pool answered.
    pub(crate) fn keys_reported(&mut self, asked: Asked, report: KeyReport) {
        let Some((origin, pool)) = self.key_ops.asked.remove(&asked) else {
            return;
        };
        let answer = KeyringAnswer {
            wan: pool == Pool::Wan,
            datacenter: Arc::clone(&self.config.facts.datacenter),
            messages: report.messages,
            keys: report.keys,
            primary_keys: report.primary_keys,
            members: report.members,
            error: report.error,
        };
        if let Some(gather) = self.key_ops.gathers.get_mut(&origin) {
            gather.pools.remove(&asked);
            gather.answers.push(answer);
        }
        self.keys_gathered(origin);
    }

    /// Whether a request of this agent is for a change of keys elsewhere.
    pub(crate) fn is_part_of_keys(&self, part: u64) -> bool {
        self.key_ops.parts.contains_key(&part)
    }

    /// Another datacenter answered, or could not be asked.
    pub(crate) fn keys_from_afar(&mut self, part: u64, result: Result<Vec<KeyringAnswer>, String>) {
        let Some((origin, datacenter)) = self.key_ops.parts.remove(&part) else {
            return;
        };
        if let Some(gather) = self.key_ops.gathers.get_mut(&origin) {
            gather.parts.remove(&part);
            match result {
                Ok(answers) => gather.answers.extend(answers),
                Err(text) => gather.answers.push(KeyringAnswer {
                    datacenter,
                    error: Some(text),
                    ..KeyringAnswer::default()
                }),
            }
        }
        self.keys_gathered(origin);
    }

    fn keys_gathered(&mut self, origin: Origin) {
        let done = |gather: &Gather| gather.pools.is_empty() && gather.parts.is_empty();
        if !self.key_ops.gathers.get(&origin).is_some_and(done) {
            return;
        }
        let Some(mut gather) = self.key_ops.gathers.remove(&origin) else {
            return;
        };
        // The WAN first, then datacenters by name.
        gather.answers.sort_by(|a, b| (!a.wan, &a.datacenter).cmp(&(!b.wan, &b.datacenter)));
        if let Some(request) = self.request(origin) {
            let view = self.publisher.peek();
            let response =
                proconsul_http::keys_answered(view, &request, gather.action, &gather.answers);
            self.answer(origin, response);
        } else if let Origin::Peer(peer, id) = origin
            && self.close(origin).is_some()
        {
            self.reply(peer, id, CallAnswer::Keys(gather.answers));
        }
    }

    /// Nobody waits for this operation any more; what was asked of the pools goes on.
    pub(crate) fn keys_abandoned(&mut self, origin: Origin) {
        if let Some(gather) = self.key_ops.gathers.remove(&origin) {
            for asked in gather.pools {
                self.key_ops.asked.remove(&asked);
            }
        }
    }

    /// A part of an operation, for another datacenter or from one.
    pub(crate) fn run_keys(
        &mut self,
        origin: Origin,
        op: &KeyringOp,
        datacenter: Option<Arc<str>>,
        out: &mut Vec<Effect>,
    ) {
        match datacenter {
            Some(datacenter) => self.go_elsewhere(origin, &datacenter, out),
            None => self.change_keys(origin, op, true),
        }
    }
}
