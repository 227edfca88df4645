//! The small files of a pool: whom to meet again after a restart, and its keys.
//!
//! Neither holds up anything: what is lost with them is learned again, or given again by whoever
//! changes keys.

use crate::{BootError, Effect};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::str;
use proconsul_disk::{FileOp, IoError, IoToken, Lane, LocalFiles};
use proconsul_wire::crypto::Keyring;

/// One file that is appended to or replaced as a whole.
#[derive(Clone, Debug)]
pub(crate) struct KeptFile {
    path: Arc<str>,
    /// Bytes in it; `None` if there is no such file.
    bytes: Option<u64>,
    /// A write to it failed: what it holds is not known, and it takes nothing until it is replaced.
    lost: bool,
    files: LocalFiles,
    /// Names of the syncs of what was appended: the first, and the next.
    first_sync: u64,
    next_sync: u64,
    replacing: Option<Replacing>,
    ops: Vec<FileOp>,
}

/// Completions of appends are named from so far behind the first name on.
const SYNCS: u64 = 1 << 30;

/// The newest replacement, which is under way.
#[derive(Clone, Debug)]
struct Replacing {
    bytes: u64,
    /// What comes after it, for whichever file is there in the end.
    behind: BytesMut,
}

impl KeptFile {
    /// The file at `path` as the disk has it; its completions are named from `token` on.
    pub(crate) fn new(path: &str, files: &BTreeMap<Arc<str>, Bytes>, token: u64) -> Self {
        Self {
            path: path.into(),
            bytes: files.get(path).map(length),
            lost: false,
            files: LocalFiles::new(token),
            first_sync: token + SYNCS,
            next_sync: token + SYNCS,
            replacing: None,
            ops: Vec::new(),
        }
    }

    /// Whether there is no such file.
    pub(crate) fn is_new(&self) -> bool {
        self.bytes.is_none()
    }

    /// Adds to its end.
    pub(crate) fn append(&mut self, bytes: Bytes, out: &mut Vec<Effect>) {
        if let Some(replacing) = &mut self.replacing {
            replacing.behind.extend_from_slice(&bytes);
            return;
        }
        if self.lost {
            return;
        }
        let lane = Lane::Local;
        if self.bytes.is_none() {
            let file = Arc::clone(&self.path);
            out.push(Effect::Io(FileOp::Create { lane, file, size: 0 }));
        }
        let offset = self.bytes.unwrap_or(0);
        self.bytes = Some(offset + length(&bytes));
        let file = Arc::clone(&self.path);
        out.push(Effect::Io(FileOp::Write { lane, file, offset, bytes }));
        let (file, token) = (Arc::clone(&self.path), IoToken(self.next_sync));
        self.next_sync += 1;
        out.push(Effect::Io(FileOp::Sync { lane, file, token }));
    }

    /// Replaces it: at every moment either the old or the new content is there.
    pub(crate) fn replace(&mut self, bytes: Bytes, out: &mut Vec<Effect>) {
        self.replacing = Some(Replacing { bytes: length(&bytes), behind: BytesMut::new() });
        self.files.replace(&self.path, bytes, &mut self.ops);
        out.extend(self.ops.drain(..).map(Effect::Io));
    }

