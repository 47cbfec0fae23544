//! Checks any bytes as JSON lines, and as lines that match a pattern, with `tests/it/replay_lines.rs`.

#![no_main]

#[path = "../../tests/it/replay_lines.rs"]
mod replay_lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| replay_lines::check(bytes));
