//! The content of a value row: a record's observed columns, each once.
//!
//! ```text
//! string     varint length + 1 · bytes                 null: 00
//! JSON       the same, with the bytes of the column's cell
//! decimal    1 + scale · mantissa, 8 bytes             null: 00
//!            64 + scale · mantissa, 16 bytes, if it doesn't fit 8 even without zeros at its end
//! float      01 · 8 bytes                              null: 00
//! ```
//!
//! A value's length depends on the value alone, not on the batch that it came in. So a job's map output has the same
//! number of bytes however the input is split.

use super::row::{Row, get_varint, put_varint, varint_len};
use crate::data::buffer::Buffer;
use crate::data::columns::Growing;
use crate::data::{Column, Decimal, Kind, Numbers, Span};

const NULL: u8 = 0;
const PRESENT: u8 = 1;
const NARROW: u8 = 1;
const WIDE: u8 = 64;
/// Largest scale of a decimal.
const SCALE: u8 = 38;

/// Bytes of a number that isn't null and whose mantissa fits 8 bytes, as nearly all do.
pub const NUMBER: usize = 9;

/// Whether every value of the column is [`NUMBER`] bytes long.
pub fn is_fixed(column: &Column<'_>) -> bool {
    match column {
        Column::Bytes(_) | Column::Json(_) => false,
        Column::Decimal(column) => column.nulls.is_none() && matches!(column.numbers, Numbers::Narrow { .. }),
        Column::Float(column) => column.nulls.is_none(),
    }
}

/// Returns the encoded length of the value of record `i`.
pub fn value_len(column: &Column<'_>, i: usize) -> usize {
    match column {
        Column::Bytes(column) | Column::Json(column) if column.spans[i].is_null() => 1,
        Column::Bytes(column) | Column::Json(column) => varint_len(column.spans[i].len() + 1) + column.spans[i].len(),
        Column::Decimal(column) => match column.value(i) {
            None => 1,
            Some(number) if narrow(number).is_some() => NUMBER,
            Some(_) => NUMBER + 8,
        },
        Column::Float(column) if column.is_null(i) => 1,
        Column::Float(_) => NUMBER,
    }
}

/// Returns the number with a mantissa of 64 bits, if some form of the number has one.
#[inline]
fn narrow(number: Decimal) -> Option<(i64, u8)> {
    let fits = |number: Decimal| Some((i64::try_from(number.mantissa).ok()?, number.scale));
    fits(number).or_else(|| fits(number.normalised()))
}

/// Appends the value of record `i`.
pub fn put_value(out: &mut Buffer, column: &Column<'_>, i: usize) {
    match column {
        Column::Bytes(column) | Column::Json(column) => match column.value(i) {
            None => out.push(NULL),
            Some(bytes) => {
                put_varint(out, bytes.len() + 1);
                out.extend(bytes);
            }
        },
        Column::Decimal(column) => match column.value(i) {
            None => out.push(NULL),
            Some(number) => match narrow(number) {
                Some((mantissa, scale)) => {
                    out.push(NARROW + scale);
                    out.extend(&mantissa.to_le_bytes());
                }
                None => {
                    out.push(WIDE + number.scale);
                    out.extend(&number.mantissa.to_le_bytes());
                }
            },
        },
        Column::Float(column) => match column.value(i) {
            None => out.push(NULL),
            Some(number) => {
                out.push(PRESENT);
                out.extend(&number.to_le_bytes());
            }
        },
    }
}

/// The values of value rows, read back into columns.
#[derive(Debug)]
pub struct Values {
    columns: Vec<Growing>,
}

impl Values {
    pub fn new(observed: &[Kind]) -> Self {
        Values { columns: observed.iter().map(|&kind| Growing::new(kind)).collect() }
    }

    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Growing::clear);
    }

    /// Adds the values of one row. `None` if the row's bytes aren't such values.
    #[inline]
    pub fn push(&mut self, data: &[u8], row: &Row) -> Option<()> {
        let (start, end) = (row.payload.start as usize, row.payload.end as usize);
        let row = &data[..end];
        let mut at = start;
        for column in &mut self.columns {
            push(column, row, &mut at)?;
        }
        (at == end).then_some(())
    }

    /// Returns the columns. `data` is what the rows were read from.
    pub fn columns<'a>(&'a self, data: &'a [u8]) -> Vec<Column<'a>> {
        self.columns.iter().map(|column| column.column(data)).collect()
    }
}

fn fixed<const N: usize>(row: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let bytes = row.get(*at..)?.first_chunk::<N>()?;
    *at += N;
    Some(*bytes)
}

#[inline]
fn push(column: &mut Growing, row: &[u8], at: &mut usize) -> Option<()> {
    match column {
        Growing::Bytes(spans) | Growing::Json(spans) => {
            let Some(len) = get_varint(row, at)?.checked_sub(1) else {
                spans.push(Span::NULL);
                return Some(());
            };
            let stop = at.checked_add(len).filter(|&stop| stop <= row.len())?;
            spans.push(Span::of(*at..stop));
            *at = stop;
        }
        Growing::Decimal(decimals) => {
            let [tag] = fixed(row, at)?;
            decimals.push(match tag {
                NULL => None,
                NARROW.. if tag <= NARROW + SCALE => {
                    let mantissa = i128::from(i64::from_le_bytes(fixed(row, at)?));
                    Some(Decimal { mantissa, scale: tag - NARROW })
                }
                WIDE.. if tag <= WIDE + SCALE => {
                    Some(Decimal { mantissa: i128::from_le_bytes(fixed(row, at)?), scale: tag - WIDE })
                }
                _ => return None,
            });
        }
        Growing::Float(floats) => {
            let [tag] = fixed(row, at)?;
            floats.push(match tag {
                NULL => None,
                PRESENT => Some(f64::from_le_bytes(fixed(row, at)?)),
                _ => return None,
            });
        }
    }
    Some(())
}
