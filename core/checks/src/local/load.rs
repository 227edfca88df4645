//! What was registered before the last stop, read back.

use super::{Local, Source};
use crate::persist::{self, read_check, read_service, read_state};
use crate::{CheckDefinition, CheckKind, LocalEffect};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Bound;
use proconsul_types::{Instant, WallTime};

impl Local {
    /// Takes over registrations from the data directory. Whatever cannot be used is named, skipped
    /// and left where it is: an operator may still mend it.
    pub(super) fn load(
        &mut self,
        files: &BTreeMap<Arc<str>, Bytes>,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) {
        let mut found = Vec::new();
        for (path, bytes) in below(files, "services/") {
            let result = read_service(bytes).and_then(|kept| {
                named_after(path, &persist::service_path(&kept.definition.registration.id))?;
                self.put_service(kept.definition, false, Source::Api, now, out)
                    .map_err(|error| error.text)
            });
            note(path, result, &mut found, out);
        }
        for (path, bytes) in below(files, "checks/") {
            if path.starts_with("checks/state/") {
                continue;
            }
            let result = read_check(bytes).and_then(|kept| {
                named_after(path, &persist::check_path(&kept.definition.id))?;
                let is_script = matches!(kept.definition.kind, CheckKind::Script { .. });
                if is_script && !self.config.script_checks {
                    return Err("a script check, and scripts are disabled on this agent".into());
                }
                Ok(kept.definition)
            });
            match result {
                Ok(check) if self.lacks_service(&check) => self.unplaced.push(check),
                Ok(check) => {
                    let done = self.put_check(check, Source::Api, now, out);
                    note(path, done.map_err(|error| error.text), &mut found, out);
                }
                Err(reason) => note(path, Err(reason), &mut found, out),
            }
        }
        for (path, bytes) in below(files, "checks/state/") {
            let result = read_state(bytes).and_then(|state| {
                named_after(path, &persist::state_path(&state.id))?;
                self.saved.insert(state.id.clone(), state);
                Ok(())
            });
            note(path, result, &mut found, out);
        }
        // What was just read need not be written again.
        self.keeper.nothing_to_write();
        for path in found {
            self.keeper.found(path);
        }
        self.refresh_aliases(now, out);
    }

    /// Takes over checks whose services the configuration has just brought.
    pub(super) fn place_checks(&mut self, now: Instant, out: &mut Vec<LocalEffect>) {
        for check in core::mem::take(&mut self.unplaced) {
            let path = persist::check_path(&check.id);
            let result = if self.lacks_service(&check) {
                Err(format!("ServiceID {:?} does not exist", &*check.service_id))
            } else {
                self.keeper.found(path.clone());
                if self.checks.contains_key(&check.id) {
                    self.keeper.put_if_kept(path.clone());
                    Ok(())
                } else {
                    self.put_check(check, Source::Api, now, out).map_err(|error| error.text)
                }
            };
            if let Err(reason) = result {
                out.push(skipped(&path, &reason));
            }
        }
    }

    fn lacks_service(&self, check: &CheckDefinition) -> bool {
        !check.service_id.is_empty() && !self.services.contains_key(&check.service_id)
    }

    /// The wall clock is known: statuses that have not expired hold again, the others are removed.
    pub(super) fn restore_states(
        &mut self,
        wall: WallTime,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) {
        for (id, state) in core::mem::take(&mut self.saved) {
            let is_ttl = self
                .view
                .checks
                .get(&id)
                .is_some_and(|check| matches!(check.definition.kind, CheckKind::Ttl(_)));
            if is_ttl && state.expires.saturating_mul(1000) > wall.0 {
                self.set_status(&id, state.status, state.output, now, out);
            } else {
                self.keeper.put_if_kept(persist::state_path(&id));
            }
        }
        self.keeper.forget_current();
    }
}

/// The files below a directory. A name that ends in `.tmp` is a write that was never finished.
fn below<'a>(
    files: &'a BTreeMap<Arc<str>, Bytes>,
    dir: &'a str,
) -> impl Iterator<Item = (&'a Arc<str>, &'a Bytes)> {
    files
        .range::<str, _>((Bound::Included(dir), Bound::Unbounded))
        .take_while(move |(path, _)| path.starts_with(dir))
        .filter(|(path, _)| !path.ends_with(".tmp"))
}

/// A copy of a registration under another name would come back after it was removed.
fn named_after(path: &str, expected: &str) -> Result<(), String> {
    if path == expected { Ok(()) } else { Err(format!("its content belongs into {expected}")) }
}

fn note(
    path: &Arc<str>,
    result: Result<(), String>,
    found: &mut Vec<Arc<str>>,
    out: &mut Vec<LocalEffect>,
) {
    match result {
        Ok(()) => found.push(path.clone()),
        Err(reason) => out.push(skipped(path, &reason)),
    }
}

fn skipped(path: &str, reason: &str) -> LocalEffect {
    LocalEffect::Warning(format!("{path} is skipped and left as it is: {reason}"))
}
