//! Whatever comes from outside: no panic, and every invariant holds.

use super::*;
use crate::face::{Asked, KeyOp};
use proconsul_types::{Coordinate, LamportTime, Rng};
use proconsul_wire::serf::{
    EventsAt, Filter, Join, KeyRequest, Leave, Message, PushPullState, Query, QueryResponse, Relay,
    UserEvent,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just("a"), Just("b"), Just("n"), Just("")].prop_map(Arc::from)
}

fn time() -> impl Strategy<Value = LamportTime> {
    prop_oneof![0_u64..8, 500_u64..1030, Just(u64::MAX), Just(u64::MAX - 1)].prop_map(LamportTime)
}

fn payload() -> impl Strategy<Value = Option<Bytes>> {
    let keys = prop_oneof![Just(1_u8), Just(2)]
        .prop_map(|byte| KeyRequest { key: Bytes::from(alloc::vec![byte; 16]) }.to_bytes());
    prop_oneof![
        Just(None),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Some(Bytes::from(bytes))),
        Just(Some(Bytes::from("a"))),
        keys.prop_map(Some),
    ]
}

fn filter() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        vec(any::<u8>(), 0..8).prop_map(Bytes::from),
        "[a-z(*+?|\\[]{0,8}".prop_map(|expression| Filter::Tag {
            tag: "role".to_string(),
            expression
        }
        .to_bytes()),
    ]
}

fn query_name() -> impl Strategy<Value = Arc<str>> {
    let names = ["q", "_serf_ping", "_serf_conflict", "_serf_install-key", "_serf_use-key"];
    let more = ["_serf_remove-key", "_serf_list-keys", "_serf_", "_serf_else"];
    proptest::sample::select([names.as_slice(), more.as_slice()].concat()).prop_map(Arc::from)
}

fn message() -> impl Strategy<Value = Bytes> {
    let leave = (time(), name(), any::<bool>())
        .prop_map(|(time, node, prune)| Message::Leave(Leave { time, node, prune }));
    let join = (time(), name()).prop_map(|(time, node)| Message::Join(Join { time, node }));
    let event =
        (time(), name(), payload(), any::<bool>()).prop_map(|(time, name, payload, coalesce)| {
            Message::UserEvent(UserEvent { time, name, payload, coalesce })
        });
    let who = (name(), any::<Option<u16>>(), vec(filter(), 0..2));
    let query = (time(), any::<bool>(), who, query_name(), any::<(u32, u8, i64)>(), payload())
        .prop_map(|(time, same, who, name, (flags, relay_factor, timeout_nanos), payload)| {
            let (source_node, port, filters) = who;
            Message::Query(Query {
                time,
                id: u32::from(same),
                reply_to: port.map(|port| SocketAddr::from(([10, 0, 0, 9], port))),
                source_node,
                filters,
                flags,
                relay_factor,
                timeout_nanos,
                name,
                payload,
            })
        });
    let response = (time(), any::<u32>(), name(), any::<u32>(), payload()).prop_map(
        |(time, id, from, flags, payload)| {
            Message::QueryResponse(QueryResponse { time, id, from, flags, payload })
        },
    );
    let relay = (name(), vec(any::<u8>(), 0..20)).prop_map(|(name, message)| {
        Message::Relay(Relay { name, to: address("b"), message: Bytes::from(message) })
    });
    let built = prop_oneof![leave, join, event, query, response, relay];
    prop_oneof![
        4 => built.clone().prop_map(|message| message.to_bytes()),
        1 => (built, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(message, at, byte)| {
            let mut bytes = message.to_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            Bytes::from(bytes)
        }),
        1 => vec(any::<u8>(), 0..40).prop_map(Bytes::from),
    ]
}

fn state() -> impl Strategy<Value = PushPullState> {
    let events = vec((time(), vec((name(), payload()), 0..3)), 0..4);
    let events = events.prop_map(|events| {
        events.into_iter().map(|(time, events)| EventsAt { time, events }).collect()
    });
    let times = (time(), time(), time());
    (times, vec((name(), time()), 0..4), vec(name(), 0..3), events).prop_map(
        |((time, event_time, query_time), status_times, left, events)| PushPullState {
            time,
            status_times: status_times.into(),
            left,
            event_time,
            events,
            query_time,
        },
    )
}

