//! Durations as Go reads and prints them: `1h15m30.5s`, with Go's error texts.

use alloc::format;
use alloc::string::String;
use core::fmt;
use proconsul_types::Duration;

/// Why a text is no duration; the text is Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// It has no such form, or is too long for 64 bits of nanoseconds.
    Invalid(String),
    /// A number without a unit.
    MissingUnit(String),
    /// A unit that does not exist, and the whole text.
    UnknownUnit(String, String),
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(f, "time: invalid duration \"{text}\""),
            Self::MissingUnit(text) => write!(f, "time: missing unit in duration \"{text}\""),
            Self::UnknownUnit(unit, text) => {
                write!(f, "time: unknown unit \"{unit}\" in duration \"{text}\"")
            }
        }
    }
}

impl core::error::Error for DurationError {}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The nanoseconds a text stands for; they may be negative.
///
/// # Errors
/// [`DurationError`] with Go's text.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.into());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let number = match whole {
            "" => 0,
            digits => digits.parse::<u64>().map_err(|_| invalid())?,
        };
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.into()));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let Some((_, nanos)) = known else {
            return Err(DurationError::UnknownUnit(unit.into(), text.into()));
        };
        let part = number.checked_mul(*nanos).ok_or_else(invalid)?;
        let part = part.checked_add(share(fraction, *nanos)).ok_or_else(invalid)?;
        sum =
            sum.checked_add(part).filter(|sum| i64::try_from(*sum).is_ok()).ok_or_else(invalid)?;
        rest = after;
    }
    let nanos = i64::try_from(sum).map_err(|_| invalid())?;
    Ok(if negative { -nanos } else { nanos })
}

/// As [`parse`]; negative durations are zero.
///
/// # Errors
/// As [`parse`].
pub fn parse_unsigned(text: &str) -> Result<Duration, DurationError> {
    Ok(Duration::from_nanos(u64::try_from(parse(text)?).unwrap_or(0)))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The part of `unit` that the digits after a decimal point stand for; digits below a nanosecond's
/// reach are not looked at.
fn share(fraction: &str, unit: u64) -> u64 {
    let mut value: u128 = 0;
    let mut scale: u128 = 1;
    for digit in fraction.chars().take(18) {
        value = value * 10 + u128::from(digit.to_digit(10).unwrap_or(0));
        scale *= 10;
    }
    u64::try_from(value * u128::from(unit) / scale).unwrap_or(u64::MAX)
}

/// The text of a number of nanoseconds, as Go prints it: `1m30s`, `1.5ms`, `0s`.
#[must_use]
pub fn format(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    if total == 0 {
        return "0s".into();
    }
    if total < 1_000_000_000 {
        let (unit, name) = match total {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "\u{b5}s"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(total, unit));
    }
    let seconds = total / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = decimal(total % 60_000_000_000, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, _) => format!("{sign}{minutes}m{rest}s"),
        (_, _) => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

/// The text of a duration, as Go prints it.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    format(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// `value / unit` with as many decimals as it takes.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, mut rest) = (value / unit, value % unit);
    let mut text = format!("{whole}");
    if rest > 0 {
        text.push('.');
    }
    while rest > 0 {
        rest *= 10;
        text.extend(char::from_digit(u32::try_from(rest / unit).unwrap_or(0), 10));
        rest %= unit;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("1\u{b5}s", 1_000),
            ("1\u{3bc}s", 1_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
            ("9223372036854775807ns", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
        assert_eq!(parse_unsigned("-5s"), Ok(Duration::ZERO));
    }

    #[test]
    fn refuses_with_the_texts_of_go() {
        for (text, error) in [
            ("", "time: invalid duration \"\""),
            ("abc", "time: invalid duration \"abc\""),
            ("-", "time: invalid duration \"-\""),
            (".s", "time: invalid duration \".s\""),
            ("10", "time: missing unit in duration \"10\""),
            ("1.", "time: missing unit in duration \"1.\""),
            ("3d", "time: unknown unit \"d\" in duration \"3d\""),
            ("1s5x", "time: unknown unit \"x\" in duration \"1s5x\""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("99999999999999999999s", "time: invalid duration \"99999999999999999999s\""),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error, "{text}");
        }
    }

    #[test]
    fn prints_what_go_prints() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
            (-90_000_000_000, "-1m30s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format(nanos), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(nanos in (i64::MIN + 1)..=i64::MAX) {
            prop_assert_eq!(parse(&format(nanos)), Ok(nanos));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.a-z\u{b5}]{0,20}|.{0,20}") {
            drop(parse(&text));
        }
    }
}
