//! JSON bodies read as Go reads them: the first value counts, keys match without case, `null`
//! changes nothing, and errors are worded alike.
//!
//! A decoder walks an object's fields in order and calls one of these for each: the first wrong
//! field is the one that is reported. `field` is the place as Go names it, such as `.Port`.

use super::scan;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_syntax::duration as go_duration;
use proconsul_types::{Duration, TextMap};
use serde_json::{Map, Number, Value};

/// The first value of a body.
///
/// # Errors
/// Go's text: `EOF`, `unexpected EOF`, `invalid character ...`.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(body);
    let value = scan::first_value(&text)?;
    serde_json::from_str(value).map_err(|error| format!("{error}"))
}

/// The fields of a body that must be an object; `null` has none. `target` is Go's name of the type
/// that is read, as in `structs.RegisterRequest`.
///
/// # Errors
/// Go's text for a value of another type.
pub fn fields<'a>(
    value: &'a Value,
    target: &str,
) -> Result<Option<&'a Map<String, Value>>, String> {
    match value {
        Value::Object(map) => Ok(Some(map)),
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(format!("json: cannot unmarshal {} into Go value of type {target}", word(value)))
        }
    }
}

/// The fields of a field that must be an object.
///
/// # Errors
/// Go's text for a value of another type.
pub fn object<'a>(
    value: &'a Value,
    field: &str,
    target: &str,
) -> Result<Option<&'a Map<String, Value>>, String> {
    match value {
        Value::Object(map) => Ok(Some(map)),
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(mismatch(value, field, target))
        }
    }
}

/// The elements of a field that must be an array.
///
/// # Errors
/// Go's text for a value of another type.
pub fn array<'a>(value: &'a Value, field: &str, target: &str) -> Result<&'a [Value], String> {
    match value {
        Value::Array(list) => Ok(list),
        Value::Null => Ok(&[]),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(mismatch(value, field, target))
        }
    }
}

/// A string field.
///
/// # Errors
/// Go's text for a value of another type.
pub fn text(value: &Value, field: &str, out: &mut Arc<str>) -> Result<(), String> {
    match value {
        Value::String(text) => *out = text.as_str().into(),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(mismatch(value, field, "string"));
        }
    }
    Ok(())
}

/// A boolean field.
///
/// # Errors
/// Go's text for a value of another type.
pub fn boolean(value: &Value, field: &str, out: &mut bool) -> Result<(), String> {
    match value {
        Value::Bool(given) => *out = *given,
        Value::Null => {}
        Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(mismatch(value, field, "bool"));
        }
    }
    Ok(())
}

/// An `int` field.
///
/// # Errors
/// Go's text for a value of another type, a fraction, or a number that does not fit.
pub fn int(value: &Value, field: &str, out: &mut i64) -> Result<(), String> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(given) => *out = given,
            None => return Err(bad_number(&format!("{number}"), field, "int")),
        },
        Value::Null => {}
        Value::String(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(mismatch(value, field, "int"));
        }
    }
    Ok(())
}

/// An `int` field of a smaller type of ours.
///
/// # Errors
/// As [`int`].
pub fn small_int<T: TryFrom<i64> + Into<i64> + Copy>(
    value: &Value,
    field: &str,
    out: &mut T,
) -> Result<(), String> {
    let mut wide = (*out).into();
    int(value, field, &mut wide)?;
    *out = T::try_from(wide).map_err(|_| bad_number(&format!("{wide}"), field, "int"))?;
    Ok(())
}

/// A `uint64` field.
///
/// # Errors
/// Go's text for a value of another type, a sign, or a fraction.
pub fn uint(value: &Value, field: &str, out: &mut u64) -> Result<(), String> {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(given) => *out = given,
            None => return Err(bad_number(&format!("{number}"), field, "uint64")),
        },
        Value::Null => {}
        Value::String(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(mismatch(value, field, "uint64"));
        }
    }
    Ok(())
}

/// A `[]string` field.
///
/// # Errors
/// Go's text for a value of another type.
pub fn texts(value: &Value, field: &str, out: &mut Box<[Arc<str>]>) -> Result<(), String> {
    let list = array(value, field, "[]string")?;
    if value.is_null() {
        return Ok(());
    }
    let mut texts = Vec::with_capacity(list.len());
    for element in list {
        let mut one: Arc<str> = Arc::from("");
        text(element, field, &mut one)?;
        texts.push(one);
    }
    *out = texts.into();
    Ok(())
}

/// A `map[string]string` field.
///
/// # Errors
/// Go's text for a value of another type.
pub fn text_map(value: &Value, field: &str, out: &mut TextMap) -> Result<(), String> {
    let Some(map) = object(value, field, "map[string]string")? else { return Ok(()) };
    for (key, element) in map {
        let mut one: Arc<str> = Arc::from("");
        text(element, field, &mut one)?;
        out.insert(key.as_str().into(), one);
    }
    Ok(())
}

/// A duration field: text with units, or nanoseconds. Other types count as not given, as in Go.
///
/// # Errors
/// Go's text for a duration that cannot be read.
pub fn duration(value: &Value, out: &mut Option<Duration>) -> Result<(), String> {
    let nanos = match value {
        Value::String(text) => go_duration::parse(text).map_err(|error| format!("{error}"))?,
        Value::Number(number) => whole(number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Ok(()),
    };
    *out = Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
    Ok(())
}

/// A field nobody knows.
#[must_use]
pub fn unknown_field(key: &str) -> String {
    format!("json: unknown field {key:?}")
}

/// A value of the wrong type.
#[must_use]
pub fn mismatch(value: &Value, field: &str, target: &str) -> String {
    format!("json: cannot unmarshal {} into Go struct field {field} of type {target}", word(value))
}

/// A JSON number as whole nanoseconds.
fn whole(number: &Number) -> i64 {
    let rounded = || format!("{:.0}", number.as_f64().unwrap_or(0.0)).parse().unwrap_or(i64::MAX);
    number.as_i64().unwrap_or_else(rounded)
}

fn bad_number(number: &str, field: &str, target: &str) -> String {
    format!("json: cannot unmarshal number {number} into Go struct field {field} of type {target}")
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
