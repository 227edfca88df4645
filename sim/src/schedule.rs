//! Schedule files: a whole world as text that a person can read, edit, shrink and commit.
//!
//! A schedule names the seed, the options, every fault and every client operation, one item a line.
//! It does not hold random numbers, so it survives a change of the code (design D12b).

use crate::admit;
use crate::options::Options;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// A whole world: run it, and the same things happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The scenario it came from; empty for the swarm.
    #[serde(default)]
    pub scenario: String,
    /// The rule that was violated, if the schedule was kept because of one.
    #[serde(default)]
    pub rule: String,
    /// The seed of everything drawn.
    pub seed: u64,
    /// Servers, latencies, disks, bounds.
    pub options: Options,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What clients do.
    #[serde(default)]
    pub ops: Vec<Op>,
}

/// Something that goes wrong, whole in itself: removing it removes its end, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    pub when: When,
    /// What.
    pub what: Action,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// At this many microseconds.
    At(u64),
    /// At a protocol event (design D12c).
    On(Trip),
}

/// A protocol event that sets off a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trip {
    /// Only events of this server; any if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<u8>,
    /// Which event.
    pub event: Mark,
    /// The how-many-th such event, from 1.
    pub nth: u32,
    /// Strike in the middle: effects of the same step that come later are not performed. Only
    /// crashes look at it.
    #[serde(default)]
    pub middle: bool,
    /// Strike this many microseconds later.
    #[serde(default)]
    pub after: u64,
}

/// Protocol events a fault can be tied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of raft's events")]
pub enum Mark {
    PreCandidate,
    Candidate,
    Leader,
    SteppedDown,
    VoteGranted,
    AppendAcked,
    AppendSent,
    Committed,
    Truncated,
    MembershipChanged,
    ChunkSent,
    SnapshotInstalled,
    SnapshotTaken,
    TransferStarted,
    Compacted,
}

impl Mark {
    /// Every mark.
    pub const ALL: [Self; 15] = [
        Self::PreCandidate,
        Self::Candidate,
        Self::Leader,
        Self::SteppedDown,
        Self::VoteGranted,
        Self::AppendAcked,
        Self::AppendSent,
        Self::Committed,
        Self::Truncated,
        Self::MembershipChanged,
        Self::ChunkSent,
        Self::SnapshotInstalled,
        Self::SnapshotTaken,
        Self::TransferStarted,
        Self::Compacted,
    ];
}

/// Whom a fault strikes, decided when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// This server.
    Server(u8),
    /// Whoever leads in the newest term.
    Leader,
    /// The n-th of those who do not lead.
    Follower(u8),
    /// The server whose event set off the fault.
    Actor,
    /// The server that event was about.
    Other,
}

/// What goes wrong, and for how long (`span`, in microseconds; 0: until everything is healed).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant says what its fields are")]
pub enum Action {
    /// The process dies at once; it starts again after `down` (0: at the end of the faults). With
    /// `moved` it comes back under a new address. With `power` gone, too, the disk keeps what it
    /// likes of what was not synced; if nothing is said, chance decides.
    Crash {
        who: Target,
        down: u64,
        moved: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        power: Option<bool>,
    },
    /// A dead process starts again.
    Restart { who: Target },
    /// The process stands still; what comes for it waits.
    Pause { who: Target, span: u64 },
    /// Nothing gets from one to the other. The other direction works.
    Cut { from: Target, to: Target, span: u64 },
    /// Nothing gets in or out.
    Isolate { who: Target, span: u64 },
    /// The servers of `side` (bit n: server n) and the others do not hear each other.
    Split { side: u8, span: u64 },
    /// Two halves that hear each other only through one server.
    Bridge { middle: Target, side: u8, span: u64 },
    /// Every message of this server takes `extra` longer, in and out.
    Slow { who: Target, extra: u64, span: u64 },
    /// Messages get lost everywhere (millionths).
    Lossy { ppm: u32, span: u64 },
    /// What this server sends goes through a line of so many bytes a second.
    Narrow { who: Target, bytes_per_second: u64, span: u64 },
    /// All connections of this server break.
    Reset { who: Target },
    /// Syncs take `extra` longer.
    DiskSlow { who: Target, extra: u64, span: u64 },
    /// Syncs do not come back until the span is over.
    DiskHang { who: Target, span: u64 },
    /// The next sync fails.
    DiskFail { who: Target },
    /// Writes find no space.
    DiskFull { who: Target, span: u64 },
    /// A bit flips in an old file (not the newest of the log). Noticed at the next start. Which
    /// bit follows from `drawn`; if that is not said, from how many faults struck before.
    BitRot {
        who: Target,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drawn: Option<u64>,
    },
    /// The monotonic clock runs at another rate (millionths of the true one).
    ClockRate { who: Target, rate: u32, span: u64 },
    /// The monotonic clock jumps forward by so many microseconds.
    ClockJump { who: Target, by: u64 },
    /// The wall clock jumps, in milliseconds.
    WallJump { who: Target, by_ms: i64 },
    /// Everything that is broken by faults so far is whole again, and everyone who is down starts.
    Heal,
}

