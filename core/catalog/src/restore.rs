//! A restore: everything is replaced at once, however many commands bring it.
//!
//! What came so far is staged beside the catalog. It is lost with whatever ends the restore: its
//! own end, another beginning, or a new leader, who knows nothing of it. While it is there the
//! catalog has no snapshot of its index, or whoever starts from that would lack it.

use crate::catalog::{Catalog, Effects, reject};
use crate::codec::RestoreError;
use crate::command::RestorePart;
use crate::outcome::{Fact, Outcome};
use crate::snapshot::Restore;
use crate::watch::Topic;
use alloc::sync::Arc;
use proconsul_types::{CatalogIndex, Fault};

/// What a restore has brought so far.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    /// The index of the command that began it.
    begun: CatalogIndex,
    bytes: u64,
    restore: Restore,
}

/// The catalog that `bytes` hold, in the datacenter of `catalog`. No index of it is ahead of
/// `index`.
pub(crate) fn read(
    catalog: &Catalog,
    index: CatalogIndex,
    bytes: &[u8],
) -> Result<Catalog, RestoreError> {
    let mut restore = begin(catalog, index);
    restore.push(bytes)?;
    restore.finish()
}

fn begin(catalog: &Catalog, index: CatalogIndex) -> Restore {
    Restore::new(Arc::clone(&catalog.datacenter), catalog.planted).cut_at(index)
}

impl Catalog {
    /// Whether a restore is under way. Until it is over, a snapshot would not do for what the log
    /// has from here on.
    #[must_use]
    pub fn is_restoring(&self) -> bool {
        self.staged.is_some()
    }

    /// A new leader's first entry was applied: a restore under way has lost who brings it. Says
    /// whether the contents changed, which a planted fault does only.
    pub fn restore_lost(&mut self) -> bool {
        let Some(staged) = self.staged.take() else {
            return false;
        };
        let shown = self.planted.is(Fault::RestoreLeftHalfDone);
        if shown {
            let restored = Arc::unwrap_or_clone(staged).restore.unfinished();
            let mut effects = Effects::default();
            self.become_restored(self.index, Ok(restored), &mut effects);
        }
        shown
    }

    pub(crate) fn restore_begin(&mut self, index: CatalogIndex) {
        let restore = begin(self, index);
        self.staged = Some(Arc::new(Staged { begun: index, bytes: 0, restore }));
    }

    pub(crate) fn restore_part(&mut self, part: &RestorePart) -> Outcome {
        let Some(mut staged) = self.staged.take_if(|staged| staged.begun == part.begun) else {
            return reject("the restore was broken off");
        };
        if staged.bytes != part.offset {
            return reject("a part of the snapshot is missing");
        }
        let stage = Arc::make_mut(&mut staged);
        if let Err(error) = stage.restore.push(&part.bytes) {
            return reject(alloc::format!("{error}"));
        }
        stage.bytes += u64::try_from(part.bytes.len()).expect("a length fits 64 bits");
        self.staged = Some(staged);
        Outcome::Done
    }

    pub(crate) fn restore_end(
        &mut self,
        index: CatalogIndex,
        begun: CatalogIndex,
        effects: &mut Effects,
    ) -> Outcome {
        let Some(staged) = self.staged.take_if(|staged| staged.begun == begun) else {
            return reject("the restore was broken off");
        };
        self.become_restored(index, Arc::unwrap_or_clone(staged).restore.finish(), effects)
    }

    /// Becomes what was read, as of `index`: no index that anyone saw before goes backwards, and
    /// none is ahead of the log.
    pub(crate) fn become_restored(
        &mut self,
        index: CatalogIndex,
        read: Result<Self, RestoreError>,
        effects: &mut Effects,
    ) -> Outcome {
        let mut restored = match read {
            Ok(restored) => restored,
            Err(error) => return reject(alloc::format!("{error}")),
        };
        restored.index = index;
        restored.marks.floor = index.0;
        restored.salt = self.salt;
        restored.staged = self.staged.take();
        *self = restored;
        effects.topics.add(Topic::All);
        effects.facts.push(Fact::Restored);
        Outcome::Done
    }
}
