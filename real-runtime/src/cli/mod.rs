//! The command line: one file for each family of commands, one place for flags, one for HTTP.

mod agent;
mod autopilot;
mod catalog;
mod child;
mod client;
mod control;
mod flag;
mod gossip;
mod keyring;
mod kv;
mod kv_exchange;
mod maint;
mod members;
mod monitor;
mod raft;
mod rtt;
mod services;
mod snapshot;
mod table;
mod validate;
mod version;
mod watch;

use flag::{Flags, Outcome};
use std::io::Write;
use std::process::ExitCode;

/// The Consul version whose API and command line this is.
pub const API_VERSION: &str = "1.8.7";
/// Threads on which an agent works at once.
pub(crate) const WORKERS: usize = 2;

/// One command: its words, what it is for, and how it is run.
struct Command {
    path: &'static [&'static str],
    about: &'static str,
    run: fn(Flags) -> Outcome,
    flags: fn(clap::Command) -> clap::Command,
}

const COMMANDS: &[Command] = &[
    agent::COMMAND,
    catalog::DATACENTERS,
    catalog::NODES,
    catalog::SERVICES,
    control::INFO,
    control::LEAVE,
    control::RELOAD,
    gossip::EVENT,
    gossip::FORCE_LEAVE,
    gossip::JOIN,
    keyring::KEYGEN,
    keyring::KEYRING,
    kv::DELETE,
    kv_exchange::EXPORT,
    kv::GET,
    kv_exchange::IMPORT,
    kv::PUT,
    maint::COMMAND,
    members::COMMAND,
    monitor::COMMAND,
    autopilot::GET,
    autopilot::SET,
    raft::LIST_PEERS,
    raft::REMOVE_PEER,
    raft::TRANSFER_LEADER,
    rtt::COMMAND,
    services::DEREGISTER,
    services::REGISTER,
    snapshot::INSPECT,
    snapshot::RESTORE,
    snapshot::SAVE,
    validate::COMMAND,
    version::COMMAND,
    watch::COMMAND,
];

/// Exit code for a command that does not exist, and for no command at all.
const NO_COMMAND: u8 = 127;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Some("-v" | "-version" | "--version") = words.first().copied() {
        return run(&version::COMMAND, &[]);
    }
    let found = COMMANDS.iter().find(|command| words.starts_with(command.path));
    // Wherever help is asked for, nothing is done.
    let asks = words
        .iter()
        .take_while(|word| **word != "--")
        .any(|word| matches!(*word, "-h" | "-help" | "--help"));
    if let Some(command) = found {
        let help = ["-h".to_owned()];
        return run(command, if asks { &help } else { &arguments[command.path.len()..] });
    }
    let group = group(&words);
    let text = usage(group);
    if asks && group.len() == words.iter().take_while(|word| !word.starts_with('-')).count() {
        out(&text);
        return ExitCode::SUCCESS;
    }
    err(&text);
    if group.is_empty() { ExitCode::from(NO_COMMAND) } else { ExitCode::FAILURE }
}

/// The longest beginning of `words` that some commands share.
fn group<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    let known =
        |length: &usize| COMMANDS.iter().any(|command| command.path.starts_with(&words[..*length]));
    &words[..(0..=words.len()).rev().find(known).unwrap_or(0)]
}

fn run(command: &Command, arguments: &[String]) -> ExitCode {
    let name = format!("proconsul {}", command.path.join(" "));
    let parser =
        (command.flags)(clap::Command::new("proconsul").bin_name(name).about(command.about));
    match Flags::parse(parser, arguments) {
        Ok(flags) => match (command.run)(flags) {
            Ok(code) => ExitCode::from(code),
            Err(text) => {
                err(&format!("{text}\n"));
                ExitCode::FAILURE
            }
        },
        Err(flag::Refused::Help(text)) => {
            out(&text);
            ExitCode::SUCCESS
        }
        Err(flag::Refused::Unknown(text, usage)) => {
            if command.path == agent::COMMAND.path {
                err(&format!("==> error parsing flags: {text}\n"));
            } else {
                err(&format!("{text}\n{usage}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// The list of the commands of a group; of all for the empty one.
fn usage(group: &[&str]) -> String {
    let listed = COMMANDS.iter().filter(|command| command.path.starts_with(group));
    let mut text = String::from("Usage: proconsul ");
    for word in group {
        text.push_str(word);
        text.push(' ');
    }
    text.push_str("<command> [<args>]\n\nAvailable commands are:\n");
    for command in listed {
        let words = command.path.join(" ");
        text.push_str(&format!("    {words:<28} {}\n", command.about));
    }
    text
}

/// Writes to standard output. A reader that went away is no error.
fn out(text: &str) {
    out_bytes(text.as_bytes());
}

/// Writes what need not be text to standard output.
fn out_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    drop(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

/// Writes to standard error.
fn err(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_working_parser() {
        for command in COMMANDS {
            (command.flags)(clap::Command::new("test")).debug_assert();
        }
    }

    #[test]
    fn commands_are_listed_by_group() {
        let text = usage(&["kv"]);
        assert!(text.contains("kv get") && !text.contains("catalog nodes"), "{text}");
        assert_eq!(group(&["nosuch"]), [""; 0]);
        assert_eq!(group(&["kv", "nosuch"]), ["kv"]);
        assert_eq!(group(&["operator", "raft", "-h"]), ["operator", "raft"]);
    }
}
