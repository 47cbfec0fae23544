//! Bytes in a form that has an end of its own and keeps their order, so that other bytes may follow: 00 is written as
//! 00 FF, and the end is 00 00.

use super::buffer::Buffer;

const END: [u8; 2] = [0, 0];

/// Appends bytes in this form.
pub fn put_escaped(out: &mut Buffer, mut bytes: &[u8]) {
    while let Some(at) = memchr::memchr(0, bytes) {
        out.extend(&bytes[..=at]);
        out.push(0xff);
        bytes = &bytes[at + 1..];
    }
    out.extend(bytes);
    out.extend(&END);
}

/// Puts the bytes of `out` from `start` on in this form, where they are.
pub fn escape_from(out: &mut Buffer, start: usize) {
    let zeros = memchr::memchr_iter(0, &out.as_slice()[start..]).count();
    let mut from = out.len();
    out.extend_zeroed(zeros);
    let bytes = out.as_mut_slice();
    let mut to = bytes.len();
    // The last bytes move first. Once all zeros have moved, the bytes before them are in their places.
    while from < to {
        from -= 1;
        if bytes[from] == 0 {
            to -= 1;
            bytes[to] = 0xff;
        }
        to -= 1;
        bytes[to] = bytes[from];
    }
    out.extend(&END);
}

/// Returns how many bytes at the beginning of `bytes` are in this form. `None` if they have no end.
pub fn escaped_len(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(0, bytes).map(|at| at + 2).find(|end| bytes.get(end - 1) == Some(&0))
}

/// Decodes bytes in this form, and appends them to `out`. Returns the bytes behind them, or `None` if they have no end.
pub fn take_escaped<'k>(mut key: &'k [u8], out: &mut Vec<u8>) -> Option<&'k [u8]> {
    loop {
        let at = memchr::memchr(0, key)?;
        out.extend_from_slice(&key[..at]);
        let mark = *key.get(at + 1)?;
        key = &key[at + 2..];
        if mark == 0 {
            return Some(key);
        }
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..8)
    }

    fn escaped(bytes: &[u8]) -> Vec<u8> {
        let mut out = Buffer::default();
        put_escaped(&mut out, bytes);
        out.as_slice().to_vec()
    }

    proptest! {
        #[test]
        fn order_is_kept_whatever_follows(a in bytes(), b in bytes(), behind_a in bytes(), behind_b in bytes()) {
            let whole_a = [escaped(&a), behind_a.clone()].concat();
            let whole_b = [escaped(&b), behind_b.clone()].concat();
            prop_assert_eq!(whole_a.cmp(&whole_b), a.cmp(&b).then(behind_a.cmp(&behind_b)));
        }

        #[test]
        fn the_end_is_found(before in bytes(), bytes in bytes(), behind in bytes()) {
            let mut out = Buffer::default();
            out.extend(&before);
            out.extend(&bytes);
            escape_from(&mut out, before.len());
            prop_assert_eq!(out.as_slice(), [before, escaped(&bytes)].concat());
            let whole = [escaped(&bytes), behind.clone()].concat();
            prop_assert_eq!(escaped_len(&whole), Some(whole.len() - behind.len()));
            let mut taken = Vec::new();
            prop_assert_eq!(take_escaped(&whole, &mut taken), Some(&behind[..]));
            prop_assert_eq!(taken, bytes);
            // Half an end is none.
            prop_assert_eq!(escaped_len(&whole[..whole.len() - behind.len() - 1]), None);
        }
    }
}
