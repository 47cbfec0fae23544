//! Keys: the `group_by` fields of a record as one string of bytes. Keys sort as their fields do. The form of a key
//! depends on the number and the kinds of its fields:
//!
//! ```text
//! no field           the empty key: one group
//! one string         its bytes, if the field can't be null
//! one, maybe null    null: nothing · empty or begins with 00: 00, then its bytes · any other: its bytes
//! one of JSON        null: nothing · a string: " and its bytes · a number: # and its bytes from `ordered`
//!                      any other value, or a number that no decimal holds: $ and the JSON as it is written
//! any other fields   each field: 00 if null, else a first byte (01, or for JSON one of " # $) and
//!                      a string, or other JSON: its bytes, with 00 written 00 FF, then 00 00
//!                      a number: its bytes from `ordered`, which sort by value
//! ```
//!
//! The last form is prefix-free, so concatenated fields sort field by field. The other forms often cost nothing: a
//! column is itself a column of keys, without a copy, if no cell is null, empty or begins with a NUL, and if all cells
//! of a column of JSON are strings.

use std::ops::Range;

use super::buffer::Buffer;
use super::escaped::{put_escaped, take_escaped};
use super::value::QUOTE;
use super::{Batch, Bytes, Column, Decimal, Kind, Span, Value, ordered};
use crate::error::{Error, Result};

const NULL: u8 = 0;
const PRESENT: u8 = 1;
const STRING: u8 = QUOTE;
const NUMBER: u8 = b'#';
const OTHER: u8 = b'$';

/// The fields that a key is made of, by their column numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyFields {
    /// One string that can't be null.
    One(usize),
    /// One string that may be null.
    Nullable(usize),
    /// One field of JSON.
    Json(usize),
    /// Any other fields, or none. Each has its kind.
    Composite(Vec<(usize, Kind)>),
}

