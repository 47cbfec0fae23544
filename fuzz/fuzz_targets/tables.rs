//! Checks any bytes as CSV and TSV with `tests/it/tables/replay.rs`.

#![no_main]

#[path = "../../tests/it/tables/reader.rs"]
mod reader;
#[path = "../../tests/it/tables/replay.rs"]
mod replay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| replay::check(bytes));
