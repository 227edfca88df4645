//! The query string and the percent-encoding, read as Go reads them.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// The parameters of a request in the order they came, decoded.
#[derive(Debug, Default)]
pub(crate) struct Params<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Params<'a> {
    /// Parses a query. Pairs that do not decode are dropped, as Go drops them.
    pub(crate) fn parse(query: &'a str) -> Self {
        let mut pairs = Vec::new();
        let mut rest = query;
        while !rest.is_empty() {
            // Queries are short: looking at each byte beats a search.
            let end = rest.bytes().position(|byte| matches!(byte, b'&' | b';'));
            let (piece, behind) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
            rest = behind;
            if piece.is_empty() {
                continue;
            }
            let equals = piece.bytes().position(|byte| byte == b'=');
            let (key, value) = equals.map_or((piece, ""), |at| (&piece[..at], &piece[at + 1..]));
            if let (Some(key), Some(value)) = (decode(key, true), decode(value, true)) {
                pairs.push((key, value));
            }
        }
        Self { pairs }
    }

    /// Whether the parameter is there, with any value or none.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }

    /// Its first value, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// Its first value; empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// All its values.
    pub(crate) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The query again, sorted by name and re-encoded: what Go prints for it.
    pub(crate) fn encode(&self) -> String {
        let mut sorted: Vec<_> = self.pairs.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out = String::new();
        for (key, value) in sorted {
            if !out.is_empty() {
                out.push('&');
            }
            encode_into(key, &mut out);
            out.push('=');
            encode_into(value, &mut out);
        }
        out
    }

    /// The pairs that make two waiting reads equal: all but index, wait and token.
    pub(crate) fn watch_key(&self, path: &str) -> String {
        let mut out = String::from(path);
        self.push_shown('?', &mut out);
        out
    }

    /// A query for the same answer as `query`, which these are the parameters of: the same for all
    /// who wait, whatever index they wait behind. Borrowed where nothing has to be left out.
    pub(crate) fn watch_query<'q>(&self, query: &'q str) -> Cow<'q, str> {
        if self.pairs.iter().all(|(key, _)| shows(key)) {
            return Cow::Borrowed(query);
        }
        let mut out = String::new();
        self.push_shown('&', &mut out);
        Cow::Owned(out)
    }

    /// Appends the pairs that decide what is shown, the first of them after `separator`.
    fn push_shown(&self, mut separator: char, out: &mut String) {
        for (key, value) in self.pairs.iter().filter(|(key, _)| shows(key)) {
            out.push(separator);
            separator = '&';
            encode_into(key, out);
            out.push('=');
            encode_into(value, out);
        }
    }
}

/// Whether a parameter may change what is answered, not only when.
fn shows(name: &str) -> bool {
    !matches!(name, "index" | "wait" | "token")
}

/// Undoes percent-encoding; `None` if it is broken or the result is not UTF-8.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    let special = |byte: u8| byte == b'%' || (plus_is_space && byte == b'+');
    if !text.bytes().any(special) {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let high = hex(*bytes.get(at + 1)?)?;
                let low = hex(*bytes.get(at + 2)?)?;
                out.push(high << 4 | low);
                at += 3;
            }
            b'+' if plus_is_space => {
                out.push(b' ');
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(crate) fn percent_is_sound(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, &byte)| {
        byte != b'%'
            || (bytes.get(at + 1).copied().and_then(hex).is_some()
                && bytes.get(at + 2).copied().and_then(hex).is_some())
    })
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn encode_into(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_prints_a_query_sorted() {
        let params = Params::parse("release=&acquire=q+1&z=1;a=%2f&bad=%z");
        assert_eq!(params.encode(), "a=%2F&acquire=q+1&release=&z=1");
        assert_eq!(params.get("acquire"), Some("q 1"));
        assert!(params.has("release") && !params.has("bad"));
    }

    #[test]
    fn the_watch_key_forgets_index_and_wait() {
        let params = Params::parse("passing&index=7&wait=1s&tag=a&token=x&tag=b");
        assert_eq!(params.watch_key("/v1/x"), "/v1/x?passing=&tag=a&tag=b");
    }
}
