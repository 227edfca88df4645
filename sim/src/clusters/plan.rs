//! A world of agents as text: options, and everything that happens to it, each item whole in
//! itself.

use crate::admit::{self, within};
pub use crate::links::{Carrier, Who};
use crate::plans::{Setting, size_of};
use crate::schedule::Freshness;
use serde::{Deserialize, Serialize};

/// A whole world of agents: run it, and the same things happen.
pub type Plan = crate::plans::Plan<Options>;

/// Everything about a world of agents but what happens to it. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Servers and clients of each datacenter. Machines are numbered through, servers first.
    pub datacenters: Vec<(u16, u16)>,
    /// Machines that are off at first; [`What::Start`] turns them on. Servers among them are not
    /// expected when a datacenter's group is founded.
    pub off: Vec<u16>,
    /// How long anything may happen. After it everything is healed.
    pub length: u64,
    /// How long a healed world may take to be right again; 0: what the formulas give.
    pub bound: u64,
    /// Shortest way within a datacenter.
    pub latency_min: u64,
    /// Longest usual way within a datacenter.
    pub latency_max: u64,
    /// The way between datacenters, by the sender's and the receiver's; 30 ms where it is missing.
    pub between: Vec<Vec<u64>>,
    /// Up to this share of a way is added by chance (millionths).
    pub jitter_ppm: u32,
    /// Share of datagrams lost (millionths). Streams lose time instead.
    pub loss_ppm: u32,
    /// What is lost besides between datacenters, by the sender's and the receiver's (millionths).
    pub between_loss_ppm: Vec<Vec<u32>>,
    /// Share of datagrams that come twice (millionths).
    pub duplicate_ppm: u32,
    /// Share of messages that travel as bytes and are compared (millionths).
    pub codec_ppm: u32,
    /// Whether the pools are encrypted.
    pub encrypted: bool,
    /// Shortest sync of a disk.
    pub sync_min: u64,
    /// Longest sync of a disk.
    pub sync_max: u64,
    /// Between two heartbeats of a leader; elections take three to six times as long.
    pub heartbeat: u64,
    /// Between two full comparisons of an agent with the catalog, in seconds.
    pub anti_entropy_s: u64,
    /// Bytes of log after which a server takes a snapshot.
    pub snapshot_log_bytes: u64,
    /// The planted fault all agents carry; empty for none.
    pub planted: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            datacenters: vec![(3, 3)],
            off: Vec::new(),
            length: 60_000_000,
            bound: 0,
            latency_min: 200,
            latency_max: 2_000,
            between: Vec::new(),
            jitter_ppm: 100_000,
            loss_ppm: 0,
            between_loss_ppm: Vec::new(),
            duplicate_ppm: 0,
            codec_ppm: 10_000,
            encrypted: false,
            sync_min: 200,
            sync_max: 4_000,
            heartbeat: 200_000,
            anti_entropy_s: 30,
            snapshot_log_bytes: 64 * 1024,
            planted: String::new(),
        }
    }
}

impl Options {
    /// The first machine of a datacenter; its servers come first.
    #[must_use]
    pub fn first_of(&self, dc: usize) -> u16 {
        size_of(&self.datacenters[..dc.min(self.datacenters.len())])
    }

    /// The largest share of datagrams lost on any way.
    #[must_use]
    pub fn loss_max(&self) -> u32 {
        self.loss_ppm + self.between_loss_ppm.iter().flatten().max().copied().unwrap_or(0)
    }

    /// How many servers a datacenter's group is founded with.
    #[must_use]
    pub fn founders(&self, dc: usize) -> u16 {
        let first = self.first_of(dc);
        let servers = self.datacenters.get(dc).map_or(0, |(servers, _)| *servers);
        let late = self.off.iter().filter(|off| (first..first + servers).contains(*off)).count();
        servers - u16::try_from(late).unwrap_or(servers)
    }
}

/// What happens. Spans are in microseconds; 0: until everything is healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant says what its fields are")]
pub enum What {
    /// Processes die at once and start again after `down` (0: never). With `moved` they come back
    /// under new addresses, with `lost` without anything on their disks and as someone new.
    Crash { who: Who, down: u64, moved: bool, lost: bool },
    /// Machines that are off, or have left, start.
    Start { who: Who },
    /// Agents leave in good order; the process ends when they have left.
    Leave { who: Who },
    /// An agent is asked to force another out.
    ForceLeave { by: u16, who: u16 },
    /// An agent is told to meet another (`wan`: in the WAN).
    Join { by: u16, to: u16, wan: bool },
    /// Processes stand still; what comes for them waits.
    Pause { who: Who, span: u64 },
    /// Every message of these machines takes `extra` longer, in and out.
    Slow { who: Who, extra: u64, span: u64 },
    /// Nothing gets from one to the other. The other direction works.
    Cut { from: Who, to: Who, carrier: Carrier, span: u64 },
    /// These machines and the others do not hear each other.
    Split { side: Who, span: u64 },
    /// Datagrams get lost everywhere (millionths).
    Lossy { ppm: u32, span: u64 },
    /// A key of a datacenter is written through an agent.
    Put { by: u16, dc: u8, key: u8 },
    /// It is read.
    Read { by: u16, dc: u8, key: u8, how: Freshness },
    /// A key that nobody else writes is created, if it is not there.
    Create { by: u16, dc: u8 },
    /// A key is written through an agent, which must succeed within some seconds.
    Must { by: u16, dc: u8 },
    /// Someone watches a key through an agent from now on.
    Watch { by: u16, dc: u8, key: u8 },
    /// An agent offers a service at a port.
    Register { by: u16, service: u8, port: u16 },
    /// An agent offers a service no longer.
    Deregister { by: u16, service: u8 },
    /// Someone takes an agent's service out of the catalog by hand.
    Meddle { by: u16, of: u16, service: u8 },
    /// An agent holds a session of its own node, and a lock with it.
    Hold { by: u16 },
    /// This holds in a datacenter, by what its leader's catalog says.
    Expect { dc: u8, fact: Fact },
}

