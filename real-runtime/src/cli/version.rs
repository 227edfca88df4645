//! `version`.

use super::flag::{self, Flags, Outcome};
use super::{API_VERSION, Command, out};

pub(super) const COMMAND: Command = Command {
    path: &["version"],
    about: "Prints versions",
    run: version,
    flags: |command| command.arg(flag::value("format", "pretty or json")),
};

fn version(flags: Flags) -> Outcome {
    match flags.text("format").unwrap_or("pretty") {
        "pretty" => out(&format!(
            "proconsul v{}\nServes the API of Consul v{API_VERSION}\n\
             Protocol 2 spoken by default, understands 2 to 3 (agent will automatically use \
             protocol >2 when speaking to compatible agents)\n\n",
            env!("CARGO_PKG_VERSION")
        )),
        "json" => out(&format!(
            "{{\n   \"Version\": \"{API_VERSION}\",\n   \"Revision\": \"\",\n   \
             \"Prerelease\": \"\",\n   \"RPC\": {{\n      \"Default\": 2,\n      \
             \"Min\": 2,\n      \"Max\": 3\n   }}\n}}\n"
        )),
        other => {
            return Err(format!("Unknown format: {other}. Valid formats are: [json pretty]"));
        }
    }
    Ok(0)
}