impl KeyFields {
    /// Chooses the form of the key for these fields.
    pub fn new(fields: Vec<(usize, Kind)>, may_be_null: bool) -> Self {
        match fields.as_slice() {
            [(field, Kind::Bytes)] if may_be_null => KeyFields::Nullable(*field),
            [(field, Kind::Bytes)] => KeyFields::One(*field),
            [(field, Kind::Json)] => KeyFields::Json(*field),
            _ => KeyFields::Composite(fields),
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = usize> {
        let (one, more) = match self {
            KeyFields::One(field) | KeyFields::Nullable(field) | KeyFields::Json(field) => (Some(*field), &[][..]),
            KeyFields::Composite(fields) => (None, &fields[..]),
        };
        one.into_iter().chain(more.iter().map(|(field, _)| *field))
    }

    /// Returns the column and the kind of the key's field `number`.
    pub fn get(&self, number: usize) -> Option<(usize, Kind)> {
        match self {
            KeyFields::One(field) | KeyFields::Nullable(field) => (number == 0).then_some((*field, Kind::Bytes)),
            KeyFields::Json(field) => (number == 0).then_some((*field, Kind::Json)),
            KeyFields::Composite(fields) => fields.get(number).copied(),
        }
    }

    pub fn len(&self) -> usize {
        self.fields().count()
    }

    /// Whether all records have the same key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Appends one field of a composite key.
pub fn put_field(out: &mut Buffer, field: Value<'_>, kind: Kind) {
    match field {
        Value::Null => out.push(NULL),
        _ if kind == Kind::Json => put_json(out, field, put_escaped),
        Value::Bytes(bytes) | Value::Json(bytes) => {
            out.push(PRESENT);
            put_escaped(out, bytes);
        }
        Value::Decimal(number) => {
            out.push(PRESENT);
            ordered::put_decimal(out, number);
        }
        Value::Float(number) => {
            out.push(PRESENT);
            ordered::put_float(out, number);
        }
    }
}

/// Appends a field of JSON. `put_bytes` writes its text. Appends nothing for null.
fn put_json(out: &mut Buffer, field: Value<'_>, put_bytes: impl Fn(&mut Buffer, &[u8])) {
    let (mark, bytes) = match field.resolved() {
        Value::Bytes(bytes) => (STRING, bytes),
        Value::Json(json) => (OTHER, json),
        Value::Decimal(number) => {
            out.push(NUMBER);
            return ordered::put_decimal(out, number);
        }
        Value::Null | Value::Float(_) => return,
    };
    out.push(mark);
    put_bytes(out, bytes);
}

/// Reads a key that [`put_json`] wrote as the only field. Returns `None` if the key has another form. The function
/// isn't inlined, so that other keys are decoded in a few instructions.
#[inline(never)]
fn take_json(key: &[u8]) -> Option<Value<'_>> {
    let Some((mark, rest)) = key.split_first() else { return Some(Value::Null) };
    match *mark {
        STRING => Some(Value::Bytes(rest)),
        NUMBER => Some(Value::Decimal(ordered::get_decimal(rest)?.0)),
        OTHER => Some(Value::Json(rest)),
        _ => None,
    }
}

/// A decoded field of a composite key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Null,
    /// A part of the decoded bytes.
    Bytes(Span),
    Json(Span),
    Decimal(Decimal),
    Float(f64),
}

/// Memory into which composite keys are decoded.
#[derive(Debug, Default)]
pub struct Decoder {
    data: Vec<u8>,
    cells: Vec<Cell>,
}

/// The fields of one key.
#[derive(Clone, Copy, Debug)]
pub enum DecodedKey<'a> {
    One(Value<'a>),
    Many(&'a Decoder),
}

impl DecodedKey<'_> {
    pub fn len(&self) -> usize {
        match self {
            DecodedKey::One(_) => 1,
            DecodedKey::Many(decoder) => decoder.cells.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> DecodedKey<'a> {
    #[inline]
    pub fn value(&self, field: usize) -> Value<'a> {
        match self {
            DecodedKey::One(value) => *value,
            DecodedKey::Many(decoder) => match decoder.cells[field] {
                Cell::Null => Value::Null,
                Cell::Bytes(span) => Value::Bytes(&decoder.data[span.start as usize..span.end as usize]),
                Cell::Json(span) => Value::Json(&decoder.data[span.start as usize..span.end as usize]),
                Cell::Decimal(number) => Value::Decimal(number),
                Cell::Float(number) => Value::Float(number),
            },
        }
    }
}

impl Decoder {
    /// Decodes a key.
    ///
    /// # Panics
    /// If the key isn't made of these fields.
    #[inline]
    pub fn decode<'a>(&'a mut self, key: &'a [u8], fields: &KeyFields) -> DecodedKey<'a> {
        match fields {
            KeyFields::One(_) => DecodedKey::One(Value::Bytes(key)),
            KeyFields::Nullable(_) => DecodedKey::One(match key.split_first() {
                None => Value::Null,
                Some((0, bytes)) => Value::Bytes(bytes),
                Some(_) => Value::Bytes(key),
            }),
            KeyFields::Json(_) => DecodedKey::One(take_json(key).expect("a key of JSON")),
            KeyFields::Composite(fields) => {
                self.data.clear();
                self.cells.clear();
                let mut rest = key;
                for (_, kind) in fields {
                    rest = self.decode_field(rest, *kind).expect("a key has all its fields");
                }
                DecodedKey::Many(self)
            }
        }
    }

    /// Decodes one field. Returns the bytes behind it.
    fn decode_field<'k>(&mut self, key: &'k [u8], kind: Kind) -> Option<&'k [u8]> {
        let (present, mut rest) = key.split_first()?;
        if *present == NULL {
            self.cells.push(Cell::Null);
            return Some(rest);
        }
        let cell = match (kind, *present) {
            (Kind::Bytes, _) | (Kind::Json, STRING | OTHER) => {
                let start = self.data.len();
                rest = take_escaped(rest, &mut self.data)?;
                let span = Span::of(start..self.data.len());
                if *present == OTHER { Cell::Json(span) } else { Cell::Bytes(span) }
            }
            (Kind::Decimal | Kind::Timestamp(_), _) | (Kind::Json, NUMBER) => {
                let (number, behind) = ordered::get_decimal(rest)?;
                rest = behind;
                Cell::Decimal(number)
            }
            (Kind::Json, _) => return None,
            (Kind::Float, _) => {
                let (number, behind) = ordered::get_float(rest)?;
                rest = behind;
                Cell::Float(number)
            }
        };
        self.cells.push(cell);
        Some(rest)
    }
}