/// What can be expected of a datacenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// Someone leads.
    Led,
    /// Nobody leads.
    Leaderless,
    /// So many servers vote.
    Voters(u16),
    /// An agent is there and passes.
    Passing(u16),
    /// It is there and critical.
    Critical(u16),
    /// It is not there.
    Gone(u16),
    /// So many agents offer this service.
    Offered(u8, u16),
    /// So many sessions are open.
    Sessions(u16),
}

impl What {
    /// Those it is about.
    pub(super) fn about(&mut self) -> Vec<&mut Who> {
        match self {
            Self::Crash { who, .. }
            | Self::Start { who }
            | Self::Leave { who }
            | Self::Pause { who, .. }
            | Self::Slow { who, .. }
            | Self::Split { side: who, .. } => vec![who],
            Self::Cut { from, to, .. } => vec![from, to],
            Self::ForceLeave { .. }
            | Self::Join { .. }
            | Self::Lossy { .. }
            | Self::Put { .. }
            | Self::Read { .. }
            | Self::Create { .. }
            | Self::Must { .. }
            | Self::Watch { .. }
            | Self::Register { .. }
            | Self::Deregister { .. }
            | Self::Meddle { .. }
            | Self::Hold { .. }
            | Self::Expect { .. } => Vec::new(),
        }
    }
}

impl Setting for Options {
    type What = What;
    type World = super::World;
    const KIND: &'static str = "Clusters";

    fn drawn(seed: u64) -> Plan {
        super::drawn::plan(seed)
    }

    fn planted(&mut self) -> &mut String {
        &mut self.planted
    }

    fn datacenters(&self) -> &[(u16, u16)] {
        &self.datacenters
    }

    fn check(&self) -> Result<(), String> {
        admit::datacenters(&self.datacenters)?;
        within("options.heartbeat", self.heartbeat, 1_000..=3_600_000_000)?;
        within("options.anti_entropy_s", self.anti_entropy_s, 1..=86_400)?;
        within("options.snapshot_log_bytes", self.snapshot_log_bytes, 1..=1 << 30)
    }

    fn words(&self) -> String {
        format!(
            "agents of {:?} servers and clients, {} s and then calm\n\
             latency {}..{} us, sync {}..{} us, loss up to {} ppm, twice {} ppm",
            self.datacenters,
            self.length / 1_000_000,
            self.latency_min,
            self.latency_max,
            self.sync_min,
            self.sync_max,
            self.loss_max(),
            self.duplicate_ppm
        )
    }

    fn soothe(&mut self) {
        (self.loss_ppm, self.duplicate_ppm, self.codec_ppm) = (0, 0, 0);
        self.between_loss_ppm.clear();
    }

    fn span(what: &mut What) -> Option<&mut u64> {
        match what {
            What::Crash { down: span, .. }
            | What::Pause { span, .. }
            | What::Slow { span, .. }
            | What::Cut { span, .. }
            | What::Split { span, .. }
            | What::Lossy { span, .. } => Some(span),
            What::Start { .. }
            | What::Leave { .. }
            | What::ForceLeave { .. }
            | What::Join { .. }
            | What::Put { .. }
            | What::Read { .. }
            | What::Create { .. }
            | What::Must { .. }
            | What::Watch { .. }
            | What::Register { .. }
            | What::Deregister { .. }
            | What::Meddle { .. }
            | What::Hold { .. }
            | What::Expect { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip_one_act_a_line() {
        let mut plan = Plan { seed: 7, scenario: "x".into(), ..Plan::default() };
        plan.at(5, What::Split { side: Who::Span(0, 3), span: 9 });
        plan.at(6, What::Expect { dc: 0, fact: Fact::Voters(3) });
        let text = plan.text();
        assert_eq!(Plan::parse(&text).unwrap(), plan);
        let error = Plan::parse(&text.replace("\"span\"", "\"spam\"")).unwrap_err();
        assert!(error.contains("unknown field `spam`"), "{error}");
        for datacenters in [vec![], vec![(0, 0)], vec![(u16::MAX, u16::MAX)]] {
            let mut other = plan.clone();
            other.options.datacenters = datacenters;
            let error = Plan::parse(&other.text()).unwrap_err();
            assert!(error.contains("options.datacenters"), "{error}");
        }
        assert!(Plan::is_one(&text));
        assert!(!Plan::is_one(&crate::pools::Plan::default().text()));
        assert!(!crate::pools::Plan::is_one(&text));
        assert_eq!(text.lines().filter(|line| line.starts_with("    {\"at")).count(), 2);
    }

    #[test]
    fn machines_are_numbered_through() {
        let options =
            Options { datacenters: vec![(3, 2), (2, 1)], off: vec![6, 4], ..Options::default() };
        assert_eq!((options.machines(), options.first_of(1)), (8, 5));
        assert_eq!((options.founders(0), options.founders(1)), (3, 1));
    }
}
