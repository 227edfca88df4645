//! Schedules for `proptest`: what the swarm draws from a seed, as strategies that shrink by
//! themselves.

use crate::options::Options;
use crate::schedule::{Action, Fault, Freshness, Mark, Op, Schedule, Target, Trip, Want, When};
use proptest::collection::vec;
use proptest::prelude::*;

/// Whole worlds: drawn options, up to `faults` faults and `ops` operations.
pub fn schedules(faults: usize, ops: usize) -> impl Strategy<Value = Schedule> {
    let seed = any::<u32>().prop_map(u64::from);
    (seed, vec(fault(), 0..=faults), vec(op(), 0..=ops)).prop_map(|(seed, faults, mut ops)| {
        let home = Want::Register { node: u8::MAX, service: 0, passing: true };
        ops.push(Op { at: 700_000, client: 0, server: 0, what: home });
        let options = Options::draw(seed);
        Schedule { scenario: String::new(), rule: String::new(), seed, options, faults, ops }
    })
}

/// One fault.
pub fn fault() -> impl Strategy<Value = Fault> {
    (when(), action()).prop_map(|(when, what)| Fault { when, what })
}

/// When it strikes.
pub fn when() -> impl Strategy<Value = When> {
    let mark = prop::sample::select(Mark::ALL.to_vec());
    let trip =
        (mark, 1_u32..60, any::<bool>(), 0_u64..30_000).prop_map(|(event, nth, middle, after)| {
            When::On(Trip { server: None, event, nth, middle, after })
        });
    prop_oneof![(500_000_u64..12_000_000).prop_map(When::At), trip]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (0_u8..5).prop_map(Target::Server),
        Just(Target::Leader),
        (0_u8..4).prop_map(Target::Follower),
        Just(Target::Actor),
        Just(Target::Other),
    ]
}

/// What goes wrong.
pub fn action() -> impl Strategy<Value = Action> {
    let span = 5_000_u64..3_000_000;
    prop_oneof![
        (target(), 5_000_u64..1_500_000).prop_map(|(who, down)| Action::crash(who, down)),
        (target(), span.clone()).prop_map(|(who, span)| Action::Pause { who, span }),
        (target(), target(), span.clone()).prop_map(|(from, to, span)| Action::Cut {
            from,
            to,
            span
        }),
        (target(), span.clone()).prop_map(|(who, span)| Action::Isolate { who, span }),
        (1_u8..31, span.clone()).prop_map(|(side, span)| Action::Split { side, span }),
        (target(), 1_u8..31, span.clone()).prop_map(|(middle, side, span)| Action::Bridge {
            middle,
            side,
            span
        }),
        (10_000_u32..300_000, span.clone()).prop_map(|(ppm, span)| Action::Lossy { ppm, span }),
        (target(), span).prop_map(|(who, span)| Action::DiskHang { who, span }),
    ]
}

/// One client operation.
pub fn op() -> impl Strategy<Value = Op> {
    (1_000_000_u64..12_000_000, 0_u8..4, 0_u8..5, want())
        .prop_map(|(at, client, server, what)| Op { at, client, server, what })
}

fn fresh() -> impl Strategy<Value = Freshness> {
    prop_oneof![Just(Freshness::Default), Just(Freshness::Consistent), Just(Freshness::Stale)]
}

/// What a client wants.
pub fn want() -> impl Strategy<Value = Want> {
    let key = 0_u8..4;
    prop_oneof![
        key.clone().prop_map(|key| Want::Put { key }),
        (key.clone(), fresh()).prop_map(|(key, fresh)| Want::Get { key, fresh }),
        key.clone().prop_map(|key| Want::Cas { key }),
        key.clone().prop_map(|key| Want::Delete { key }),
        fresh().prop_map(|fresh| Want::List { fresh }),
        (key.clone(), key.clone()).prop_map(|(key, other)| Want::Txn { key, other }),
        Just(Want::Session),
        key.clone().prop_map(|key| Want::Acquire { key }),
        key.clone().prop_map(|key| Want::Release { key }),
        (key.clone(), fresh()).prop_map(|(key, fresh)| Want::WatchKey { key, fresh }),
        key.prop_map(|key| Want::DeleteCas { key }),
        Just(Want::Ephemeral),
        (0_u8..3, 0_u8..2, any::<bool>()).prop_map(|(node, service, passing)| Want::Register {
            node,
            service,
            passing
        }),
        (0_u8..2, fresh()).prop_map(|(service, fresh)| Want::Health { service, fresh }),
        (0_u8..2, fresh()).prop_map(|(service, fresh)| Want::WatchService { service, fresh }),
    ]
}
