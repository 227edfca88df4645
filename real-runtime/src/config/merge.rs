//! Merging configurations: scalars are replaced, lists grow, objects merge key by key.

use serde_json::{Map, Value};

/// Puts `later` over `earlier`.
pub(super) fn over(earlier: &mut Map<String, Value>, later: Map<String, Value>) {
    for (key, value) in later {
        match earlier.get_mut(&key) {
            None => {
                earlier.insert(key, value);
            }
            Some(old) => join(old, value),
        }
    }
}

fn join(old: &mut Value, value: Value) {
    match (old, value) {
        (Value::Object(old), Value::Object(new)) => over(old, new),
        (Value::Array(old), Value::Array(new)) => old.extend(new),
        (old, new) => *old = new,
    }
}

/// Puts flags over everything: as [`over`], but their list items come first.
pub(super) fn flags_over(earlier: &mut Map<String, Value>, mut flags: Map<String, Value>) {
    for (key, value) in &mut flags {
        if let (Value::Array(first), Some(Value::Array(rest))) = (value, earlier.get_mut(key)) {
            first.append(rest);
        }
    }
    over(earlier, flags);
}

/// Service and check definitions of one file, singular and plural together.
pub(super) fn definitions(file: &mut Map<String, Value>) {
    for (one, many) in [("service", "services"), ("check", "checks")] {
        let mut items = Vec::new();
        for key in [one, many] {
            match file.remove(key) {
                None | Some(Value::Null) => {}
                Some(Value::Array(several)) => items.extend(several),
                Some(single) => items.push(single),
            }
        }
        if !items.is_empty() {
            file.insert(many.to_owned(), Value::Array(items));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn later_files_win_and_lists_grow() {
        let mut merged = map(&json!({"a": 1, "l": [1], "o": {"x": 1, "y": 1}}));
        over(&mut merged, map(&json!({"a": 2, "l": [2], "o": {"y": 2}})));
        assert_eq!(Value::Object(merged), json!({"a": 2, "l": [1, 2], "o": {"x": 1, "y": 2}}));
    }

    #[test]
    fn items_of_flags_come_first() {
        let mut merged = map(&json!({"a": 1, "l": [1, 2]}));
        flags_over(&mut merged, map(&json!({"a": 2, "l": [3]})));
        assert_eq!(Value::Object(merged), json!({"a": 2, "l": [3, 1, 2]}));
    }

    #[test]
    fn one_definition_or_several() {
        let mut file = map(&json!({"service": {"name": "a"}, "services": [{"name": "b"}]}));
        definitions(&mut file);
        assert_eq!(Value::Object(file), json!({"services": [{"name": "a"}, {"name": "b"}]}));
    }
}
