//! What may be a DNS label, and so be found by name.

use core::fmt;

/// Longest DNS label (RFC 1035, 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// Why a name cannot be looked up in DNS. Consul warns of it and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelError {
    /// It is empty.
    Empty,
    /// It has other characters than letters, digits and dashes.
    Characters,
    /// It is longer than [`LABEL_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Characters => {
                "invalid characters. Valid characters include all alpha-numerics and dashes."
            }
            Self::TooLong => "it is too long. Valid lengths are between 1 and 63 bytes.",
        })
    }
}

impl core::error::Error for LabelError {}

/// Whether `name` may be a DNS label.
///
/// # Errors
/// [`LabelError`] says why not.
pub fn check_label(name: &str) -> Result<(), LabelError> {
    if name.is_empty() {
        return Err(LabelError::Empty);
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(LabelError::Characters);
    }
    if name.len() > LABEL_BYTES_MAX {
        return Err(LabelError::TooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(check_label("web-1"), Ok(()));
        assert_eq!(check_label("-"), Ok(()));
        assert_eq!(check_label(""), Err(LabelError::Empty));
        for bad in ["a_b", "a.b", "a b", "\u{e9}"] {
            assert_eq!(check_label(bad), Err(LabelError::Characters), "{bad}");
        }
        assert_eq!(check_label(&"a".repeat(63)), Ok(()));
        assert_eq!(check_label(&"a".repeat(64)), Err(LabelError::TooLong));
    }
}
