//! Who is here: the room for the gossip pools. It is empty.
//!
//! Nothing in this crate runs, and no part of a node calls it: an agent of today knows its servers
//! from `peers.json`, `-bootstrap` and the greetings of connections, and says so when asked for
//! members.
//!
//! What will live here is one state machine per pool (LAN and WAN), of the same shape as the other
//! parts: inputs, a clock and a stream of random numbers in; effects out.
//!
//! - SWIM: probe rounds with indirect probes, suspicion with a deadline that confirmations shorten,
//!   incarnations and refutation, dissemination by piggyback.
//! - Lifeguard: local health that slows an agent down before it accuses others.
//! - Serf on top: member statuses, leave and join intents under Lamport clocks, user events and
//!   queries, network coordinates, the rejoin file, the keyring.
//!
//! It will speak memberlist's and Serf's bytes from its first day, so that a real agent can join
//! and judge it. Those bytes will be encoded in `proconsul-wire`, never here.
//!
//! Invariant: gossip knows members, never services, and it never sees Raft or the catalog.
#![no_std]
