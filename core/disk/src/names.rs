//! Which file is which.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use proconsul_types::{EntryId, LogIndex, Term};

/// The directory of everything Raft keeps, below the data directory.
pub const DIRECTORY: &str = "raft";

/// Numbers, sequences and indexes are below this: there is always room to count on.
pub(crate) const NUMBER_MAX: u64 = 1 << 62;

const LOG: &str = "raft/log-";
const SNAPSHOT: &str = "raft/snapshot-";
const TEMPORARY: &str = ".tmp";

/// What a file below [`DIRECTORY`] is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment { number: u64, id: u64 },
    Snapshot(EntryId),
    Temporary,
}

pub(crate) fn segment(number: u64, id: u64) -> Arc<str> {
    Arc::from(format!("{LOG}{number:016x}-{id:016x}"))
}

pub(crate) fn snapshot(id: EntryId) -> Arc<str> {
    Arc::from(format!("{SNAPSHOT}{:016x}-{:016x}", id.index.0, id.term.0))
}

/// The name of a file while it is being written.
pub(crate) fn temporary(file: &str) -> Arc<str> {
    let mut name = String::from(file);
    name.push_str(TEMPORARY);
    Arc::from(name)
}

/// The directory a file is in.
pub(crate) fn directory(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(directory, _)| directory)
}

pub(crate) fn parse(file: &str) -> Option<Name> {
    if let Some(rest) = file.strip_prefix(SNAPSHOT) {
        if rest.ends_with(TEMPORARY) {
            return Some(Name::Temporary);
        }
        let (index, term) = pair(rest)?;
        let id = EntryId::new(Term(term), LogIndex(index));
        return (index < NUMBER_MAX).then_some(Name::Snapshot(id));
    }
    let (number, id) = pair(file.strip_prefix(LOG)?)?;
    (number < NUMBER_MAX).then_some(Name::Segment { number, id })
}

fn pair(text: &str) -> Option<(u64, u64)> {
    let (first, second) = text.split_once('-')?;
    let number = |word: &str| {
        let digits = word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
        if digits { u64::from_str_radix(word, 16).ok() } else { None }
    };
    Some((number(first)?, number(second)?))
}
