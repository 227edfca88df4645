//! The DNS API as a function.
