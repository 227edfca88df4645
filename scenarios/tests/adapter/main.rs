//! The adapter inside madsim: the same sockets, files and tasks that are deployed, told the stories
//! of servers that the event loop is told, and judged by the same judges; and the event loop inside
//! madsim, where no hidden clock or entropy is.
//!
//! Built with `--cfg madsim` only (`cargo madsim`); a plain `cargo test` does that through
//! `on_madsim.rs`. Each story is told with one seed; people choose it, and how many, with
//! `MADSIM_TEST_SEED` and `MADSIM_TEST_NUM`, a story by a part of its name with
//! `MADSIM_TEST_STORY`, a real bug with `MADSIM_TEST_PLANTED`, and hear what happens with
//! `MADSIM_TELL`.
#![cfg(madsim)]

mod bench;
mod client;
mod drive;
mod excused;
mod faults;
mod group;
mod player;
mod stories;
