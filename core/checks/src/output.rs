//! How outcomes are worded. Hosts call these, so that every host words them alike.

use crate::CheckOutcome;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use proconsul_syntax::duration::format_duration;
use proconsul_types::{CheckStatus, Duration};

impl CheckOutcome {
    /// An HTTP probe that got an answer: `status_line` is code and reason, as in `200 OK`.
    #[must_use]
    pub fn http(method: &str, url: &str, code: u16, status_line: &str, body: &str) -> Self {
        let status = match code {
            200..=299 => CheckStatus::Passing,
            429 => CheckStatus::Warning,
            _ => CheckStatus::Critical,
        };
        let method = method_word(method);
        Self { status, output: format!("HTTP {method} {url}: {status_line} Output: {body}") }
    }

    /// An HTTP probe that got none: `reason` as in `dial tcp 127.0.0.1:1: connect: connection
    /// refused`.
    #[must_use]
    pub fn http_failed(method: &str, url: &str, reason: &str) -> Self {
        let method = method_word(method);
        let mut letters = method.chars();
        let word: String = letters
            .next()
            .map(|first| first.to_ascii_uppercase())
            .into_iter()
            .chain(letters.map(|letter| letter.to_ascii_lowercase()))
            .collect();
        Self { status: CheckStatus::Critical, output: format!("{word} \"{url}\": {reason}") }
    }

    /// An HTTP probe that ran out of time.
    #[must_use]
    pub fn http_timeout(method: &str, url: &str) -> Self {
        Self::http_failed(
            method,
            url,
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        )
    }

    /// A program that ended with this exit code; `None` if a signal ended it.
    #[must_use]
    pub fn script(code: Option<i32>, output: &Tail) -> Self {
        let status = match code {
            Some(0) => CheckStatus::Passing,
            Some(1) => CheckStatus::Warning,
            Some(_) | None => CheckStatus::Critical,
        };
        Self { status, output: output.noted() }
    }

    /// A program that could not be run.
    #[must_use]
    pub fn script_failed(reason: &str) -> Self {
        Self { status: CheckStatus::Critical, output: reason.into() }
    }

    /// A program that was killed because it ran too long, and what it had said by then.
    #[must_use]
    pub fn script_timeout(timeout: Duration, output: &Tail) -> Self {
        let shown = format_duration(timeout);
        let said = output.noted();
        let gap = if said.is_empty() { "" } else { "\n\n" };
        Self::script_failed(&format!("Timed out ({shown}) running check{gap}{said}"))
    }

    /// A connection that was made.
    #[must_use]
    pub fn tcp(address: &str) -> Self {
        Self { status: CheckStatus::Passing, output: format!("TCP connect {address}: Success") }
    }

    /// A connection that was not: `reason` as in `connect: connection refused` or `i/o timeout`.
    #[must_use]
    pub fn tcp_failed(address: &str, reason: &str) -> Self {
        Self { status: CheckStatus::Critical, output: format!("dial tcp {address}: {reason}") }
    }
}

/// The last bytes of what a probe said: its memory is bounded however much is said.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// At most twice as many bytes as are wanted in the end.
    kept: Vec<u8>,
    bytes_max: usize,
    said: u64,
}

impl Tail {
    /// Keeps this many bytes, and holds at most twice as many.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { kept: Vec::new(), bytes_max, said: 0 }
    }

    /// More was said.
    pub fn push(&mut self, bytes: &[u8]) {
        self.said = self.said.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let news = bytes.get(bytes.len().saturating_sub(self.bytes_max)..).unwrap_or(bytes);
        if self.kept.len() + news.len() > self.bytes_max.saturating_mul(2) {
            let stays = self.bytes_max - news.len();
            self.kept.drain(..self.kept.len().saturating_sub(stays));
        }
        self.kept.extend_from_slice(news);
    }

    /// What is kept, as text.
    #[must_use]
    pub fn text(&self) -> String {
        let start = self.kept.len().saturating_sub(self.bytes_max);
        let mut text = String::from_utf8_lossy(self.kept.get(start..).unwrap_or(&[])).into_owned();
        // A byte that is no text becomes a longer mark.
        let mut start = text.len().saturating_sub(self.bytes_max);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text.drain(..start);
        text
    }

    /// What is kept, saying so if that is not all.
    fn noted(&self) -> String {
        let text = self.text();
        let max = self.bytes_max;
        match u64::try_from(max) {
            Ok(kept) if self.said > kept => {
                format!("Captured {max} of {} bytes\n...\n{text}", self.said)
            }
            Ok(_) | Err(_) => text,
        }
    }
}

