//! What judges see of a machine, whoever plays it.

use crate::machine::{Node, View};
use proconsul_core::types::Instant;

/// A machine of a group.
pub(crate) trait Seen {
    /// Whether its process runs.
    fn is_up(&self) -> bool;
    /// The node itself, where the player has it at hand and it runs.
    fn node(&self) -> Option<&Node>;
    /// What its process shows.
    fn view(&self) -> &View;
    /// What its clock shows at `now` of the world.
    fn local(&self, now: u64) -> Instant;
    /// Whether its process stands still.
    fn is_paused(&self) -> bool;
    /// Bytes on its disk.
    fn disk_bytes(&self) -> u64;
    /// How it stands, in a few words.
    fn standing(&self) -> String;
}
