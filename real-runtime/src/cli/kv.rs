//! `kv get`, `kv put`, `kv delete`.

use super::client::{Client, Failed};
use super::flag::{self, Flags, Outcome};
use super::table::pairs;
use super::{Command, out};
use crate::refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::io::{Read, Write};

pub(super) const GET: Command = Command {
    path: &["kv", "get"],
    about: "Reads or lists keys and their values",
    run: get,
    flags: |command| {
        flag::server(command)
            .arg(flag::switch("base64", "Print values in base64"))
            .arg(flag::switch("detailed", "Print everything known of a key"))
            .arg(flag::switch("keys", "List keys below a prefix, without values"))
            .arg(flag::switch("recurse", "Read everything below a prefix"))
            .arg(flag::value("separator", "Where -keys cuts (default \"/\")"))
    },
};

pub(super) const PUT: Command = Command {
    path: &["kv", "put"],
    about: "Writes a value under a key",
    run: put,
    flags: |command| {
        flag::server(command)
            .arg(flag::switch("acquire", "Lock the key for the session"))
            .arg(flag::switch("release", "Unlock the key of the session"))
            .arg(flag::value("session", "Session for -acquire and -release"))
            .arg(flag::switch("cas", "Write only if -modify-index is still the key's"))
            .arg(flag::value("modify-index", "Index for -cas"))
            .arg(flag::value("flags", "Client's number kept with the key"))
            .arg(flag::switch("base64", "The data are base64"))
    },
};

pub(super) const DELETE: Command = Command {
    path: &["kv", "delete"],
    about: "Deletes a key or everything below a prefix",
    run: delete,
    flags: |command| {
        flag::server(command)
            .arg(flag::switch("cas", "Delete only if -modify-index is still the key's"))
            .arg(flag::value("modify-index", "Index for -cas"))
            .arg(flag::switch("recurse", "Delete everything below a prefix"))
    },
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Pair {
    lock_index: u64,
    pub(super) key: String,
    pub(super) flags: u64,
    pub(super) value: Option<String>,
    create_index: u64,
    modify_index: u64,
    session: Option<String>,
}

impl Pair {
    fn value(&self, base64: bool) -> Vec<u8> {
        let encoded = self.value.as_deref().unwrap_or_default();
        if base64 {
            return encoded.as_bytes().to_vec();
        }
        STANDARD.decode(encoded).unwrap_or_default()
    }

    fn detailed(&self, base64: bool) -> Vec<u8> {
        let session = self.session.clone().unwrap_or_else(|| "-".to_owned());
        let mut text = pairs(&[
            ("CreateIndex", self.create_index.to_string()),
            ("Flags", self.flags.to_string()),
            ("Key", self.key.clone()),
            ("LockIndex", self.lock_index.to_string()),
            ("ModifyIndex", self.modify_index.to_string()),
            ("Session", session),
            ("Value", String::new()),
        ])
        .into_bytes();
        text.pop();
        // The value may be any bytes, so it is set into its column by hand.
        text.extend_from_slice(&self.value(base64));
        text.push(b'\n');
        text
    }
}

pub(super) fn path(key: &str) -> String {
    format!("/v1/kv/{key}")
}

/// No key begins with a slash: who reads or deletes one that does means the key behind it.
pub(super) fn without_slash(key: &str) -> &str {
    key.strip_prefix('/').unwrap_or(key)
}

/// Who writes one is told.
pub(super) fn no_leading_slash(key: &str) -> Result<(), String> {
    if key.starts_with('/') {
        return Err(format!("Invalid key. Key must not begin with a '/': {key}"));
    }
    Ok(())
}

fn get(flags: Flags) -> Outcome {
    let (keys, recurse, detailed, base64) =
        (flags.on("keys")?, flags.on("recurse")?, flags.on("detailed")?, flags.on("base64")?);
    let key = match flags.arguments.as_slice() {
        [key] => without_slash(key),
        [] if keys || recurse => "",
        [] => return Err("Error! Missing KEY argument".to_owned()),
        [_, ..] => return Err(flags.too_many("1")),
    };
    let client = Client::of_server(&flags)?;
    let separator = flags.text("separator").unwrap_or("/");
    let query: &[(&str, &str)] = if keys {
        &[("keys", ""), ("separator", separator)]
    } else if recurse {
        &[("recurse", "")]
    } else {
        &[]
    };
    let body = match client.get(&path(key), query) {
        Ok(body) => body,
        Err(Failed::Status(404, _)) if keys || recurse => return Ok(0),
        Err(Failed::Status(404, _)) => return Err(format!("Error! No key exists at: {key}")),
        Err(Failed::Status(code, _)) => {
            return Err(format!("Error querying Consul agent: Unexpected response code: {code}"));
        }
        Err(Failed::Unreachable(text)) => {
            return Err(format!("Error querying Consul agent: {text}"));
        }
    };
    let unreadable = |error| format!("Error querying Consul agent: {error}");
    if keys {
        let listed: Vec<String> = serde_json::from_slice(&body).map_err(unreadable)?;
        let mut text = String::new();
        for key in listed {
            text.push_str(&key);
            text.push('\n');
        }
        out(&text);
        return Ok(0);
    }
    let found: Vec<Pair> = serde_json::from_slice(&body).map_err(unreadable)?;
    let mut text = Vec::new();
    for (place, pair) in found.iter().enumerate() {
        if detailed {
            if place > 0 {
                text.push(b'\n');
            }
            text.extend_from_slice(&pair.detailed(base64));
            continue;
        }
        if recurse {
            text.extend_from_slice(pair.key.as_bytes());
            text.push(b':');
        }
        text.extend_from_slice(&pair.value(base64));
        text.push(b'\n');
    }
    drop(std::io::stdout().lock().write_all(&text));
    Ok(0)
}

/// The key of `kv put`, and its data.
fn data(arguments: &[String]) -> Result<(String, Vec<u8>), String> {
    let (key, given) = match arguments {
        [] => return Err("Error! Missing KEY argument".to_owned()),
        [key] => return Ok((key.clone(), Vec::new())),
        [key, given] => (key.clone(), given),
        [_, _, _, ..] => {
            let count = arguments.len();
            return Err(format!("Error! Too many arguments (expected 1 or 2, got {count})"));
        }
    };
    Ok((key, content(given)?))
}

/// Data as given, from a file (`@name`), or from standard input (`-`).
pub(super) fn content(given: &str) -> Result<Vec<u8>, String> {
    if given == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| format!("Error! Failed to read stdin: {error}"))?;
        return Ok(bytes);
    }
    let Some(file) = given.strip_prefix('@') else { return Ok(given.as_bytes().to_vec()) };
    std::fs::read(file).map_err(|error| {
        format!("Error! Failed to read file: open {file}: {}", refusal::words(&error))
    })
}

