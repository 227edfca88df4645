//! `kv export` and `kv import`: keys as a JSON text, in Consul's form, to carry them over.

use super::client::{Client, Failed};
use super::flag::{self, Flags, Outcome};
use super::kv::{Pair, content, no_leading_slash, path, without_slash};
use super::{Command, out};
use crate::indented::indented_by;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

pub(super) const EXPORT: Command = Command {
    path: &["kv", "export"],
    about: "Prints everything below a prefix as JSON",
    run: export,
    flags: flag::server,
};

pub(super) const IMPORT: Command = Command {
    path: &["kv", "import"],
    about: "Writes what kv export printed: given, @file, or - for standard input",
    run: import,
    flags: flag::server,
};

/// A key with its value, as it is carried over.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: String,
    #[serde(default)]
    flags: u64,
    /// In base64.
    #[serde(default)]
    value: String,
}

fn export(flags: Flags) -> Outcome {
    let prefix = match flags.arguments.as_slice() {
        [] => "",
        [prefix] => without_slash(prefix),
        [_, ..] => return Err(flags.too_many("1")),
    };
    let failed = |error: &dyn std::fmt::Display| format!("Error querying Consul agent: {error}");
    let listed: Vec<Pair> = match Client::of_server(&flags)?.get(&path(prefix), &[("recurse", "")])
    {
        Ok(body) => serde_json::from_slice(&body).map_err(|error| failed(&error))?,
        Err(Failed::Status(404, _)) => Vec::new(),
        Err(error) => return Err(failed(&error)),
    };
    let entries: Vec<Entry> = listed
        .into_iter()
        .map(|Pair { key, flags, value, .. }| Entry {
            key,
            flags,
            value: value.unwrap_or_default(),
        })
        .collect();
    out(&format!("{}\n", text(&entries).map_err(|error| failed(&error))?));
    Ok(0)
}

/// The form of the file: tabs, so that it can be kept under version control.
fn text(entries: &[Entry]) -> Result<String, serde_json::Error> {
    indented_by(b"\t", entries)
}

fn import(flags: Flags) -> Outcome {
    let given = match flags.arguments.as_slice() {
        [] => return Err("Error! Missing DATA argument".to_owned()),
        [given] => content(given)?,
        [_, ..] => return Err(format!("Error! {}", flags.too_many("1"))),
    };
    let entries: Vec<Entry> = serde_json::from_slice(&given)
        .map_err(|error| format!("Cannot unmarshal data: {error}"))?;
    let client = Client::of_server(&flags)?;
    for Entry { key, flags, value } in entries {
        let value = STANDARD
            .decode(&value)
            .map_err(|error| format!("Error base 64 decoding value for key {key}: {error}"))?;
        let failed = |error: &dyn std::fmt::Display| {
            format!("Error! Failed writing data for key {key}: {error}")
        };
        no_leading_slash(&key).map_err(|error| failed(&error))?;
        let flags = flags.to_string();
        client.put(&path(&key), &[("flags", &flags)], &value).map_err(|error| failed(&error))?;
        out(&format!("Imported: {key}\n"));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_consuls() {
        assert_eq!(text(&[]).unwrap(), "[]");
        let entry = Entry { key: "a/b".to_owned(), flags: 3, value: "Yw==".to_owned() };
        let form =
            "[\n\t{\n\t\t\"key\": \"a/b\",\n\t\t\"flags\": 3,\n\t\t\"value\": \"Yw==\"\n\t}\n]";
        assert_eq!(text(&[entry]).unwrap(), form);
        let read: Vec<Entry> = serde_json::from_str(r#"[{"key":"k"}]"#).unwrap();
        assert_eq!((read[0].flags, read[0].value.as_str()), (0, ""));
    }
}
