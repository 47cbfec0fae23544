//! Tests that a second attempt skips exactly what was handed over before, however its bytes are cut.
//! `tests/it/retries.rs` tests how commands and files are read again.

use super::*;

fn prefix(bytes: &[u8]) -> Prefix {
    let mut prefix = Prefix::default();
    prefix.add(bytes);
    prefix
}

/// Reads `again` in pieces of `size` after `first` bytes of `text` were handed over. Before each further piece, `more`
/// bytes are handed over. Returns how many bytes were skipped, and whether none are left to be skipped.
fn passed(text: &[u8], again: &[u8], first: usize, more: usize, size: usize) -> Result<(usize, bool), Failure> {
    let mut given = first;
    let mut place = Progress::Behind { read: Prefix::default(), known: prefix(&text[..given]) };
    let mut passed = 0;
    for piece in again.chunks(size) {
        passed += place.pass(piece, &prefix(&text[..given]))?;
        given = (given + more).min(text.len());
    }
    Ok((passed, matches!(place, Progress::Level)))
}

#[test]
fn what_was_handed_over_is_passed_and_no_more() {
    let text: Vec<u8> = (0..100).collect();
    for size in 1..=100 {
        for first in [1, 7, 50] {
            assert_eq!(passed(&text, &text, first, 0, size).unwrap(), (first, true), "{size} {first}");
        }
        assert_eq!(passed(&text, &text[..30], 31, 0, size).unwrap(), (30, false));
    }
    // While the other attempt reads on, this one stays behind.
    assert_eq!(passed(&text, &text, 10, 5, 5).unwrap(), (100, true));
    assert_eq!(passed(&text, &text[..60], 10, 10, 5).unwrap(), (60, false));
}

#[test]
fn other_bytes_are_found() {
    let text: Vec<u8> = (0..100).collect();
    for wrong in 0..50 {
        let mut again = text.clone();
        again[wrong] ^= 1;
        for size in [1, 3, 50, 100] {
            let failure = passed(&text, &again, 50, 0, size).unwrap_err();
            assert!(matches!(failure, Failure::OtherBytes) && !failure.may_pass(), "{wrong} {size}");
        }
    }
}
