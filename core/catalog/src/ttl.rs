//! A session's TTL as clients write it: a duration in Go's notation.

use proconsul_types::Duration;

/// The duration a text stands for (`10s`, `1h30m`, `1.5m`); `None` if it is empty, zero, negative
/// or no duration. What may be asked for was checked before the command was proposed.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (whole, after) = rest.split_at(digits);
        let (fraction, after) = match after.strip_prefix('.') {
            None => ("", after),
            Some(after) => {
                after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()))
            }
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let nanos: u64 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(nanos)?)?;
        let mut scale = nanos;
        for digit in fraction.bytes() {
            scale /= 10;
            total = total.checked_add(u64::from(digit - b'0').checked_mul(scale)?)?;
        }
        rest = after;
    }
    (total > 0).then(|| Duration::from_nanos(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        let millis = |n| Some(Duration::from_millis(n));
        assert_eq!(parse("10s"), millis(10_000));
        assert_eq!(parse("1h30m"), millis(5_400_000));
        assert_eq!(parse("1.5m"), millis(90_000));
        assert_eq!(parse(".5s"), millis(500));
        assert_eq!(parse("1500ms"), millis(1500));
        for wrong in ["", "0s", "10", "s", "-1s", "1d", "99999999999h", "1..2s", "."] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
