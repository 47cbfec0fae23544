//! General categories and lower case of code points.
//!
//! Both come from binary searches that are too slow for a text in, say, Russian. So they are kept in tables, in pages
//! of 256 code points. A page is filled when a text first needs it: a process pays microseconds for the scripts that it
//! meets and nothing for the rest. [`resolve`] takes a block and enters its code points that are not ASCII into the
//! block's masks.

use std::sync::OnceLock;

use super::scan::{BLOCK, Masks};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

pub const LETTER: u8 = 1;
pub const MARK: u8 = 2;
pub const NUMBER: u8 = 4;
/// The apostrophe ’, which belongs to a word if it stands between letters.
const APOSTROPHE: u8 = 8;
/// The lower case differs from the code point.
const CHANGES: u8 = 16;
/// The lower case has more bytes than the code point, or fewer.
const RESIZES: u8 = 32;

const UNICODE_PAGE: usize = 256;
const UNICODE_PAGES: usize = (char::MAX as usize + 1) / UNICODE_PAGE;

struct Properties {
    flags: [u8; UNICODE_PAGE],
    lower: [char; UNICODE_PAGE],
}

// The pages are boxed because an empty `OnceLock` isn't all zeros, and so takes its full size in the executable.
static TABLE: [OnceLock<Box<Properties>>; UNICODE_PAGES] = [const { OnceLock::new() }; UNICODE_PAGES];

impl Properties {
    #[cold]
    fn build(number: usize) -> Box<Properties> {
        let mut page = Box::new(Properties { flags: [0; UNICODE_PAGE], lower: ['\0'; UNICODE_PAGE] });
        for i in 0..UNICODE_PAGE {
            // A surrogate is not a character, and so separates words.
            let Some(c) = char::from_u32((number * UNICODE_PAGE + i) as u32) else {
                continue;
            };
            let lower = c.to_lowercase();
            page.flags[i] = group(c);
            if !lower.clone().eq([c]) {
                page.flags[i] |= CHANGES;
            }
            if !lower.clone().map(char::len_utf8).eq([c.len_utf8()]) {
                page.flags[i] |= RESIZES;
            }
            page.lower[i] = lower.last().unwrap_or(c);
        }
        page
    }
}

/// Returns the flag of `c`'s category; 0 for a separator.
fn group(c: char) -> u8 {
    match c.general_category_group() {
        _ if c == '’' => APOSTROPHE,
        GeneralCategoryGroup::Letter => LETTER,
        GeneralCategoryGroup::Mark => MARK,
        GeneralCategoryGroup::Number => NUMBER,
        _ => 0,
    }
}

/// The code point at the start of a text, or a byte that is part of no code point.
#[derive(Clone, Copy)]
pub struct Unit {
    /// Bytes of the unit in the text.
    pub length: usize,
    code: usize,
    pub flags: u8,
}

impl Unit {
    /// A byte that is part of no code point. It separates words.
    const BAD: Unit = Unit { length: 1, code: 0, flags: 0 };

    /// Reads the unit at the start of `text`. This is [`Unit::BAD`] if the text is empty or ends within the code point.
    #[inline(always)]
    pub fn read(text: &[u8]) -> Unit {
        let bytes = match text.first_chunk() {
            Some(bytes) => *bytes,
            None => {
                // Zeros continue no sequence, so a sequence that is cut short stays bad.
                let mut bytes = [0; 4];
                bytes[..text.len()].copy_from_slice(text);
                bytes
            }
        };
        let [a, b, c, d] = bytes.map(usize::from);
        let continues = |byte: usize| byte & 0xc0 == 0x80;
        let (length, code) = if a < 0x80 {
            (1, a)
        } else if a < 0xe0 {
            if a < 0xc2 || !continues(b) {
                return Unit::BAD;
            }
            (2, (a & 0x1f) << 6 | b & 0x3f)
        } else if a < 0xf0 {
            let code = (a & 0xf) << 12 | (b & 0x3f) << 6 | c & 0x3f;
            // The table makes a surrogate a separator. Whether that is one separator or three makes no difference.
            if code < 0x800 || !continues(b) || !continues(c) {
                return Unit::BAD;
            }
            (3, code)
        } else {
            let code = (a & 0xf) << 18 | (b & 0x3f) << 12 | (c & 0x3f) << 6 | d & 0x3f;
            let known = (0x10000..=char::MAX as usize).contains(&code);
            if !known || a > 0xf4 || !continues(b) || !continues(c) || !continues(d) {
                return Unit::BAD;
            }
            (4, code)
        };
        let flags = page(code).flags[code % UNICODE_PAGE];
        Unit { length, code, flags }
    }

