//! The rejoin file: who was here and what time it was, for the next start.
//!
//! Lines of text, appended; Serf's own form, so that either can read the other's file.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use core::fmt::{Display, Write as _};
use core::net::SocketAddr;
use proconsul_types::{Duration, LamportTime};

use super::Clocks;

/// How long lines are gathered before they are written.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// A file below this many bytes is never compacted.
const COMPACT_BYTES_MIN: usize = 128 * 1024;
/// Nor one below this many bytes a member.
const COMPACT_BYTES_PER_MEMBER: usize = 256;

/// What is to be done with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileChange {
    /// Append these lines.
    Append(Bytes),
    /// Let it be these lines.
    Replace(Bytes),
}

/// The file as it is, and the lines that are not yet in it.
#[derive(Clone, Debug)]
pub(super) struct Rejoin {
    durable: bool,
    rejoin_after_leave: bool,
    known: BTreeMap<Arc<str>, SocketAddr>,
    last: Clocks,
    lines: String,
    bytes: usize,
    /// More must not be appended: the file ends within a line, or nobody knows how.
    torn: bool,
    leaving: bool,
}

impl Rejoin {
    /// Reads the file. A last line that was not finished does not count.
    pub(super) fn new(durable: bool, rejoin_after_leave: bool, remembered: &[u8]) -> Self {
        let mut rejoin = Self {
            durable,
            rejoin_after_leave,
            known: BTreeMap::new(),
            last: Clocks::default(),
            lines: String::new(),
            bytes: remembered.len(),
            torn: remembered.last().is_some_and(|byte| *byte != b'\n'),
            leaving: false,
        };
        for line in remembered.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").and_then(|line| core::str::from_utf8(line).ok());
            if let Some(line) = line {
                rejoin.replay(line);
            }
        }
        rejoin
    }

    fn replay(&mut self, line: &str) {
        if line == "leave" {
            if !self.rejoin_after_leave {
                self.known.clear();
                self.last = Clocks::default();
            }
            return;
        }
        let Some((what, rest)) = line.split_once(": ") else { return };
        let time = rest.parse().map(LamportTime);
        match (what, time) {
            ("alive", _) => {
                if let Some((name, address)) = rest.rsplit_once(' ')
                    && let Ok(address) = address.parse()
                {
                    self.known.insert(Arc::from(name), address);
                }
            }
            ("not-alive", _) => {
                self.known.remove(rest);
            }
            ("clock", Ok(time)) => self.last.member = time,
            ("event-clock", Ok(time)) => self.last.event = time,
            ("query-clock", Ok(time)) => self.last.query = time,
            // Comments, coordinates of old files, and what others may add.
            (_, Ok(_) | Err(_)) => {}
        }
    }

    /// Whether anything is remembered at all.
    pub(super) fn is_durable(&self) -> bool {
        self.durable
    }

    /// The last times that were seen.
    pub(super) fn last(&self) -> Clocks {
        self.last
    }

    /// Who was here.
    pub(super) fn known(&self) -> impl Iterator<Item = (&Arc<str>, SocketAddr)> {
        self.known.iter().map(|(name, address)| (name, *address))
    }

    /// Nothing is known of what the file holds: it is written anew with the next line.
    pub(super) fn unwritten(&mut self) {
        self.torn = true;
    }

    /// Whether lines wait to be written.
    pub(super) fn is_pending(&self) -> bool {
        !self.lines.is_empty()
    }

    /// `name` is here.
    pub(super) fn on_here(&mut self, name: &Arc<str>, address: SocketAddr) {
        if self.durable && !self.leaving && is_one_line(name) {
            self.known.insert(Arc::clone(name), address);
            self.append("alive", format_args!("{name} {address}"));
        }
    }

    /// `name` is not here any more.
    pub(super) fn on_gone(&mut self, name: &str) {
        if self.durable && !self.leaving && is_one_line(name) {
            self.known.remove(name);
            self.append("not-alive", name);
        }
    }

    /// The member clock shows `clock`: everything before may have been used.
    pub(super) fn on_member_clock(&mut self, clock: LamportTime) {
        let seen = LamportTime(clock.0.saturating_sub(1));
        if self.durable && seen > self.last.member {
            self.last.member = seen;
            self.append("clock", seen.0);
        }
    }

    /// Whether [`Self::on_member_clock`] would have something to write.
    pub(super) fn is_behind(&self, clock: LamportTime) -> bool {
        self.durable && clock.0.saturating_sub(1) > self.last.member.0
    }

    /// An event of this time was seen.
    pub(super) fn on_event(&mut self, time: LamportTime) {
        if self.durable && !self.leaving && time > self.last.event {
            self.last.event = time;
            self.append("event-clock", time.0);
        }
    }

    /// A query of this time was seen.
    pub(super) fn on_query(&mut self, time: LamportTime) {
        if self.durable && !self.leaving && time > self.last.query {
            self.last.query = time;
            self.append("query-clock", time.0);
        }
    }

    /// This member leaves: from now on only the clock is written.
    pub(super) fn leave(&mut self) {
        if !self.durable {
            return;
        }
        self.leaving = true;
        if !self.rejoin_after_leave {
            self.known.clear();
            self.last = Clocks::default();
        }
        self.lines.push_str("leave\n");
    }

    fn append(&mut self, what: &str, value: impl Display) {
        writeln!(self.lines, "{what}: {value}").expect("a string takes all text");
    }

    /// What to do with the file now, if anything.
    pub(super) fn flush(&mut self) -> Option<FileChange> {
        if self.lines.is_empty() {
            return None;
        }
        let most = COMPACT_BYTES_MIN.max(COMPACT_BYTES_PER_MEMBER * self.known.len());
        if self.torn || (self.bytes + self.lines.len() > most && !self.leaving) {
            let whole = self.compacted();
            self.lines.clear();
            self.torn = false;
            self.bytes = whole.len();
            return Some(FileChange::Replace(Bytes::from(whole)));
        }
        let lines = core::mem::take(&mut self.lines);
        self.bytes += lines.len();
        Some(FileChange::Append(Bytes::from(lines)))
    }

    /// The shortest file that says the same.
    fn compacted(&self) -> String {
        let mut whole = String::new();
        for (name, address) in &self.known {
            whole.push_str(&format!("alive: {name} {address}\n"));
        }
        let Clocks { member, event, query } = self.last;
        whole.push_str(&format!("clock: {}\n", member.0));
        whole.push_str(&format!("event-clock: {}\nquery-clock: {}\n", event.0, query.0));
        if self.leaving && self.rejoin_after_leave {
            whole.push_str("leave\n");
        }
        whole
    }
}

