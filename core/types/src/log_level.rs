//! How much an agent says of what it does.

use alloc::format;
use alloc::string::String;
use core::str::FromStr;

/// A level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what is wrong.
    Error,
    /// And what is odd.
    Warn,
    /// And what operators want to know.
    #[default]
    Info,
    /// And what developers want to know.
    Debug,
    /// And everything else.
    Trace,
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.to_ascii_uppercase().as_str() {
            "ERR" | "ERROR" => Ok(Self::Error),
            "WARN" => Ok(Self::Warn),
            "INFO" => Ok(Self::Info),
            "DEBUG" => Ok(Self::Debug),
            "TRACE" => Ok(Self::Trace),
            _ => Err(format!(
                "Invalid log level: {word}. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]"
            )),
        }
    }
}

impl LogLevel {
    /// How much is said: 0 is least.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Error => 0,
            Self::Warn => 1,
            Self::Info => 2,
            Self::Debug => 3,
            Self::Trace => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_consuls_names() {
        assert_eq!("err".parse(), Ok(LogLevel::Error));
        assert_eq!("Error".parse(), Ok(LogLevel::Error));
        assert!(LogLevel::Trace.rank() > LogLevel::Debug.rank());
        let refused = "x".parse::<LogLevel>().unwrap_err();
        assert!(refused.starts_with("Invalid log level: x. Valid log levels are: [TRACE"));
    }
}