    /// Takes a completion; those of others change nothing.
    ///
    /// # Errors
    /// What it holds is not known: it should be replaced.
    pub(crate) fn on_io(
        &mut self,
        token: IoToken,
        result: Result<(), IoError>,
        out: &mut Vec<Effect>,
    ) -> Result<(), IoError> {
        if (self.first_sync..self.next_sync).contains(&token.0) {
            self.lost |= result.is_err();
            return result;
        }
        let done = self.files.on_io(token, result, &mut self.ops);
        out.extend(self.ops.drain(..).map(Effect::Io));
        let Some(done) = done else {
            return Ok(());
        };
        if let Some(replacing) = self.replacing.take_if(|_| self.files.is_idle()) {
            if done.result.is_ok() {
                self.bytes = Some(replacing.bytes);
            }
            self.lost = done.result.is_err();
            if !replacing.behind.is_empty() {
                self.append(replacing.behind.freeze(), out);
            }
        }
        done.result
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The keys of a pool: the file's if there is one, for keys may have been changed since the
/// configuration was written.
pub(crate) fn keyring(
    file: &KeptFile,
    files: &BTreeMap<Arc<str>, Bytes>,
    configured: Keyring,
) -> Result<Keyring, BootError> {
    let Some(bytes) = files.get(&file.path) else {
        return Ok(configured);
    };
    let text = str::from_utf8(bytes).unwrap_or("");
    Keyring::from_json(text).map_err(|error| BootError {
        text: format!(
            "{}: {error}; repair it, or remove it to start with the key of the configuration",
            file.path
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(out: &[Effect]) -> Vec<&FileOp> {
        out.iter()
            .filter_map(|effect| if let Effect::Io(op) = effect { Some(op) } else { None })
            .collect()
    }

    #[test]
    fn appends_go_on_where_the_file_ends() {
        let files = BTreeMap::from([(Arc::from("serf/x"), Bytes::from_static(b"abc"))]);
        let mut file = KeptFile::new("serf/x", &files, 7);
        let mut out = Vec::new();
        file.append(Bytes::from_static(b"de"), &mut out);
        assert!(matches!(ops(&out)[..], [FileOp::Write { offset: 3, .. }, FileOp::Sync { .. }]));
        out.clear();
        file.replace(Bytes::from_static(b"z"), &mut out);
        assert!(matches!(
            ops(&out)[..],
            [
                FileOp::Create { .. },
                FileOp::Write { offset: 0, .. },
                FileOp::Sync { token: IoToken(8), .. },
            ]
        ));
        out.clear();
        file.append(Bytes::from_static(b"y"), &mut out);
        assert!(out.is_empty(), "it is not known yet behind what this comes");
        file.on_io(IoToken(8), Ok(()), &mut out).unwrap();
        assert!(matches!(
            ops(&out)[..],
            [FileOp::Rename { .. }, FileOp::SyncDir { token: IoToken(9), .. }]
        ));
        out.clear();
        file.on_io(IoToken(9), Ok(()), &mut out).unwrap();
        assert!(matches!(ops(&out)[..], [FileOp::Write { offset: 1, .. }, FileOp::Sync { .. }]));
    }

    #[test]
    fn after_a_failure_it_takes_nothing_until_it_is_replaced() {
        let files = BTreeMap::from([(Arc::from("serf/x"), Bytes::from_static(b"abc"))]);
        let error = IoError { file: "serf/x".into(), reason: "no space left".into() };
        let failed = || Err(error.clone());
        let mut file = KeptFile::new("serf/x", &files, 7);
        let mut out = Vec::new();
        file.append(Bytes::from_static(b"de"), &mut out);
        assert_eq!(file.on_io(IoToken(7 + SYNCS), failed(), &mut out), failed());
        out.clear();
        file.append(Bytes::from_static(b"f"), &mut out);
        assert!(out.is_empty());
        // The rename was done, whether it is durable is not known.
        file.replace(Bytes::from_static(b"z"), &mut out);
        file.on_io(IoToken(8), Ok(()), &mut out).unwrap();
        file.append(Bytes::from_static(b"y"), &mut out);
        assert_eq!(file.on_io(IoToken(9), failed(), &mut out), failed());
        out.clear();
        file.append(Bytes::from_static(b"y"), &mut out);
        assert!(out.is_empty());
        file.replace(Bytes::from_static(b"zyx"), &mut out);
        file.on_io(IoToken(10), Ok(()), &mut out).unwrap();
        file.on_io(IoToken(11), Ok(()), &mut out).unwrap();
        out.clear();
        file.append(Bytes::from_static(b"w"), &mut out);
        assert!(matches!(ops(&out)[..], [FileOp::Write { offset: 3, .. }, FileOp::Sync { .. }]));
    }

    #[test]
    fn a_new_file_is_made_first() {
        let mut file = KeptFile::new("serf/x", &BTreeMap::new(), 7);
        assert!(file.is_new());
        let mut out = Vec::new();
        file.append(Bytes::from_static(b"de"), &mut out);
        let [FileOp::Create { .. }, FileOp::Write { offset: 0, .. }, FileOp::Sync { .. }] =
            ops(&out)[..]
        else {
            panic!("it is there before it is written: {out:?}");
        };
    }
}
