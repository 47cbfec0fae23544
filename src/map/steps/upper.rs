//! `upper`: a field's text in upper case, converted code point by code point by Unicode's rules: `ß` becomes `SS`.

use super::AS;
use super::rewrite::{self, Rewrite};
use crate::error::Result;
use crate::map::Scope;
use crate::map::scope::Written;
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[Key::required("upper", Shape::Name).about("The text of this field in upper case"), AS];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    rewrite::resolve("upper", |input| Rewrite { input, write: upper }, written, scope)
}

fn upper(text: &[u8], out: &mut Vec<u8>) {
    match text.is_ascii() {
        true => out.extend(text.iter().map(u8::to_ascii_uppercase)),
        false => rewrite::each_char(text, char::to_uppercase, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_code_point() {
        for (text, expected) in [
            (&b"aBz[`{1"[..], &b"ABZ[`{1"[..]),
            ("äςß\u{149}".as_bytes(), "ÄΣSS\u{2bc}N".as_bytes()),
            (b"a\xff\xc3b", b"A\xff\xc3B"),
        ] {
            let mut out = Vec::new();
            upper(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
