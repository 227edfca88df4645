//! A writer straight into bytes: compact, or indented by four spaces, with Go's escapes.

use alloc::format;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// JSON under construction. The caller keeps objects and arrays balanced.
#[derive(Debug)]
pub(crate) struct Json {
    out: Vec<u8>,
    pretty: bool,
    depth: usize,
    /// Whether the innermost container has no member yet.
    fresh: bool,
    /// Whether a key was just written, so the next value belongs to it.
    keyed: bool,
}

impl Json {
    /// A writer with room for `capacity` bytes.
    pub(crate) fn new(pretty: bool, capacity: usize) -> Self {
        let out = Vec::with_capacity(capacity);
        Self { out, pretty, depth: 0, fresh: true, keyed: false }
    }

    /// The bytes; pretty ones end in a newline.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        assert!(self.depth == 0, "every container that was opened is closed");
        if self.pretty {
            self.out.push(b'\n');
        }
        self.out
    }

    pub(crate) fn begin_object(&mut self) {
        self.open(b'{');
    }

    pub(crate) fn end_object(&mut self) {
        self.close(b'}');
    }

    pub(crate) fn begin_array(&mut self) {
        self.open(b'[');
    }

    pub(crate) fn end_array(&mut self) {
        self.close(b']');
    }

    /// A key that needs no escaping: one of ours.
    #[inline]
    pub(crate) fn key(&mut self, name: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.end_key();
    }

    /// A key that came from outside.
    pub(crate) fn text_key(&mut self, name: &str) {
        self.separate();
        self.quoted(name);
        self.out.pop();
        self.end_key();
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.separate();
        self.quoted(text);
    }

    pub(crate) fn unsigned(&mut self, number: u64) {
        self.separate();
        self.digits(number);
    }

    pub(crate) fn signed(&mut self, number: i64) {
        self.separate();
        if number < 0 {
            self.out.push(b'-');
        }
        self.digits(number.unsigned_abs());
    }

    /// A finite number in Go's shortest form.
    pub(crate) fn float(&mut self, number: f64) {
        self.separate();
        let size = number.abs();
        if size == 0.0 || (1e-6..1e21).contains(&size) {
            self.out.extend_from_slice(format!("{number}").as_bytes());
            return;
        }
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                self.out.extend_from_slice(format!("{digits}e+{exponent}").as_bytes());
            }
            Some(_) | None => self.out.extend_from_slice(text.as_bytes()),
        }
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.separate();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(crate) fn null(&mut self) {
        self.separate();
        self.out.extend_from_slice(b"null");
    }

    /// Bytes as base64; no bytes are `null`, as Go shows an empty value.
    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.null();
            return;
        }
        self.separate();
        self.out.push(b'"');
        let start = self.out.len();
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(bytes, &mut self.out[start..]);
        let length = written.expect("the buffer was sized for the padded form");
        self.out.truncate(start + length);
        self.out.push(b'"');
    }

    /// JSON that is already canonical (compact); indented anew when this writer is pretty.
    pub(crate) fn raw(&mut self, json: &str) {
        if !self.pretty {
            self.separate();
            self.out.extend_from_slice(json.as_bytes());
            return;
        }
        self.separate();
        self.indented(json);
    }

    /// Copies canonical JSON with indentation: brackets, commas and colons outside of strings are
    /// where the white space goes.
    fn indented(&mut self, json: &str) {
        let bytes = json.as_bytes();
        let mut in_string = false;
        let mut escaped = false;
        for (at, &byte) in bytes.iter().enumerate() {
            if in_string {
                self.out.push(byte);
                in_string = byte != b'"' || escaped;
                escaped = byte == b'\\' && !escaped;
                continue;
            }
            match byte {
                b'"' => {
                    in_string = true;
                    self.out.push(byte);
                }
                b'{' | b'[' => {
                    self.out.push(byte);
                    self.depth += 1;
                    if !matches!(bytes.get(at + 1), Some(b'}' | b']')) {
                        self.newline();
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if !matches!(at.checked_sub(1).map(|at| bytes[at]), Some(b'{' | b'[')) {
                        self.newline();
                    }
                    self.out.push(byte);
                }
                b',' => {
                    self.out.push(byte);
                    self.newline();
                }
                b':' => self.out.extend_from_slice(b": "),
                _ => self.out.push(byte),
            }
        }
    }

    // fields: a key and its value

    #[inline]
    pub(crate) fn field_string(&mut self, name: &'static str, text: &str) {
        self.key(name);
        self.string(text);
    }

    #[inline]
    pub(crate) fn field_unsigned(&mut self, name: &'static str, number: u64) {
        self.key(name);
        self.unsigned(number);
    }

    #[inline]
    pub(crate) fn field_signed(&mut self, name: &'static str, number: i64) {
        self.key(name);
        self.signed(number);
    }

    #[inline]
    pub(crate) fn field_boolean(&mut self, name: &'static str, value: bool) {
        self.key(name);
        self.boolean(value);
    }

    pub(crate) fn field_null(&mut self, name: &'static str) {
        self.key(name);
        self.null();
    }

    pub(crate) fn field_raw(&mut self, name: &'static str, json: &str) {
        self.key(name);
        self.raw(json);
    }

    // the bytes

    fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.depth += 1;
        self.fresh = true;
    }

    fn close(&mut self, bracket: u8) {
        assert!(self.depth > 0, "only what was opened is closed");
        self.depth -= 1;
        if !self.fresh {
            self.newline();
        }
        self.out.push(bracket);
        self.fresh = false;
    }

    /// What stands before a member: nothing after its key, else a comma unless it is the first.
    #[inline]
    fn separate(&mut self) {
        if self.keyed {
            self.keyed = false;
            return;
        }
        if self.depth > 0 {
            if !self.fresh {
                self.out.push(b',');
            }
            self.newline();
        }
        self.fresh = false;
    }

    #[inline]
    fn newline(&mut self) {
        if self.pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.depth * 4, b' ');
        }
    }

    #[inline]
    fn end_key(&mut self) {
        self.out.extend_from_slice(if self.pretty { b"\": " } else { b"\":" });
        self.keyed = true;
    }

    fn digits(&mut self, mut number: u64) {
        let mut digits = [0_u8; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(number % 10).expect("a digit is below 10");
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[start..]);
    }

    /// Text between quotes. Runs that need no escape are copied whole.
    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        let bytes = text.as_bytes();
        let mut copied = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if PLAIN[usize::from(byte)] {
                continue;
            }
            // U+2028 and U+2029 are e2 80 a8 and e2 80 a9; every other e2 is plain.
            let is_separator = byte == 0xe2
                && bytes.get(at + 1) == Some(&0x80)
                && matches!(bytes.get(at + 2), Some(0xa8 | 0xa9));
            if byte == 0xe2 && !is_separator {
                continue;
            }
            self.out.extend_from_slice(&bytes[copied..at]);
            copied = at + 1;
            if is_separator {
                let last = if bytes[at + 2] == 0xa8 { b'8' } else { b'9' };
                self.out.extend_from_slice(b"\\u202");
                self.out.push(last);
                copied = at + 3;
            } else {
                self.escape(byte);
            }
        }
        self.out.extend_from_slice(&bytes[copied..]);
        self.out.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
            b'\n' => self.out.extend_from_slice(b"\\n"),
            b'\r' => self.out.extend_from_slice(b"\\r"),
            b'\t' => self.out.extend_from_slice(b"\\t"),
            _ => {
                self.out.extend_from_slice(b"\\u00");
                self.out.push(HEX[usize::from(byte >> 4)]);
                self.out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
}

