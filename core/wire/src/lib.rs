//! Bytes between agents.
