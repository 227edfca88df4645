//! The catalog as a stream of bytes, and back.
//!
//! Eight bytes of magic and version, then frames: length, CRC32C of everything in frames so far,
//! records. Each record is a tag and the record in the codec's form. The last one counts them all.
//! Equal catalogs make equal bytes, however they are cut into chunks.

use crate::autopilot::Autopilot;
use crate::catalog::{Catalog, LockDelay, Marks, NameEntry, NodeEntry};
use crate::codec::{FORM, RECORD_BYTES_MAX, RestoreError, append};
use crate::kv::Filed;
use crate::places::Place;
use crate::radix::{Walk, WalkStep};
use crate::table::Row;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::{Bytes, BytesMut};
use proconsul_types::{
    CatalogIndex, Check, Fault, KvPair, Node, Planted, Service, Session, SessionId,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

const MAGIC: [u8; 7] = *b"pcatlog";
const VERSION: u8 = 1;
/// Length and checksum before each frame.
const FRAME_HEAD_BYTES: usize = 8;
/// A frame is closed when it is this long.
const FRAME_BYTES: usize = 32 * 1024;
/// No frame is longer: a full one plus the largest record.
const FRAME_BYTES_MAX: usize = FRAME_BYTES + RECORD_BYTES_MAX + 1024;

mod tag {
    pub(super) const HEAD: u8 = 0;
    pub(super) const PAIR: u8 = 1;
    pub(super) const SCAR: u8 = 2;
    pub(super) const DELAY: u8 = 3;
    pub(super) const NODE: u8 = 4;
    pub(super) const SERVICE: u8 = 5;
    pub(super) const NAME: u8 = 6;
    pub(super) const CHECK: u8 = 7;
    pub(super) const SESSION: u8 = 8;
    pub(super) const END: u8 = 9;
    pub(super) const PLACE: u8 = 10;
    /// The index of the table of places; missing while it is 0.
    pub(super) const PLACES_MARK: u8 = 11;
    pub(super) const AUTOPILOT: u8 = 12;
}

#[derive(Serialize, Deserialize)]
struct Head {
    index: CatalogIndex,
    marks: Marks,
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// What a pair takes in a frame besides its key and value, at most.
const PAIR_BYTES: usize = 128;

/// A pair as written. Read back as [`PairRecord`].
#[derive(Serialize)]
struct PairRef<'a> {
    key: &'a str,
    value: Raw<'a>,
    flags: u64,
    lock_index: u64,
    session: Option<SessionId>,
    created: CatalogIndex,
    modified: CatalogIndex,
}

#[derive(Deserialize)]
struct PairRecord {
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    key: Arc<str>,
    #[serde(deserialize_with = "crate::codec::value::deserialize")]
    value: Arc<[u8]>,
    flags: u64,
    lock_index: u64,
    session: Option<SessionId>,
    created: CatalogIndex,
    modified: CatalogIndex,
}

#[derive(Serialize, Deserialize)]
struct Scar {
    path: Bytes,
    top: u64,
}

#[derive(Clone, Debug)]
enum Stage {
    Head,
    Pairs(Walk<Filed>),
    Delays(Walk<Row<LockDelay>>),
    Nodes(Walk<Row<NodeEntry>>),
    Services(Walk<Row<Arc<Service>>>),
    Names(Walk<Row<NameEntry>>),
    Checks(Walk<Row<Arc<Check>>>),
    Sessions(Walk<Row<Arc<Session>>>),
    PlacesMark,
    Places(Walk<Row<Arc<Place>>>),
    Autopilot,
    End,
    Done,
}

/// Reads a catalog as bytes, piece by piece. It holds the catalog as it was, at the price of what
/// has changed since.
#[derive(Clone, Debug)]
pub struct SnapshotReader {
    catalog: Catalog,
    stage: Stage,
    checksum: u32,
    records: u64,
    /// What nobody took yet; a frame that is not full is its end.
    pending: BytesMut,
    /// Where the frame that is not full begins in it.
    open: Option<usize>,
}

impl SnapshotReader {
    pub(crate) fn new(catalog: Catalog) -> Self {
        let mut pending = BytesMut::with_capacity(FRAME_BYTES);
        pending.extend_from_slice(&MAGIC);
        pending.extend_from_slice(&[VERSION]);
        Self { catalog, stage: Stage::Head, checksum: 0, records: 0, pending, open: None }
    }

    /// The index of the last command in it.
    #[must_use]
    pub fn index(&self) -> CatalogIndex {
        self.catalog.index()
    }

    /// The next bytes, at most `max_bytes` and fewer only at the end; `None` after the last.
    pub fn next_chunk(&mut self, max_bytes: usize) -> Option<Bytes> {
        assert!(max_bytes > 0, "a chunk has room for something");
        while self.full_bytes() < max_bytes && !matches!(self.stage, Stage::Done) {
            self.step();
        }
        let len = self.full_bytes().min(max_bytes);
        self.open = self.open.map(|open| open - len);
        (len > 0).then(|| self.pending.split_to(len).freeze())
    }

    /// How many bytes of full frames nobody took yet.
    fn full_bytes(&self) -> usize {
        self.open.unwrap_or(self.pending.len())
    }

    /// Writes one record, and the frame if it is full.
    fn step(&mut self) {
        let next = match &mut self.stage {
            Stage::Head => {
                let head = Head { index: self.catalog.index, marks: self.catalog.marks };
                self.write(tag::HEAD, &head);
                Some(Stage::Pairs(self.catalog.kv.walk()))
            }
            Stage::Pairs(walk) => match walk.next() {
                Some(WalkStep::Record(filed)) => {
                    // A large value moves what is pending once, not at every part of its record.
                    let bytes = filed.pair.key.len() + filed.pair.value.len();
                    self.pending.reserve(bytes + PAIR_BYTES);
                    self.write(tag::PAIR, &pair_ref(&filed.pair));
                    None
                }
                Some(WalkStep::Scar(path, top)) => {
                    self.write(tag::SCAR, &Scar { path: Bytes::from(path), top });
                    None
                }
                None => Some(Stage::Delays(self.catalog.delays.walk())),
            },
            Stage::Delays(walk) => match record(walk) {
                Some(row) => self.write(tag::DELAY, &row.value),
                None => Some(Stage::Nodes(self.catalog.nodes.walk())),
            },
            Stage::Nodes(walk) => match record(walk) {
                Some(row) => self.write(tag::NODE, &row.value),
                None => Some(Stage::Services(self.catalog.services.walk())),
            },
            Stage::Services(walk) => match record(walk) {
                Some(row) => self.write(tag::SERVICE, &*row.value),
                None => Some(Stage::Names(self.catalog.names.walk())),
            },
            Stage::Names(walk) => match record(walk) {
                Some(row) => self.write(tag::NAME, &row.value),
                None => Some(Stage::Checks(self.catalog.checks.walk())),
            },
            Stage::Checks(walk) => match record(walk) {
                Some(row) => self.write(tag::CHECK, &*row.value),
                None if self.catalog.planted.is(Fault::SnapshotWithoutSessions) => {
                    Some(Stage::PlacesMark)
                }
                None => Some(Stage::Sessions(self.catalog.sessions.walk())),
            },
            Stage::Sessions(walk) => match record(walk) {
                Some(row) => self.write(tag::SESSION, &*row.value),
                None => Some(Stage::PlacesMark),
            },
            Stage::PlacesMark => {
                let mark = self.catalog.marks.coordinates;
                if mark != 0 {
                    self.write(tag::PLACES_MARK, &mark);
                }
                Some(Stage::Places(self.catalog.places.walk()))
            }
            Stage::Places(walk) => match record(walk) {
                Some(row) => self.write(tag::PLACE, &*row.value),
                None => Some(Stage::Autopilot),
            },
            Stage::Autopilot => {
                if let Some(stored) = self.catalog.autopilot.clone() {
                    self.write(tag::AUTOPILOT, &*stored);
                }
                Some(Stage::End)
            }
            Stage::End => {
                let records = self.records;
                self.write(tag::END, &records);
                self.close_frame();
                Some(Stage::Done)
            }
            Stage::Done => None,
        };
        if let Some(next) = next {
            self.stage = next;
        }
        let frame = self.open.map_or(0, |open| self.pending.len() - open - FRAME_HEAD_BYTES);
        if frame >= FRAME_BYTES {
            self.close_frame();
        }
    }

    /// Appends a record to the frame. The stage stays what it is.
    fn write<T: Serialize>(&mut self, tag: u8, record: &T) -> Option<Stage> {
        if self.open.is_none() {
            self.open = Some(self.pending.len());
            self.pending.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
        }
        self.pending.extend_from_slice(&[tag]);
        append(&mut self.pending, record);
        self.records += 1;
        None
    }

    fn close_frame(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (head, frame) = self.pending[open..].split_at_mut(FRAME_HEAD_BYTES);
        let len = u32::try_from(frame.len()).expect("a frame is far below 4 GiB").to_le_bytes();
        self.checksum = crc32c::crc32c_append(self.checksum, &len);
        self.checksum = crc32c::crc32c_append(self.checksum, frame);
        let (at, checksum) = head.split_at_mut(len.len());
        at.copy_from_slice(&len);
        checksum.copy_from_slice(&self.checksum.to_le_bytes());
    }
}

fn record<V>(walk: &mut Walk<Row<V>>) -> Option<Arc<Row<V>>> {
    loop {
        match walk.next()? {
            WalkStep::Record(row) => return Some(row),
            WalkStep::Scar(..) => {}
        }
    }
}

fn pair_ref(pair: &KvPair) -> PairRef<'_> {
    PairRef {
        key: &pair.key,
        value: Raw(&pair.value),
        flags: pair.flags,
        lock_index: pair.lock_index,
        session: pair.session,
        created: pair.created,
        modified: pair.modified,
    }
}

