//! Script checks: a program in a process group of its own, so that nothing of it outlives its
//! time, and its output through one pipe of which only the end is kept.

use crate::refusal;
use proconsul_core::checks::{CheckOutcome, Tail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

/// Bytes read at once.
const READ_BYTES: usize = 8192;

/// A program that runs; it and all it started are killed when this is dropped before its end.
struct Running {
    child: Child,
    output: ChildStdout,
    group: Option<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Whatever was in it may have ended in this very moment.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Running {
    fn start(program: &str, args: &[Arc<str>]) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(program);
        command
            .args(args.iter().map(|arg| &**arg))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let output = output_of(reader)?;
        Ok(Self { child, output, group })
    }

    /// Reads until the program, and whoever else holds its output, closed it; then waits for it.
    async fn run(&mut self, tail: &mut Tail) -> io::Result<Option<i32>> {
        let mut buffer = [0; READ_BYTES];
        loop {
            let read = self.output.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            tail.push(buffer.get(..read).unwrap_or(&buffer));
        }
        let status = self.child.wait().await?;
        // What it left behind on purpose may stay.
        self.group = None;
        Ok(status.code())
    }
}

fn output_of(reader: PipeReader) -> io::Result<ChildStdout> {
    ChildStdout::from_std(OwnedFd::from(reader).into())
}

/// Runs a program; it is killed, with all it started, if it takes too long or nobody waits for it
/// any more.
pub(crate) async fn execute(
    args: &[Arc<str>],
    timeout: Duration,
    output_bytes_max: usize,
) -> CheckOutcome {
    let Some((program, rest)) = args.split_first() else {
        return CheckOutcome::script_failed("no program is named");
    };
    let mut running = match Running::start(program, rest) {
        Ok(running) => running,
        Err(error) => return CheckOutcome::script_failed(&start_reason(program, &error)),
    };
    let mut tail = Tail::new(output_bytes_max);
    match tokio::time::timeout(timeout, running.run(&mut tail)).await {
        Ok(Ok(code)) => CheckOutcome::script(code, &tail),
        Ok(Err(error)) => CheckOutcome::script_failed(&format!("exec {program}: {error}")),
        Err(_) => CheckOutcome::script_timeout(timeout, &tail),
    }
}

/// What an operating system's refusal to start a program is called elsewhere.
fn start_reason(program: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound && !program.contains('/') {
        return format!("exec: \"{program}\": executable file not found in $PATH");
    }
    format!("fork/exec {program}: {}", refusal::words(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::types::CheckStatus;
    use std::os::fd::AsRawFd;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(text: &str) -> [Arc<str>; 3] {
        ["/bin/sh".into(), "-c".into(), text.into()]
    }

    /// Waits until a process has ended, whether or not anyone looked after it.
    async fn ends(pid: &str) -> bool {
        for _ in 0..500 {
            match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                Ok(stat) if !stat.contains(") Z ") => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(_) | Err(_) => return true,
            }
        }
        false
    }

    #[tokio::test]
    async fn a_program_is_judged_by_its_exit_code() {
        let outcome = execute(&shell("echo fine; exit 1"), LONG, 100).await;
        assert_eq!((outcome.status, &*outcome.output), (CheckStatus::Warning, "fine\n"));
        let outcome = execute(&shell("sleep 30"), Duration::from_millis(50), 100).await;
        assert_eq!(outcome.output, "Timed out (50ms) running check");
        let outcome = execute(&["/nowhere/to/be/found".into()], LONG, 100).await;
        assert_eq!(outcome.status, CheckStatus::Critical);
        assert_eq!(outcome.output, "fork/exec /nowhere/to/be/found: no such file or directory");
        let outcome = execute(&["nowhere-to-be-found".into()], LONG, 100).await;
        assert_eq!(
            outcome.output,
            "exec: \"nowhere-to-be-found\": executable file not found in $PATH"
        );
    }

    #[tokio::test]
    async fn output_and_errors_come_in_the_order_they_were_said() {
        let text = "echo one; echo two >&2; echo three; seq 1 9; exit 2";
        let outcome = execute(&shell(text), LONG, 20).await;
        let said = "Captured 20 of 32 bytes\n...\ne\n1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(outcome.output, said);
        let outcome = execute(&shell("echo one; echo two >&2; echo three"), LONG, 100).await;
        assert_eq!(outcome.output, "one\ntwo\nthree\n");
    }

    #[tokio::test]
    async fn nothing_outlives_the_time_of_a_check() {
        let text = "sleep 3333 & echo $!; wait; true";
        let outcome = execute(&shell(text), Duration::from_secs(3), 100).await;
        let (words, pid) = outcome.output.trim().rsplit_once('\n').unwrap();
        assert_eq!(words, "Timed out (3s) running check\n");
        assert!(ends(pid).await, "{pid} still runs");
    }

    #[tokio::test]
    async fn nothing_outlives_a_check_that_is_stopped() {
        let (mut reader, writer) = io::pipe().unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd());
        let text = format!("sleep 3333 & echo $! > {path}; wait; true");
        let task = tokio::spawn(async move { execute(&shell(&text), LONG, 100).await });
        let pid = tokio::task::spawn_blocking(move || {
            let mut bytes = [0; 16];
            let read = io::Read::read(&mut reader, &mut bytes).unwrap();
            String::from_utf8(bytes[..read].to_vec()).unwrap()
        });
        let pid = pid.await.unwrap();
        task.abort();
        assert!(ends(pid.trim()).await, "{pid} still runs");
        drop(writer);
    }

    #[tokio::test]
    async fn output_without_end_takes_little_memory() {
        let outcome = execute(&["yes".into()], Duration::from_secs(1), 6).await;
        let (head, tail) = outcome.output.split_once("\n...\n").unwrap();
        assert_eq!(tail.len(), 6);
        assert!(head.starts_with("Timed out (1s) running check\n\nCaptured 6 of "), "{head}");
    }
}
