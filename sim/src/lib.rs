//! A world of nodes from one seed.
