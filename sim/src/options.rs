//! What kind of world it is: drawn as a whole from one seed (swarm), or set by a story.

use crate::admit::within;
use crate::client::FILL_BYTES;
use crate::schedule::Freshness;
use proconsul_core::types::{Rng, Seed};
use serde::{Deserialize, Serialize};

/// Everything about a world but its faults and operations. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Servers.
    pub servers: u8,
    /// Clients.
    pub clients: u8,
    /// How long anything may break.
    pub safety: u64,
    /// How long everything is whole afterwards.
    pub liveness: u64,
    /// After healing, a leader must be there within this long, and writes again as long after.
    pub bound: u64,
    /// Shortest way of a message between servers.
    pub latency_min: u64,
    /// Longest usual way.
    pub latency_max: u64,
    /// Share of messages with a long way (millionths).
    pub tail_ppm: u32,
    /// How long the long way is at most.
    pub tail_max: u64,
    /// Share of messages lost in the ordinary course (millionths).
    pub loss_ppm: u32,
    /// Messages travel without connections: lost, doubled, overtaken one by one. Real servers talk
    /// over streams; the core must survive this all the same.
    pub hostile: bool,
    /// Share of messages that come twice when `hostile`.
    pub duplicate_ppm: u32,
    /// Shortest sync.
    pub sync_min: u64,
    /// Longest usual sync.
    pub sync_max: u64,
    /// Timing of each server: heartbeat, shortest and longest election timeout. The last is used
    /// for all servers beyond.
    pub timing: Vec<[u64; 3]>,
    /// Entries in one append message.
    pub append_entries_max: u32,
    /// Append messages on the way to one follower.
    pub inflight_messages_max: u32,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// A snapshot after so many bytes of log.
    pub snapshot_log_bytes: u64,
    /// Bytes of log kept behind a snapshot.
    pub trailing_bytes: u64,
    /// The limits of single servers; those beyond have what is said above.
    pub limits: Vec<Limits>,
    /// Share of messages encoded, decoded and compared (millionths).
    pub codec_ppm: u32,
    /// How many keys clients use.
    pub keys: u8,
    /// TTL of the clients' sessions, in milliseconds.
    pub session_ttl_ms: u64,
    /// Lock-delay of the clients' sessions, in milliseconds.
    pub lock_delay_ms: u64,
    /// How long a client waits for an answer.
    pub patience: u64,
    /// Whether default reads are judged like consistent ones, and what is promised for a time
    /// (locks, sessions, lock-delays) by the true time: while clocks keep within the margin of the
    /// lease.
    pub judge_default: bool,
    /// Whether clients' histories are also judged by search, not only by index.
    pub second_opinion: bool,
    /// The planted fault all servers carry; empty for none.
    pub planted: String,
}

/// What a server takes, keeps and sends at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Entries in one append message.
    pub append_entries_max: u32,
    /// Bytes of entries in one append message.
    pub append_bytes_max: u64,
    /// Append messages on the way to one follower.
    pub inflight_messages_max: u32,
    /// Bytes appended and not committed; beyond it writes are refused.
    pub uncommitted_bytes_max: u64,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// A snapshot after so many bytes of log.
    pub snapshot_log_bytes: u64,
    /// Bytes of log kept behind a snapshot.
    pub trailing_bytes: u64,
    /// Bytes of a value.
    pub value_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: 5,
            clients: 4,
            safety: 12_000_000,
            liveness: 8_000_000,
            bound: 4_000_000,
            latency_min: 200,
            latency_max: 2_000,
            tail_ppm: 10_000,
            tail_max: 30_000,
            loss_ppm: 0,
            hostile: false,
            duplicate_ppm: 0,
            sync_min: 500,
            sync_max: 5_000,
            timing: vec![[100_000, 300_000, 600_000]],
            append_entries_max: 64,
            inflight_messages_max: 16,
            segment_bytes: 16 * 1024,
            snapshot_log_bytes: 64 * 1024,
            trailing_bytes: 8 * 1024,
            limits: Vec::new(),
            codec_ppm: 10_000,
            keys: 6,
            session_ttl_ms: 1_000,
            lock_delay_ms: 300,
            patience: 2_500_000,
            judge_default: true,
            second_opinion: false,
            planted: String::new(),
        }
    }
}

