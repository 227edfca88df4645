//! The HTTP API on sockets: hyper's connection loop around the function in core.

mod accept;
mod answer;
mod compress;
mod eager;
mod pieces;

pub(crate) use accept::serve;
