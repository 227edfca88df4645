//! Sorting by distance: lists for `near=`, datacenters for whoever looks for the next one.

use crate::decide::Call;
use crate::{PoolMembers, PoolView};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{Catalog, Place};
use proconsul_gossip::{Member, distance};
use proconsul_types::{Coordinate, MemberStatus};

/// `near=_agent`: near the agent that was asked.
pub(crate) const ASKED_AGENT: &str = "_agent";

/// Sorts what is about nodes by the distance from the node that `near` names, the nearest first;
/// what is equally far keeps its order. Without `near`, or when nobody knows where that node is,
/// nothing changes.
pub(crate) fn sort<T>(call: &Call<'_>, items: &mut [T], node: impl Fn(&T) -> &str) {
    let near = match call.params.text("near") {
        "" => return,
        ASKED_AGENT => call.origin_node(),
        named => named.into(),
    };
    let catalog = &call.view.catalog;
    let from: Vec<&Place> = catalog.node_places(&near).collect();
    if from.is_empty() {
        return;
    }
    // Each node is measured once, however often it comes up.
    let mut measured: BTreeMap<Arc<str>, f64> = BTreeMap::new();
    for item in &*items {
        if !measured.contains_key(node(item)) {
            let away = away(catalog, &from, node(item));
            measured.insert(node(item).into(), away);
        }
    }
    items.sort_by(|a, b| measured[node(a)].total_cmp(&measured[node(b)]));
}

/// How far a node is, in seconds; infinitely far if nobody knows.
fn away(catalog: &Catalog, from: &[&Place], node: &str) -> f64 {
    let to: Vec<&Place> = catalog.node_places(node).collect();
    // Whoever is in one segment alone is met there.
    let segment = match (from, &*to) {
        (_, [one]) | ([one], _) => &*one.segment,
        _ => "",
    };
    let place = |places: &[&Place]| -> Option<Coordinate> {
        let place = places.iter().find(|place| &*place.segment == segment);
        place.map(|place| place.coordinate.clone())
    };
    match (place(from), place(&to)) {
        (Some(from), Some(to)) => distance(&from, &to),
        (Some(_) | None, Some(_) | None) => f64::INFINITY,
    }
}

/// A server in the WAN pool: its datacenter and its name there.
fn server(member: &Member) -> Option<(&Arc<str>, &str)> {
    let is_server = member.tags.get("role").is_some_and(|role| &**role == "consul");
    let datacenter = member.tags.get("dc").filter(|_| is_server)?;
    let name = member.name.strip_suffix(&**datacenter).and_then(|rest| rest.strip_suffix('.'));
    Some((datacenter, name.unwrap_or(&member.name)))
}

/// The servers that have not left, by datacenter, each with its short name and its member.
pub(crate) fn servers(wan: &PoolMembers) -> BTreeMap<&Arc<str>, Vec<(&str, &Member)>> {
    let mut servers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for member in wan.members.iter().filter(|member| member.status != MemberStatus::Left) {
        if let Some((datacenter, name)) = server(member) {
            servers.entry(datacenter).or_default().push((name, &**member));
        }
    }
    servers
}

/// Where a member of the WAN pool is, as far as this server knows.
pub(crate) fn place_of<'a>(
    wan: &'a PoolMembers,
    member: &Member,
    own: &str,
) -> Option<&'a Coordinate> {
    if *member.name == *own { Some(&wan.coordinate) } else { wan.coordinates.get(&member.name) }
}

/// All datacenters, the own one first, then by the median distance to their servers; those of
/// which nothing is known last, by name.
pub(crate) fn datacenters(pools: &PoolView, own: &Arc<str>) -> Vec<Arc<str>> {
    let mut known: Vec<(f64, &Arc<str>)> = match &pools.wan {
        None => pools.datacenters.iter().map(|name| (f64::INFINITY, name)).collect(),
        Some(wan) => servers(wan)
            .into_iter()
            .map(|(datacenter, servers)| (median(wan, &servers), datacenter))
            .collect(),
    };
    known.retain(|(_, name)| *name != own);
    known.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    let others = known.into_iter().map(|(_, name)| Arc::clone(name));
    core::iter::once(Arc::clone(own)).chain(others).collect()
}

fn median(wan: &PoolMembers, servers: &[(&str, &Member)]) -> f64 {
    let away = |(_, member): &(&str, &Member)| {
        let place = wan.coordinates.get(&member.name);
        place.map_or(f64::INFINITY, |place| distance(&wan.coordinate, place))
    };
    let mut distances: Vec<f64> = servers.iter().map(away).collect();
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(f64::INFINITY)
}