impl Options {
    /// Draws a world. The same seed gives the same world.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(Seed(seed)).split("options");
        let mut options = Self {
            servers: [5, 5, 5, 3, 3, 4][rng.index(6)],
            clients: u8::try_from(rng.between(3, 6)).unwrap_or(4),
            ..Self::default()
        };
        if rng.chance(1, 3) {
            options.latency_max = rng.between(2_000, 40_000);
            options.latency_min = options.latency_max / 10;
        }
        options.tail_max = rng.between(5_000, 200_000);
        options.tail_ppm = u32::try_from(rng.between(0, 30_000)).unwrap_or(0);
        if rng.chance(1, 4) {
            options.loss_ppm = u32::try_from(rng.between(1_000, 100_000)).unwrap_or(0);
        }
        if rng.chance(1, 3) {
            options.hostile = true;
            options.duplicate_ppm = u32::try_from(rng.between(0, 200_000)).unwrap_or(0);
        }
        options.sync_max = rng.between(1_000, 15_000);
        options.sync_min = rng.between(100, options.sync_max);
        options.timing = if rng.chance(1, 4) {
            (0..options.servers).map(|_| timing(&mut rng)).collect()
        } else {
            vec![timing(&mut rng)]
        };
        options.append_entries_max = [1, 2, 8, 64][rng.index(4)];
        options.inflight_messages_max = [1, 2, 4, 16][rng.index(4)];
        if rng.chance(1, 2) {
            options.segment_bytes = rng.between(2_048, 8_192);
            options.snapshot_log_bytes = rng.between(2_048, 12_000);
            options.trailing_bytes = rng.between(0, 3_000);
        }
        options.keys = u8::try_from(rng.between(2, 8)).unwrap_or(4);
        options.session_ttl_ms = rng.between(500, 1_500);
        options.lock_delay_ms = rng.between(0, 1_000);
        options.second_opinion = rng.chance(1, 16);
        options.judge_default = !rng.chance(1, 8);
        if rng.chance(1, 4) {
            options.limits =
                (0..options.servers).map(|_| Limits::draw(&mut rng, &options)).collect();
        }
        options.keep_pace();
        options
    }

    /// Lets appends carry at least what clients write, also over the longest links: a group that
    /// falls behind for ever keeps no bound after healing, and that would be nobody's fault.
    pub fn keep_pace(&mut self) {
        let round = 2 * self.latency_max + self.sync_max;
        let on_the_way = (round * ENTRIES_A_SECOND).div_ceil(1_000_000);
        let each = |messages: u32| {
            u32::try_from(on_the_way.div_ceil(u64::from(messages.max(1)))).unwrap_or(u32::MAX)
        };
        self.append_entries_max = self.append_entries_max.max(each(self.inflight_messages_max));
        for limits in &mut self.limits {
            let least = each(limits.inflight_messages_max);
            limits.append_entries_max = limits.append_entries_max.max(least);
        }
    }

    /// The limits of a server.
    #[must_use]
    pub fn limits_of(&self, server: usize) -> Limits {
        self.limits.get(server).copied().unwrap_or(Limits {
            append_entries_max: self.append_entries_max,
            append_bytes_max: 64 * 1024,
            inflight_messages_max: self.inflight_messages_max,
            uncommitted_bytes_max: 1024 * 1024,
            segment_bytes: self.segment_bytes,
            snapshot_log_bytes: self.snapshot_log_bytes,
            trailing_bytes: self.trailing_bytes,
            value_bytes_max: 512 * 1024,
        })
    }

    /// Whether there can be such a world.
    ///
    /// # Errors
    /// There cannot; the reason names the option.
    pub fn check(&self) -> Result<(), String> {
        within("options.servers", self.servers, 1..=SERVERS_MAX)?;
        within("options.clients", self.clients, 1..=u8::MAX)?;
        for (server, [heartbeat, min, max]) in self.timing.iter().enumerate() {
            let name = format!("options.timing[{server}]");
            within(&format!("{name}[0]"), *heartbeat, 1_000..=*min)?;
            within(&format!("{name}[1]"), *min, 1_000..=*max)?;
        }
        within("options.append_entries_max", self.append_entries_max, 1..=1 << 20)?;
        within("options.inflight_messages_max", self.inflight_messages_max, 1..=1 << 20)?;
        within("options.segment_bytes", self.segment_bytes, 512..=64 << 20)?;
        within("options.snapshot_log_bytes", self.snapshot_log_bytes, 1..=1 << 30)?;
        within("options.trailing_bytes", self.trailing_bytes, 0..=1 << 30)?;
        for (server, limits) in self.limits.iter().enumerate() {
            let name = |field: &str| format!("options.limits[{server}].{field}");
            within(&name("append_entries_max"), limits.append_entries_max, 1..=1 << 20)?;
            within(&name("append_bytes_max"), limits.append_bytes_max, 1..=64 << 20)?;
            within(&name("inflight_messages_max"), limits.inflight_messages_max, 1..=1 << 20)?;
            within(&name("uncommitted_bytes_max"), limits.uncommitted_bytes_max, 1..=1 << 30)?;
            within(&name("segment_bytes"), limits.segment_bytes, 512..=64 << 20)?;
            within(&name("snapshot_log_bytes"), limits.snapshot_log_bytes, 1..=1 << 30)?;
            within(&name("trailing_bytes"), limits.trailing_bytes, 0..=1 << 30)?;
            within(&name("value_bytes_max"), limits.value_bytes_max, 1..=32 << 20)?;
        }
        within("options.session_ttl_ms", self.session_ttl_ms, 1..=86_400_000)
    }

    /// The timing of a server.
    #[must_use]
    pub fn timing_of(&self, server: usize) -> [u64; 3] {
        let last = self.timing.last().copied().unwrap_or([100_000, 300_000, 600_000]);
        self.timing.get(server).copied().unwrap_or(last)
    }

    /// The whole length of the world, in microseconds.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.safety + self.liveness
    }
}

