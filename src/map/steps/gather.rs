//! Picks records out of a batch, or repeats them. Filters need this, and so do steps that make several records of one.

use crate::data::{Bytes, Column, Decimal, Decimals, Floats, Numbers, Span};

/// Scratch memory for the picked columns.
#[derive(Debug, Default)]
pub struct Gather {
    columns: Vec<Scratch>,
}

#[derive(Debug, Default)]
struct Scratch {
    spans: Vec<Span>,
    mantissas: Vec<i64>,
    decimals: Vec<Decimal>,
    floats: Vec<f64>,
    nulls: Vec<bool>,
}

/// Fills `to` with the items of `from` at the indices `numbers`.
fn pick<'a, T: Copy>(from: &[T], numbers: &[u32], to: &'a mut Vec<T>) -> &'a [T] {
    to.clear();
    to.extend(numbers.iter().map(|&i| from[i as usize]));
    to
}

impl Gather {
    /// Returns the columns of the records with these numbers, in this order. A number may occur several times.
    pub fn gather<'a>(&'a mut self, columns: &[Column<'a>], numbers: &[u32]) -> Vec<Column<'a>> {
        self.columns.resize_with(columns.len(), Scratch::default);
        let each = columns.iter().zip(&mut self.columns);
        each.map(|(column, scratch)| {
            let Scratch { spans, mantissas, decimals, floats, nulls } = scratch;
            match column {
                Column::Bytes(Bytes { data, spans: from }) => {
                    Column::Bytes(Bytes { data, spans: pick(from, numbers, spans) })
                }
                Column::Json(Bytes { data, spans: from }) => {
                    Column::Json(Bytes { data, spans: pick(from, numbers, spans) })
                }
                Column::Decimal(from) => {
                    let picked = match from.numbers {
                        Numbers::Narrow { mantissas: from, scale } => {
                            Numbers::Narrow { mantissas: pick(from, numbers, mantissas), scale }
                        }
                        Numbers::Wide(from) => Numbers::Wide(pick(from, numbers, decimals)),
                    };
                    Column::Decimal(Decimals {
                        numbers: picked,
                        nulls: from.nulls.map(|from| pick(from, numbers, nulls)),
                    })
                }
                Column::Float(from) => Column::Float(Floats {
                    values: pick(from.values, numbers, floats),
                    nulls: from.nulls.map(|from| pick(from, numbers, nulls)),
                }),
            }
        })
        .collect()
    }
}
