//! Whom a pool lets in: the only thing that keeps two pools apart.

use super::{Candidate, Serf};
use crate::config::Admission;
use crate::server::{Build, is_server};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{Fault, Liveness, NodeId, TextMap};

/// How many bytes of versions a member must show.
const VERSION_BYTES: usize = 6;

/// The names under each id among those that come together, and whether each is dead.
type Ids = BTreeMap<Arc<str>, Vec<(Arc<str>, bool)>>;

impl Serf {
    /// Whether all of these may come in; otherwise the reason, for the log.
    ///
    /// Asked of all members of a join at once, and of the one of each alive message. One that may
    /// not come in keeps all out.
    pub(crate) fn admit(&self, candidates: &[Candidate<'_>]) -> Result<(), String> {
        match &self.admission {
            Admission::Anyone => Ok(()),
            Admission::Datacenter { .. } | Admission::Servers
                if self.planted.is(Fault::GuardLetsOtherPoolIn) =>
            {
                candidates.iter().try_for_each(check_form)
            }
            Admission::Datacenter { datacenter, segment, id } => {
                let mut ids = Ids::new();
                for candidate in candidates {
                    check_form(candidate)?;
                    if candidate.liveness == Liveness::Left {
                        continue;
                    }
                    let tags = self.tags_of(candidate);
                    let name = &candidate.alive.node;
                    let gone = candidate.liveness == Liveness::Dead
                        && !self.planted.is(Fault::DeadKeepTheirId);
                    self.check_id((name, gone), &tags, *id, &mut ids)?;
                    self.check_place(name, &tags, datacenter, segment)?;
                }
                Ok(())
            }
            Admission::Servers => {
                for candidate in candidates {
                    check_form(candidate)?;
                    check_server(&candidate.alive.node, &self.tags_of(candidate))?;
                }
                Ok(())
            }
        }
    }

    /// The tags of someone who may be known already.
    fn tags_of(&self, candidate: &Candidate<'_>) -> Arc<TextMap> {
        self.members.tags_of(&candidate.alive.node, candidate.alive.meta.as_ref())
    }

    /// An id belongs to one name: to this member's own, and to one of those that come together.
    ///
    /// Who is dead bars nobody from its id: a machine that was set up anew under another name could
    /// otherwise not exchange with anyone who knows its old one, for as long as that is remembered
    /// (three days). Only a name of the other pool is kept out, dead or not.
    fn check_id(
        &self,
        (name, gone): (&Arc<str>, bool),
        tags: &TextMap,
        own: NodeId,
        ids: &mut Ids,
    ) -> Result<(), String> {
        let Some(id) = tags.get("id").filter(|id| !id.is_empty()) else { return Ok(()) };
        let conflict =
            |with: &str| format!("Member '{name}' has conflicting node ID '{id}' with {with}");
        let place = text(tags, "dc");
        let bars = |other: &str, other_gone: bool| {
            let leaked = without_datacenter(name, place) == Some(other)
                || without_datacenter(other, place) == Some(name);
            leaked || !gone && !other_gone
        };
        if **id == *own.to_string() && *name != self.name && bars(&self.name, false) {
            return Err(conflict("this agent's ID"));
        }
        let holders = ids.entry(Arc::clone(id)).or_default();
        if let Some((other, _)) = holders.iter().find(|(other, gone)| bars(other, *gone)) {
            return Err(conflict(&format!("member '{other}'")));
        }
        let build = tags.get("build").and_then(|build| Build::find(build));
        if build.is_some_and(|build| build >= Build::UNIQUE_NODE_IDS) {
            holders.push((Arc::clone(name), gone));
        }
        Ok(())
    }

    /// Agents stay in their datacenter and segment, and WAN names out of the LAN.
    fn check_place(
        &self,
        name: &Arc<str>,
        tags: &TextMap,
        datacenter: &str,
        segment: &str,
    ) -> Result<(), String> {
        let server = is_server(tags);
        let client = text(tags, "role") == "node";
        let theirs = text(tags, "dc");
        if (server || client) && theirs != datacenter {
            return Err(format!("Member '{name}' part of wrong datacenter '{theirs}'"));
        }
        let of = text(tags, "segment");
        if of != segment {
            let wrong = format!("Member '{name}' part of wrong segment '{of}'");
            return Err(format!("{wrong} (expected '{segment}')"));
        }
        // A server's WAN name beside its LAN name, under one id: it came from the other pool.
        let short = without_datacenter(name, theirs);
        if server && let Some(known) = short.and_then(|short| self.members.get(short)) {
            let id = text(tags, "id");
            if !id.is_empty() && text(known.tags(), "id") == id {
                let other = known.name();
                let conflict = format!("Member '{name}' has conflicting node ID '{id}'");
                return Err(format!("{conflict} with member '{other}'"));
            }
        }
        Ok(())
    }
}

/// What every member must show, whoever it is.
fn check_form(candidate: &Candidate<'_>) -> Result<(), String> {
    if candidate.alive.versions.len() < VERSION_BYTES {
        return Err("Vsn is not present".to_string());
    }
    if candidate.alive.address.is_none() {
        return Err("IP byte length is invalid: 0 bytes is not either 4 or 16".to_string());
    }
    Ok(())
}

/// The WAN is of servers, and their names say where they are: a LAN name that leaked in does not.
fn check_server(name: &str, tags: &TextMap) -> Result<(), String> {
    if !is_server(tags) {
        return Err(format!("Member '{name}' is not a server"));
    }
    let datacenter = text(tags, "dc");
    if without_datacenter(name, datacenter).is_none() {
        return Err(format!("Member '{name}' has no WAN name (expected '{name}.{datacenter}')"));
    }
    Ok(())
}

/// `node` of `node.dc`; `None` if the name does not end so.
fn without_datacenter<'a>(name: &'a str, datacenter: &str) -> Option<&'a str> {
    let node = name.strip_suffix(datacenter)?.strip_suffix('.')?;
    (!node.is_empty() && !datacenter.is_empty()).then_some(node)
}

fn text<'a>(tags: &'a TextMap, tag: &str) -> &'a str {
    tags.get(tag).map_or("", AsRef::as_ref)
}
