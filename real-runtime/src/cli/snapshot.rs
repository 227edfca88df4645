//! `snapshot save`, `snapshot restore`, `snapshot inspect`.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::table::pairs;
use super::{Command, out};
use crate::archive;
use crate::refusal;

pub(super) const SAVE: Command = Command {
    path: &["snapshot", "save"],
    about: "Saves the state of the servers to a file",
    run: save,
    flags: flag::server,
};

pub(super) const RESTORE: Command = Command {
    path: &["snapshot", "restore"],
    about: "Restores the state of the servers from a file",
    run: restore,
    flags: flag::server,
};

pub(super) const INSPECT: Command = Command {
    path: &["snapshot", "inspect"],
    about: "Prints what a snapshot file holds",
    run: inspect,
    flags: |command| command,
};

const NO_FILE: &str = "Missing FILE argument";

fn file(flags: &Flags) -> Result<&str, String> {
    flags.one(NO_FILE, &flags.too_many("1"))
}

fn opened(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        format!("Error opening snapshot file: open {path}: {}", refusal::words(&error))
    })
}

fn save(flags: Flags) -> Outcome {
    let path = file(&flags)?;
    let bytes = Client::of_server(&flags)?
        .get("/v1/snapshot", &[])
        .map_err(|error| format!("Error saving snapshot: {error}"))?;
    let verified = archive::unpack(&bytes, None)
        .map_err(|error| format!("Error verifying snapshot file: {error}"))?;
    let unverified = format!("{path}.unverified");
    std::fs::write(&unverified, &bytes)
        .and_then(|()| std::fs::rename(&unverified, path))
        .map_err(|error| format!("Error writing snapshot file: {error}"))?;
    out(&format!("Saved and verified snapshot to index {}\n", verified.meta.index));
    Ok(0)
}

fn restore(flags: Flags) -> Outcome {
    let bytes = opened(file(&flags)?)?;
    Client::of_server(&flags)?
        .put("/v1/snapshot", &[], &bytes)
        .map_err(|error| format!("Error restoring snapshot: {error}"))?;
    out("Restored snapshot\n");
    Ok(0)
}

fn inspect(flags: Flags) -> Outcome {
    let bytes = opened(file(&flags)?)?;
    let found = archive::unpack(&bytes, None)
        .map_err(|error| format!("Error verifying snapshot: {error}"))?;
    let mut text = pairs(&[
        ("ID", found.meta.id),
        ("Size", found.meta.size.to_string()),
        ("Index", found.meta.index.to_string()),
        ("Term", found.meta.term.to_string()),
        ("Version", found.meta.version.to_string()),
    ]);
    text.push('\n');
    out(&text);
    Ok(0)
}
