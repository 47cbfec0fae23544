//! A batch of records as columns: the unit that every stage hands to the next.
//!
//! ```text
//!              column 0          column 1            column 2
//!              Bytes             Decimals            Floats
//! record 0     span into data    mantissa (scale 2)  value
//! record 1     Span::NULL        null                value
//! …
//! ```
//!
//! A column of bytes points into bytes that somebody else owns (a mapped file, a tokeniser's scratch), so a field costs
//! eight bytes and no allocation. A batch has about [`BATCH`] records, so that choices (which tokeniser, which type,
//! which aggregate) are made once per batch.

use std::ops::Range;

use smallvec::SmallVec;

use super::value::QUOTE;
use super::{Decimal, Value, Zone};
use crate::error::Result;

/// Records in a full batch. At this size the keys, hashes and slots of a batch fit the first-level cache together.
pub const BATCH: usize = 256;

/// A half-open range of bytes in a column's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The span of a field that is null.
    pub const NULL: Span = Span { start: u32::MAX, end: u32::MAX };

    pub fn of(range: std::ops::Range<usize>) -> Self {
        Span { start: range.start as u32, end: range.end as u32 }
    }

    pub fn is_null(self) -> bool {
        self == Self::NULL
    }

    /// Returns the span moved `by` bytes further on, modulo 2^32. Null stays null.
    pub fn shifted(self, by: u32) -> Self {
        match self.is_null() {
            true => self,
            false => Span { start: self.start.wrapping_add(by), end: self.end.wrapping_add(by) },
        }
    }

    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// Records, with one column for each field. Every column has `rows` cells.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub rows: usize,
    pub columns: &'a [Column<'a>],
}

impl<'a> Batch<'a> {
    /// Returns a column that the plan knows to be one of bytes.
    ///
    /// # Panics
    /// If the column is of another type.
    #[inline]
    pub fn bytes(&self, field: usize) -> Bytes<'a> {
        match self.columns[field] {
            Column::Bytes(bytes) => bytes,
            Column::Json(_) => panic!("field {field} has a type in each record"),
            Column::Decimal(_) | Column::Float(_) => panic!("field {field} is a number"),
        }
    }

    /// Returns the bytes of the texts among these cells of a record, added up.
    pub fn texts_len(&self, record: usize, cells: impl Iterator<Item = usize>) -> u64 {
        let len = |cell: usize| match self.columns[cell] {
            Column::Bytes(texts) | Column::Json(texts) => texts.spans[record].len() as u64,
            Column::Decimal(_) | Column::Float(_) => 0,
        };
        cells.map(len).sum()
    }
}

/// A consumer of batches.
pub trait Sink {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()>;

    /// Whether more records could change the result.
    fn wants_more(&self) -> bool {
        true
    }
}

/// The columns of a batch that is being put together. Up to eight need no allocation.
pub type Columns<'a> = SmallVec<[Column<'a>; 8]>;

/// The kind of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bytes,
    /// Any values of JSON: strings, numbers and others may alternate from record to record.
    Json,
    Decimal,
    Float,
    /// Decimals that count seconds since 1970-01-01T00:00:00Z. They are written as the clocks of the zone show them.
    Timestamp(Zone),
}

impl Kind {
    /// Returns what messages call a cell of this kind.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Bytes => "text",
            Kind::Json => "JSON",
            Kind::Decimal | Kind::Float => "a number",
            Kind::Timestamp(_) => "a timestamp",
        }
    }
}

/// One field of a batch of records.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    Bytes(Bytes<'a>),
    /// Cells of JSON. A cell that begins with a quote is a string, and its text follows the quote: see
    /// [`Value::of_json`]. Any other cell is JSON as it was written.
    Json(Bytes<'a>),
    Decimal(Decimals<'a>),
    Float(Floats<'a>),
}

/// A column of byte strings: `spans[i]` says where in `data` the bytes of record `i` are. [`Span::NULL`] means null.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    pub data: &'a [u8],
    pub spans: &'a [Span],
}

/// A column of exact numbers.
#[derive(Clone, Copy, Debug)]
pub struct Decimals<'a> {
    pub numbers: Numbers<'a>,
    /// Which records are null. `None` means that no record is. The number of a null record has no meaning.
    pub nulls: Option<&'a [bool]>,
}

