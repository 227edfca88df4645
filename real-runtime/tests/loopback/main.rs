//! The agent as a process on loopback: these tests prove the adapter, not the logic.

mod cluster;
mod command;
mod hostile;
mod process;
mod refuse;
mod smoke;
mod web;
