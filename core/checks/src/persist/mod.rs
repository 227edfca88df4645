//! Registrations on disk: Consul's paths and JSON, through the local lane.
//!
//! Invariant: a file that is there is whole. New content goes to a temporary name, is synced, and
//! is renamed only when that sync succeeded.

mod format;
mod read;

pub(crate) use format::{
    check_file, check_path, service_file, service_path, state_file, state_path,
};
pub(crate) use read::{SavedState, read_check, read_service, read_state};

use crate::{LocalEffect, Ticket};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_disk::{FileOp, IoError, IoToken, Lane};

/// Writes and removes small files in batches: everything that is wanted while a batch is under way
/// goes into the next one, and the newest content of a file is the one that is written.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    durable: bool,
    next_token: u64,
    next_ticket: u64,
    /// Files that exist, as far as this part knows.
    kept: BTreeSet<Arc<str>>,
    /// Paths of the operation that is being put together.
    current: BTreeSet<Arc<str>>,
    waiting: BTreeMap<Arc<str>, Job>,
    batch: Option<Batch>,
    tickets: BTreeMap<Ticket, Owed>,
}

#[derive(Clone, Debug, Default)]
struct Job {
    /// New content; `None` removes the file.
    content: Option<Bytes>,
    tickets: Vec<Ticket>,
}

/// What a ticket still waits for.
#[derive(Clone, Debug)]
struct Owed {
    files: usize,
    failed: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Batch {
    jobs: BTreeMap<Arc<str>, Job>,
    /// Syncs of temporary files still out, by token.
    syncs: BTreeMap<IoToken, Arc<str>>,
    /// Directory syncs still out, by token.
    dirs: BTreeMap<IoToken, Arc<str>>,
}

impl Keeper {
    pub(crate) fn new(durable: bool, first_token: u64) -> Self {
        Self {
            durable,
            next_token: first_token,
            next_ticket: 0,
            kept: BTreeSet::new(),
            current: BTreeSet::new(),
            waiting: BTreeMap::new(),
            batch: None,
            tickets: BTreeMap::new(),
        }
    }

    /// Remembers that a file is there.
    pub(crate) fn found(&mut self, path: Arc<str>) {
        self.kept.insert(path);
    }

    /// Forgets everything that is wanted and not begun.
    pub(crate) fn nothing_to_write(&mut self) {
        self.current.clear();
        self.waiting.clear();
        self.kept.clear();
    }

    /// Wants a file to have this content, or to be gone.
    pub(crate) fn put(&mut self, path: Arc<str>, content: Option<Bytes>) {
        if !self.durable || (content.is_none() && !self.kept.contains(&path)) {
            return;
        }
        if content.is_some() {
            self.kept.insert(path.clone());
        } else {
            self.kept.remove(&path);
        }
        self.current.insert(path.clone());
        self.waiting.entry(path).or_default().content = content;
    }

    /// Wants a file to be gone if it is there.
    pub(crate) fn put_if_kept(&mut self, path: Arc<str>) {
        self.put(path, None);
    }

    /// Ends an operation whose author waits for the disk.
    pub(crate) fn seal(&mut self) -> Option<Ticket> {
        let paths = core::mem::take(&mut self.current);
        if paths.is_empty() {
            return None;
        }
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(ticket, Owed { files: paths.len(), failed: None });
        for path in paths {
            self.waiting.entry(path).or_default().tickets.push(ticket);
        }
        Some(ticket)
    }

    /// Ends an operation whose author does not wait.
    pub(crate) fn forget_current(&mut self) {
        self.current.clear();
    }

    /// Starts the next batch if none is under way.
    pub(crate) fn pump(&mut self, out: &mut Vec<LocalEffect>) {
        if self.batch.is_some() || self.waiting.is_empty() {
            return;
        }
        let jobs = core::mem::take(&mut self.waiting);
        let mut syncs = BTreeMap::new();
        for (path, job) in &jobs {
            let Some(content) = &job.content else { continue };
            let file = temporary(path);
            let token = self.token();
            syncs.insert(token, path.clone());
            let lane = Lane::Local;
            out.push(LocalEffect::File(FileOp::Create { lane, file: file.clone(), size: 0 }));
            out.push(LocalEffect::File(FileOp::Write {
                lane,
                file: file.clone(),
                offset: 0,
                bytes: content.clone(),
            }));
            out.push(LocalEffect::File(FileOp::Sync { lane, file, token }));
        }
        let done = syncs.is_empty();
        self.batch = Some(Batch { jobs, syncs, dirs: BTreeMap::new() });
        if done {
            self.rename(out);
        }
    }

