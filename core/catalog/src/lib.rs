//! What the cluster knows.
