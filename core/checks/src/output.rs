//! How outcomes are worded. Hosts call these, so that every host words them alike.

use crate::CheckOutcome;
use alloc::format;
use alloc::string::String;
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
    pub fn script(code: Option<i32>, output: &str) -> Self {
        let status = match code {
            Some(0) => CheckStatus::Passing,
            Some(1) => CheckStatus::Warning,
            Some(_) | None => CheckStatus::Critical,
        };
        Self { status, output: output.into() }
    }

    /// A program that could not be run.
    #[must_use]
    pub fn script_failed(reason: &str) -> Self {
        Self { status: CheckStatus::Critical, output: reason.into() }
    }

    /// A program that was killed because it ran too long.
    #[must_use]
    pub fn script_timeout(timeout: Duration) -> Self {
        let shown = format_duration(timeout);
        Self::script_failed(&format!("Timed out ({shown}) running check"))
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

/// The first `max` bytes of a probe's output, cut at a character.
#[must_use]
pub fn cut_output(text: &str, max: usize) -> &str {
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
}