/// Builds a catalog from the bytes of a snapshot as they come in. After an error it is of no use.
#[derive(Clone, Debug)]
pub struct Restore {
    catalog: Catalog,
    /// No index of a record is above this.
    limit: u64,
    buffer: BytesMut,
    started: bool,
    ended: bool,
    checksum: u32,
    frames: u64,
    records: u64,
}

impl Restore {
    /// An empty one.
    #[must_use]
    pub fn new(datacenter: Arc<str>, planted: Planted) -> Self {
        Self {
            catalog: Catalog::new(datacenter, planted),
            limit: u64::MAX,
            buffer: BytesMut::new(),
            started: false,
            ended: false,
            checksum: 0,
            frames: 0,
            records: 0,
        }
    }

    /// Lowers every index above `limit` to it: a snapshot of another cluster, with a longer log,
    /// must not put indexes ahead of this one's.
    pub(crate) fn cut_at(mut self, limit: CatalogIndex) -> Self {
        self.limit = limit.0;
        self
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.buffer.extend_from_slice(bytes);
        if !self.started {
            let known = self.buffer.len().min(MAGIC.len());
            if self.buffer[..known] != MAGIC[..known] {
                return Err(RestoreError::NotASnapshot);
            }
            if self.buffer.len() <= MAGIC.len() {
                return Ok(());
            }
            let head = self.buffer.split_to(MAGIC.len() + 1);
            if head[MAGIC.len()] != VERSION {
                return Err(RestoreError::Version(head[MAGIC.len()]));
            }
            self.started = true;
        }
        while let Some((head, rest)) = self.buffer.split_first_chunk::<FRAME_HEAD_BYTES>() {
            if self.ended {
                return Err(RestoreError::Trailing);
            }
            let [a, b, c, d, crc @ ..] = *head;
            let len_bytes = [a, b, c, d];
            let len = usize::try_from(u32::from_le_bytes(len_bytes)).unwrap_or(usize::MAX);
            if len == 0 || len > FRAME_BYTES_MAX {
                return Err(RestoreError::Frame(self.frames, String::from("impossible length")));
            }
            if rest.len() < len {
                return Ok(());
            }
            self.buffer.advance_head();
            let frame = self.buffer.split_to(len).freeze();
            self.checksum = crc32c::crc32c_append(self.checksum, &len_bytes);
            self.checksum = crc32c::crc32c_append(self.checksum, &frame);
            if self.checksum != u32::from_le_bytes(crc) {
                return Err(RestoreError::Checksum(self.frames));
            }
            self.take_frame(&frame)?;
            self.frames += 1;
        }
        if self.ended && !self.buffer.is_empty() {
            return Err(RestoreError::Trailing);
        }
        Ok(())
    }

