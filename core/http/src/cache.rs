//! Encoded bodies kept until what they show changes.

use crate::Consistency;
use alloc::collections::BTreeMap;
use alloc::string::String;
use bytes::Bytes;
use proconsul_types::CatalogIndex;

/// Bodies kept at most.
const BODIES_MAX: usize = 512;
/// Bytes of bodies kept at most.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bodies one worker has encoded. Each is valid while the index that governs it stands; headers are
/// never kept. (A restored snapshot raises every index, so an old body cannot come back with it.)
///
/// A worker asks with the index it reads from its view at that moment, so a body is never older
/// than the index that goes with it.
#[derive(Clone, Debug, Default)]
pub struct BodyCache {
    bodies: BTreeMap<u64, Entry>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    path: String,
    query: String,
    stamp: Stamp,
    body: Bytes,
}

/// Whose body it is: a path, and a query without what only says how long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyKey<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
}

/// What a body is valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The index that governs the read.
    pub(crate) index: CatalogIndex,
    /// Whether it is indented.
    pub(crate) pretty: bool,
}

impl BodyCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bodies it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// The body of this read at this stamp.
    pub(crate) fn get(&self, key: BodyKey<'_>, stamp: Stamp) -> Option<&Bytes> {
        self.any(key).filter(|entry| entry.stamp == stamp).map(|entry| &entry.body)
    }

    /// The body of this read at whatever stamp it was encoded. No honest reader wants it.
    pub(crate) fn get_of_any_age(&self, key: BodyKey<'_>) -> Option<&Bytes> {
        self.any(key).map(|entry| &entry.body)
    }

    fn any(&self, key: BodyKey<'_>) -> Option<&Entry> {
        let entry = self.bodies.get(&hash(key))?;
        (entry.path == key.path && entry.query == key.query).then_some(entry)
    }

    /// Keeps a body. When the cache is full it starts anew: a few encodings are cheaper than
    /// keeping account of use on every hit.
    pub(crate) fn put(&mut self, key: BodyKey<'_>, stamp: Stamp, body: &Bytes) {
        if body.len() > BODY_BYTES_MAX / 4 {
            return;
        }
        let place = hash(key);
        if let Some(old) = self.bodies.remove(&place) {
            self.bytes -= old.body.len();
        }
        if self.bodies.len() >= BODIES_MAX || self.bytes + body.len() > BODY_BYTES_MAX {
            self.bodies.clear();
            self.bytes = 0;
        }
        self.bytes += body.len();
        let entry =
            Entry { path: key.path.into(), query: key.query.into(), stamp, body: body.clone() };
        self.bodies.insert(place, entry);
    }
}

/// FNV-1a over path and query: only a place in the map, never proof of identity.
fn hash(key: BodyKey<'_>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key.path.bytes().chain([b'?']).chain(key.query.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// The word of `X-Consul-Effective-Consistency`.
pub(crate) fn effective(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Default => "leader",
        Consistency::Consistent => "consistent",
        Consistency::Stale => "stale",
    }
}