/// One bit of a byte for each, in the halves of a split.
const SERVERS_MAX: u8 = 8;

/// How many entries a follower can take, at least: several times what clients of a world write.
const ENTRIES_A_SECOND: u64 = 60;

impl Limits {
    /// Draws the limits of a server of this world. Any of them may be many times its neighbour's;
    /// each leaves room for the largest value that clients write.
    #[must_use]
    pub fn draw(rng: &mut Rng, options: &Options) -> Self {
        let wide = |rng: &mut Rng, usual: u64| rng.between(usual / 2, usual * 2);
        Self {
            append_entries_max: [1, 2, 8, 64][rng.index(4)],
            append_bytes_max: [4_096, 64 * 1024, 1024 * 1024][rng.index(3)],
            inflight_messages_max: [1, 2, 4, 16][rng.index(4)],
            uncommitted_bytes_max: [256 * 1024, 4 * 1024 * 1024][rng.index(2)],
            segment_bytes: wide(rng, options.segment_bytes),
            snapshot_log_bytes: wide(rng, options.snapshot_log_bytes),
            trailing_bytes: wide(rng, options.trailing_bytes),
            value_bytes_max: [FILL_BYTES - 1, FILL_BYTES, 512 * 1024]
                .map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX))[rng.index(3)],
        }
    }
}

fn timing(rng: &mut Rng) -> [u64; 3] {
    let min = rng.between(200_000, 500_000);
    [rng.between(60_000, min / 2), min, min + rng.between(100_000, 400_000)]
}

/// Draws how fresh a read must be.
#[must_use]
pub fn freshness(rng: &mut Rng) -> Freshness {
    [Freshness::Default, Freshness::Default, Freshness::Consistent, Freshness::Stale][rng.index(4)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_world() {
        assert_eq!(Options::draw(9), Options::draw(9));
        assert_ne!(Options::draw(9), Options::draw(10));
        for seed in 0..200 {
            let options = Options::draw(seed);
            assert_eq!(options.check(), Ok(()));
            assert!(options.sync_min <= options.sync_max);
            for server in 0..usize::from(options.servers) {
                let [heartbeat, min, max] = options.timing_of(server);
                assert!(heartbeat * 2 <= min && min < max);
            }
        }
    }
}
