//! To come in this commit.
