//! CSV and TSV out of any bytes: what `tests/it/tables/replay.rs` asks of them.

#![no_main]

#[path = "../../tests/it/tables/reader.rs"]
mod reader;
#[path = "../../tests/it/tables/replay.rs"]
mod replay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| replay::check(bytes));