#[derive(Clone, Debug)]
enum Act {
    Hear(Bytes),
    Merge(PushPullState, bool),
    Arrive(Arc<str>, Vec<u8>),
    Go(Arc<str>, bool),
    Ack(Vec<u8>, f64),
    Pass(u64),
    Ask(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => message().prop_map(Act::Hear),
        2 => (state(), any::<bool>()).prop_map(|(state, old)| Act::Merge(state, old)),
        1 => (name(), vec(any::<u8>(), 0..20)).prop_map(|(name, meta)| Act::Arrive(name, meta)),
        1 => (name(), any::<bool>()).prop_map(|(name, own_word)| Act::Go(name, own_word)),
        1 => (vec(any::<u8>(), 0..20), any::<f64>()).prop_map(|(b, f)| Act::Ack(b, f)),
        2 => (0_u64..100_000).prop_map(Act::Pass),
        1 => (0_u8..7).prop_map(Act::Ask),
    ]
}

fn perform(serf: &mut Serf, now: &mut Instant, act: Act) {
    match act {
        Act::Hear(bytes) => serf.on_user(*now, &bytes),
        Act::Merge(state, ignore_old) => serf.merge(*now, &state, ignore_old),
        Act::Arrive(name, meta) => {
            let (mut alive, _) = is_alive(&name, &TextMap::new(), Liveness::Alive);
            alive.meta = Some(Bytes::from(meta));
            serf.on_joined(*now, &alive, VERSIONS, address(&name));
        }
        Act::Go(name, own_word) => serf.on_gone(*now, &name, own_word),
        Act::Ack(bytes, float) => {
            serf.on_ack(&Arc::from("b"), &bytes, second(1));
            let place =
                Coordinate { vector: [float; 8], error: float, adjustment: 0.0, height: float };
            let payload = proconsul_wire::serf::encode_coordinate(&place);
            serf.on_ack(&Arc::from("b"), &payload, second(1));
        }
        Act::Pass(millis) => {
            *now = now.after(Duration::from_millis(millis));
            serf.wake(*now);
        }
        Act::Ask(0) => serf.leave(*now),
        Act::Ask(1) => serf.keys(*now, Asked(1), KeyOp::List, 1),
        Act::Ask(2) => serf.query(*now, Asked(2), queries::params("q")),
        Act::Ask(3) => serf.on_conflict(*now, "a", address("a"), address("z")),
        Act::Ask(4) => serf.force_leave(*now, &Arc::from("b"), true),
        Act::Ask(5) => serf.on_swim_left(*now),
        Act::Ask(_) => serf.on_join_done(*now, 1),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_that_is_heard_breaks_it(
        acts in vec(act(), 1..60),
        file in vec(any::<u8>(), 0..60),
    ) {
        let mut config = config("a");
        config.keyring = Keyring::new(alloc::vec![key(1)]);
        let mut now = Instant::START;
        let mut serf = Serf::new(&config, &Rng::new(Seed(1)), &file, now);
        let own = alive(&serf);
        serf.on_joined(now, &own, VERSIONS, config.advertised);
        let mut told = Vec::new();
        for act in acts {
            let before = serf.clocks();
            perform(&mut serf, &mut now, act);
            serf.check_invariants();
            let after = serf.clocks();
            prop_assert!(before.member <= after.member && before.event <= after.event);
            prop_assert!(before.query <= after.query);
            told.clear();
            serf.broadcasts(1300, &mut told);
            let bytes: usize = told.iter().map(|bytes| bytes.len() + 3).sum();
            prop_assert!(bytes <= 1300);
            while serf.take_ask().is_some() {}
        }
        prop_assert!(serf.coordinate().vector.iter().all(|place| place.is_finite()));
    }

    #[test]
    fn whatever_was_remembered_is_read(
        lines in vec("(alive|not-alive|clock|leave|#|x)?:? ?[ -~]{0,20}\n?", 0..20),
    ) {
        let rng = Rng::new(Seed(1));
        let serf = Serf::new(&config("a"), &rng, lines.concat().as_bytes(), Instant::START);
        serf.check_invariants();
    }
}

/// A user event as others would tell it.
fn event(time: u64, bytes: usize) -> UserEvent {
    let payload = Some(Bytes::from(alloc::vec![7; bytes]));
    UserEvent { time: LamportTime(time), name: Arc::from("e"), payload, coalesce: false }
}

#[test]
fn what_no_packet_can_carry_is_never_queued() {
    let mut pool = Pool::of(&["a", "b"]);
    // A packet of 1400 bytes: the rest is what a compound of one user message costs.
    for bytes in 1300..1400 {
        let event = Message::UserEvent(event(1, bytes)).to_bytes();
        pool.deliver("a", &event);
        let mut told = Vec::new();
        for _ in 0..4 {
            pool.serf("a").broadcasts(1398, &mut told);
        }
        let expected = if event.len() <= 1395 { alloc::vec![event; 4] } else { Vec::new() };
        assert_eq!(told, expected, "with {bytes} bytes");
        assert_eq!(pool.serfs["a"].queue_lengths().events, 0);
    }
    for times in 0..5000 {
        pool.deliver("a", &Message::UserEvent(event(times % 9 + 2, 2000)).to_bytes());
        let long = Leave { time: LamportTime(times), node: "x".repeat(2000).into(), prune: false };
        pool.deliver("a", &Message::Leave(long).to_bytes());
        while pool.serf("a").take_ask().is_some() {}
    }
    assert_eq!(pool.serfs["a"].queue_lengths(), crate::QueueLengths::default());
}

#[test]
fn a_seal_and_a_label_leave_less_room() {
    let longest = |change: fn(&mut Config)| {
        let mut config = config("a");
        change(&mut config);
        let mut serf = Serf::new(&config, &Rng::new(Seed(1)), b"", Instant::START);
        let fits = |bytes: &usize| {
            serf.tell(super::super::Queue::Events, Bytes::from(alloc::vec![3; *bytes]));
            let fits = serf.queue_lengths().events > 0;
            serf.events_queue = super::super::Broadcasts::default();
            fits
        };
        (1300..1400).filter(fits).max()
    };
    assert_eq!(longest(|_| {}), Some(1395));
    assert_eq!(longest(|config| config.label = Arc::from("abc")), Some(1390));
    let sealed = |config: &mut Config| config.keyring = Keyring::new(alloc::vec![key(1)]);
    assert_eq!(longest(sealed), Some(1366));
}

#[test]
fn events_and_queries_above_their_cap_are_refused() {
    let mut pool = Pool::of(&["a"]);
    let cap = 9 * 1024 - 1;
    for bytes in [cap + 1, cap] {
        pool.deliver("a", &Message::UserEvent(event(1, bytes)).to_bytes());
    }
    let events = alloc::vec![(Arc::from("x"), Some(Bytes::from(alloc::vec![7; cap + 1])))];
    let state = PushPullState {
        time: LamportTime(0),
        status_times: Vec::new().into(),
        left: Vec::new(),
        event_time: LamportTime(3),
        events: alloc::vec![EventsAt { time: LamportTime(2), events }],
        query_time: LamportTime(0),
    };
    let now = pool.now;
    pool.serf("a").merge(now, &state, false);
    pool.settle();
    assert_eq!(pool.user_events("a"), ["e@1"]);
    let query = |bytes: usize| Query {
        time: LamportTime(1),
        id: 1,
        reply_to: None,
        source_node: Arc::from("b"),
        filters: Vec::new(),
        flags: 0,
        relay_factor: 0,
        timeout_nanos: 1,
        name: Arc::from("q"),
        payload: Some(Bytes::from(alloc::vec![7; bytes])),
    };
    let overhead = Message::Query(query(900)).encoded_len() - 900;
    for (bytes, heard) in [(1025 - overhead, 0), (1024 - overhead, 1)] {
        pool.deliver("a", &Message::Query(query(bytes)).to_bytes());
        assert_eq!(pool.serfs["a"].queue_lengths().queries, heard);
    }
}

#[test]
fn remembered_events_take_no_more_memory_than_they_may() {
    let mut pool = Pool::of(&["a"]);
    let most = 512 * 9 * 1024;
    let held = |pool: &Pool| {
        let state = pool.serfs["a"].local_state();
        let all = state.events.iter().flat_map(|at| &at.events);
        all.map(|(_, payload)| payload.as_ref().map_or(0, Bytes::len)).sum::<usize>()
    };
    let hear = |pool: &mut Pool, time: u64, number: usize| {
        let mut payload = alloc::vec![7; 9000];
        payload[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        let event = UserEvent { payload: Some(Bytes::from(payload)), ..event(time, 0) };
        pool.deliver("a", &Message::UserEvent(event).to_bytes());
        pool.settle();
        assert!(held(pool) <= most);
        pool.user_events("a").len()
    };
    // 520 of them fit. The one after forgets time 5, and the next one time 6.
    let times = core::iter::once(5).chain(core::iter::repeat(6));
    let new: usize =
        times.take(600).enumerate().map(|(number, time)| hear(&mut pool, time, number)).sum();
    assert_eq!(new, 1 + 520 + 1);
    assert_eq!(hear(&mut pool, 5, 0), 0, "what was forgotten is not new again");
    assert_eq!(hear(&mut pool, 6, 1), 0);
    assert_eq!(hear(&mut pool, 7, 1), 1, "what comes later is");
}