/// Which bytes stand for themselves inside a string.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        plain[byte] = false;
        byte += 1;
    }
    plain[0x22] = false;
    plain[0x5c] = false;
    plain[0x3c] = false;
    plain[0x3e] = false;
    plain[0x26] = false;
    plain[0xe2] = false;
    plain
};

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn written(pretty: bool, write: impl Fn(&mut Json)) -> String {
        let mut json = Json::new(pretty, 0);
        write(&mut json);
        String::from_utf8(json.finish()).unwrap()
    }

    #[test]
    fn containers_compact_and_pretty() {
        let write = |json: &mut Json| {
            json.begin_array();
            json.begin_object();
            json.field_string("A", "x");
            json.key("B");
            json.begin_array();
            json.end_array();
            json.field_raw("C", r#"{"d":[1,2],"e":{}}"#);
            json.end_object();
            json.signed(-7);
            json.end_array();
        };
        assert_eq!(written(false, write), r#"[{"A":"x","B":[],"C":{"d":[1,2],"e":{}}},-7]"#);
        let pretty = "[\n    {\n        \"A\": \"x\",\n        \"B\": [],\n        \"C\": {\n            \
                      \"d\": [\n                1,\n                2\n            ],\n            \
                      \"e\": {}\n        }\n    },\n    -7\n]\n";
        assert_eq!(written(true, write), pretty);
    }

    #[test]
    fn escapes_are_those_of_go() {
        let text = "a\"\\\n\r\t\u{1}<>&\u{2028}\u{2029}\u{2026}\u{7f}\u{e9}";
        let wanted =
            "\"a\\\"\\\\\\n\\r\\t\\u0001\\u003c\\u003e\\u0026\\u2028\\u2029\u{2026}\u{7f}\u{e9}\"";
        assert_eq!(written(false, |json| json.string(text)), wanted);
    }

    #[test]
    fn numbers_are_those_of_go() {
        for (number, wanted) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e-5, "0.00001"),
            (-3.195201119527001e-5, "-0.00003195201119527001"),
            (9.5e-7, "9.5e-7"),
            (1e20, "100000000000000000000"),
            (-2.5e21, "-2.5e+21"),
        ] {
            assert_eq!(written(false, |json| json.float(number)), wanted);
        }
    }

    #[test]
    fn values_are_base64_or_null() {
        assert_eq!(written(false, |json| json.base64(b"hello")), "\"aGVsbG8=\"");
        assert_eq!(written(false, |json| json.base64(b"")), "null");
        assert_eq!(written(false, |json| json.unsigned(u64::MAX)), "18446744073709551615");
    }
}
