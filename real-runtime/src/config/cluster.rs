//! What is configured of pools, joining, leaving and servers.

use super::check::multi_error;
use super::settings::Reader;
use proconsul_core::catalog::AutopilotConfig;
use proconsul_core::gossip::{Network, Timing};
use proconsul_core::types::Duration;
use proconsul_core::wire::crypto::{Key, KeyringError};
use proconsul_core::{Coordinates, Joining};

/// Pools, joining, leaving, servers.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the keys of the file")]
pub struct ClusterSettings {
    pub serf_lan: Option<String>,
    pub serf_wan: Option<String>,
    pub serf_lan_allowed_cidrs: Vec<Network>,
    pub serf_wan_allowed_cidrs: Vec<Network>,
    pub gossip_lan: Timing,
    pub gossip_wan: Timing,
    pub encrypt: Option<Key>,
    pub encrypt_verify_incoming: bool,
    pub encrypt_verify_outgoing: bool,
    pub disable_keyring_file: bool,
    pub join: Joining,
    pub join_wan: Joining,
    pub rejoin_after_leave: bool,
    pub leave_on_terminate: bool,
    pub skip_leave_on_interrupt: bool,
    pub leave_drain_time: Duration,
    pub autopilot: AutopilotConfig,
    pub coordinates: Option<Coordinates>,
}

impl ClusterSettings {
    /// Reads and checks them.
    pub(super) fn of(read: &Reader<'_>, server: bool, dev: bool) -> Result<Self, String> {
        let base = |base: Timing| if dev { Timing::dev(&base) } else { base };
        Ok(Self {
            serf_lan: read.address("serf_lan")?,
            serf_wan: read.address("serf_wan")?,
            serf_lan_allowed_cidrs: networks(read, "serf_lan_allowed_cidrs")?,
            serf_wan_allowed_cidrs: networks(read, "serf_wan_allowed_cidrs")?,
            gossip_lan: timing(read, "lan", base(Timing::lan()))?,
            gossip_wan: timing(read, "wan", base(Timing::wan()))?,
            encrypt: read.text("encrypt").map(|text| key(&text)).transpose()?,
            encrypt_verify_incoming: read.on("encrypt_verify_incoming").unwrap_or(true),
            encrypt_verify_outgoing: read.on("encrypt_verify_outgoing").unwrap_or(true),
            disable_keyring_file: read.on("disable_keyring_file").unwrap_or(false),
            join: joining(read, "")?,
            join_wan: joining(read, "_wan")?,
            rejoin_after_leave: read.on("rejoin_after_leave").unwrap_or(false),
            leave_on_terminate: read.on("leave_on_terminate").unwrap_or(!server),
            skip_leave_on_interrupt: read.on("skip_leave_on_interrupt").unwrap_or(server),
            leave_drain_time: read.span("performance.leave_drain_time", Duration::from_secs(5)),
            autopilot: autopilot(read)?,
            coordinates: coordinates(read, dev)?,
        })
    }
}

/// Networks, or everything in the list that is none.
fn networks(read: &Reader<'_>, path: &str) -> Result<Vec<Network>, String> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for text in read.list(path) {
        match text.parse() {
            Ok(network) => good.push(network),
            Err(_) => bad.push(format!("invalid cidr: {text}")),
        }
    }
    match multi_error(&bad) {
        None => Ok(good),
        Some(text) => Err(format!("{path}: {text}")),
    }
}

/// A number that is not negative.
fn count<T: TryFrom<i64>>(read: &Reader<'_>, path: &str, default: T) -> Result<T, String> {
    match read.whole(path) {
        None => Ok(default),
        Some(number) => T::try_from(number).map_err(|_| {
            format!("{path} cannot be {number}. Must be greater than or equal to zero")
        }),
    }
}

fn timing(read: &Reader<'_>, pool: &str, base: Timing) -> Result<Timing, String> {
    let path = |name: &str| format!("gossip_{pool}.{name}");
    let suffix = if pool == "lan" { "" } else { "_wan" };
    let reconnect = format!("reconnect_timeout{suffix}");
    Ok(Timing {
        gossip_interval: read.span(&path("gossip_interval"), base.gossip_interval),
        gossip_nodes: count(read, &path("gossip_nodes"), base.gossip_nodes)?,
        probe_interval: read.span(&path("probe_interval"), base.probe_interval),
        probe_timeout: read.span(&path("probe_timeout"), base.probe_timeout),
        retransmit_mult: count(read, &path("retransmit_mult"), base.retransmit_mult)?,
        suspicion_mult: count(read, &path("suspicion_mult"), base.suspicion_mult)?,
        reconnect_timeout: read.span(&reconnect, base.reconnect_timeout),
        ..base
    })
}