impl Action {
    /// A crash of which chance decides whether the power goes, too.
    #[must_use]
    pub fn crash(who: Target, down: u64) -> Self {
        Self::Crash { who, down, moved: false, power: None }
    }

    /// Says what chance decides, where nothing is said yet: whether the power goes, which bit
    /// flips.
    pub(crate) fn pin(&mut self, gone: bool, number: u64) {
        if let Self::Crash { power, .. } = self {
            power.get_or_insert(gone);
        } else if let Self::BitRot { drawn, .. } = self {
            drawn.get_or_insert(number);
        }
    }
}

/// One thing a client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Op {
    /// When, in microseconds.
    pub at: u64,
    /// Which client.
    pub client: u8,
    /// Whom it asks first.
    pub server: u8,
    /// What it wants.
    pub what: Want,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Freshness {
    /// What the API does when nothing is said.
    #[default]
    Default,
    /// `?consistent`
    Consistent,
    /// `?stale`
    Stale,
}

/// What a client wants. Keys are numbers; `k/3` is the text of key 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is one call of the HTTP API")]
pub enum Want {
    Put {
        key: u8,
    },
    Get {
        key: u8,
        fresh: Freshness,
    },
    Cas {
        key: u8,
    },
    Delete {
        key: u8,
    },
    /// Delete if the key is as this client saw it last.
    DeleteCas {
        key: u8,
    },
    DeleteTree,
    List {
        fresh: Freshness,
    },
    /// Two writes and a condition on the first key, all or nothing.
    Txn {
        key: u8,
        other: u8,
    },
    /// A large value, beside the keys that are judged: it makes snapshots long.
    Fill {
        key: u8,
    },
    /// A new session of this client.
    Session,
    /// The same; when it ends, its keys are deleted.
    Ephemeral,
    Acquire {
        key: u8,
    },
    Release {
        key: u8,
    },
    Renew,
    Destroy,
    /// Blocking queries on one key, one after another until the end.
    WatchKey {
        key: u8,
        fresh: Freshness,
    },
    /// Blocking queries on the prefix of all keys.
    WatchPrefix {
        fresh: Freshness,
    },
    /// Blocking queries on the health of one service.
    WatchService {
        service: u8,
        fresh: Freshness,
    },
    Register {
        node: u8,
        service: u8,
        passing: bool,
    },
    Deregister {
        node: u8,
        service: u8,
    },
    DeregisterNode {
        node: u8,
    },
    Health {
        service: u8,
        fresh: Freshness,
    },
    Services {
        fresh: Freshness,
    },
    /// Leadership to this server.
    Transfer {
        to: u8,
    },
    /// This server leaves the group.
    RemovePeer {
        server: u8,
    },
}

impl Schedule {
    /// The text of a schedule file: JSON, one fault and one operation a line.
    #[must_use]
    pub fn text(&self) -> String {
        let facts = [
            ("scenario", line(&self.scenario)),
            ("rule", line(&self.rule)),
            ("seed", line(&self.seed)),
        ];
        let lists = [("faults", lines(&self.faults)), ("ops", lines(&self.ops))];
        text_of(&facts, &self.options, &lists)
    }

    /// Reads a schedule file.
    ///
    /// # Errors
    /// The text is not one, or asks for what no world can be; the reason names the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let schedule: Self = admit::read(text)?;
        schedule.options.check()?;
        for (place, fault) in schedule.faults.iter().enumerate() {
            if let When::On(trip) = fault.when {
                admit::within(&format!("faults[{place}].when.On.nth"), trip.nth, 1..=u32::MAX)?;
            }
        }
        Ok(schedule)
    }
}

