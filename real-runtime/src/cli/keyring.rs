//! `keygen`, `keyring`: the keys with which pools encrypt.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{Command, out};
use proconsul_core::wire::crypto::Key;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// Bytes of a new key.
const KEY_BYTES: usize = 32;
/// Others that pass an answer on as well, at most.
const RELAYS_MAX: u8 = 5;

pub(super) const KEYGEN: Command = Command {
    path: &["keygen"],
    about: "Prints a new key for gossip",
    run: keygen,
    flags: flag::client,
};

pub(super) const KEYRING: Command = Command {
    path: &["keyring"],
    about: "Lists and changes the keys of all pools",
    run: keyring,
    flags: |command| {
        flag::client(command)
            .arg(flag::switch("list", "List the keys"))
            .arg(flag::switch("list-primary", "List the keys that are sent with"))
            .arg(flag::value("install", "Accept this key everywhere"))
            .arg(flag::value("use", "Send with this key everywhere"))
            .arg(flag::value("remove", "Forget this key everywhere"))
            .arg(flag::value("relay-factor", "Pass answers through this many others, 0 to 5"))
            .arg(flag::switch("local-only", "List the local pools alone"))
    },
};

fn keygen(_: Flags) -> Outcome {
    let mut bytes = [0_u8; KEY_BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| format!("Error reading random data: {error}"))?;
    let key = Key::new(&bytes).map_err(|error| error.to_string())?;
    out(&format!("{}\n", key.to_base64()));
    Ok(0)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pool {
    #[serde(rename = "WAN")]
    wan: bool,
    datacenter: String,
    keys: BTreeMap<String, u64>,
    #[serde(default)]
    primary_keys: BTreeMap<String, u64>,
    #[serde(default)]
    messages: Option<BTreeMap<String, String>>,
    num_nodes: u64,
}

fn keyring(flags: Flags) -> Outcome {
    let key = |name: &str| flags.text(name).filter(|key| !key.is_empty());
    let (list, list_primary) = (flags.on("list")?, flags.on("list-primary")?);
    let changes = [
        ("POST", key("install"), "Installing new gossip encryption key"),
        ("PUT", key("use"), "Changing primary gossip encryption key"),
        ("DELETE", key("remove"), "Removing gossip encryption key"),
    ];
    let count = usize::from(list) + usize::from(list_primary);
    match count + changes.iter().filter(|(_, key, _)| key.is_some()).count() {
        0 => return Err("One of -list, -list-primary, -install, -use or -remove is needed".into()),
        1 => {}
        _ => return Err("Only a single action is allowed".to_owned()),
    }
    let relays = flags.text("relay-factor").unwrap_or("0");
    if relays.parse::<u8>().is_ok_and(|number| number > RELAYS_MAX) {
        return Err("Error parsing relay factor: Relay factor must be in range: [0, 5]".to_owned());
    }
    let local_only = flags.on("local-only")?;
    if local_only && count == 0 {
        return Err(
            "Error validating local-only: local-only can only be set for list requests".to_owned()
        );
    }
    let client = Client::new(&flags)?;
    let mut query = Vec::new();
    if relays != "0" {
        query.push(("relay-factor", relays));
    }
    if local_only {
        query.push(("local-only", "true"));
    }
    let failed = |error: &dyn std::fmt::Display| format!("error: {error}");
    const PATH: &str = "/v1/operator/keyring";
    if let Some((method, key, doing)) = changes.iter().find(|(_, key, _)| key.is_some()) {
        out(&format!("==> {doing}...\n"));
        let body = serde_json::json!({ "Key": key.unwrap_or_default() }).to_string();
        client.send(method, PATH, &query, body.as_bytes()).map_err(|error| failed(&error))?;
        return Ok(0);
    }
    let which = if list_primary { "primary" } else { "" };
    out(&match which {
        "" => "==> Gathering installed encryption keys...\n".to_owned(),
        which => format!("==> Gathering installed {which} encryption keys...\n"),
    });
    let body = client.get(PATH, &query).map_err(|error| failed(&error))?;
    let pools: Vec<Pool> = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    out(&listed(&pools, list_primary));
    Ok(0)
}

fn listed(pools: &[Pool], primary: bool) -> String {
    let mut text = String::new();
    for pool in pools {
        let name = if pool.wan { "WAN".to_owned() } else { format!("{} (LAN)", pool.datacenter) };
        text.push_str(&format!("\n{name}:\n"));
        for (node, message) in pool.messages.iter().flatten() {
            text.push_str(&format!("  {node}: {message}\n"));
        }
        let keys = if primary { &pool.primary_keys } else { &pool.keys };
        for (key, count) in keys {
            text.push_str(&format!("  {key} [{count}/{}]\n", pool.num_nodes));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_listed_by_pool() {
        let pools = r#"[{"WAN":true,"Datacenter":"dc1","Segment":"","Keys":{"a=":2,"b=":1},
            "PrimaryKeys":{"a=":2},"NumNodes":2},{"WAN":false,"Datacenter":"dc1","Segment":"",
            "Keys":{"a=":3},"PrimaryKeys":{"a=":3},"NumNodes":3}]"#;
        let pools: Vec<Pool> = serde_json::from_str(pools).unwrap();
        let all = "\nWAN:\n  a= [2/2]\n  b= [1/2]\n\ndc1 (LAN):\n  a= [3/3]\n";
        assert_eq!(listed(&pools, false), all);
        let primary = "\nWAN:\n  a= [2/2]\n\ndc1 (LAN):\n  a= [3/3]\n";
        assert_eq!(listed(&pools, true), primary);
    }
}
