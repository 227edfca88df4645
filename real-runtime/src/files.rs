//! How many files may be open at once: every client's connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The bound on open files before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    /// What the agent was started with; `None` is without bound.
    pub(crate) from: Option<u64>,
    /// What holds now.
    pub(crate) to: Option<u64>,
}

/// Enough for every client and peer of a large agent. Programs of checks inherit the bound, and
/// some close every file below it before they begin.
const ENOUGH: u64 = 65_536;

/// Raises the bound as far as the system lets this user, up to [`ENOUGH`]. Many systems start
/// programs with 1024, and allow a million to whoever asks.
///
/// # Errors
/// What the operating system says; the bound is what it was.
pub(crate) fn raise_bound() -> std::io::Result<Raised> {
    let mut limit = getrlimit(Resource::Nofile);
    let from = limit.current;
    let to = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if from.is_some_and(|from| from < to) {
        limit.current = Some(to);
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(Raised { from, to: limit.current })
}