/// The text of a file that describes a world: a few facts, the options, and lists with one item a
/// line.
pub(crate) fn text_of(
    facts: &[(&str, String)],
    options: &impl Serialize,
    lists: &[(&str, Vec<String>)],
) -> String {
    let mut text = String::from("{\n");
    let mut put = |piece: std::fmt::Arguments<'_>| {
        text.write_fmt(piece).expect("a String takes everything");
    };
    for (name, fact) in facts {
        put(format_args!("  \"{name}\": {fact},\n"));
    }
    let options = plain(serde_json::to_string_pretty(options)).replace('\n', "\n  ");
    put(format_args!("  \"options\": {options}"));
    for (name, items) in lists {
        put(format_args!(",\n  \"{name}\": ["));
        for (place, item) in items.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            put(format_args!("{comma}\n    {item}"));
        }
        put(format_args!("\n  ]"));
    }
    put(format_args!("\n}}\n"));
    text
}

/// A value as one line.
pub(crate) fn line(value: &(impl Serialize + ?Sized)) -> String {
    plain(serde_json::to_string(value))
}

/// Each item as one line.
pub(crate) fn lines(items: &[impl Serialize]) -> Vec<String> {
    items.iter().map(line).collect()
}

fn plain(text: Result<String, serde_json::Error>) -> String {
    text.expect("plain data has a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip_one_item_a_line() {
        let schedule = Schedule {
            scenario: "x".into(),
            seed: 7,
            faults: vec![
                Fault { when: When::At(5), what: Action::Pause { who: Target::Leader, span: 9 } },
                Fault {
                    when: When::On(Trip {
                        server: None,
                        event: Mark::VoteGranted,
                        nth: 2,
                        middle: true,
                        after: 0,
                    }),
                    what: Action::crash(Target::Actor, 1),
                },
            ],
            ops: vec![Op { at: 1, client: 0, server: 2, what: Want::Put { key: 3 } }],
            ..Schedule::default()
        };
        let text = schedule.text();
        assert_eq!(Schedule::parse(&text).unwrap(), schedule);
        assert_eq!(text.lines().filter(|line| line.starts_with("    {\"")).count(), 3);
        assert!(Schedule::parse("{").is_err());
    }

    #[test]
    fn a_file_that_asks_for_what_cannot_be_is_refused_by_name() {
        let drawn = crate::workload::schedule(5);
        let text = drawn.text();
        assert_eq!(Schedule::parse(&text), Ok(drawn));
        let servers = text.lines().find(|line| line.contains("\"servers\"")).expect("it is said");
        for (from, to, reason) in [
            ("\"safety\"", "\"savety\"", "unknown field `savety`"),
            ("\"faults\"", "\"fault\"", "unknown field `fault`"),
            ("\"at\":", "\"on\":", "unknown field `on`"),
            (servers, "\"servers\": 0,", "options.servers: 0 is not from 1 to 8"),
            (servers, "\"servers\": 9,", "options.servers: 9 is not from 1 to 8"),
            ("\"safety\": 12", "\"safety\": 9999912", "options.safety: 9999"),
            ("\"bound\": 4", "\"bound\": 18446744", "options.bound: 1844"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = Schedule::parse(&changed).expect_err(to);
            assert!(error.contains(reason), "{to}: {error}");
        }
        type Change = fn(&mut Schedule);
        let cases: [(Change, &str); 6] = [
            (|it| it.options.clients = 0, "options.clients: 0"),
            (|it| it.options.timing = vec![[9_000, 5_000, 6_000]], "options.timing[0]"),
            (|it| it.options.inflight_messages_max = 0, "options.inflight_messages_max: 0"),
            (|it| it.options.segment_bytes = 1, "options.segment_bytes: 1"),
            (|it| it.faults[0].when = When::At(u64::MAX), "faults[0].when.At"),
            (
                |it| {
                    let event = Mark::Leader;
                    let trip = Trip { server: None, event, nth: 0, middle: false, after: 0 };
                    it.faults[0].when = When::On(trip);
                },
                "faults[0].when.On.nth: 0",
            ),
        ];
        for (change, reason) in cases {
            let mut changed = crate::workload::schedule(5);
            change(&mut changed);
            let error = Schedule::parse(&changed.text()).expect_err(reason);
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