    /// The catalog, if the snapshot was whole.
    pub fn finish(self) -> Result<Catalog, RestoreError> {
        if !self.ended {
            return Err(RestoreError::Truncated);
        }
        if let Some(rule) = self.catalog.broken_link() {
            return Err(RestoreError::Frame(self.frames, String::from(rule)));
        }
        Ok(self.catalog)
    }

    /// What came so far, whole or not: for a planted fault.
    pub(crate) fn unfinished(self) -> Catalog {
        self.catalog
    }

    fn take_frame(&mut self, mut frame: &[u8]) -> Result<(), RestoreError> {
        while let Some((tag, rest)) = frame.split_first() {
            if self.ended {
                return Err(RestoreError::Trailing);
            }
            if (self.records == 0) != (*tag == tag::HEAD) {
                return Err(self.refuse("the head is not where it belongs"));
            }
            frame = self.take_record(*tag, rest)?;
            self.records += 1;
        }
        Ok(())
    }

    fn refuse(&self, reason: &str) -> RestoreError {
        RestoreError::Frame(self.frames, String::from(reason))
    }

    fn read<'a, T: DeserializeOwned>(
        &self,
        bytes: &'a [u8],
    ) -> Result<(T, &'a [u8]), RestoreError> {
        let (record, read) = bincode::serde::decode_from_slice(bytes, FORM)
            .map_err(|cause| RestoreError::Frame(self.frames, alloc::format!("{cause}")))?;
        Ok((record, &bytes[read..]))
    }

    fn cut(&self, index: CatalogIndex) -> CatalogIndex {
        CatalogIndex(index.0.min(self.limit))
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], RestoreError> {
        let (head, rest) = self.read::<Head>(bytes)?;
        self.catalog.index = self.cut(head.index);
        let Marks { floor, nodes, services, checks, sessions, extinct, coordinates } = head.marks;
        let cut = |mark: u64| mark.min(self.limit);
        self.catalog.marks = Marks {
            floor: cut(floor),
            nodes: cut(nodes),
            services: cut(services),
            checks: cut(checks),
            sessions: cut(sessions),
            extinct: cut(extinct),
            coordinates: cut(coordinates),
        };
        Ok(rest)
    }

    fn take_record<'a>(&mut self, tag: u8, bytes: &'a [u8]) -> Result<&'a [u8], RestoreError> {
        match tag {
            tag::HEAD => self.take_head(bytes),
            tag::PAIR => {
                let (pair, rest) = self.read::<PairRecord>(bytes)?;
                self.catalog.put(KvPair {
                    key: pair.key,
                    value: pair.value,
                    flags: pair.flags,
                    lock_index: pair.lock_index,
                    session: pair.session,
                    created: self.cut(pair.created),
                    modified: self.cut(pair.modified),
                });
                Ok(rest)
            }
            tag::SCAR => {
                let (scar, rest) = self.read::<Scar>(bytes)?;
                self.catalog.kv.raise(&scar.path, scar.top.min(self.limit));
                Ok(rest)
            }
            tag::DELAY => {
                let (delay, rest) = self.read::<LockDelay>(bytes)?;
                self.catalog.put_delay(delay);
                Ok(rest)
            }
            tag::NODE => {
                let (entry, rest) = self.read::<NodeEntry>(bytes)?;
                let NodeEntry { node, touched } = entry;
                let node = Node {
                    datacenter: self.catalog.intern(&node.datacenter),
                    created: self.cut(node.created),
                    modified: self.cut(node.modified),
                    ..node
                };
                self.catalog.put_node(NodeEntry { node, touched: self.cut(touched) });
                Ok(rest)
            }
            tag::SERVICE => {
                let (mut service, rest) = self.read::<Service>(bytes)?;
                service.created = self.cut(service.created);
                service.modified = self.cut(service.modified);
                self.catalog.share_service(&mut service);
                self.catalog.put_service(Arc::new(service));
                Ok(rest)
            }
            tag::NAME => {
                let (mut entry, rest) = self.read::<NameEntry>(bytes)?;
                entry.touched = self.cut(entry.touched);
                entry.health = self.cut(entry.health);
                match self.catalog.name_entry(&entry.name) {
                    Some(known) if known.instances == entry.instances => {}
                    Some(_) | None => return Err(self.refuse("a service's instances are missing")),
                }
                self.catalog.put_name(entry);
                Ok(rest)
            }
            tag::CHECK => {
                let (mut check, rest) = self.read::<Check>(bytes)?;
                check.created = self.cut(check.created);
                check.modified = self.cut(check.modified);
                self.catalog.share_check(&mut check);
                self.catalog.put_check(Arc::new(check));
                Ok(rest)
            }
            tag::SESSION => {
                let (session, rest) = self.read::<Session>(bytes)?;
                if self.catalog.session(session.id).is_some() {
                    return Err(self.refuse("a session comes twice"));
                }
                self.catalog.put_session(Session {
                    created: self.cut(session.created),
                    modified: self.cut(session.modified),
                    ..session
                });
                Ok(rest)
            }
            tag::END => {
                let (records, rest) = self.read::<u64>(bytes)?;
                if records != self.records {
                    return Err(RestoreError::Count);
                }
                self.ended = true;
                Ok(rest)
            }
            _ => self.take_later_record(tag, bytes),
        }
    }

    /// The kinds that came after the first.
    fn take_later_record<'a>(
        &mut self,
        tag: u8,
        bytes: &'a [u8],
    ) -> Result<&'a [u8], RestoreError> {
        match tag {
            tag::PLACES_MARK => {
                let (mark, rest) = self.read::<u64>(bytes)?;
                self.catalog.marks.coordinates = mark.min(self.limit);
                Ok(rest)
            }
            tag::PLACE => {
                let (place, rest) = self.read::<Place>(bytes)?;
                self.catalog.put_place(place);
                Ok(rest)
            }
            tag::AUTOPILOT => {
                let (stored, rest) = self.read::<Autopilot>(bytes)?;
                self.catalog.put_autopilot(Autopilot {
                    created: self.cut(stored.created),
                    modified: self.cut(stored.modified),
                    ..stored
                });
                Ok(rest)
            }
            _ => Err(self.refuse("a record of an unknown kind")),
        }
    }
}

/// Dropping the head of a frame, by name.
trait AdvanceHead {
    fn advance_head(&mut self);
}

impl AdvanceHead for BytesMut {
    fn advance_head(&mut self) {
        bytes::Buf::advance(self, FRAME_HEAD_BYTES);
    }
}
