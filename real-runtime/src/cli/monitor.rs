//! `monitor`: the log of a running agent, as it is written.

use super::Command;
use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{out, out_bytes};

pub(super) const COMMAND: Command = Command {
    path: &["monitor"],
    about: "Shows the log of a running agent",
    run: monitor,
    flags: |command| {
        flag::client(command)
            .arg(flag::value("log-level", "How much: trace, debug, info, warn, err"))
            .arg(flag::switch("log-json", "Each line as a JSON object"))
    },
};

/// What is said when the agent goes away. An interrupt ends the process without a word.
const ENDED: &str = "
Remote side ended the monitor! This usually means that the
remote side has exited or crashed.
";

fn monitor(flags: Flags) -> Outcome {
    let mut query = vec![("loglevel", flags.text("log-level").unwrap_or("INFO"))];
    if flags.on("log-json")? {
        query.push(("logjson", "true"));
    }
    Client::new(&flags)?
        .follow("/v1/agent/monitor", &query, out_bytes)
        .map_err(|error| format!("Error starting monitor: {error}"))?;
    out(ENDED);
    Ok(1)
}
