//! JSON as Go writes it. (Reading it as Go reads it is `proconsul_checks::parse::json`.)

pub(crate) mod records;
mod writer;

pub(crate) use writer::Json;
