//! The disk of a simulated machine: the simulator's own model of one, under the adapter's lanes.

use crate::bench::Bench;
use bytes::Bytes;
use proconsul::storage::{Completed, Storage};
use proconsul_core::disk::{FileOp, IoError};
use proconsul_sim::disk::Disk;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// How often a sync that hangs looks whether it still does.
const HUNG_LOOK: Duration = Duration::from_millis(2);

/// A disk, which outlives its processes.
#[derive(Debug)]
pub(crate) struct Drive {
    /// What is on it, and what is wrong with that.
    pub(crate) disk: Disk,
    /// Syncs take so much longer, in nanoseconds.
    pub(crate) slow: u64,
    /// How many faults keep syncs from ending.
    pub(crate) hung: u32,
    life: u32,
    syncs: u64,
}

/// One disk, in the hands of its machine and of its process.
#[derive(Clone, Debug)]
pub(crate) struct Shelf(Arc<Mutex<Drive>>);

impl Shelf {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = Disk::new(seed);
        Self(Arc::new(Mutex::new(Drive { disk, slow: 0, hung: 0, life: 0, syncs: 0 })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Drive> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process is gone: what it still asks for never happens.
    pub(crate) fn crash(&self, power: bool) {
        let mut drive = self.lock();
        drive.life = 0;
        drive.disk.crash(power);
    }

    /// What a process in its n-th life is given.
    pub(crate) fn storage(&self, bench: &Arc<Bench>, server: usize, life: u32) -> Box<dyn Storage> {
        self.lock().life = life;
        let (bench, shelf) = (Arc::clone(bench), self.clone());
        Box::new(Lanes { bench, shelf, server, life, completed: None })
    }
}

#[derive(Clone)]
struct Lanes {
    bench: Arc<Bench>,
    shelf: Shelf,
    server: usize,
    life: u32,
    completed: Option<Completed>,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Storage for Lanes {
    fn files(&mut self) -> Result<BTreeMap<Arc<str>, Bytes>, IoError> {
        Ok(self.shelf.lock().disk.files())
    }

    fn start(&mut self, completed: Completed) -> io::Result<()> {
        self.completed = Some(completed);
        Ok(())
    }

    fn submit(&mut self, op: FileOp) {
        let begun = {
            let mut drive = self.shelf.lock();
            if drive.life == self.life { drive.disk.submit(op) } else { None }
        };
        if let Some(lane) = begun {
            tokio::spawn(self.clone().syncs(lane));
        }
    }
}

impl Lanes {
    /// Ends the sync of a lane when its time has come, and those that begin with that.
    async fn syncs(self, lane: usize) {
        loop {
            let (number, slow) = {
                let mut drive = self.shelf.lock();
                drive.syncs += 1;
                (drive.syncs, drive.slow)
            };
            let time = self.bench.with(|state| state.referee.sync_time(self.server, number));
            sleep(Duration::from_nanos(time + slow)).await;
            while self.shelf.lock().hung > 0 {
                sleep(HUNG_LOOK).await;
            }
            let (done, next) = {
                let mut drive = self.shelf.lock();
                if drive.life != self.life {
                    return;
                }
                drive.disk.complete(lane)
            };
            if let (Some(done), Some(completed)) = (done, &self.completed) {
                completed(done.token, done.result);
            }
            if !next {
                return;
            }
        }
    }
}
