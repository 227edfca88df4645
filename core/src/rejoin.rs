//! The small files of a pool: whom to meet again after a restart, and its keys.
//!
//! Neither holds up anything: what is lost with them is learned again, or given again by whoever
//! changes keys.

use crate::{BootError, Effect};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::str;
use proconsul_disk::{FileOp, IoToken, Lane};
use proconsul_wire::crypto::Keyring;

/// One file that is appended to or replaced as a whole.
#[derive(Clone, Debug)]
pub(crate) struct KeptFile {
    path: Arc<str>,
    temporary: Arc<str>,
    /// Bytes in it; `None` if there is no such file.
    bytes: Option<u64>,
    next_token: u64,
}

const DIRECTORY: &str = "serf";

impl KeptFile {
    /// The file at `path` as the disk has it; its completions are named from `token` on.
    pub(crate) fn new(path: &str, files: &BTreeMap<Arc<str>, Bytes>, token: u64) -> Self {
        let length = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self {
            path: path.into(),
            temporary: format!("{path}.tmp").into(),
            bytes: files.get(path).map(length),
            next_token: token,
        }
    }

    /// Whether there is no such file.
    pub(crate) fn is_new(&self) -> bool {
        self.bytes.is_none()
    }

    /// It is about to be written.
    pub(crate) fn expect(&mut self) {
        self.bytes.get_or_insert(0);
    }

    fn token(&mut self) -> IoToken {
        self.next_token += 1;
        IoToken(self.next_token)
    }

    /// Adds to its end. Not synced: a crash may cost the newest lines.
    pub(crate) fn append(&mut self, bytes: Bytes, out: &mut Vec<Effect>) {
        let lane = Lane::Local;
        if self.bytes.is_none() {
            let file = Arc::clone(&self.path);
            out.push(Effect::Io(FileOp::Create { lane, file, size: 0 }));
        }
        let offset = self.bytes.unwrap_or(0);
        self.bytes = Some(offset + u64::try_from(bytes.len()).unwrap_or(0));
        let file = Arc::clone(&self.path);
        out.push(Effect::Io(FileOp::Write { lane, file, offset, bytes }));
    }

    /// Replaces it: at every moment either the old or the new content is there.
    pub(crate) fn replace(&mut self, bytes: Bytes, out: &mut Vec<Effect>) {
        let lane = Lane::Local;
        self.bytes = Some(u64::try_from(bytes.len()).unwrap_or(0));
        let file = Arc::clone(&self.temporary);
        let created = FileOp::Create { lane, file: Arc::clone(&file), size: 0 };
        let written = FileOp::Write { lane, file: Arc::clone(&file), offset: 0, bytes };
        let synced = FileOp::Sync { lane, file: Arc::clone(&file), token: self.token() };
        let renamed = FileOp::Rename { lane, from: file, to: Arc::clone(&self.path) };
        let listed = FileOp::SyncDir { lane, dir: DIRECTORY.into(), token: self.token() };
        out.extend([created, written, synced, renamed, listed].map(Effect::Io));
    }
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
        assert!(matches!(ops(&out)[..], [FileOp::Write { offset: 3, .. }]));
        out.clear();
        file.replace(Bytes::from_static(b"z"), &mut out);
        assert!(matches!(
            ops(&out)[..],
            [
                FileOp::Create { .. },
                FileOp::Write { offset: 0, .. },
                FileOp::Sync { token: IoToken(8), .. },
                FileOp::Rename { .. },
                FileOp::SyncDir { token: IoToken(9), .. },
            ]
        ));
        out.clear();
        file.append(Bytes::from_static(b"y"), &mut out);
        assert!(matches!(ops(&out)[..], [FileOp::Write { offset: 1, .. }]));
    }

    #[test]
    fn a_new_file_is_made_first() {
        let mut file = KeptFile::new("serf/x", &BTreeMap::new(), 7);
        assert!(file.is_new());
        let mut out = Vec::new();
        file.append(Bytes::from_static(b"de"), &mut out);
        assert!(matches!(ops(&out)[..], [FileOp::Create { .. }, FileOp::Write { offset: 0, .. }]));
    }
}
