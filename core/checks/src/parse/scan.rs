//! Finds the first JSON value of a text, or says what is wrong in Go's words.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Deepest nesting; the decoder behind this has the same bound.
const DEPTH_MAX: usize = 120;

/// The text of the first value; what follows it is not looked at.
pub(super) fn first_value(text: &str) -> Result<&str, String> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    if scan.peek().is_none() {
        return Err("EOF".into());
    }
    let start = scan.at;
    scan.value()?;
    Ok(text.get(start..scan.at).unwrap_or_default())
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What is open around the place that is read.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Array,
    Object,
}

impl Scan<'_> {
    fn value(&mut self) -> Result<(), String> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            // A value begins here.
            match self.need()? {
                b'{' => {
                    self.at += 1;
                    open.push(Open::Object);
                    if self.need()? == b'}' {
                        self.at += 1;
                        open.pop();
                    } else {
                        self.key()?;
                        Self::bounded(&open)?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    open.push(Open::Array);
                    if self.need()? == b']' {
                        self.at += 1;
                        open.pop();
                    } else {
                        Self::bounded(&open)?;
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => return Err(self.invalid("looking for beginning of value")),
            }
            // A value ended here.
            loop {
                match open.last() {
                    None => return Ok(()),
                    Some(Open::Object) => match self.need()? {
                        b',' => {
                            self.at += 1;
                            self.need()?;
                            self.key()?;
                            break;
                        }
                        b'}' => {
                            self.at += 1;
                            open.pop();
                        }
                        _ => return Err(self.invalid("after object key:value pair")),
                    },
                    Some(Open::Array) => match self.need()? {
                        b',' => {
                            self.at += 1;
                            break;
                        }
                        b']' => {
                            self.at += 1;
                            open.pop();
                        }
                        _ => return Err(self.invalid("after array element")),
                    },
                }
            }
        }
    }

    fn bounded(open: &[Open]) -> Result<(), String> {
        if open.len() > DEPTH_MAX { Err("exceeded max depth".into()) } else { Ok(()) }
    }

    fn key(&mut self) -> Result<(), String> {
        if self.need()? != b'"' {
            return Err(self.invalid("looking for beginning of object key string"));
        }
        self.string()?;
        if self.need()? != b':' {
            return Err(self.invalid("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.next()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.next()?.is_ascii_hexdigit() {
                                    return Err(self.invalid("in \\u hexadecimal character escape"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.invalid("in string escape code")),
                    }
                }
                0..0x20 => return Err(self.invalid("in string literal")),
                _ => self.at += 1,
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for letter in word.bytes() {
            if self.next()? != letter {
                let letter = char::from(letter);
                return Err(self.invalid(&format!("in literal {word} (expecting '{letter}')")));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.next()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.invalid("in numeric literal")),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !self.next()?.is_ascii_digit() {
                return Err(self.invalid("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let b'+' | b'-' = self.next()? {
                self.at += 1;
            }
            if !self.next()?.is_ascii_digit() {
                return Err(self.invalid("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    /// The next byte that is not space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn need(&mut self) -> Result<u8, String> {
        self.peek().ok_or_else(|| "unexpected EOF".into())
    }

    fn next(&self) -> Result<u8, String> {
        self.bytes.get(self.at).copied().ok_or_else(|| "unexpected EOF".into())
    }

    fn invalid(&self, context: &str) -> String {
        let quoted = match self.bytes.get(self.at).copied().unwrap_or_default() {
            b'\'' => "'\\''".into(),
            b'"' => "'\"'".into(),
            b'\\' => "'\\\\'".into(),
            b'\n' => "'\\n'".into(),
            b'\r' => "'\\r'".into(),
            b'\t' => "'\\t'".into(),
            byte @ (0..0x20 | 0x7f) => format!("'\\x{byte:02x}'"),
            byte => format!("'{}'", char::from(byte)),
        };
        format!("invalid character {quoted} {context}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_texts_are_named_in_gos_words() {
        for (text, error) in [
            ("", "EOF"),
            (" \n", "EOF"),
            ("{", "unexpected EOF"),
            ("nul", "unexpected EOF"),
            ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
            ("bad", "invalid character 'b' looking for beginning of value"),
            (
                "{\"Name\":\"x\",}",
                "invalid character '}' looking for beginning of object key string",
            ),
            ("{\"Name\":\"x\" \"a\"}", "invalid character '\"' after object key:value pair"),
            ("{\"Name\":\"x\\q\"}", "invalid character 'q' in string escape code"),
            ("{Name:1}", "invalid character 'N' looking for beginning of object key string"),
            ("{\"Port\":01}", "invalid character '1' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("[-a]", "invalid character 'a' in numeric literal"),
            ("[1.x]", "invalid character 'x' after decimal point in numeric literal"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("\"\\u12x4\"", "invalid character 'x' in \\u hexadecimal character escape"),
        ] {
            assert_eq!(first_value(text), Err(error.into()), "{text}");
        }
    }

    #[test]
    fn what_follows_a_value_is_not_looked_at() {
        assert_eq!(first_value(" {\"a\":[1,{},[]]}zzz"), Ok("{\"a\":[1,{},[]]}"));
        assert_eq!(first_value("12"), Ok("12"));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(100_000);
        assert_eq!(first_value(&deep), Err("exceeded max depth".into()));
    }
}