/// Encodes the keys of records.
#[derive(Debug, Default)]
pub struct Encoder {
    data: Buffer,
    spans: Vec<Span>,
}

impl Encoder {
    /// Copies the keys of some records of a batch. Fails if the keys have more than `u32::MAX` bytes together, which
    /// even one record's key may have.
    pub fn encode(&mut self, batch: &Batch<'_>, key: &KeyFields, records: Range<usize>) -> Result<Bytes<'_>> {
        self.data.clear();
        self.spans.clear();
        for i in records {
            let start = self.data.len();
            match key {
                KeyFields::One(field) => self.data.extend(batch.bytes(*field).get(i)),
                KeyFields::Nullable(field) => {
                    if let Some(bytes) = batch.bytes(*field).value(i) {
                        if bytes.first().is_none_or(|&first| first == 0) {
                            self.data.push(0);
                        }
                        self.data.extend(bytes);
                    }
                }
                KeyFields::Json(field) => put_json(&mut self.data, batch.columns[*field].value(i), Buffer::extend),
                KeyFields::Composite(fields) => {
                    fields
                        .iter()
                        .for_each(|(field, kind)| put_field(&mut self.data, batch.columns[*field].value(i), *kind));
                }
            }
            self.spans.push(Span::of(start..self.data.len()));
        }
        match self.data.len() {
            bytes if bytes > u32::MAX as usize => Err(Error::RowTooLong { bytes: bytes as u64 }),
            _ => Ok(Bytes { data: self.data.as_slice(), spans: &self.spans }),
        }
    }

    /// Returns the number of field bytes that [`encode`](Encoder::encode) would copy for these records.
    pub fn copies(batch: &Batch<'_>, key: &KeyFields, records: Range<usize>) -> u64 {
        let len = |field: usize| match batch.columns[field] {
            Column::Bytes(column) | Column::Json(column) => {
                column.spans[records.clone()].iter().map(|span| span.len() as u64).sum()
            }
            Column::Decimal(_) | Column::Float(_) => 0,
        };
        key.fields().map(len).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Field = Option<Vec<u8>>;

    fn value(field: &Field) -> Value<'_> {
        field.as_deref().map_or(Value::Null, Value::Bytes)
    }

    /// Encodes the key of one record.
    fn encode(fields: &[Field], key: &KeyFields) -> Vec<u8> {
        let data = fields.iter().flatten().flatten().copied().collect::<Vec<_>>();
        let mut at = 0;
        let spans: Vec<_> = fields
            .iter()
            .map(|field| match field {
                None => [Span::NULL],
                Some(bytes) => {
                    at += bytes.len();
                    [Span::of(at - bytes.len()..at)]
                }
            })
            .collect();
        let columns: Vec<_> = spans.iter().map(|spans| Column::Bytes(Bytes { data: &data, spans })).collect();
        Encoder::default().encode(&Batch { rows: 1, columns: &columns }, key, 0..1).unwrap().get(0).to_vec()
    }

    fn composite(fields: usize) -> KeyFields {
        KeyFields::Composite((0..fields).map(|field| (field, Kind::Bytes)).collect())
    }

    /// Cells of JSON, or null.
    fn json() -> impl Strategy<Value = Option<String>> {
        let cells = [
            "\"",
            "\"a",
            "\"a\0",
            "\"a\0b",
            "\"1",
            "1",
            "1.0",
            "-1.5",
            "10e-1",
            "0",
            "-0",
            "1e999",
            "2e999",
            "true",
            "[1]",
            "{\"a\": 1}",
            "123456789012345678901234567890123456789012345",
        ];
        prop::option::of(prop::sample::select(cells.to_vec()).prop_map(str::to_owned))
    }

    /// Encodes the key of a record whose cells are JSON. A `false` beside a cell makes it null.
    fn encode_json(cells: &[(bool, String)], key: &KeyFields) -> Vec<u8> {
        let data: String = cells.iter().map(|(_, cell)| cell.as_str()).collect();
        let mut at = 0;
        let spans: Vec<_> = cells
            .iter()
            .map(|(is_there, cell)| {
                at += cell.len();
                [if *is_there { Span::of(at - cell.len()..at) } else { Span::NULL }]
            })
            .collect();
        let columns: Vec<_> = spans.iter().map(|spans| Column::Json(Bytes { data: data.as_bytes(), spans })).collect();
        Encoder::default().encode(&Batch { rows: 1, columns: &columns }, key, 0..1).unwrap().get(0).to_vec()
    }

    fn field() -> impl Strategy<Value = Field> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()];
        proptest::option::of(proptest::collection::vec(byte, 0..6))
    }

    proptest! {
        #[test]
        fn sorts_as_its_fields(a in proptest::collection::vec(field(), 3), b in proptest::collection::vec(field(), 3)) {
            // `None` is the least `Option`, as null is the least value.
            let key = composite(3);
            prop_assert_eq!(encode(&a, &key).cmp(&encode(&b, &key)), a.cmp(&b));
        }

        #[test]
        fn one_that_may_be_null_sorts_as_it_does(a in field(), b in field()) {
            let key = KeyFields::Nullable(0);
            let (encoded_a, encoded_b) = (encode(std::slice::from_ref(&a), &key), encode(std::slice::from_ref(&b), &key));
            prop_assert_eq!(encoded_a.cmp(&encoded_b), a.cmp(&b));
        }

        /// Fields of JSON sort as their values do, and are decoded to the same values, alone and in composite keys.
        #[test]
        fn of_json_sorts_and_decodes(a in prop::collection::vec(json(), 2), b in prop::collection::vec(json(), 2)) {
            let value = |cell: &Option<String>| cell.clone().map_or(String::new(), |cell| cell);
            let of = |cell: &'_ Option<String>| (cell.is_some(), value(cell));
            let both = KeyFields::Composite(vec![(0, Kind::Json), (1, Kind::Json)]);
            let values = |cells: &'_ [Option<String>]| cells.iter().map(of).collect::<Vec<_>>();
            let (a, b) = (values(&a), values(&b));
            fn read((is_there, cell): &(bool, String)) -> Value<'_> {
                if *is_there { Value::of_json(cell.as_bytes()) } else { Value::Null }
            }
            let order = a.iter().map(read).cmp(b.iter().map(read));
            prop_assert_eq!(encode_json(&a, &both).cmp(&encode_json(&b, &both)), order);
            let one = KeyFields::Json(0);
            prop_assert_eq!(encode_json(&a, &one).cmp(&encode_json(&b, &one)), read(&a[0]).cmp(&read(&b[0])));
            let (key, mut decoder) = (encode_json(&a, &both), Decoder::default());
            let decoded = decoder.decode(&key, &both);
            prop_assert!(decoded.value(0) == read(&a[0]) && decoded.value(1) == read(&a[1]));
            let (key, mut decoder) = (encode_json(&a, &one), Decoder::default());
            prop_assert!(decoder.decode(&key, &one).value(0) == read(&a[0]));
        }

        #[test]
        fn decodes(fields in proptest::collection::vec(field(), 0..5)) {
            let (key, mut decoder) = (composite(fields.len()), Decoder::default());
            let encoded = encode(&fields, &key);
            let decoded = decoder.decode(&encoded, &key);
            prop_assert_eq!(decoded.len(), fields.len());
            for (i, field) in fields.iter().enumerate() {
                prop_assert_eq!(decoded.value(i), value(field));
                let encoded = encode(std::slice::from_ref(field), &KeyFields::Nullable(0));
                let mut decoder = Decoder::default();
                prop_assert_eq!(decoder.decode(&encoded, &KeyFields::Nullable(0)).value(0), value(field));
            }
        }
    }
}
