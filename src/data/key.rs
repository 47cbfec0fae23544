//! Keys: the `group_by` fields of a record as one string of bytes that sorts as they do.
//!
//! ```text
//! no field     the empty key: one group
//! one string   its bytes, where it can't be null
//! else         each: 01 · bytes, with 00 written 00 FF · 00 00, or 00 alone for null, which so sorts first
//! ```
//!
//! The composite form is prefix-free, so concatenated fields sort field by field.

use super::buffer::Buffer;
use super::{Bytes, Span};

const NULL: u8 = 0;
const STRING: u8 = 1;

/// What keys are made of.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyFields {
    /// One field that can't be null: the key is the field.
    One(usize),
    /// Any others, also none.
    Composite(Vec<usize>),
}

impl KeyFields {
    pub fn fields(&self) -> &[usize] {
        match self {
            KeyFields::One(field) => std::slice::from_ref(field),
            KeyFields::Composite(fields) => fields,
        }
    }
}

/// Appends one field of a composite key.
pub fn put_field(out: &mut Buffer, field: Option<&[u8]>) {
    match field {
        None => out.push(NULL),
        Some(field) => {
            out.push(STRING);
            put_escaped(out, field);
        }
    }
}

/// Splits a composite key of `fields` fields into their bytes, which go to `data` and `spans` (both emptied first).
pub fn decode(key: &[u8], fields: usize, data: &mut Vec<u8>, spans: &mut Vec<Span>) {
    data.clear();
    spans.clear();
    let mut rest = key;
    for _ in 0..fields {
        let (kind, behind) = rest.split_first().expect("a composite key has all its fields");
        rest = behind;
        if *kind == NULL {
            spans.push(Span::NULL);
            continue;
        }
        let start = data.len();
        loop {
            let at = memchr::memchr(0, rest).expect("a composite key's field ends with 00 00");
            data.extend_from_slice(&rest[..at]);
            let mark = rest[at + 1];
            rest = &rest[at + 2..];
            if mark == 0 {
                break;
            }
            data.push(0);
        }
        spans.push(Span::of(start..data.len()));
    }
}

/// Appends bytes so that what follows sorts after them: 00 as 00 FF, then 00 00.
pub fn put_escaped(out: &mut Buffer, mut bytes: &[u8]) {
    while let Some(at) = memchr::memchr(0, bytes) {
        out.extend(&bytes[..=at]);
        out.push(0xff);
        bytes = &bytes[at + 1..];
    }
    out.extend(bytes);
    out.extend(&[0, 0]);
}

/// Encodes the keys of a batch of records.
#[derive(Debug, Default)]
pub struct Encoder {
    data: Buffer,
    spans: Vec<Span>,
}

impl Encoder {
    /// The keys of `records`, a batch of columns.
    pub fn encode<'a>(&'a mut self, records: &[Bytes<'a>], key: &KeyFields) -> Bytes<'a> {
        let fields = match key {
            KeyFields::One(field) => return records[*field],
            KeyFields::Composite(fields) => fields,
        };
        self.data.clear();
        self.spans.clear();
        for i in 0..records[0].spans.len() {
            let start = self.data.len();
            for &field in fields {
                put_field(&mut self.data, records[field].value(i));
            }
            self.spans.push(Span::of(start..self.data.len()));
        }
        Bytes { data: self.data.as_slice(), spans: &self.spans }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Field = Option<Vec<u8>>;

    fn encode(fields: &[Field]) -> Vec<u8> {
        let mut out = Buffer::default();
        fields.iter().for_each(|field| put_field(&mut out, field.as_deref()));
        out.as_slice().to_vec()
    }

    fn field() -> impl Strategy<Value = Field> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()];
        proptest::option::of(proptest::collection::vec(byte, 0..6))
    }

    proptest! {
        #[test]
        fn sorts_as_its_fields(a in proptest::collection::vec(field(), 3), b in proptest::collection::vec(field(), 3)) {
            // `None` is the least of an `Option`, as null is.
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn decodes(fields in proptest::collection::vec(field(), 0..5)) {
            let (mut data, mut spans) = (vec![9], vec![]);
            decode(&encode(&fields), fields.len(), &mut data, &mut spans);
            let column = Bytes { data: &data, spans: &spans };
            let got: Vec<_> = (0..spans.len()).map(|i| column.value(i).map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(got, fields);
        }
    }
}
