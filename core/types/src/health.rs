//! Health of a check and the order in which statuses outweigh each other.

use core::fmt;
use serde::{Deserialize, Serialize};

/// What a check last said. Ordered from best to worst, so the worst of several is their maximum.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// Degraded but serving.
    Warning,
    /// Not serving. A check is critical until it has said otherwise.
    #[default]
    Critical,
}

impl CheckStatus {
    /// The word of the API: `passing`, `warning`, `critical`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The status a word of the API names, if it names one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "passing" => Some(Self::Passing),
            "warning" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_is_the_maximum() {
        assert_eq!(CheckStatus::Passing.max(CheckStatus::Warning), CheckStatus::Warning);
        assert_eq!(CheckStatus::Critical.max(CheckStatus::Warning), CheckStatus::Critical);
        assert_eq!(CheckStatus::parse("any"), None);
    }
}