    /// A file operation completed; false if the token is not one of these.
    pub(crate) fn on_io(
        &mut self,
        token: IoToken,
        result: Result<(), IoError>,
        out: &mut Vec<LocalEffect>,
    ) -> bool {
        let Some(batch) = &mut self.batch else { return false };
        if let Some(path) = batch.syncs.remove(&token) {
            let over = batch.syncs.is_empty();
            if let Err(error) = result {
                let job = batch.jobs.remove(&path);
                let file = temporary(&path);
                out.push(LocalEffect::File(FileOp::Unlink { lane: Lane::Local, file }));
                self.failed(job, &error, out);
            }
            if over {
                self.rename(out);
            }
            return true;
        }
        let Some(dir) = batch.dirs.remove(&token) else { return false };
        let over = batch.dirs.is_empty();
        let in_dir = |path: &Arc<str>| directory(path) == &*dir;
        let paths: Vec<Arc<str>> = batch.jobs.keys().filter(|path| in_dir(path)).cloned().collect();
        let jobs: Vec<Option<Job>> = paths.iter().map(|path| batch.jobs.remove(path)).collect();
        for job in jobs {
            match &result {
                Ok(()) => self.succeeded(job, out),
                Err(error) => self.failed(job, error, out),
            }
        }
        if over {
            self.batch = None;
            self.pump(out);
        }
        true
    }

    /// Everything of the batch that could be synced gets its name; what is to go goes.
    fn rename(&mut self, out: &mut Vec<LocalEffect>) {
        let Some(batch) = &self.batch else { return };
        let lane = Lane::Local;
        let mut dirs = BTreeSet::new();
        for (path, job) in &batch.jobs {
            let op = match job.content {
                Some(_) => FileOp::Rename { lane, from: temporary(path), to: path.clone() },
                None => FileOp::Unlink { lane, file: path.clone() },
            };
            out.push(LocalEffect::File(op));
            dirs.insert(Arc::<str>::from(directory(path)));
        }
        if dirs.is_empty() {
            self.batch = None;
            self.pump(out);
            return;
        }
        for dir in dirs {
            let token = self.token();
            if let Some(batch) = &mut self.batch {
                batch.dirs.insert(token, dir.clone());
            }
            out.push(LocalEffect::File(FileOp::SyncDir { lane, dir, token }));
        }
    }

    fn succeeded(&mut self, job: Option<Job>, out: &mut Vec<LocalEffect>) {
        for ticket in job.into_iter().flat_map(|job| job.tickets) {
            self.one_less(ticket, None, out);
        }
    }

    fn failed(&mut self, job: Option<Job>, error: &IoError, out: &mut Vec<LocalEffect>) {
        let reason: Arc<str> = format!("failed to persist {error}").into();
        out.push(LocalEffect::Notice(reason.as_ref().into()));
        for ticket in job.into_iter().flat_map(|job| job.tickets) {
            self.one_less(ticket, Some(&reason), out);
        }
    }

    fn one_less(&mut self, ticket: Ticket, failed: Option<&Arc<str>>, out: &mut Vec<LocalEffect>) {
        let Some(owed) = self.tickets.get_mut(&ticket) else { return };
        owed.files = owed.files.saturating_sub(1);
        if let Some(reason) = failed {
            owed.failed.get_or_insert_with(|| reason.clone());
        }
        if owed.files == 0
            && let Some(owed) = self.tickets.remove(&ticket)
        {
            out.push(LocalEffect::Settled(ticket, owed.failed.map_or(Ok(()), Err)));
        }
    }

    fn token(&mut self) -> IoToken {
        let token = IoToken(self.next_token);
        self.next_token += 1;
        token
    }
}

fn temporary(path: &str) -> Arc<str> {
    format!("{path}.tmp").into()
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
