//! Whatever comes by datagram or stream; what is asked of it stands in `exercise.rs`, which the
//! tests of proconsul-wire compile as well.
#![no_main]

#[path = "../exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::exercise(bytes, ""));
