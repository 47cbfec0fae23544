//! JSON lines, and lines that match a pattern, out of any bytes: what `tests/it/replay_lines.rs` asks of them.

#![no_main]

#[path = "../../tests/it/replay_lines.rs"]
mod replay_lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| replay_lines::check(bytes));
