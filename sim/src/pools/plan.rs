//! A world of pools as text: options, and everything that happens to it, each item whole in itself.
//!
//! Stories are plans too: what must hold at some moment is an item like any fault, so a story that
//! fails shrinks like a drawn world does.

use crate::admit::{self, within};
pub use crate::links::{Carrier, Who};
use crate::plans::Setting;
use serde::{Deserialize, Serialize};

/// A whole world of pools: run it, and the same things happen.
pub type Plan = crate::plans::Plan<Options>;

/// Everything about a world of pools but what happens to it. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Servers and clients of each datacenter. Machines are numbered through, servers first.
    pub datacenters: Vec<(u16, u16)>,
    /// Whether the servers of all datacenters share a WAN pool.
    pub wan: bool,
    /// Machines that are off at first, the last ones; [`What::Start`] turns them on.
    pub late: u16,
    /// Whether all are born knowing one another, as if they had met long ago.
    pub founded: bool,
    /// How long anything may happen. After it everything is healed.
    pub length: u64,
    /// How long the world is watched after that; 0: as long as its bounds ask for.
    pub rest: u64,
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
    /// Share of datagrams that come twice (millionths).
    pub duplicate_ppm: u32,
    /// Share of datagrams and streams that travel as bytes and are compared (millionths).
    pub codec_ppm: u32,
    /// Whether the LAN pools are encrypted.
    pub encrypted: bool,
    /// Whether members remember others in a file.
    pub durable: bool,
    /// Whether a restarted member is told whom to join; otherwise only its file tells.
    pub retry_join: bool,
    /// Whether the loser of a conflict over a name stops (Serf: yes, Consul: no).
    pub resolve_conflicts: bool,
    /// How long a direct answer may take in the LAN, in milliseconds.
    pub probe_timeout_ms: u64,
    /// Members that nobody may ever hold for failed while they are up, whatever happens.
    pub unharmed: Option<Who>,
    /// Deaths must be known to all within this long, beside the bound of the formulas; 0: that
    /// alone.
    pub deaths_within: u64,
    /// The planted fault all members carry; empty for none.
    pub planted: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            datacenters: vec![(0, 10)],
            wan: false,
            late: 0,
            founded: true,
            length: 60_000_000,
            rest: 0,
            latency_min: 200,
            latency_max: 2_000,
            between: Vec::new(),
            jitter_ppm: 100_000,
            loss_ppm: 0,
            duplicate_ppm: 0,
            codec_ppm: 20_000,
            encrypted: false,
            durable: true,
            retry_join: true,
            resolve_conflicts: false,
            probe_timeout_ms: 500,
            unharmed: None,
            deaths_within: 0,
            planted: String::new(),
        }
    }
}

/// What is done with a key; keys are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// Everyone takes it in.
    Install,
    /// Everyone sends with it.
    Use,
    /// Everyone forgets it.
    Remove,
}

/// What others hold of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// It is here.
    Alive,
    /// It failed.
    Failed,
    /// It left.
    Left,
    /// Nothing.
    Nothing,
}

/// What happens. Spans are in microseconds; 0: until everything is healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant says what its fields are")]
pub enum What {
    /// Processes die at once and start again after `down` (0: never). With `moved` they come back
    /// under new addresses, with `lost` without their files.
    Crash { who: Who, down: u64, moved: bool, lost: bool },
    /// Machines that are off start.
    Start { who: Who },
    /// Members leave in good order; the process ends when they have left.
    Leave { who: Who },
    /// A member says that another has left.
    ForceLeave { by: u16, who: u16, prune: bool },
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
    /// Clocks run at another rate (millionths of the true one).
    ClockRate { who: Who, rate: u32, span: u64 },
    /// A member tells all of an event. `again`: of one that looks like others before.
    Fire { by: u16, again: bool },
    /// A member asks all a question, and has others pass answers on.
    Ask { by: u16, relay: u8 },
    /// A member has the pool change its keys.
    Keys { by: u16, turn: Turn, key: u8 },
    /// A member's tags change.
    Tags { who: Who, value: u8 },
    /// A machine that is off starts under the name of another (`name`) or with its id.
    Claim { by: u16, of: u16, name: bool },
    /// A member of one pool is told to join a member of another: the LAN of another datacenter, or
    /// (`wan`) the WAN.
    Trespass { by: u16, to: u16, wan: bool },
    /// Everyone of `by` who is up holds this of everyone of `about`, in the LAN or in the WAN.
    Expect { by: Who, about: Who, held: Held, wan: bool },
    /// Everyone of `by` who is up seals with key `primary` in its LAN, and has no key `absent`.
    ExpectKeys { by: Who, primary: u8, absent: u8 },
}

impl Setting for Options {
    type What = What;
    type World = super::World;
    const KIND: &'static str = "Pools";

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
        within("options.late", self.late, 0..=self.machines())?;
        within("options.probe_timeout_ms", self.probe_timeout_ms, 1..=86_400_000)
    }

    fn words(&self) -> String {
        format!(
            "pools of {:?} servers and clients, WAN {}, {} s and then calm\n\
             latency {}..{} us, loss {} ppm, twice {} ppm",
            self.datacenters,
            self.wan,
            self.length / 1_000_000,
            self.latency_min,
            self.latency_max,
            self.loss_ppm,
            self.duplicate_ppm
        )
    }

    fn soothe(&mut self) {
        (self.loss_ppm, self.duplicate_ppm, self.codec_ppm) = (0, 0, 0);
    }

    fn span(what: &mut What) -> Option<&mut u64> {
        match what {
            What::Crash { down: span, .. }
            | What::Pause { span, .. }
            | What::Slow { span, .. }
            | What::Cut { span, .. }
            | What::Split { span, .. }
            | What::Lossy { span, .. }
            | What::ClockRate { span, .. } => Some(span),
            What::Start { .. }
            | What::Leave { .. }
            | What::ForceLeave { .. }
            | What::Fire { .. }
            | What::Ask { .. }
            | What::Keys { .. }
            | What::Tags { .. }
            | What::Claim { .. }
            | What::Trespass { .. }
            | What::Expect { .. }
            | What::ExpectKeys { .. } => None,
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
        plan.at(6, What::Fire { by: 2, again: false });
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
        assert!(!Plan::is_one(&crate::schedule::Schedule::default().text()));
        assert_eq!(text.lines().filter(|line| line.starts_with("    {\"at")).count(), 2);
    }
}
