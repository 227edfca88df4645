//! The zone itself: SOA, name servers, negative answers, nodes and literal addresses.

use crate::Asked;
use crate::answer::{Answer, Code, Owner, Type};
use crate::question::Kind;
use crate::reach;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use proconsul_types::{CheckStatus, Duration, Node};

/// Most name servers that are named.
const NAME_SERVERS_MAX: usize = 3;
/// The service the servers register themselves as.
const SERVERS_SERVICE: &str = "consul";

/// Where a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Answer,
    Authority,
}

impl Place {
    fn section(self) -> usize {
        match self {
            Self::Answer => 0,
            Self::Authority => 1,
        }
    }
}

/// Writes the zone's SOA record.
pub(crate) fn soa(asked: &Asked<'_>, answer: &mut Answer<'_>, place: Place) {
    let serial = u32::try_from(asked.facts.unix_seconds).unwrap_or(0);
    answer.zone(&asked.config.domain, place.section(), serial, asked.config.soa);
}

/// Says that there is nothing, and for how long that holds.
pub(crate) fn negative(asked: &Asked<'_>, answer: &mut Answer<'_>, code: Code) {
    answer.set(code);
    soa(asked, answer, Place::Authority);
}

/// Whole seconds, as a TTL.
pub(crate) fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

/// A node's metadata as it stands in a TXT record.
pub(crate) fn meta_text(key: &str, value: &str) -> String {
    if key.to_ascii_lowercase().starts_with("rfc1035-") {
        return value.into();
    }
    let mut text = String::with_capacity(key.len() + value.len() + 1);
    text.push_str(key);
    text.push('=');
    text.push_str(value);
    text
}

impl Asked<'_> {
    /// The servers of the zone with their addresses; this agent's node while none are known.
    pub(crate) fn name_servers(&mut self, answer: &mut Answer<'_>, place: Place) {
        let ttl = seconds(self.config.node_ttl);
        let mut servers: Vec<(Arc<str>, Arc<str>)> = self
            .catalog
            .service_instances(SERVERS_SERVICE)
            .filter(|instance| self.health(instance) != CheckStatus::Critical)
            .filter_map(|instance| self.catalog.node(&instance.node))
            .map(|node| (node.name.clone(), node.address.clone()))
            .collect();
        if servers.is_empty() && !self.facts.node.is_empty() {
            servers.push((self.facts.node.clone(), self.facts.address.clone()));
        }
        self.rng.shuffle(&mut servers);
        let domain = &self.config.domain;
        let mut named = 0;
        for (name, address) in servers {
            let labels = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
            if named == NAME_SERVERS_MAX || !name.chars().all(labels) {
                continue;
            }
            let mark = answer.mark();
            let target = [&*name, "node", &*self.facts.datacenter, domain.as_str()];
            let at = answer.name_server(domain, place.section(), ttl, &target);
            let Some(at) = at else { continue };
            if let Ok(address) = address.parse() {
                answer.along_address(Owner::At(at), ttl, address);
            }
            named += 1;
            if !answer.keep(mark) {
                break;
            }
        }
    }

    /// `<node>.node`.
    pub(crate) fn node(&mut self, name: &str, answer: &mut Answer<'_>) {
        let Some(node) = self.catalog.node(name) else {
            return negative(self, answer, Code::NoSuchName);
        };
        let kind = self.question.kind;
        match kind {
            Kind::A | Kind::Aaaa | Kind::Any | Kind::Txt => {}
            Kind::Srv | Kind::Soa | Kind::Ns | Kind::Transfer | Kind::Other => return,
        }
        let ttl = seconds(self.config.node_ttl);
        if kind != Kind::Txt {
            let place = reach::of_node(node, self.is_from_afar());
            match place.parse::<IpAddr>() {
                Ok(address) => {
                    if wants(kind, address) {
                        answer.address(Owner::Question, ttl, address);
                    }
                }
                Err(_) => {
                    answer.pointer(Type::Cname, ttl, &[place]);
                }
            }
        }
        self.node_texts(node, kind, ttl, answer);
    }

    fn node_texts(&self, node: &Node, kind: Kind, ttl: u32, answer: &mut Answer<'_>) {
        let asked_for = matches!(kind, Kind::Any | Kind::Txt);
        if !asked_for && !self.config.enable_additional_node_meta_txt {
            return;
        }
        for (key, value) in &node.meta {
            let mark = answer.mark();
            let text = meta_text(key, value);
            if asked_for {
                answer.text(Owner::Question, ttl, &text);
            } else {
                answer.along_text(Owner::Question, ttl, &text);
            }
            if !answer.keep(mark) {
                break;
            }
        }
    }

    /// `<hex>.addr`: the address is in the name. It is answered whatever type was asked for.
    pub(crate) fn address(&mut self, parts: &[String], answer: &mut Answer<'_>) {
        let [digits] = parts else { return negative(self, answer, Code::NoSuchName) };
        let address = match digits.len() / 2 {
            4 => u32::from_str_radix(digits, 16)
                .ok()
                .filter(|_| digits.len() == 8)
                .map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            16 => u128::from_str_radix(digits, 16)
                .ok()
                .filter(|_| digits.len() == 32)
                .map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
            _ => return,
        };
        match address.filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit())) {
            Some(address) => {
                answer.address(Owner::Question, seconds(self.config.node_ttl), address);
            }
            None => negative(self, answer, Code::NoSuchName),
        }
    }
}

/// Whether an address answers a question of this type.
pub(crate) fn wants(kind: Kind, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => matches!(kind, Kind::A | Kind::Any),
        IpAddr::V6(_) => matches!(kind, Kind::Aaaa | Kind::Any),
    }
}
