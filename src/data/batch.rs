//! The unit that every stage hands to the next: a batch of records as columns.
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
//! eight bytes and no allocation. About [`BATCH`] records travel together, so that what must be decided (which
//! tokeniser, which type, which aggregate) is decided once a batch.

use std::ops::Range;

use smallvec::SmallVec;

use super::value::QUOTE;
use super::{Decimal, Value, Zone};
use crate::error::Result;

/// Records in a full batch. Their keys, hashes and slots stay in the first-level cache together.
pub const BATCH: usize = 256;

/// A half-open range of bytes in a column's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// Of a field that has no value.
    pub const NULL: Span = Span { start: u32::MAX, end: u32::MAX };

    pub fn of(range: std::ops::Range<usize>) -> Self {
        Span { start: range.start as u32, end: range.end as u32 }
    }

    pub fn is_null(self) -> bool {
        self == Self::NULL
    }

    /// The same bytes where they lie `by` further on, modulo 2^32.
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

/// Records, one column a field. Every column has as many cells as there are rows.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub rows: usize,
    pub columns: &'a [Column<'a>],
}

impl<'a> Batch<'a> {
    /// A column that the plan knows to be one of bytes.
    ///
    /// # Panics
    /// If it is another.
    #[inline]
    pub fn bytes(&self, field: usize) -> Bytes<'a> {
        match self.columns[field] {
            Column::Bytes(bytes) => bytes,
            Column::Json(_) => panic!("field {field} has a type in each record"),
            Column::Decimal(_) | Column::Float(_) => panic!("field {field} is a number"),
        }
    }
}

/// Where batches go.
pub trait Sink {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()>;

    /// Whether more records change anything.
    fn wants_more(&self) -> bool {
        true
    }
}

/// Columns put together for a batch: where they are few, without asking for memory.
pub type Columns<'a> = SmallVec<[Column<'a>; 8]>;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bytes,
    /// Strings, numbers and what else there is in JSON, record by record.
    Json,
    Decimal,
    Float,
    /// Its cells are decimals: seconds since 1970-01-01T00:00:00Z. They are written as the clocks of a zone show them.
    Timestamp(Zone),
}

impl Kind {
    /// What a cell is called.
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
    /// A cell that begins with a quote is a string, whose text is what follows: see [`Value::of_json`]. Any other is JSON as it
    /// is written.
    Json(Bytes<'a>),
    Decimal(Decimals<'a>),
    Float(Floats<'a>),
}

/// Fields that are strings of bytes: `spans[i]` says where record `i` has its bytes in `data`. [`Span::NULL`] is null.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    pub data: &'a [u8],
    pub spans: &'a [Span],
}

/// Exact numbers.
#[derive(Clone, Copy, Debug)]
pub struct Decimals<'a> {
    pub numbers: Numbers<'a>,
    /// Which are null; `None`: none is. What a number is where it is null means nothing.
    pub nulls: Option<&'a [bool]>,
}

#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// `mantissa / 10^scale`, at one scale, which is at most 38: what a column of a table nearly always is.
    Narrow { mantissas: &'a [i64], scale: u8 },
    /// Where one doesn't fit 64 bits. Each has its own scale, because no scale suits both 10^37 and 10^-38.
    Wide(&'a [Decimal]),
}

#[derive(Clone, Copy, Debug)]
pub struct Floats<'a> {
    pub values: &'a [f64],
    /// Which are null; `None`: none is.
    pub nulls: Option<&'a [bool]>,
}

impl<'a> Column<'a> {
    /// The cells of these records.
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

    /// The cell of record `i`.
    #[inline]
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
    /// The field of record `i`, `None` for null.
    #[inline]
    pub fn value(&self, i: usize) -> Option<&'a [u8]> {
        (!self.spans[i].is_null()).then(|| self.get(i))
    }

    /// Whether all cells, which are of JSON, are strings.
    pub fn are_json_strings(&self) -> bool {
        self.spans.iter().all(|span| self.data.get(span.start as usize) == Some(&QUOTE))
    }

    /// The field of record `i`, which is not null.
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