fn put(flags: Flags) -> Outcome {
    let (acquire, release, cas) = (flags.on("acquire")?, flags.on("release")?, flags.on("cas")?);
    let (key, mut bytes) = data(&flags.arguments)?;
    no_leading_slash(&key).map_err(|reason| format!("Error! Failed writing data: {reason}"))?;
    if flags.on("base64")? {
        bytes =
            STANDARD.decode(&bytes).map_err(|_| "Error! Cannot base 64 decode data".to_owned())?;
    }
    let session = flags.text("session").unwrap_or_default();
    if (acquire || release) && session.is_empty() {
        return Err("Error! Missing -session (required with -acquire or -release)".to_owned());
    }
    if acquire && release {
        return Err("Error! Cannot use both -acquire and -release".to_owned());
    }
    let client = Client::of_server(&flags)?;
    let mut query = Vec::new();
    if let Some(number) = flags.text("flags") {
        query.push(("flags", number));
    }
    let index = flags.text("modify-index").unwrap_or("0");
    if cas && index == "0" {
        return Err("Must specify -modify-index with -cas!".to_owned());
    }
    if cas {
        query.push(("cas", index));
    }
    if acquire {
        query.push(("acquire", session));
    }
    if release {
        query.push(("release", session));
    }
    let answer = client
        .put(&path(&key), &query, &bytes)
        .map_err(|error| format!("Error! Failed writing data: {error}"))?;
    let done = answer.starts_with(b"true");
    if cas && !done {
        return Err(format!("Error! Did not write to {key}: CAS failed"));
    }
    if acquire && !done {
        return Err("Error! Did not acquire lock".to_owned());
    }
    if release && !done {
        return Err("Error! Did not release lock".to_owned());
    }
    if acquire {
        out(&format!("Success! Lock acquired on: {key}\n"));
    } else if release {
        out(&format!("Success! Lock released on: {key}\n"));
    } else {
        out(&format!("Success! Data written to: {key}\n"));
    }
    Ok(0)
}

fn delete(flags: Flags) -> Outcome {
    let (cas, recurse) = (flags.on("cas")?, flags.on("recurse")?);
    let key = match flags.arguments.as_slice() {
        [key] => without_slash(key),
        [] if recurse => "",
        [] => return Err("Error! Missing KEY argument".to_owned()),
        [_, ..] => return Err(flags.too_many("1")),
    };
    if cas && recurse {
        return Err("Cannot specify both -cas and -recurse!".to_owned());
    }
    let index = flags.text("modify-index").unwrap_or("0");
    if cas && index == "0" {
        return Err("Must specify a -modify-index greater than 0 with -cas!".to_owned());
    }
    if !cas && index != "0" {
        return Err("Cannot specify -modify-index without -cas!".to_owned());
    }
    let client = Client::of_server(&flags)?;
    let query: &[(&str, &str)] = match (cas, recurse) {
        (true, _) => &[("cas", index)],
        (false, true) => &[("recurse", "")],
        (false, false) => &[],
    };
    let refused = |error: Failed| match (recurse, cas) {
        (true, _) => format!("Error! Did not delete prefix {key}: {error}"),
        (false, true) => format!("Error! Did not delete key {key}: {error}"),
        (false, false) => format!("Error deleting key {key}: {error}"),
    };
    let answer = client.ask("DELETE", &path(key), query, &[]).map_err(refused)?;
    if answer.status != 200 {
        let text = String::from_utf8_lossy(&answer.body).trim_end().to_owned();
        return Err(refused(Failed::Status(answer.status, text)));
    }
    if cas && !answer.body.starts_with(b"true") {
        return Err(format!("Error! Did not delete key {key}: CAS failed"));
    }
    if recurse {
        out(&format!("Success! Deleted keys with prefix: {key}\n"));
    } else {
        out(&format!("Success! Deleted key: {key}\n"));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_detail() {
        let text = r#"{"LockIndex":0,"Key":"app/cfg","Flags":0,"Value":"aGVsbG8=",
            "CreateIndex":57,"ModifyIndex":57}"#;
        let pair: Pair = serde_json::from_str(text).unwrap();
        assert_eq!(
            String::from_utf8(pair.detailed(false)).unwrap(),
            "CreateIndex      57\nFlags            0\nKey              app/cfg\n\
             LockIndex        0\nModifyIndex      57\nSession          -\n\
             Value            hello\n"
        );
    }
}
