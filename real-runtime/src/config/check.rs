//! Holding one file's values against the schema, and bringing them to one form.

use super::schema::{Key, Kind, Standing, is_off};
use proconsul_core::syntax::duration::parse_unsigned;
use serde_json::{Map, Value};

/// What is wrong with a file.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    unknown: Vec<String>,
    types: Vec<String>,
    other: Vec<String>,
    /// What is taken and does nothing: no error.
    idle: Vec<String>,
}

impl Wrong {
    /// The text that follows `failed to parse <file>: `; `None` if nothing is wrong.
    pub(super) fn text(&self) -> Option<String> {
        if !self.types.is_empty() {
            let lines: Vec<String> = self.types.iter().map(|line| format!("* {line}")).collect();
            return Some(format!(
                "{} error(s) decoding:\n\n{}",
                self.types.len(),
                lines.join("\n")
            ));
        }
        let lines: Vec<&String> = self.unknown.iter().chain(&self.other).collect();
        multi_error(&lines)
    }
}

impl Wrong {
    /// What is not wrong and yet does not do what its author may think.
    pub(super) fn warnings(self) -> Vec<String> {
        self.idle
    }
}

/// A list of errors as Consul prints it.
pub(super) fn multi_error<T: AsRef<str>>(lines: &[T]) -> Option<String> {
    let head = match lines.len() {
        0 => return None,
        1 => "1 error occurred:".to_owned(),
        count => format!("{count} errors occurred:"),
    };
    let listed: String = lines.iter().map(|line| format!("\n\t* {}", line.as_ref())).collect();
    Some(format!("{head}{listed}\n\n"))
}

/// Checks an object against `keys`; the result has lower-case names, lists where lists are wanted,
/// and objects where objects are.
pub(super) fn object(
    path: &str,
    keys: &[Key],
    given: &Map<String, Value>,
    wrong: &mut Wrong,
) -> Map<String, Value> {
    let mut checked = Map::new();
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        let full = if path.is_empty() { lower.clone() } else { format!("{path}.{lower}") };
        let Some(key) = keys.iter().find(|key| key.name == lower) else {
            let shown = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            wrong.unknown.push(format!("invalid config key {shown}"));
            continue;
        };
        if value.is_null() {
            continue;
        }
        if key.standing == Standing::Missing && !is_off(value) {
            wrong.other.push(format!("{full}: what this key asks for is not supported yet"));
            continue;
        }
        if let Standing::Idle(anyway) = key.standing
            && !anyway.is(value)
        {
            wrong.idle.push(format!("{full} = {value} has no effect in this agent"));
        }
        if let Some(value) = one(&full, key.kind, value, wrong) {
            checked.insert(lower, value);
        }
    }
    checked
}

fn one(path: &str, kind: Kind, value: &Value, wrong: &mut Wrong) -> Option<Value> {
    let mut mismatch = |wanted: &str| {
        wrong.types.push(format!(
            "'{path}' expected type '{wanted}', got unconvertible type '{}'",
            type_name(value)
        ));
        None
    };
    match kind {
        Kind::Any | Kind::Definitions => Some(value.clone()),
        Kind::Text if value.is_string() => Some(value.clone()),
        Kind::Text => mismatch("string"),
        Kind::Switch if value.is_boolean() => Some(value.clone()),
        Kind::Switch => mismatch("bool"),
        Kind::Number if value.is_number() => Some(value.clone()),
        Kind::Number => mismatch("float64"),
        Kind::Whole => match whole(value) {
            Some(number) => Some(number.into()),
            None => mismatch("int"),
        },
        Kind::Span => match value.as_str().map(parse_unsigned) {
            Some(Ok(_)) => Some(value.clone()),
            Some(Err(reason)) => {
                let text = value.as_str().unwrap_or_default();
                wrong.other.push(format!("{path}: invalid duration: \"{text}\": {reason}"));
                None
            }
            None => mismatch("string"),
        },
        Kind::Texts => match value {
            Value::Array(items) if items.iter().all(Value::is_string) => Some(value.clone()),
            Value::Array(_) => mismatch("[]string"),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => {
                wrong.types.push(format!(
                    "'{path}': source data must be an array or slice, got {}",
                    type_name(value)
                ));
                None
            }
        },
        Kind::TextMap => match single(value) {
            Some(fields) if fields.values().all(Value::is_string) => Some(Value::Object(fields)),
            Some(_) | None => mismatch("map[string]string"),
        },
        Kind::Object(keys) => match single(value) {
            Some(fields) => Some(Value::Object(object(path, keys, &fields, wrong))),
            None => mismatch("map[string]interface {}"),
        },
    }
}

fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        // HCL has one kind of number.
        let text = number.as_f64().filter(|number| number.fract() == 0.0)?.to_string();
        text.parse().ok()
    })
}

/// An object, or a list of objects read as one (blocks of HCL may repeat).
fn single(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields.clone()),
        Value::Array(items) => {
            let mut merged = Map::new();
            for item in items {
                for (name, value) in item.as_object()? {
                    merged.insert(name.clone(), value.clone());
                }
            }
            Some(merged)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Go's name for what was read.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
