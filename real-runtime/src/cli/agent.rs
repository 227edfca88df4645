//! `agent`: the agent itself.

use super::flag::{self, Flags, Outcome};
use super::{API_VERSION, Command, WORKERS, err, out};
use crate::agent::{Agent, AgentHandle};
use crate::config::{Built, Settings, Sources, build, settings};
use crate::{files, log, net};
use proconsul_core::ExitReason;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) const COMMAND: Command =
    Command { path: &["agent"], about: "Runs an agent", run: agent, flags };

/// Flags with a text behind them, and their keys.
const TEXTS: &[(&str, &str)] = &[
    ("advertise", "advertise_addr"),
    ("advertise-wan", "advertise_addr_wan"),
    ("alt-domain", "alt_domain"),
    ("bind", "bind_addr"),
    ("client", "client_addr"),
    ("data-dir", "data_dir"),
    ("datacenter", "datacenter"),
    ("default-query-time", "default_query_time"),
    ("domain", "domain"),
    ("encrypt", "encrypt"),
    ("log-file", "log_file"),
    ("log-level", "log_level"),
    ("log-rotate-duration", "log_rotate_duration"),
    ("max-query-time", "max_query_time"),
    ("node", "node_name"),
    ("node-id", "node_id"),
    ("pid-file", "pid_file"),
    ("retry-interval", "retry_interval"),
    ("retry-interval-wan", "retry_interval_wan"),
    ("segment", "segment"),
    ("serf-lan-bind", "serf_lan"),
    ("serf-wan-bind", "serf_wan"),
    ("ui-content-path", "ui_content_path"),
    ("ui-dir", "ui_dir"),
];

/// Flags with a number behind them.
const NUMBERS: &[(&str, &str)] = &[
    ("bootstrap-expect", "bootstrap_expect"),
    ("check_output_max_size", "check_output_max_size"),
    ("dns-port", "ports.dns"),
    ("grpc-port", "ports.grpc"),
    ("http-port", "ports.http"),
    ("https-port", "ports.https"),
    ("log-rotate-bytes", "log_rotate_bytes"),
    ("log-rotate-max-files", "log_rotate_max_files"),
    ("protocol", "protocol"),
    ("raft-protocol", "raft_protocol"),
    ("retry-max", "retry_max"),
    ("retry-max-wan", "retry_max_wan"),
    ("serf-lan-port", "ports.serf_lan"),
    ("serf-wan-port", "ports.serf_wan"),
    ("server-port", "ports.server"),
    ("sidecar-max-port", "ports.sidecar_max_port"),
    ("sidecar-min-port", "ports.sidecar_min_port"),
];

/// Flags that are on or off.
const SWITCHES: &[(&str, &str)] = &[
    ("bootstrap", "bootstrap"),
    ("disable-host-node-id", "disable_host_node_id"),
    ("disable-keyring-file", "disable_keyring_file"),
    ("enable-local-script-checks", "enable_local_script_checks"),
    ("enable-script-checks", "enable_script_checks"),
    ("log-json", "log_json"),
    ("non-voting-server", "non_voting_server"),
    ("rejoin", "rejoin_after_leave"),
    ("server", "server"),
    ("syslog", "enable_syslog"),
    ("ui", "ui"),
];

/// Flags that may come several times.
const LISTS: &[(&str, &str)] = &[
    ("allow-write-http-from", "http_config.allow_write_http_from"),
    ("join", "start_join"),
    ("join-wan", "start_join_wan"),
    ("primary-gateway", "primary_gateways"),
    ("recursor", "recursors"),
    ("retry-join", "retry_join"),
    ("retry-join-wan", "retry_join_wan"),
    ("serf-lan-allowed-cidrs", "serf_lan_allowed_cidrs"),
    ("serf-wan-allowed-cidrs", "serf_wan_allowed_cidrs"),
];

fn flags(command: clap::Command) -> clap::Command {
    let mut command = command
        .arg(flag::switch("dev", "A server in memory, for development"))
        .arg(flag::list("config-file", "Configuration file"))
        .arg(flag::list("config-dir", "Directory of configuration files"))
        .arg(flag::value("config-format", "json or hcl, whatever a file's name"))
        .arg(flag::list("hcl", "Configuration in HCL"))
        .arg(flag::list("node-meta", "Metadata of the node (key:value)"));
    for &(name, key) in TEXTS.iter().chain(NUMBERS) {
        command = command.arg(flag::value(name, key));
    }
    for &(name, key) in SWITCHES {
        command = command.arg(flag::switch(name, key));
    }
    for &(name, key) in LISTS {
        command = command.arg(flag::list(name, key));
    }
    command
}

