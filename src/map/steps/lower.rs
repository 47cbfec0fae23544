//! `lower`: a field's text in lower case, converted code point by code point by Unicode's rules.

use super::AS;
use super::rewrite::{self, Rewrite};
use crate::error::Result;
use crate::map::Scope;
use crate::map::scope::Written;
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[Key::required("lower", Shape::Name).about("The text of this field in lower case"), AS];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    rewrite::resolve("lower", |input| Rewrite { input, write: lower }, written, scope)
}

fn lower(text: &[u8], out: &mut Vec<u8>) {
    match text.is_ascii() {
        true => out.extend(text.iter().map(u8::to_ascii_lowercase)),
        false => rewrite::each_char(text, char::to_lowercase, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_code_point() {
        for (text, expected) in [
            (&b"AbZ[`{1"[..], &b"abz[`{1"[..]),
            ("ÄΣ\u{130}ß".as_bytes(), "äσi\u{307}ß".as_bytes()),
            (b"A\xff\xc3B\xe2\x82", b"a\xff\xc3b\xe2\x82"),
            (b"", b""),
        ] {
            let mut out = Vec::new();
            lower(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
