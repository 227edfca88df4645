//! One order of entries.
