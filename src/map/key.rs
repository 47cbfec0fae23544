//! Keys: the `group_by` fields of a record as one string of bytes that sorts as they do.
//!
//! ```text
//! no field     the empty key: one group
//! one string   its bytes
//! more         each: 01 · bytes, with 00 written 00 FF · 00 00     (00 alone in front is kept for null: null sorts first)
//! ```
//!
//! The composite form is prefix-free, so concatenated fields sort field by field.

use crate::buffer::Buffer;
use crate::column::{Column, Span, put_escaped};

const STRING: u8 = 1;

/// Appends one field of a composite key.
pub fn put_field(out: &mut Buffer, field: &[u8]) {
    out.push(STRING);
    put_escaped(out, field);
}

/// Splits a key of `fields` fields into their bytes, which go to `data` and `spans` (both emptied first).
pub fn decode(key: &[u8], fields: usize, data: &mut Vec<u8>, spans: &mut Vec<Span>) {
    data.clear();
    spans.clear();
    let mut put = |data: &Vec<u8>, start| spans.push(Span { start, end: data.len() as u32 });
    match fields {
        0 => {}
        1 => {
            data.extend_from_slice(key);
            put(data, 0);
        }
        _ => {
            let mut rest = key;
            for _ in 0..fields {
                debug_assert_eq!(rest.first(), Some(&STRING));
                let start = data.len() as u32;
                rest = &rest[1..];
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
                put(data, start);
            }
        }
    }
}

/// Encodes the keys of a batch of records.
#[derive(Debug, Default)]
pub struct Encoder {
    data: Buffer,
    spans: Vec<Span>,
}

impl Encoder {
    /// The keys made of `fields` of `records`, a batch of columns.
    pub fn encode<'a>(&'a mut self, records: &[Column<'a>], fields: &[usize]) -> Column<'a> {
        if let [field] = fields {
            return records[*field];
        }
        self.data.clear();
        self.spans.clear();
        for i in 0..records[0].spans.len() {
            let start = self.data.len() as u32;
            for &field in fields {
                put_field(&mut self.data, records[field].get(i));
            }
            self.spans.push(Span { start, end: self.data.len() as u32 });
        }
        Column { data: self.data.as_slice(), spans: &self.spans }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(fields: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Buffer::default();
        fields.iter().for_each(|field| put_field(&mut out, field));
        out.as_slice().to_vec()
    }

    fn field() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()], 0..6)
    }

    proptest! {
        #[test]
        fn sorts_as_its_fields(a in proptest::collection::vec(field(), 3), b in proptest::collection::vec(field(), 3)) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn decodes(fields in proptest::collection::vec(field(), 2..5)) {
            let (mut data, mut spans) = (vec![9], vec![]);
            decode(&encode(&fields), fields.len(), &mut data, &mut spans);
            let column = Column { data: &data, spans: &spans };
            let got: Vec<_> = (0..spans.len()).map(|i| column.get(i).to_vec()).collect();
            prop_assert_eq!(got, fields);
        }
    }
}
