//! A disk that fills up under a running agent: writes are refused with the reason, reads go on, and
//! when there is room again everything goes on by itself.

use crate::process::{Agent, PROCONSUL, Scratch, free_ports, pause};
use crate::web::{ask, get, put};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Two segments of the log and a little more find room.
const DISK: &str = "size=30m";
const SEGMENT_BYTES: u64 = 8 << 20;
/// The longest value there may be.
const VALUE_BYTES: usize = 512 * 1024;
const SOON: Duration = Duration::from_secs(30);

/// Whether there are two segments, both with all their room.
fn two_segments(log: &Path) -> bool {
    let Ok(entries) = fs::read_dir(log) else {
        return false;
    };
    let sizes = entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|found| found.len());
    sizes.filter(|&size| size == SEGMENT_BYTES).count() == 2
}

/// Takes all room there is.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    let mut piece: &[u8] = &[1; 1 << 20];
    while !piece.is_empty() {
        match file.write(piece) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                piece = &piece[piece.len() / 2..]
            }
            Err(error) => panic!("{error}"),
        }
        if piece.len() == 1 {
            piece = &[];
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let mounts = Command::new("unshare").args(["-rm", "true"]).status();
    if !mounts.is_ok_and(|status| status.success()) {
        // Past what the test runner keeps back of a test that passes.
        let told = "SKIPPED: full disk: no disk of its own can be mounted here";
        writeln!(std::io::stderr(), "{told}").unwrap();
        return;
    }
    let scratch = Scratch::new("full");
    let disk = scratch.0.join("disk");
    fs::create_dir_all(&disk).unwrap();
    let mount = format!("mount -t tmpfs -o {DISK} none \"$0\" && exec \"$@\"");
    let data = disk.to_str().unwrap();
    let command = ["unshare", "-rm", "sh", "-c", &mount, data, PROCONSUL];
    let address = IpAddr::from([127, 2, 5, 1]);
    let arguments = ["-server", "-bootstrap", "-data-dir", data, "-node", "s1"];
    let log = scratch.0.join("s1.log");
    let agent = Agent::start_by(&command, &log, address, &free_ports(address, 3), &arguments);
    agent.wait_for_leader(SOON);
    put(agent.http, "/v1/kv/kept", "1");
    let inside = agent.inside(&disk);
    let begun = Instant::now();
    while !two_segments(&inside.join("raft")) {
        assert!(begun.elapsed() < SOON, "{}", agent.log());
        pause();
    }
    let ballast = inside.join("ballast");
    fill(&ballast);

    let value = "x".repeat(VALUE_BYTES);
    let mut refused = None;
    let writes = 2 * SEGMENT_BYTES / u64::try_from(VALUE_BYTES).unwrap();
    for _ in 0..=writes {
        let answer = ask(agent.http, "PUT", "/v1/kv/big", &value).unwrap();
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the log has no room for so much");
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(refused.body.starts_with("cannot write the log: "), "{}", refused.body);
    assert!(refused.body.contains("No space left on device"), "{}", refused.body);
    let refused = ask(agent.http, "PUT", "/v1/kv/kept", "2").unwrap();
    assert_eq!(refused.status, 500, "{}", refused.body);
    for mode in ["", "&stale", "&consistent"] {
        assert_eq!(get(agent.http, &format!("/v1/kv/kept?raw{mode}")).body, "1");
    }

    fs::remove_file(ballast).unwrap();
    let begun = Instant::now();
    while !ask(agent.http, "PUT", "/v1/kv/kept", "3").is_ok_and(|answer| answer.status == 200) {
        assert!(begun.elapsed() < SOON, "{}", agent.log());
        pause();
    }
    assert_eq!(get(agent.http, "/v1/kv/kept?raw").body, "3");
}
