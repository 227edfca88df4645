//! Text that people write.