    /// Writes the code point in lower case, and returns the length of that. The unit must not be [`Unit::BAD`].
    pub fn fold(self, out: &mut [u8]) -> usize {
        let c = char::from_u32(self.code as u32).into_iter();
        c.flat_map(char::to_lowercase).fold(0, |length, lower| length + lower.encode_utf8(&mut out[length..]).len())
    }
}

/// Enters the code points that are not ASCII into the masks of the block at the start of `text`. Writes their lower
/// case to `out`, which already holds the rest of the block. `leads` are the bytes that may begin such a code point.
///
/// Returns the masks, and how much of the block counts: all of it, or the bytes before a code point that has another
/// length in lower case or needs the next block.
#[inline(always)]
pub fn resolve(text: &[u8], out: &mut [u8], mut leads: u64, mut masks: Masks) -> (Masks, usize) {
    while leads != 0 {
        let at = leads.trailing_zeros() as usize;
        // The loop goes from lead to lead, rather than by each unit's length, so that it needn't wait for the length of
        // the previous unit.
        leads &= leads - 1;
        let unit = Unit::read(&text[at..]);
        let end = at + unit.length;
        masks.after |= u64::from(unit.flags & LETTER) << at;
        if end > BLOCK || unit.flags & (CHANGES | RESIZES | APOSTROPHE) != 0 {
            let alone = unit.flags & APOSTROPHE != 0 && end == BLOCK;
            if end > BLOCK || alone || unit.flags & RESIZES != 0 {
                return (masks, at);
            } else if unit.flags & CHANGES != 0 {
                page(unit.code).lower[unit.code % UNICODE_PAGE].encode_utf8(&mut out[at..]);
            } else {
                masks.quote |= 1 << at;
            }
        }
        let bytes = (u64::MAX >> (BLOCK - unit.length)) << at;
        let token = unit.flags & (LETTER | MARK | NUMBER) != 0;
        masks.token |= bytes & u64::from(token).wrapping_neg();
        masks.before |= u64::from(unit.flags & (LETTER | MARK) != 0) << (end - 1);
    }
    (masks, text.len().min(BLOCK))
}

#[inline(always)]
fn page(code: usize) -> &'static Properties {
    TABLE[code / UNICODE_PAGE].get_or_init(|| Properties::build(code / UNICODE_PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever four bytes begin with, a unit is read if and only if `std` finds a code point there. Surrogates are an
    /// exception: they are separators either way.
    #[test]
    fn sequences_are_well_formed_where_std_says_so() {
        let bytes = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xe0, 0xff];
        let n = bytes.len();
        for i in 0..0x80 * n.pow(3) {
            let a = 0x80 + (i / n.pow(3)) as u8;
            let [b, c, d] = [i / n.pow(2), i / n, i].map(|i| bytes[i % n]);
            let text = [a, b, c, d];
            let unit = Unit::read(&text);
            let valid = (2..=4).find(|&n| str::from_utf8(&text[..n]).is_ok_and(|text| text.chars().count() == 1));
            match valid {
                Some(n) => assert_eq!(unit.length, n, "{text:x?}"),
                None => assert_eq!(unit.flags, 0, "{text:x?}"),
            }
        }
    }
}