/// Whether a name can be written at all. One with a line end would be read as more lines.
fn is_one_line(name: &str) -> bool {
    !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const FILE: &[u8] = b"alive: a b 10.0.0.1:8301\n# x\nalive: c [::1]:8301\nclock: 7\n\
        coordinate: {}\nevent-clock: 3\nquery-clock: 2\nnot-alive: c\nclock: 9\nalive: d 1";

    fn known(rejoin: &Rejoin) -> Vec<String> {
        rejoin.known().map(|(name, address)| format!("{name} {address}")).collect()
    }

    #[test]
    fn a_file_of_serf_is_read() {
        let rejoin = Rejoin::new(true, false, FILE);
        assert_eq!(known(&rejoin), ["a b 10.0.0.1:8301"]);
        let last = rejoin.last();
        assert_eq!((last.member.0, last.event.0, last.query.0), (9, 3, 2));
    }

    #[test]
    fn a_leave_empties_it_unless_told_otherwise() {
        let file = [&FILE[..FILE.len() - 10], b"leave\nclock: 11\n"].concat();
        let rejoin = Rejoin::new(true, false, &file);
        assert_eq!(
            (known(&rejoin).len(), rejoin.last().event.0, rejoin.last().member.0),
            (0, 0, 11)
        );
        let rejoin = Rejoin::new(true, true, &file);
        assert_eq!((known(&rejoin).len(), rejoin.last().event.0), (1, 3));
    }

    #[test]
    fn lines_are_gathered_and_an_unfinished_one_is_not_continued() {
        let mut rejoin = Rejoin::new(true, false, FILE);
        rejoin.on_event(LamportTime(3));
        assert_eq!(rejoin.flush(), None);
        rejoin.on_event(LamportTime(4));
        let whole = "alive: a b 10.0.0.1:8301\nclock: 9\nevent-clock: 4\nquery-clock: 2\n";
        assert_eq!(rejoin.flush(), Some(FileChange::Replace(Bytes::from(whole))));
        rejoin.on_query(LamportTime(5));
        rejoin.on_gone("a b");
        let lines = "query-clock: 5\nnot-alive: a b\n";
        assert_eq!(rejoin.flush(), Some(FileChange::Append(Bytes::from(lines))));
    }

    #[test]
    fn after_a_failed_write_the_file_is_written_anew() {
        let mut rejoin = Rejoin::new(true, false, b"");
        rejoin.on_here(&Arc::from("a"), "10.0.0.1:8301".parse().unwrap());
        assert!(matches!(rejoin.flush(), Some(FileChange::Append(_))));
        rejoin.unwritten();
        assert_eq!(rejoin.flush(), None, "what is not news waits for some");
        rejoin.on_event(LamportTime(4));
        let whole = "alive: a 10.0.0.1:8301\nclock: 0\nevent-clock: 4\nquery-clock: 0\n";
        assert_eq!(rejoin.flush(), Some(FileChange::Replace(Bytes::from(whole))));
    }

    #[test]
    fn a_long_file_is_made_short_and_says_the_same() {
        let mut rejoin = Rejoin::new(true, false, b"");
        let name = Arc::from("n");
        let mut file = Vec::new();
        let mut replaced = 0;
        for time in 1..20_000 {
            rejoin.on_here(&name, "10.0.0.1:8301".parse().unwrap());
            rejoin.on_member_clock(LamportTime(time));
            match rejoin.flush() {
                Some(FileChange::Append(lines)) => file.extend_from_slice(&lines),
                Some(FileChange::Replace(whole)) => {
                    file = whole.to_vec();
                    replaced += 1;
                }
                None => {}
            }
            assert!(file.len() <= COMPACT_BYTES_MIN);
        }
        assert!(replaced >= 2);
        let again = Rejoin::new(true, false, &file);
        assert_eq!((known(&again), again.last()), (known(&rejoin), rejoin.last()));
    }

    #[test]
    fn names_that_would_be_more_lines_are_not_remembered() {
        let address = "10.0.0.1:8301".parse().unwrap();
        for name in ["x\nleave", "x\nalive: y 10.0.0.9:1\nz", "x\r", "x\u{85}", "\0"] {
            let mut rejoin = Rejoin::new(true, false, b"");
            rejoin.on_here(&Arc::from(name), address);
            rejoin.on_gone(name);
            assert_eq!((rejoin.flush(), rejoin.known().count()), (None, 0), "{name:?}");
        }
        let mut rejoin = Rejoin::new(true, false, b"");
        rejoin.on_here(&Arc::from("one two"), address);
        let lines = "alive: one two 10.0.0.1:8301\n";
        assert_eq!(rejoin.flush(), Some(FileChange::Append(Bytes::from(lines))));
    }

    #[test]
    fn after_a_leave_only_the_clock_is_written() {
        let mut rejoin = Rejoin::new(true, false, b"");
        rejoin.leave();
        rejoin.on_gone("n");
        rejoin.on_event(LamportTime(9));
        rejoin.on_member_clock(LamportTime(6));
        let lines = "leave\nclock: 5\n";
        assert_eq!(rejoin.flush(), Some(FileChange::Append(Bytes::from(lines))));
    }
}
