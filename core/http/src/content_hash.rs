//! `ContentHash`: the number by which a client recognises a service it has seen.
//!
//! It is Consul's, so that a watch begun at one agent goes on at another: FNV-1 over each value,
//! in little-endian order for numbers; fields and map entries are joined by exclusive or, items of
//! a list one after another.

use crate::json::records::kind_word;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use proconsul_types::{ServiceAddress, ServiceRegistration};

/// The hash of what `/v1/agent/service/:id` shows of a service.
pub(crate) fn content_hash(service: &ServiceRegistration) -> u64 {
    let weights = record(
        "AgentWeights",
        &[
            ("Passing", number(i64::from(service.weights.passing))),
            ("Warning", number(i64::from(service.weights.warning))),
        ],
    );
    // What only a proxy has is hashed as it is shown; without one it counts as the number zero.
    let proxy = service.proxy.as_deref().map_or_else(|| number(0), text);
    let native = record("AgentServiceConnect", &[("Native", fnv(&[1]))]);
    let connect = if service.connect_native { native } else { number(0) };
    record(
        "AgentService",
        &[
            ("Kind", text(kind_word(service.kind))),
            ("ID", text(&service.id)),
            ("Service", text(&service.name)),
            ("Tags", service.tags.iter().fold(0, |hash, tag| ordered(hash, text(tag)))),
            ("Meta", map(&service.meta, |value| text(value))),
            ("Port", number(i64::from(service.port))),
            ("Address", text(&service.address)),
            ("TaggedAddresses", map(&service.tagged_addresses, address)),
            ("Weights", weights),
            ("EnableTagOverride", fnv(&[u8::from(service.enable_tag_override)])),
            ("CreateIndex", number(0)),
            ("ModifyIndex", number(0)),
            ("ContentHash", text("")),
            ("Proxy", proxy),
            ("Connect", connect),
        ],
    )
}

fn address(address: &ServiceAddress) -> u64 {
    let port = number(i64::from(address.port));
    record("ServiceAddress", &[("Address", text(&address.address)), ("Port", port)])
}

fn record(name: &str, fields: &[(&str, u64)]) -> u64 {
    fields.iter().fold(text(name), |hash, (name, value)| hash ^ ordered(text(name), *value))
}

fn map<V>(entries: &BTreeMap<Arc<str>, V>, hash_of: impl Fn(&V) -> u64) -> u64 {
    entries.iter().fold(0, |hash, (key, value)| hash ^ ordered(text(key), hash_of(value)))
}

fn ordered(first: u64, second: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    fnv(&bytes)
}

fn number(number: i64) -> u64 {
    fnv(&number.to_le_bytes())
}

fn text(text: &str) -> u64 {
    fnv(text.as_bytes())
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        hash.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from(*byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_consuls() {
        let mut service = ServiceRegistration {
            id: "hashsvc".into(),
            name: "hashsvc".into(),
            port: 80,
            ..ServiceRegistration::default()
        };
        assert_eq!(content_hash(&service), 0xf33d_fbf8_616d_0ea8);
        service.port = 81;
        assert_eq!(content_hash(&service), 0xf8ae_3f39_6f7d_8e8f);
    }
}
