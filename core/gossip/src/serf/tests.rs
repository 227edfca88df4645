//! Serf alone, its asks passed on by hand.