/// What the flags say, as a configuration.
fn sources(flags: &Flags) -> Result<Sources, String> {
    let mut keys = Map::new();
    for &(name, key) in TEXTS {
        if let Some(text) = flags.text(name) {
            put(&mut keys, key, text.into());
        }
    }
    for &(name, key) in NUMBERS {
        if let Some(text) = flags.text(name) {
            let number: i64 = text.parse().map_err(|_| {
                format!(
                    "error parsing flags: invalid value \"{text}\" for flag -{name}: parse error"
                )
            })?;
            put(&mut keys, key, number.into());
        }
    }
    for &(name, key) in SWITCHES {
        if let Some(on) = flags.given(name)? {
            put(&mut keys, key, on.into());
        }
    }
    for &(name, key) in LISTS {
        let texts = flags.texts(name);
        if !texts.is_empty() {
            put(&mut keys, key, json!(texts));
        }
    }
    for pair in flags.texts("node-meta") {
        let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
        put(&mut keys, &format!("node_meta.{key}"), value.into());
    }
    let paths = flags.in_order(&["config-file", "config-dir"]);
    Ok(Sources {
        paths: paths.into_iter().map(str::to_owned).collect(),
        format: flags.text("config-format").map(str::to_owned),
        fragments: flags.texts("hcl").into_iter().map(str::to_owned).collect(),
        flags: keys,
        dev: flags.on("dev")?,
    })
}

/// Puts a value under a key with dots.
fn put(keys: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            keys.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = keys.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn agent(flags: Flags) -> Outcome {
    let shown = |text: String| format!("==> {text}");
    if !flags.arguments.is_empty() {
        return Err(shown(format!("Unexpected extra arguments: [{}]", flags.arguments.join(" "))));
    }
    let sources = sources(&flags).map_err(shown)?;
    // The texts name keys; a flag that asks for something missing is named as the flag it is.
    let settings = settings(&sources).map_err(|text| shown(name_flags(text)))?;
    let built = build(&settings, &sources).map_err(shown)?;
    let pid_file = settings.pid_file.clone();
    if let Some(path) = &pid_file {
        std::fs::write(path, std::process::id().to_string()).map_err(|error| {
            shown(format!("Could not write pid file {}: {error}", path.display()))
        })?;
    }
    let ended = run(&settings, built);
    if let Some(path) = &pid_file {
        drop(std::fs::remove_file(path));
    }
    ended
}

fn name_flags(text: String) -> String {
    if !text.starts_with("failed to parse flags: ") {
        return text;
    }
    for &(name, key) in TEXTS.iter().chain(NUMBERS).chain(SWITCHES).chain(LISTS) {
        if text.contains(&format!("* {key}: what this key asks for")) {
            return format!("-{name} is not supported yet");
        }
    }
    text
}

fn run(settings: &Settings, built: Built) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .map_err(|error| format!("==> cannot start a runtime: {error}"))?;
    // From here on a wish to reload ends nothing: it is heard once the agent runs.
    let hang_up = {
        let _inside = runtime.enter();
        signal(SignalKind::hangup()).map_err(|error| format!("==> cannot hear signals: {error}"))?
    };
    if !settings.log_json {
        banner(settings, &built);
    }
    log::start(settings.log_level, settings.log_json);
    for warning in &settings.warnings {
        tracing::warn!(target: "agent", "{warning}");
    }
    raise_bound_on_files();
    let leaving = Leaving {
        on_interrupt: !settings.cluster.skip_leave_on_interrupt,
        on_terminate: settings.cluster.leave_on_terminate,
    };
    let ended = runtime.block_on(serve(built, leaving, hang_up, settings.log_json));
    runtime.shutdown_background();
    ended
}

/// Many clients that wait are many connections.
fn raise_bound_on_files() {
    let shown = |bound: Option<u64>| bound.map_or_else(|| "none".to_owned(), |n| n.to_string());
    match files::raise_bound() {
        Ok(raised) if raised.from == raised.to => {
            tracing::debug!(target: "agent", "Bound on open files: bound={}", shown(raised.to));
        }
        Ok(raised) => tracing::info!(
            target: "agent",
            "Raised the bound on open files: from={} to={}", shown(raised.from), shown(raised.to)
        ),
        Err(error) => tracing::warn!(
            target: "agent", "could not raise the bound on open files: error=\"{error}\""
        ),
    }
}

async fn serve(built: Built, leaving: Leaving, hang_up: Signal, json: bool) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(target: "agent", "Error starting agent: error=\"{error}\"");
        format!("==> {error}")
    };
    let formed = built.formed();
    if formed.is_some() {
        tracing::info!(
            target: "agent.server", "found peers.json file, recovering Raft configuration..."
        );
    }
    let mut agent = Agent::start(built.config).await.map_err(|error| failed(&error))?;
    if let Some(data_dir) = formed {
        let kept = agent.group_kept();
        tokio::spawn(async move {
            kept.await;
            match net::aside(move || Built::put_aside(&data_dir)).await {
                Ok(Ok(())) => tracing::info!(
                    target: "agent.server", "peers.json was renamed: file=peers.json.applied"
                ),
                Ok(Err(reason)) | Err(reason) => tracing::error!(
                    target: "agent.server",
                    "remove peers.json, or the next start recovers the group again: \
                     error=\"{reason}\""
                ),
            }
        });
    }
    for address in agent.dns() {
        tracing::info!(
            target: "agent", "Started DNS server: address={address} network=\"tcp and udp\""
        );
    }
    for address in agent.http() {
        tracing::info!(target: "agent", "Started HTTP server: address={address} network=tcp");
    }
    tracing::info!(target: "agent", "started state syncer");
    if !json {
        out("==> Consul agent running!\n");
    }
    let handle = agent.handle();
    tokio::select! {
        biased;
        ended = agent.ended() => match ended {
            Ok(reason) => exit(&reason, false),
            Err(panic) => Err(format!("==> the agent broke a rule of its own: {panic}")),
        },
        signals = signals(&handle, leaving, hang_up) => {
            signals.map_err(|error| failed(&error))?;
            let ended = agent.ended().await;
            ended.map_or_else(|panic| Err(format!("==> {panic}")), |reason| exit(&reason, true))
        }
    }
}

