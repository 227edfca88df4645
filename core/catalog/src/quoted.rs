//! Texts in quotation marks, as in the messages that clients match.

use core::fmt;

/// A text in double quotes with Go's escapes (its verb `%q`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{b}' => f.write_str("\\v")?,
                c if c < ' ' => write!(f, "\\x{:02x}", u32::from(c))?,
                c if is_printable(c) => write!(f, "{c}")?,
                c if c <= '\u{ffff}' => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "\\U{:08x}", u32::from(c))?,
            }
        }
        f.write_str("\"")
    }
}

/// Whether Rust, too, would show the character as it is. Single quotes are always shown.
fn is_printable(c: char) -> bool {
    c == '\'' || c.escape_debug().eq(core::iter::once(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn escapes_are_those_of_go() {
        let text = Quoted("q\"uo\u{e9}\u{1}\u{7f}'\\\n").to_string();
        assert_eq!(text, "\"q\\\"uo\u{e9}\\x01\\u007f'\\\\\\n\"");
    }
}
