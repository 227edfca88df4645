//! Stories told to a world.
