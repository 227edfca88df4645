//! Services: who is healthy, in what order, with what records.
//!
//! Instances are put in random order first and looked at one by one until the answer is full, so
//! an answer costs what it shows, not what the service has.

use crate::Asked;
use crate::answer::{Answer, Code, Owner, Type};
use crate::question::Kind;
use crate::reach;
use crate::zone::{meta_text, negative, seconds, wants};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::IpAddr;
use proconsul_types::{CheckStatus, Node, Service};

/// An instance that may be answered with.
struct Instance<'a> {
    service: &'a Service,
    /// Whether its node has another one.
    shared: bool,
}

/// An instance that is answered with.
struct Pick<'a> {
    node: &'a Node,
    service: &'a Service,
    status: CheckStatus,
    shared: bool,
    /// Its own address, where it is reached; empty if that is its node's.
    own: &'a str,
    /// Where it is reached.
    address: &'a str,
    port: i32,
}

impl Asked<'_> {
    /// `[<tag>.]<service>.service` and `_<service>._<tag>.service`.
    pub(crate) fn service(&mut self, parts: &[String], answer: &mut Answer<'_>) {
        let (name, tag) = match parts {
            [name, tag] if name.starts_with('_') && tag.starts_with('_') => {
                let tag = &tag[1..];
                (&name[1..], String::from(if tag == "tcp" { "" } else { tag }))
            }
            [tags @ .., name] => (name.as_str(), tags.join(".")),
            [] => return negative(self, answer, Code::NoSuchName),
        };
        let catalog = self.catalog;
        let mut instances: Vec<Instance<'_>> = Vec::new();
        for service in catalog.service_instances(name) {
            if !tag.is_empty()
                && !service.registration.tags.iter().any(|own| own.eq_ignore_ascii_case(&tag))
            {
                continue;
            }
            // Instances come by node, so those that share one stand side by side.
            let shared = instances.last().is_some_and(|last| last.service.node == service.node);
            if let Some(last) = instances.last_mut().filter(|_| shared) {
                last.shared = true;
            }
            instances.push(Instance { service, shared });
        }
        self.rng.shuffle(&mut instances);
        let worst =
            if self.config.only_passing { CheckStatus::Passing } else { CheckStatus::Warning };
        let mut healthy = false;
        let ttl = self.service_ttl(name);
        let this = &*self;
        let from_afar = self.is_from_afar();
        // One walk over the service's checks instead of one search for each instance.
        let mut sick: BTreeMap<(&str, &str), CheckStatus> = BTreeMap::new();
        for check in catalog.service_checks(name) {
            if check.status != CheckStatus::Passing {
                let known =
                    sick.entry((&check.node, &check.service_id)).or_insert(CheckStatus::Passing);
                *known = check.status.max(*known);
            }
        }
        let mut picks = instances.into_iter().filter_map(|instance| {
            let service = instance.service;
            let own = sick.get(&(&*service.node, &*service.registration.id)).copied();
            let nodes = catalog.node_only_checks(&service.node).map(|check| check.status);
            let status = nodes.chain(own).max().unwrap_or(CheckStatus::Passing);
            let node = catalog.node(&service.node)?;
            let (own, port) = reach::of_service(service, from_afar);
            let address = if own.is_empty() { reach::of_node(node, from_afar) } else { own };
            let shared = instance.shared;
            (status <= worst).then_some(Pick { node, service, status, shared, own, address, port })
        });
        let mut picks = picks.by_ref().inspect(|_| healthy = true);
        match this.question.kind {
            Kind::Srv => this.service_records(&mut picks, ttl, answer),
            Kind::A | Kind::Aaaa | Kind::Any | Kind::Txt | Kind::Other => {
                this.address_records(&mut picks, ttl, answer);
            }
            Kind::Soa | Kind::Ns | Kind::Transfer => {}
        }
        if !healthy {
            negative(self, answer, Code::NoSuchName);
        } else if answer.answers() == 0 {
            negative(self, answer, Code::NoError);
        }
    }

    /// The worst of an instance's checks and its node's.
    pub(crate) fn health(&self, service: &Service) -> CheckStatus {
        let own = self.catalog.instance_checks(&service.node, &service.registration.id);
        let nodes = self.catalog.node_only_checks(&service.node);
        own.chain(nodes).map(|check| check.status).max().unwrap_or(CheckStatus::Passing)
    }

    /// The TTL for a service: by its name, by the longest prefix, or for all.
    fn service_ttl(&self, name: &str) -> u32 {
        let rules = &self.config.service_ttl;
        let exact = rules.get(name).copied();
        let by_prefix = || {
            rules
                .iter()
                .filter_map(|(rule, ttl)| Some((rule.strip_suffix('*')?, *ttl)))
                .filter(|(prefix, _)| name.starts_with(prefix))
                .max_by_key(|(prefix, _)| prefix.len())
                .map(|(_, ttl)| ttl)
        };
        exact.or_else(by_prefix).map_or(0, seconds)
    }

    fn address_records<'a>(
        &self,
        picks: &mut impl Iterator<Item = Pick<'a>>,
        ttl: u32,
        answer: &mut Answer<'_>,
    ) {
        let kind = self.question.kind;
        let limit = self.config.a_record_limit;
        let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
        let mut seen_hosts: BTreeSet<&str> = BTreeSet::new();
        for pick in picks {
            let address = pick.address;
            let mark = answer.mark();
            match address.parse::<IpAddr>() {
                Ok(ip) if !wants(kind, ip) || !seen.insert(ip) => continue,
                Ok(ip) => answer.address(Owner::Question, ttl, ip),
                Err(_) if !seen_hosts.insert(address) => continue,
                Err(_) => {
                    answer.pointer(Type::Cname, ttl, &[address]);
                }
            }
            if !answer.keep(mark) || (limit > 0 && usize::from(answer.answers()) >= limit) {
                break;
            }
        }
    }

    fn service_records<'a>(
        &self,
        picks: &mut impl Iterator<Item = Pick<'a>>,
        ttl: u32,
        answer: &mut Answer<'_>,
    ) {
        let datacenter = &*self.facts.datacenter;
        let domain = self.config.domain.as_str();
        let mut hex = String::new();
        let mut seen: BTreeSet<(&str, &str, i32)> = BTreeSet::new();
        for pick in picks {
            let key = (&*pick.node.name, pick.own, pick.port);
            if pick.shared && !seen.insert(key) {
                continue;
            }
            let weights = pick.service.registration.weights;
            let weight = match pick.status {
                CheckStatus::Passing => weights.passing,
                CheckStatus::Warning | CheckStatus::Critical => weights.warning,
            };
            let weight = u16::try_from(weight).unwrap_or(0);
            let port = u16::try_from(pick.port).unwrap_or(0);
            let node_name = [&*pick.node.name, "node", datacenter, domain];
            let mark = answer.mark();
            let own = !pick.own.is_empty();
            let place = match pick.address.parse::<IpAddr>() {
                Err(_) => {
                    if answer.service(ttl, weight, port, &[pick.address]).is_none() {
                        continue;
                    }
                    None
                }
                Ok(ip) => {
                    let place = if own {
                        write_hex(&mut hex, ip);
                        answer.service(ttl, weight, port, &[&hex, "addr", datacenter, domain])
                    } else {
                        answer.service(ttl, weight, port, &node_name)
                    };
                    let Some(place) = place else { continue };
                    answer.along_address(Owner::At(place), ttl, ip);
                    (!own).then_some(place)
                }
            };
            if self.config.enable_additional_node_meta_txt {
                for (key, value) in &pick.node.meta {
                    let owner = place.map_or(Owner::Name(&node_name), Owner::At);
                    answer.along_text(owner, ttl, &meta_text(key, value));
                }
            }
            if !answer.keep(mark) {
                break;
            }
        }
    }
}

/// An address as the label that stands for it.
fn write_hex(out: &mut String, address: IpAddr) {
    out.clear();
    let written = match address {
        IpAddr::V4(address) => write!(out, "{:08x}", address.to_bits()),
        IpAddr::V6(address) => write!(out, "{:032x}", address.to_bits()),
    };
    written.expect("writing to a string does not fail");
}
