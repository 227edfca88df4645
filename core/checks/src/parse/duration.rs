//! Durations as Go writes them, signed, as the JSON of checks allows.

use alloc::format;
use alloc::string::String;
use serde_json::Number;

/// The nanoseconds a text such as `1m30s` stands for.
pub(super) fn signed_nanos(text: &str) -> Result<i64, String> {
    let wrong = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(wrong());
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let number = |digits: &str| -> Result<i128, String> {
            let digits = digits.get(..18.min(digits.len())).unwrap_or(digits);
            if digits.is_empty() { Ok(0) } else { digits.parse().map_err(|_| wrong()) }
        };
        if whole.len() > 18 {
            return Err(wrong());
        }
        total += number(whole)? * nanos;
        let scale = 10_i128.pow(u32::try_from(fraction.len().min(18)).unwrap_or(18));
        total += number(fraction)? * nanos / scale;
        rest = after;
    }
    let total = i64::try_from(total).map_err(|_| wrong())?;
    Ok(if negative { -total } else { total })
}

/// A JSON number as whole nanoseconds.
pub(super) fn whole(number: &Number) -> i64 {
    let rounded = || format!("{:.0}", number.as_f64().unwrap_or(0.0)).parse().unwrap_or(i64::MAX);
    number.as_i64().unwrap_or_else(rounded)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        assert_eq!(signed_nanos("1m30s"), Ok(90_000_000_000));
        assert_eq!(signed_nanos("-1.5ms"), Ok(-1_500_000));
        assert_eq!(signed_nanos("0"), Ok(0));
        assert_eq!(signed_nanos("x"), Err("time: invalid duration \"x\"".into()));
        assert_eq!(signed_nanos(""), Err("time: invalid duration \"\"".into()));
        assert_eq!(signed_nanos("10"), Err("time: missing unit in duration \"10\"".into()));
        let unknown = Err("time: unknown unit \"d\" in duration \"1d\"".into());
        assert_eq!(signed_nanos("1d"), unknown);
    }
}
