//! What a file may ask of a world: known keys only, and numbers that all of a world can count with.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Display;
use std::ops::RangeInclusive;

/// No number of a file is larger, the seed aside: a day in microseconds. Nothing a world computes
/// from such numbers overflows.
const NUMBER_MAX: u64 = 86_400_000_000;

/// Reads the text of a file.
///
/// # Errors
/// It is not JSON of this form, or a number is beyond all bounds; the reason names the place.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let read = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let plain: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for (name, value) in plain.as_object().into_iter().flatten() {
        if name != "seed" {
            small(name, value)?;
        }
    }
    Ok(read)
}

fn small(path: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Number(number) => {
            let fits = number.as_i64().is_some_and(|number| number.unsigned_abs() <= NUMBER_MAX);
            if fits { Ok(()) } else { Err(format!("{path}: {number} is beyond {NUMBER_MAX}")) }
        }
        Value::Array(items) => (items.iter().enumerate())
            .try_for_each(|(place, item)| small(&format!("{path}[{place}]"), item)),
        Value::Object(fields) => {
            fields.iter().try_for_each(|(name, value)| small(&format!("{path}.{name}"), value))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// Whether a number is within its bounds.
///
/// # Errors
/// It is not; the reason names it and the bounds.
pub(crate) fn within<T: PartialOrd + Display>(
    name: &str,
    number: T,
    bounds: RangeInclusive<T>,
) -> Result<(), String> {
    if bounds.contains(&number) {
        return Ok(());
    }
    Err(format!("{name}: {number} is not from {} to {}", bounds.start(), bounds.end()))
}

/// Whether a world can have these datacenters.
///
/// # Errors
/// It cannot.
pub(crate) fn datacenters(sizes: &[(u16, u16)]) -> Result<(), String> {
    within("options.datacenters: their number", sizes.len(), 1..=16)?;
    let machines = sizes.iter().map(|(servers, clients)| u32::from(*servers) + u32::from(*clients));
    within("options.datacenters: their machines", machines.sum(), 1..=20_000)
}
