//! The adapter: sockets, files, timers around one node.
