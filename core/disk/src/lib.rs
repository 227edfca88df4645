//! Log, hard state and snapshot files as pure functions.
