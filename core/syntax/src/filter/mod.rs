//! The `filter=` language: `Service.Tags contains web and not Node.Meta.rack == r1`.
//!
//! A [`Schema`] says which selectors a kind of record has; [`Filter::parse`] checks the text
//! against it and finds every error there is; [`Filter::matches`] cannot fail.
//!
//! ```
//! use proconsul_syntax::filter::{Field, Filter, Kind, Record, Schema, Value};
//!
//! static NODE: Schema = Schema {
//!     fields: &[
//!         Field { name: "Node", kind: Kind::Text },
//!         Field { name: "Port", kind: Kind::Int },
//!     ],
//! };
//!
//! struct Row { name: String, port: i32 }
//!
//! impl Record for Row {
//!     fn field(&self, name: &str) -> Value<'_> {
//!         match name {
//!             "Node" => Value::Text(&self.name),
//!             "Port" => Value::Int(self.port.into()),
//!             _ => Value::Absent,
//!         }
//!     }
//! }
//!
//! let filter = Filter::parse("Node matches `^web` and Port != 80", &NODE)?;
//! assert!(filter.matches(&Row { name: "web1".into(), port: 443 }));
//! assert_eq!(
//!     Filter::parse("Bogus == 1", &NODE).unwrap_err().to_string(),
//!     "Failed to create boolean expression evaluator: Selector \"Bogus\" is not valid",
//! );
//! # Ok::<(), proconsul_syntax::filter::FilterError>(())
//! ```

mod grammar;
mod literal;
mod peg;
mod resolve;
mod schema;

pub use schema::{Field, Kind, Record, Schema, Value};

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use resolve::Condition;

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Filter {
    root: Option<Node>,
}

/// An expression, checked against its schema.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(alloc::boxed::Box<Self>),
    Match(Condition),
}

/// Why a text is no filter for this kind of record. The text is what clients see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    reason: String,
}

impl FilterError {
    pub(crate) fn new(reason: String) -> Self {
        Self { reason }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failed to create boolean expression evaluator: {}", self.reason)
    }
}

impl core::error::Error for FilterError {}

impl Filter {
    /// Reads an expression. The empty text is the filter that lets everything pass.
    ///
    /// # Errors
    /// [`FilterError`] with Consul's text: syntax, unknown selector, operator that the selector
    /// does not have, value that does not fit it, bad regular expression.
    pub fn parse(text: &str, schema: &'static Schema) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Ok(Self { root: None });
        }
        let parsed = grammar::parse(text).map_err(FilterError::new)?;
        let root = resolve::resolve(&parsed, schema).map_err(FilterError::new)?;
        Ok(Self { root: Some(root) })
    }

    /// Whether it lets everything pass without looking.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Whether `record` passes.
    #[must_use]
    pub fn matches(&self, record: &dyn Record) -> bool {
        self.root.as_ref().is_none_or(|root| root.matches(record))
    }
}

impl Node {
    fn matches(&self, record: &dyn Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Not(part) => !part.matches(record),
            Self::Match(condition) => condition.matches(record),
        }
    }
}

#[cfg(test)]
mod tests;
