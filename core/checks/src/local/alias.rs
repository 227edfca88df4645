//! Alias checks: the health of another service or node, taken over.

use super::Local;
use crate::{CheckKind, LocalEffect};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::Catalog;
use proconsul_types::{CheckStatus, Instant};

/// What an alias says of what it stands for.
struct Verdict {
    status: CheckStatus,
    output: Arc<str>,
}

impl Local {
    /// Whether any alias stands for something on another node, so that `on_catalog` must be called
    /// when the catalog changes.
    #[must_use]
    pub fn wants_catalog(&self) -> bool {
        self.view.checks.values().any(|check| self.is_remote(&check.definition.kind))
    }

    /// The catalog changed: looks at what remote aliases stand for.
    pub fn on_catalog(&mut self, catalog: &Catalog, now: Instant, out: &mut Vec<LocalEffect>) {
        let mut verdicts = Vec::new();
        for (id, check) in &self.view.checks {
            let CheckKind::Alias { node, service } = &check.definition.kind else { continue };
            if !self.is_remote(&check.definition.kind) {
                continue;
            }
            let known = if service.is_empty() {
                catalog.node(node).is_some()
            } else {
                catalog.node_services(node).any(|instance| instance.registration.id == *service)
            };
            let of_interest = catalog
                .node_checks(node)
                .filter(|check| check.service_id.is_empty() || check.service_id == *service);
            let mut verdict =
                judge(of_interest.map(|check| (check.status, &*check.name, &*check.output)));
            if !known {
                verdict.status = CheckStatus::Critical;
            }
            verdicts.push((id.clone(), verdict));
        }
        for (id, verdict) in verdicts {
            self.set_status(&id, verdict.status, verdict.output, now, out);
        }
        self.settle(out);
    }

    /// Local aliases follow what they stand for. An alias may stand for a service with an alias of
    /// its own, so this repeats until nothing moves, at most once for each alias.
    pub(crate) fn refresh_aliases(&mut self, now: Instant, out: &mut Vec<LocalEffect>) {
        let aliases: Vec<(Arc<str>, Arc<str>)> = self
            .view
            .checks
            .iter()
            .filter(|(_, check)| !self.is_remote(&check.definition.kind))
            .filter_map(|(id, check)| match &check.definition.kind {
                CheckKind::Alias { service, .. } => Some((id.clone(), service.clone())),
                CheckKind::Ttl(_)
                | CheckKind::Http { .. }
                | CheckKind::Tcp { .. }
                | CheckKind::Script { .. }
                | CheckKind::Fixed => None,
            })
            .collect();
        for _ in 0..aliases.len() {
            let mut moved = false;
            for (id, service) in &aliases {
                let verdict = judge(
                    self.view
                        .checks
                        .iter()
                        .filter(|(other, check)| {
                            *other != id
                                && (check.definition.service_id.is_empty()
                                    || check.definition.service_id == *service)
                        })
                        .map(|(_, check)| (check.status, &*check.definition.name, &*check.output)),
                );
                moved |= self.put_status(id, verdict.status, verdict.output, now, out);
            }
            if !moved {
                break;
            }
        }
    }

    fn is_remote(&self, kind: &CheckKind) -> bool {
        match kind {
            CheckKind::Alias { node, .. } => {
                !node.is_empty() && !node.eq_ignore_ascii_case(self.config.name())
            }
            CheckKind::Ttl(_)
            | CheckKind::Http { .. }
            | CheckKind::Tcp { .. }
            | CheckKind::Script { .. }
            | CheckKind::Fixed => false,
        }
    }
}

/// The worst of several checks; the first of equals speaks.
fn judge<'a>(checks: impl Iterator<Item = (CheckStatus, &'a str, &'a str)>) -> Verdict {
    let mut worst: Option<(CheckStatus, &str, &str)> = None;
    for check in checks {
        if worst.is_none_or(|(status, ..)| check.0 > status) {
            worst = Some(check);
        }
    }
    match worst {
        None => Verdict { status: CheckStatus::Passing, output: "No checks found.".into() },
        Some((CheckStatus::Passing, ..)) => {
            Verdict { status: CheckStatus::Passing, output: "All checks passing.".into() }
        }
        Some((status, name, output)) => {
            Verdict { status, output: format!("Aliased check {name:?} failing: {output}").into() }
        }
    }
}
