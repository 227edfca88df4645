//! The HTTP API as a function.