/// The first `max` bytes of a text, cut at a character.
#[must_use]
pub(crate) fn cut_output(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// A note, cut if it is too long, saying so.
pub(crate) fn cut_note(note: &str, max: usize) -> String {
    if note.len() <= max {
        return note.into();
    }
    let kept = cut_output(note, max);
    format!("{kept} ... (captured {} of {} bytes)", kept.len(), note.len())
}

/// What a TTL check says after its time ran out.
pub(crate) fn ttl_expired(last: &str) -> String {
    if last.is_empty() {
        "TTL expired".into()
    } else {
        format!("TTL expired (last output before timeout follows): {last}")
    }
}

fn method_word(method: &str) -> &str {
    if method.is_empty() { "GET" } else { method }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_worded_as_consul_words_them() {
        let ok = CheckOutcome::http("", "http://127.0.0.9:18888/ok", 200, "200 OK", "hello\n");
        assert_eq!(ok.output, "HTTP GET http://127.0.0.9:18888/ok: 200 OK Output: hello\n");
        assert_eq!(ok.status, CheckStatus::Passing);
        let busy = CheckOutcome::http("PUT", "http://h/", 429, "429 Too Many Requests", "");
        assert_eq!(busy.status, CheckStatus::Warning);
        let refused = CheckOutcome::http_failed(
            "",
            "http://127.0.0.9:1/",
            "dial tcp 127.0.0.9:1: connect: connection refused",
        );
        assert_eq!(
            refused.output,
            "Get \"http://127.0.0.9:1/\": dial tcp 127.0.0.9:1: connect: connection refused"
        );
        assert_eq!(CheckOutcome::tcp("a:1").output, "TCP connect a:1: Success");
        assert_eq!(
            CheckOutcome::tcp_failed("a:1", "connect: connection refused").output,
            "dial tcp a:1: connect: connection refused"
        );
    }

    #[test]
    fn notes_say_what_was_cut() {
        assert_eq!(cut_note("0123456789abcdef", 10), "0123456789 ... (captured 10 of 16 bytes)");
        assert_eq!(cut_note("short", 10), "short");
        assert_eq!(cut_output("a\u{e9}", 2), "a");
        assert_eq!(ttl_expired(""), "TTL expired");
        assert_eq!(ttl_expired("abc"), "TTL expired (last output before timeout follows): abc");
    }

    #[test]
    fn the_last_words_are_kept_in_bounded_memory() {
        let mut tail = Tail::new(4);
        tail.push(b"ab");
        assert_eq!(CheckOutcome::script(Some(0), &tail).output, "ab");
        for piece in [&b"cde"[..], b"f", b"", b"ghijkl", b"mn"] {
            tail.push(piece);
            assert!(tail.kept.len() <= 8, "{}", tail.kept.len());
        }
        assert_eq!(tail.text(), "klmn");
        let outcome = CheckOutcome::script(Some(2), &tail);
        assert_eq!(outcome.output, "Captured 4 of 14 bytes\n...\nklmn");
        assert_eq!(outcome.status, CheckStatus::Critical);
        let late = CheckOutcome::script_timeout(Duration::from_secs(1), &tail);
        assert_eq!(
            late.output,
            "Timed out (1s) running check\n\nCaptured 4 of 14 bytes\n...\nklmn"
        );
        let silent = CheckOutcome::script_timeout(Duration::from_secs(3), &Tail::new(4));
        assert_eq!(silent.output, "Timed out (3s) running check");
        tail.push(b"\xff\xff\xff\xff");
        assert_eq!(tail.text(), "\u{fffd}");
        let mut one = Tail::new(1);
        for _ in 0..5 {
            one.push(b"xyz");
        }
        assert_eq!(one.text(), "z");
    }
}
