//! Quoted texts and numbers as Go reads them.

use alloc::string::String;

/// The text in Go's double or back quotes; `None` if it is no Go literal.
pub(crate) fn unquote(quoted: &str) -> Option<String> {
    let quote = quoted.chars().next()?;
    let inner = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' {
        return Some(inner.chars().filter(|c| *c != '\r').collect());
    }
    let mut bytes = alloc::vec::Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        match next {
            '"' | '\n' => return None,
            '\\' => escape(&mut rest, &mut bytes)?,
            other => push(other, &mut bytes),
        }
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn push(c: char, bytes: &mut alloc::vec::Vec<u8>) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(rest: &mut core::str::Chars<'_>, bytes: &mut alloc::vec::Vec<u8>) -> Option<()> {
    let byte = match rest.next()? {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(digits(rest, 2, 16, 0)?).ok()?,
        'u' => return char::from_u32(digits(rest, 4, 16, 0)?).map(|c| push(c, bytes)),
        'U' => return char::from_u32(digits(rest, 8, 16, 0)?).map(|c| push(c, bytes)),
        first @ '0'..='7' => u8::try_from(digits(rest, 2, 8, first.to_digit(8)?)?).ok()?,
        _ => return None,
    };
    bytes.push(byte);
    Some(())
}

fn digits(rest: &mut core::str::Chars<'_>, count: usize, radix: u32, first: u32) -> Option<u32> {
    (0..count).try_fold(first, |sum, _| {
        sum.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)
    })
}

/// Why Go reads no number in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    Syntax,
    Range,
}

/// A 64-bit number in any of Go's notations (`-5`, `0x50`, `0b1`, `0o17`, `017`, `1_000`).
pub(crate) fn int(text: &str) -> Result<i64, NumberError> {
    let (negative, magnitude) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) | None => (false, text),
    };
    let prefixes = [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)];
    let prefix = prefixes.iter().find(|(prefix, _)| magnitude.starts_with(prefix));
    let (digits, radix) = match prefix {
        Some((prefix, radix)) => (&magnitude[prefix.len()..], *radix),
        None if magnitude.len() > 1 && magnitude.starts_with('0') => (&magnitude[1..], 8),
        None => (magnitude, 10),
    };
    let separated = prefix.is_some() || radix == 8;
    let mut before = if separated { '0' } else { '_' };
    let mut sum = Some(0_i128);
    let mut any = false;
    for digit in digits.chars() {
        if digit == '_' {
            // Between digits, or between the prefix and a digit.
            if before == '_' {
                return Err(NumberError::Syntax);
            }
        } else {
            let value = digit.to_digit(radix).ok_or(NumberError::Syntax)?;
            any = true;
            sum = sum
                .and_then(|sum| sum.checked_mul(i128::from(radix))?.checked_add(i128::from(value)));
        }
        before = digit;
    }
    if !any || before == '_' {
        return Err(NumberError::Syntax);
    }
    let sum = sum.map(|sum| if negative { -sum } else { sum });
    sum.and_then(|sum| i64::try_from(sum).ok()).ok_or(NumberError::Range)
}

/// A truth value in any of Go's notations.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_texts() {
        assert_eq!(unquote("`a\\n\r`").as_deref(), Some("a\\n"));
        assert_eq!(unquote(r#""a\tb\x41\101\u00e9""#).as_deref(), Some("a\tbAA\u{e9}"));
        for bad in [r#""\q""#, r#""\'""#, "\"a\nb\"", r#""\x4""#, r#""\ud800""#, r#""\400""#] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }

    #[test]
    fn go_numbers() {
        for (text, number) in [
            ("0", 0),
            ("-5", -5),
            ("+7", 7),
            ("0x50", 80),
            ("0b11", 3),
            ("0o17", 15),
            ("017", 15),
            ("1_000", 1000),
            ("0x_f", 15),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(int(text), Ok(number), "{text}");
        }
        for bad in ["", "-", "a", "1.5", "08", "0x", "_1", "1_", "1__0", " 1"] {
            assert_eq!(int(bad), Err(NumberError::Syntax), "{bad}");
        }
        assert_eq!(int("9223372036854775808"), Err(NumberError::Range));
        assert_eq!(int(&"9".repeat(100)), Err(NumberError::Range));
    }
}