fn joining(read: &Reader<'_>, suffix: &str) -> Result<Joining, String> {
    let list = |name: &str| {
        let texts = read.list(&format!("{name}{suffix}"));
        for text in &texts {
            if text.trim().is_empty() {
                return Err(format!("{name}{suffix}: an address is empty"));
            }
            if text.contains("provider=") {
                return Err(format!(
                    "{name}{suffix}: \"{text}\": finding addresses in a cloud is not supported yet"
                ));
            }
        }
        Ok(texts.iter().map(|text| text.trim().into()).collect())
    };
    Ok(Joining {
        start: list("start_join")?,
        retry: list("retry_join")?,
        interval: read.span(&format!("retry_interval{suffix}"), Duration::from_secs(30)),
        attempts_max: count(read, &format!("retry_max{suffix}"), 0)?,
    })
}

/// A key, with the texts of Consul for what is none.
fn key(text: &str) -> Result<Key, String> {
    let known = |letter: u8| letter.is_ascii_alphanumeric() || b"+/".contains(&letter);
    Key::from_base64(text).map_err(|error| match error {
        KeyringError::Base64 => {
            let body = text.trim_end_matches('=');
            let wrong = body.bytes().position(|letter| !known(letter));
            let at = wrong.unwrap_or_else(|| body.len() / 4 * 4);
            format!("encrypt has invalid key: illegal base64 data at input byte {at}")
        }
        other @ (KeyringError::Size
        | KeyringError::File
        | KeyringError::Primary
        | KeyringError::Absent) => format!("Failed to configure keyring: Invalid key: {other}"),
    })
}

fn autopilot(read: &Reader<'_>) -> Result<AutopilotConfig, String> {
    let base = AutopilotConfig::default();
    let path = |name: &str| format!("autopilot.{name}");
    Ok(AutopilotConfig {
        cleanup_dead_servers: read
            .on(&path("cleanup_dead_servers"))
            .unwrap_or(base.cleanup_dead_servers),
        last_contact_threshold: read
            .span(&path("last_contact_threshold"), base.last_contact_threshold),
        max_trailing_logs: count(read, &path("max_trailing_logs"), base.max_trailing_logs)?,
        min_quorum: count(read, &path("min_quorum"), base.min_quorum)?,
        server_stabilization_time: read
            .span(&path("server_stabilization_time"), base.server_stabilization_time),
        ..base
    })
}

fn coordinates(read: &Reader<'_>, dev: bool) -> Result<Option<Coordinates>, String> {
    if read.on("disable_coordinates").unwrap_or(false) {
        return Ok(None);
    }
    let base = Coordinates::default();
    let path = |name: &str| format!("consul.coordinate.{name}");
    let period = if dev { Duration::from_millis(100) } else { base.period };
    Ok(Some(Coordinates {
        rate_target: count(read, "sync_coordinate_rate_target", base.rate_target)?.max(1),
        interval_min: read.span("sync_coordinate_interval_min", base.interval_min),
        period: read.span(&path("update_period"), period),
        batch_size: count(read, &path("update_batch_size"), base.batch_size)?,
        batches_max: count(read, &path("update_max_batches"), base.batches_max)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_none_are_refused_in_known_words() {
        for (text, reason) in [
            ("!", "encrypt has invalid key: illegal base64 data at input byte 0"),
            ("AAAA*AAA", "encrypt has invalid key: illegal base64 data at input byte 4"),
            (
                "AAAA",
                "Failed to configure keyring: Invalid key: key size must be 16, 24 or 32 bytes",
            ),
        ] {
            assert_eq!(key(text).unwrap_err(), reason);
        }
        assert_eq!(key("AAAAAAAAAAAAAAAAAAAAAA==").unwrap().as_bytes(), [0; 16]);
    }
}
