//! `validate`: read configuration and say what is wrong with it.

use super::flag::{self, Flags, Outcome};
use super::{Command, out};
use crate::config::{Sources, settings};

pub(super) const COMMAND: Command = Command {
    path: &["validate"],
    about: "Checks configuration files",
    run: validate,
    flags: |command| {
        command
            .arg(flag::switch("quiet", "Say nothing when all is well"))
            .arg(flag::value("config-format", "json or hcl, whatever the file's name"))
    },
};

fn validate(flags: Flags) -> Outcome {
    if flags.arguments.is_empty() {
        return Err("Must specify at least one config file or directory".to_owned());
    }
    let sources = Sources {
        paths: flags.arguments.clone(),
        format: flags.text("config-format").map(str::to_owned),
        ..Sources::default()
    };
    let failed = |error| format!("Config validation failed: {error}\n");
    let checked = settings(&sources).map_err(failed)?;
    if !flags.on("quiet")? {
        for warning in &checked.warnings {
            out(&format!("{warning}\n"));
        }
        out("Configuration is valid!\n");
    }
    Ok(0)
}