/// The exit code, as Consul's servers have it: 1 when a signal stops them, 0 after `leave`.
fn exit(reason: &ExitReason, signalled: bool) -> Outcome {
    match reason {
        ExitReason::Left => {
            tracing::info!(target: "agent", "Graceful exit completed");
            Ok(ended_with(0))
        }
        ExitReason::Stopped => Ok(ended_with(u8::from(signalled))),
        ExitReason::Join(text) => {
            tracing::error!(target: "agent", "{text}");
            Ok(ended_with(1))
        }
        ExitReason::JoinRetried(pool) => {
            let cluster = pool.name();
            tracing::error!(
                target: "agent",
                "Retry join failed: error=\"agent: max join {cluster} retry exhausted, exiting\""
            );
            Ok(ended_with(1))
        }
        ExitReason::LostName => {
            tracing::error!(target: "agent", "another agent has this name, stopping");
            Err("==> another agent of the pool has this one's name".to_owned())
        }
        ExitReason::Log(text) => {
            tracing::error!(target: "agent", "the log cannot be followed, stopping: {text}");
            Err(format!("==> the log cannot be followed: {text}"))
        }
        ExitReason::Disk(text) => {
            tracing::error!(target: "agent", "the disk failed, stopping: {text}");
            Err(format!("==> the disk failed: {text}"))
        }
    }
}

/// The last line of the log.
fn ended_with(code: u8) -> u8 {
    tracing::info!(target: "agent", "Exit code: code={code}");
    code
}

/// Which signals mean that the agent leaves its pools.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    on_interrupt: bool,
    on_terminate: bool,
}

/// Obeys signals until one says stop; a second one stops at once.
async fn signals(
    handle: &AgentHandle,
    leaving: Leaving,
    mut hang_up: Signal,
) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (name, leaves) = loop {
        tokio::select! {
            _ = hang_up.recv() => {
                tracing::info!(target: "agent", "Caught: signal=hangup");
                handle.reload();
            }
            _ = interrupt.recv() => {
                handle.interrupt();
                break ("interrupt", leaving.on_interrupt);
            }
            _ = terminate.recv() => {
                handle.terminate();
                break ("terminated", leaving.on_terminate);
            }
        }
    };
    tracing::info!(target: "agent", "Caught: signal={name}");
    if leaves {
        tracing::info!(target: "agent", "Gracefully shutting down agent...");
    } else {
        tracing::info!(target: "agent", "Graceful shutdown disabled. Exiting");
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        err("==> second signal: exiting at once\n");
        std::process::exit(1);
    });
    Ok(())
}

fn banner(settings: &Settings, built: &Built) {
    let port = |port: Option<u16>| port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    let shown = |port: u16| port.to_string();
    let segment = if settings.server { "<all>" } else { "" };
    let rows = [
        ("Version", format!("'{API_VERSION}' (proconsul {})", env!("CARGO_PKG_VERSION"))),
        ("Node ID", format!("'{}'", built.id)),
        ("Node name", format!("'{}'", built.name)),
        ("Datacenter", format!("'{}' (Segment: '{segment}')", settings.datacenter)),
        ("Server", format!("{} (Bootstrap: {})", settings.server, settings.bootstrap)),
        (
            "Client Addr",
            format!(
                "[{}] (HTTP: {}, HTTPS: -1, gRPC: -1, DNS: {})",
                settings.client.join(" "),
                port(settings.ports.http),
                port(settings.ports.dns)
            ),
        ),
        (
            "Cluster Addr",
            format!(
                "{} (LAN: {}, WAN: {})",
                built.address,
                settings.ports.serf_lan.map_or_else(|| "-1".to_owned(), shown),
                settings.ports.serf_wan.map_or_else(|| "-1".to_owned(), shown)
            ),
        ),
        (
            "Encrypt",
            format!(
                "Gossip: {}, TLS-Outgoing: false, TLS-Incoming: false, Auto-Encrypt-TLS: false",
                settings.cluster.encrypt.is_some()
            ),
        ),
    ];
    let mut text = String::from("==> Starting Consul agent...\n");
    for (name, value) in rows {
        text.push_str(&format!("{name:>18}: {value}\n"));
    }
    text.push_str("\n==> Log data will now stream in as it occurs:\n\n");
    out(&text);
}
