//! `services register`, `services deregister`: by flags or by definition files.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{Command, out};
use crate::config::read_file;
use serde_json::{Map, Value, json};

pub(super) const REGISTER: Command = Command {
    path: &["services", "register"],
    about: "Registers services with the agent",
    run: register,
    flags: |command| {
        flag::client(command)
            .arg(flag::value("name", "Name"))
            .arg(flag::value("id", "Id, if not the name"))
            .arg(flag::value("address", "Address, if not the node's"))
            .arg(flag::value("port", "Port"))
            .arg(flag::value("kind", "Kind"))
            .arg(flag::list("tag", "Tag"))
            .arg(flag::list("meta", "Metadata (key=value)"))
            .arg(flag::list("tagged-address", "Address under a tag (tag=address:port)"))
    },
};

pub(super) const DEREGISTER: Command = Command {
    path: &["services", "deregister"],
    about: "Deregisters services from the agent",
    run: deregister,
    flags: |command| flag::client(command).arg(flag::value("id", "Id")),
};

fn register(flags: Flags) -> Outcome {
    let services = if flags.arguments.is_empty() {
        vec![by_flags(&flags)?]
    } else {
        by_files(&flags.arguments)?
    };
    let client = Client::new(&flags)?;
    for service in services {
        let name = text_of(&service, "name");
        client
            .put("/v1/agent/service/register", &[], service.to_string().as_bytes())
            .map_err(|error| format!("Error registering service \"{name}\": {error}"))?;
        out(&format!("Registered service: {name}\n"));
    }
    Ok(0)
}

fn deregister(flags: Flags) -> Outcome {
    let ids = match (flags.text("id"), flags.arguments.is_empty()) {
        (Some(id), true) => vec![id.to_owned()],
        (None, false) => by_files(&flags.arguments)?
            .iter()
            .map(|service| {
                let id = text_of(service, "id");
                if id.is_empty() { text_of(service, "name") } else { id }
            })
            .collect(),
        (None, true) | (Some(_), false) => {
            return Err("Service deregistration requires either -id or a file".to_owned());
        }
    };
    let client = Client::new(&flags)?;
    for id in ids {
        client
            .put(&format!("/v1/agent/service/deregister/{id}"), &[], &[])
            .map_err(|error| format!("Error deregistering service \"{id}\": {error}"))?;
        out(&format!("Deregistered service: {id}\n"));
    }
    Ok(0)
}

fn text_of(service: &Value, key: &str) -> String {
    let found = service
        .as_object()
        .and_then(|object| object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)));
    found.and_then(|(_, value)| value.as_str()).unwrap_or_default().to_owned()
}

fn by_flags(flags: &Flags) -> Result<Value, String> {
    let Some(name) = flags.text("name").filter(|name| !name.is_empty()) else {
        return Err("Error: service name is required, with -name or in a file".to_owned());
    };
    let mut service = Map::new();
    service.insert("Name".to_owned(), name.into());
    for (flag, field) in [("id", "ID"), ("address", "Address"), ("kind", "Kind")] {
        if let Some(text) = flags.text(flag) {
            service.insert(field.to_owned(), text.into());
        }
    }
    if let Some(port) = flags.text("port") {
        let port: i32 = port.parse().map_err(|_| format!("Error: invalid port: {port}"))?;
        service.insert("Port".to_owned(), port.into());
    }
    let tags: Vec<Value> = flags.texts("tag").into_iter().map(Value::from).collect();
    if !tags.is_empty() {
        service.insert("Tags".to_owned(), tags.into());
    }
    let mut meta = Map::new();
    for pair in flags.texts("meta") {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        meta.insert(key.to_owned(), value.into());
    }
    if !meta.is_empty() {
        service.insert("Meta".to_owned(), meta.into());
    }
    let mut tagged = Map::new();
    for pair in flags.texts("tagged-address") {
        let parts = pair.split_once('=').and_then(|(tag, at)| {
            let (address, port) = at.rsplit_once(':')?;
            Some((tag, address, port.parse::<i32>().ok()?))
        });
        let Some((tag, address, port)) = parts else {
            return Err(format!("Error: tagged address must be tag=address:port: {pair}"));
        };
        tagged.insert(tag.to_owned(), json!({ "Address": address, "Port": port }));
    }
    if !tagged.is_empty() {
        service.insert("TaggedAddresses".to_owned(), tagged.into());
    }
    Ok(Value::Object(service))
}

fn by_files(paths: &[String]) -> Result<Vec<Value>, String> {
    let mut services = Vec::new();
    for path in paths {
        let file = read_file(path.as_ref(), None)?;
        for (key, value) in &file {
            if !matches!(key.to_ascii_lowercase().as_str(), "service" | "services") {
                continue;
            }
            match value {
                Value::Array(several) => services.extend(several.iter().cloned()),
                Value::Object(_) => services.push(value.clone()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(format!("{path}: {key} must be an object or a list of them"));
                }
            }
        }
    }
    if services.is_empty() {
        return Err("Error: no services found in the given files".to_owned());
    }
    Ok(services)
}
