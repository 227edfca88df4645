//! Commands that another command runs: in a shell or by themselves.

use super::flag::Flags;
use crate::refusal;
use std::process::{Command, ExitStatus};

/// The command that `words` say. In a shell they are one line for it.
pub(super) fn command(flags: &Flags, words: &[String]) -> Result<Command, String> {
    if flags.given("shell")?.unwrap_or(true) {
        let shell = std::env::var("SHELL").ok().filter(|shell| !shell.is_empty());
        let mut command = Command::new(shell.as_deref().unwrap_or("/bin/sh"));
        command.arg("-c").arg(words.join(" "));
        return Ok(command);
    }
    let (program, rest) = words.split_first().ok_or("need an executable to run")?;
    let mut command = Command::new(program);
    command.args(rest);
    Ok(command)
}

/// How it ended, if not well.
pub(super) fn failure(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    if status.success() {
        return None;
    }
    let by_signal = status.signal().map(|signal| format!("signal: {signal}"));
    by_signal.or_else(|| status.code().map(|code| format!("exit status {code}")))
}

/// Why a program cannot be started.
pub(super) fn unstartable(program: &Command, error: &std::io::Error) -> String {
    let program = program.get_program().to_string_lossy();
    format!("fork/exec {program}: {}", refusal::words(error))
}