/// The numbers of a column of decimals, in one of two forms.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// All numbers at one scale of at most 38: number `i` is `mantissas[i] / 10^scale`. Nearly every column of a table
    /// has this form.
    Narrow { mantissas: &'a [i64], scale: u8 },
    /// Numbers for a column in which one doesn't fit 64 bits. Each number has its own scale, because no scale suits
    /// both 10^37 and 10^-38.
    Wide(&'a [Decimal]),
}

/// A column of doubles.
#[derive(Clone, Copy, Debug)]
pub struct Floats<'a> {
    pub values: &'a [f64],
    /// Which records are null. `None` means that no record is.
    pub nulls: Option<&'a [bool]>,
}

impl<'a> Column<'a> {
    /// Returns the cells of these records.
    pub fn slice(self, rows: Range<usize>) -> Self {
        let part = |nulls: Option<&'a [bool]>| nulls.map(|nulls| &nulls[rows.clone()]);
        match self {
            Column::Bytes(Bytes { data, spans }) => Column::Bytes(Bytes { data, spans: &spans[rows] }),
            Column::Json(Bytes { data, spans }) => Column::Json(Bytes { data, spans: &spans[rows] }),
            Column::Decimal(Decimals { numbers, nulls }) => {
                let nulls = part(nulls);
                let numbers = match numbers {
                    Numbers::Narrow { mantissas, scale } => Numbers::Narrow { mantissas: &mantissas[rows], scale },
                    Numbers::Wide(numbers) => Numbers::Wide(&numbers[rows]),
                };
                Column::Decimal(Decimals { numbers, nulls })
            }
            Column::Float(Floats { values, nulls }) => {
                let nulls = part(nulls);
                Column::Float(Floats { values: &values[rows], nulls })
            }
        }
    }

    #[inline]
    pub fn is_null(&self, i: usize) -> bool {
        match self {
            Column::Bytes(bytes) | Column::Json(bytes) => bytes.spans[i].is_null(),
            Column::Decimal(decimals) => decimals.is_null(i),
            Column::Float(floats) => floats.is_null(i),
        }
    }

    /// Returns the cell of record `i`.
    // Always inlined: a call would return the value through memory.
    #[inline(always)]
    pub fn value(&self, i: usize) -> Value<'a> {
        match self {
            Column::Bytes(bytes) => bytes.value(i).map_or(Value::Null, Value::Bytes),
            Column::Json(bytes) => bytes.value(i).map_or(Value::Null, Value::of_json),
            Column::Decimal(decimals) => decimals.value(i).map_or(Value::Null, Value::Decimal),
            Column::Float(floats) => floats.value(i).map_or(Value::Null, Value::Float),
        }
    }
}

impl<'a> Bytes<'a> {
    /// Returns the field of record `i`, or `None` if it is null.
    #[inline]
    pub fn value(&self, i: usize) -> Option<&'a [u8]> {
        (!self.spans[i].is_null()).then(|| self.get(i))
    }

    /// Whether all cells are strings, in a column of JSON.
    pub fn are_json_strings(&self) -> bool {
        self.spans.iter().all(|span| self.data.get(span.start as usize) == Some(&QUOTE))
    }

    /// Returns the field of record `i`, which must not be null.
    #[inline]
    pub fn get(&self, i: usize) -> &'a [u8] {
        let span = self.spans[i];
        &self.data[span.start as usize..span.end as usize]
    }
}

impl Decimals<'_> {
    #[inline]
    pub fn is_null(&self, i: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls[i])
    }

    #[inline]
    pub fn value(&self, i: usize) -> Option<Decimal> {
        (!self.is_null(i)).then(|| self.numbers.get(i))
    }
}

impl Numbers<'_> {
    #[inline]
    pub fn get(&self, i: usize) -> Decimal {
        match self {
            Numbers::Narrow { mantissas, scale } => Decimal { mantissa: mantissas[i].into(), scale: *scale },
            Numbers::Wide(numbers) => numbers[i],
        }
    }
}

impl Floats<'_> {
    #[inline]
    pub fn is_null(&self, i: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls[i])
    }

    #[inline]
    pub fn value(&self, i: usize) -> Option<f64> {
        (!self.is_null(i)).then(|| self.values[i])
    }
}
