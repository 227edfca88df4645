//! The rows of the test plan, in order; those from 44 on are ours.

mod crypto;
mod detect;
mod events;
mod hostile;
mod join;
mod leave;
mod outside;
mod shipped;

use crate::place::{Outcome, Place};
use std::future::Future;
use std::pin::Pin;

/// The program a row is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Serf,
    Consul,
}

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One row.
pub(crate) struct Row {
    pub(crate) number: u32,
    pub(crate) what: &'static str,
    pub(crate) needs: Needs,
    /// About how long it takes.
    pub(crate) seconds: u32,
    pub(crate) run: fn(Place) -> Running,
}

macro_rules! rows {
    ($($number:literal $needs:ident $seconds:literal $what:literal $run:path;)*) => {
        &[$(Row {
            number: $number,
            what: $what,
            needs: Needs::$needs,
            seconds: $seconds,
            run: |place| Box::pin($run(place)),
        }),*]
    };
}

/// All of them.
pub(crate) const ROWS: &[Row] = rows! {
    6 Serf 3 "we join a real agent" join::we_join;
    7 Serf 62 "we stay alive for a minute" join::stays_alive;
    8 Serf 3 "a real agent joins us" join::joins_us;
    9 Serf 6 "round trip times" join::coordinates;
    10 Serf 6 "its events reach us once" events::in_;
    11 Serf 5 "our events reach it" events::out;
    12 Serf 8 "its queries are answered" events::queries_in;
    13 Serf 15 "filters of queries, and relays" events::filters;
    14 Serf 8 "everyone is reachable" events::reachability;
    15 Serf 8 "our queries are answered" events::queries_out;
    16 Serf 8 "tags change on both sides" join::tags;
    17 Serf 10 "we leave" leave::ours;
    18 Serf 10 "a real agent leaves" leave::theirs;
    19 Serf 12 "a real agent is killed" detect::crash_of_real;
    20 Serf 12 "we are killed" detect::crash_of_ours;
    21 Serf 16 "we come back" detect::restart;
    22 Serf 12 "false accusations are refuted" detect::refutation;
    23 Serf 15 "force-leave, of the dead and of the living" leave::forced;
    24 Serf 35 "deaf on one path, then deaf to datagrams" detect::deaf;
    25 Serf 15 "we probe for others" detect::relay;
    26 Serf 12 "compression on either side" crypto::compression;
    27 Serf 10 "encryption with keys of every length" crypto::encryption;
    28 Serf 25 "keys are rotated" crypto::rotation;
    29 Serf 25 "two members of one name" join::conflict;
    30 Serf 10 "input in every form, and nonsense" hostile::table;
    31 Serf 30 "the rejoin file, ours and theirs" leave::snapshot;
    32 Consul 75 "a client of a real datacenter" outside::client_;
    33 Consul 20 "refused where a real one is" outside::refused;
    34 Consul 35 "failed, and back" outside::fails;
    35 Consul 25 "left, and gone from the catalog" outside::leaves;
    36 Consul 20 "Consul's events both ways" outside::events;
    37 Consul 20 "a server of another datacenter" outside::wan;
    38 Consul 75 "a server is asked into the WAN" outside::flooded;
    39 Consul 70 "the name of the dead is taken" outside::reclaim;
    40 Consul 30 "keys of an encrypted datacenter" outside::keys;
    41 Consul 25 "a real client agent joins our server's pool" shipped::real_client;
    42 Consul 65 "a WAN member where the LAN looks for a client" outside::guarded;
    44 Consul 25 "our client agent joins a real server's pool" shipped::our_client;
    45 Serf 20 "a real agent joins our server's pool" shipped::real_serf;
};

/// What the test plan asks for and nobody has built.
pub(crate) const NOT_BUILT: &[(u32, &str)] = &[
    (41, "its second half: a real client agent is served, which needs Consul's own RPC on 8300"),
    (43, "rows 6 to 31 in the simulator, against a model of a real peer"),
];
