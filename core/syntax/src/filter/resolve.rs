//! An expression against a schema: selectors become paths, values get their type.

use super::Node;
use super::grammar::{Expression, Operator};
use super::literal::{NumberError, boolean, int};
use super::schema::{Kind, Record, Schema, Value};
use crate::pattern::{self, Pattern};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    path: Vec<String>,
    operator: Operator,
    operand: Operand,
}

#[derive(Clone, Debug)]
enum Operand {
    None,
    Text(String),
    Bool(bool),
    Int(i64),
    Pattern(Pattern),
}

pub(crate) fn resolve(parsed: &Expression, schema: &Schema) -> Result<Node, String> {
    let each = |parts: &[Expression]| {
        parts.iter().map(|part| resolve(part, schema)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match parsed {
        Expression::All(parts) => Node::All(each(parts)?),
        Expression::Any(parts) => Node::Any(each(parts)?),
        Expression::Not(part) => Node::Not(Box::new(resolve(part, schema)?)),
        Expression::Match { selector, operator, value } => {
            Node::Match(condition(selector, *operator, value, schema)?)
        }
    })
}

fn condition(
    selector: &[String],
    operator: Operator,
    value: &str,
    schema: &Schema,
) -> Result<Condition, String> {
    let shown = || selector.join(".");
    let kind = kind_of(selector, schema)
        .ok_or_else(|| format!("Selector \"{}\" is not valid", shown()))?;
    if !has(kind, operator) {
        let name = operator.name();
        return Err(format!("Invalid match operator \"{name}\" for selector \"{}\"", shown()));
    }
    let misfit = |why: String| {
        format!("Failed to coerce value {value:?} for selector \"{}\": {why}", shown())
    };
    let operand = match (operator, kind) {
        (Operator::IsEmpty | Operator::IsNotEmpty, _) => Operand::None,
        (Operator::Matches | Operator::NotMatches, _) => Operand::Pattern(compile(value)?),
        (Operator::Equal | Operator::NotEqual, Kind::Bool) => {
            Operand::Bool(boolean(value).ok_or_else(|| {
                misfit(format!("strconv.ParseBool: parsing {value:?}: invalid syntax"))
            })?)
        }
        (Operator::Equal | Operator::NotEqual, Kind::Int) => {
            Operand::Int(int(value).map_err(|error| {
                let why = match error {
                    NumberError::Syntax => "invalid syntax",
                    NumberError::Range => "value out of range",
                };
                misfit(format!("strconv.ParseInt: parsing {value:?}: {why}"))
            })?)
        }
        (Operator::Equal | Operator::NotEqual | Operator::In | Operator::NotIn, _) => {
            Operand::Text(value.into())
        }
    };
    Ok(Condition { path: selector.to_vec(), operator, operand })
}

fn kind_of(path: &[String], schema: &Schema) -> Option<Kind> {
    let (first, rest) = path.split_first()?;
    let mut kind = schema.kind(first)?;
    for name in rest {
        kind = match kind {
            Kind::Record(inner) | Kind::Records(inner) => inner.kind(name)?,
            Kind::RecordMap(inner) => Kind::Record(inner),
            Kind::TextMap => Kind::Text,
            Kind::Text | Kind::Bool | Kind::Int | Kind::TextList => return None,
        };
    }
    Some(kind)
}

fn has(kind: Kind, operator: Operator) -> bool {
    let equal = matches!(operator, Operator::Equal | Operator::NotEqual);
    let within = matches!(operator, Operator::In | Operator::NotIn);
    let empty = matches!(operator, Operator::IsEmpty | Operator::IsNotEmpty);
    let matching = matches!(operator, Operator::Matches | Operator::NotMatches);
    match kind {
        Kind::Text => equal || within || matching,
        Kind::Bool | Kind::Int => equal,
        Kind::TextList | Kind::TextMap | Kind::RecordMap(_) => within || empty,
        Kind::Records(_) => empty,
        Kind::Record(_) => false,
    }
}

impl Condition {
    pub(crate) fn matches(&self, record: &dyn Record) -> bool {
        self.in_record(record, &self.path)
    }

    fn in_record(&self, record: &dyn Record, path: &[String]) -> bool {
        let Some((name, rest)) = path.split_first() else { return false };
        match record.field(name) {
            Value::Text(text) => self.text(text),
            Value::Bool(found) => {
                self.equal(matches!(self.operand, Operand::Bool(b) if b == found))
            }
            Value::Int(found) => self.equal(matches!(self.operand, Operand::Int(n) if n == found)),
            Value::TextList(list) => {
                self.collection(list.is_empty(), |text| list.iter().any(|item| **item == *text))
            }
            Value::TextMap(map) => match rest.first() {
                Some(key) => match map.get(key.as_str()) {
                    Some(text) => self.text(text),
                    None => self.no_such_key(),
                },
                None => self.collection(map.is_empty(), |text| map.contains_key(text)),
            },
            Value::Record(inner) => self.in_record(inner, rest),
            Value::Made(inner) => self.in_record(&*inner, rest),
            Value::Records(list) => {
                if rest.is_empty() {
                    self.collection(list.is_empty(), |_| false)
                } else {
                    list.iter().any(|inner| self.in_record(&**inner, rest))
                }
            }
            Value::RecordMap(map) => match rest.split_first() {
                Some((key, rest)) => match map.iter().find(|(found, _)| found == key) {
                    Some((_, inner)) => self.in_record(&**inner, rest),
                    None => self.no_such_key(),
                },
                None => {
                    self.collection(map.is_empty(), |text| map.iter().any(|(key, _)| *key == text))
                }
            },
            Value::Absent => self.absent(rest),
        }
    }

    /// What holds of a zero value of the field's kind.
    fn absent(&self, rest: &[String]) -> bool {
        match &self.operand {
            Operand::Bool(wanted) => self.equal(!*wanted),
            Operand::Int(wanted) => self.equal(*wanted == 0),
            Operand::Text(_) | Operand::Pattern(_) if rest.is_empty() => self.text(""),
            Operand::Text(_) | Operand::Pattern(_) => self.no_such_key(),
            Operand::None => self.operator == Operator::IsEmpty,
        }
    }

    /// A map's key that is not there equals nothing and is in nothing; all else is true of it, even
    /// `matches`.
    fn no_such_key(&self) -> bool {
        match self.operator {
            Operator::Equal | Operator::In | Operator::IsNotEmpty => false,
            Operator::NotEqual
            | Operator::NotIn
            | Operator::IsEmpty
            | Operator::Matches
            | Operator::NotMatches => true,
        }
    }

    fn equal(&self, found: bool) -> bool {
        found == (self.operator == Operator::Equal)
    }

    fn text(&self, text: &str) -> bool {
        match (&self.operand, self.operator) {
            (Operand::Text(wanted), Operator::Equal) => text == wanted,
            (Operand::Text(wanted), Operator::NotEqual) => text != wanted,
            (Operand::Text(wanted), Operator::In) => text.contains(wanted.as_str()),
            (Operand::Text(wanted), Operator::NotIn) => !text.contains(wanted.as_str()),
            (Operand::Pattern(pattern), Operator::Matches) => pattern.is_match(text),
            (Operand::Pattern(pattern), Operator::NotMatches) => !pattern.is_match(text),
            (
                Operand::None
                | Operand::Text(_)
                | Operand::Bool(_)
                | Operand::Int(_)
                | Operand::Pattern(_),
                _,
            ) => false,
        }
    }

    fn collection(&self, empty: bool, has: impl FnOnce(&str) -> bool) -> bool {
        match (&self.operand, self.operator) {
            (Operand::Text(wanted), Operator::In) => has(wanted),
            (Operand::Text(wanted), Operator::NotIn) => !has(wanted),
            (_, Operator::IsEmpty) => empty,
            (_, Operator::IsNotEmpty) => !empty,
            (
                _,
                Operator::Equal
                | Operator::NotEqual
                | Operator::In
                | Operator::NotIn
                | Operator::Matches
                | Operator::NotMatches,
            ) => false,
        }
    }
}

fn compile(text: &str) -> Result<Pattern, String> {
    pattern::compile(text)
        .map_err(|reason| format!("Failed to compile regular expression {text:?}: {reason}"))
}
