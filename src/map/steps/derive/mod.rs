//! `derive`: a field computed from others, as by `price * qty` or `(a + b) / 2`.
//!
//! Decimals are exact, and so are results of decimals. Only quotients are rounded, as [`Decimal::checked_div`] says. If
//! a float takes part, the whole expression is computed in floats. Null makes the result null, and so does a division
//! by zero. A result of more than 38 digits makes the record bad.

mod grammar;
mod narrow;

use super::AS;
use super::gather::Gather;
use crate::data::columns::{GrowingDecimals, GrowingFloats};
use crate::data::misses::Misses;
use crate::data::{Batch, Column, Decimal, Kind, Sink, Value, float};
use crate::error::Result;
use crate::map::scope::Written;
use crate::map::{Field, Makes, Next, Scope, Stage, Step, Why};
use crate::schema::{Key, Shape};
use grammar::Operator;
use narrow::narrow;

pub(super) use grammar::Expression;

pub const KEYS: &[Key] = &[
    Key::required("derive", Shape::Name)
        .about("A number computed from fields, by + - * / and parentheses: price * qty"),
    AS,
];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let (path, text) = (written.at("derive"), written.text("derive"));
    let expression = grammar::parse(text).map_err(|wrong| {
        let hint = "an example: (price - cost) * qty; put names with other characters in quotes: \"unit price\"";
        scope.blame.error(&path, &wrong, Some(hint.into()))
    })?;
    push(expression, &path, written, scope)
}

/// Pushes a step that computes `expression`, which stands at `path` in the spec, and adds the step's field.
pub(super) fn push(
    expression: Expression<String>,
    path: &str,
    written: Written<'_>,
    scope: &mut Scope<'_>,
) -> Result<()> {
    let mut kind = Kind::Decimal;
    let expression = expression.map_names(&mut |name| {
        let field = scope.number(path, &name)?;
        if scope.kind(field) == Kind::Float {
            kind = Kind::Float;
        }
        Ok(field)
    })?;
    let (record, name) = (scope.record(), written.text("as").to_owned());
    scope.push(Derive { expression, kind, record, name });
    scope.add(&written.at("as"), written.text("as"), kind, true)?;
    Ok(())
}

#[derive(Clone, Debug)]
struct Derive {
    expression: Expression<Field>,
    /// The kind of the result.
    kind: Kind,
    /// The field with the record's own bytes.
    record: Field,
    name: String,
}

impl Step for Derive {
    fn reads(&self) -> Vec<Field> {
        let mut reads = vec![self.record];
        self.expression.names(&mut |field| reads.push(*field));
        reads
    }

    fn may_reject(&self) -> bool {
        self.kind == Kind::Decimal
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Deriving {
            step: self.clone(),
            decimals: GrowingDecimals::default(),
            floats: GrowingFloats::default(),
            bad: Vec::new(),
            kept: Vec::new(),
            gather: Gather::default(),
            misses: Misses::default(),
        })
    }
}

#[derive(Debug)]
struct Deriving {
    step: Derive,
    decimals: GrowingDecimals,
    floats: GrowingFloats,
    bad: Vec<u32>,
    kept: Vec<u32>,
    gather: Gather,
    /// Batches since the last one that was computed a column at a time.
    misses: Misses,
}

impl Stage for Deriving {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Deriving { step: Derive { expression, kind, record, name }, decimals, floats, bad, kept, gather, misses } =
            self;
        bad.clear();
        let is_tried = *kind == Kind::Decimal && misses.should_try();
        let narrow = if is_tried { narrow(expression, batch) } else { None };
        misses.note(narrow.is_some());
        let added = if let Some(narrow) = &narrow {
            Column::Decimal(narrow.column())
        } else if *kind == Kind::Float {
            floats.clear();
            (0..batch.rows).for_each(|i| floats.push(real(expression, batch, i).map(float::canonical)));
            Column::Float(floats.column())
        } else {
            decimals.clear();
            for i in 0..batch.rows {
                decimals.push(exact(expression, batch, i).unwrap_or_else(|TooLong| {
                    bad.push(i as u32);
                    None
                }));
            }
            Column::Decimal(decimals.column())
        };
        let columns = [batch.columns, &[added]].concat();
        if bad.is_empty() {
            return next.take(&Batch { rows: batch.rows, columns: &columns });
        }
        next.rejects.borrow().kept(batch.rows, bad.iter().copied(), kept);
        next.take(&Batch { rows: kept.len(), columns: &gather.gather(&columns, kept) })?;
        let records = batch.bytes(*record);
        for &i in bad.iter() {
            let why = Why::Derived { field: name.clone() };
            next.rejects.borrow_mut().add(records.spans[i as usize], why);
        }
        Ok(())
    }
}

/// The error that a result has more than 38 digits.
struct TooLong;

/// Computes the value for record `i` if all fields are decimals. `None` is null.
fn exact(expression: &Expression<Field>, batch: &Batch<'_>, i: usize) -> Result<Option<Decimal>, TooLong> {
    let (operator, a, b) = match expression {
        Expression::Number(number) => return Ok(Some(*number)),
        Expression::Name(field) => {
            return Ok(match batch.columns[*field].value(i) {
                Value::Decimal(number) => Some(number),
                Value::Null | Value::Bytes(_) | Value::Json(_) | Value::Float(_) => None,
            });
        }
        Expression::Minus(of) => return Ok(exact(of, batch, i)?.map(Decimal::negated)),
        Expression::Floor(of, step) => {
            let Some(number) = exact(of, batch, i)? else { return Ok(None) };
            return number.checked_floor(*step).map(Some).ok_or(TooLong);
        }
        Expression::Two(operator, a, b) => (operator, exact(a, batch, i)?, exact(b, batch, i)?),
    };
    let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
    let result = match operator {
        Operator::Plus => a.checked_add(b),
        Operator::Minus => a.checked_sub(b),
        Operator::Times => a.checked_mul(b),
        Operator::Over if b.mantissa == 0 => return Ok(None),
        Operator::Over => a.checked_div(b),
    };
    result.map(Some).ok_or(TooLong)
}

/// Computes the value for record `i` if some fields are floats. `None` is null.
fn real(expression: &Expression<Field>, batch: &Batch<'_>, i: usize) -> Option<f64> {
    let (operator, a, b) = match expression {
        Expression::Number(number) => return Some(number.to_f64()),
        Expression::Name(field) => {
            return match batch.columns[*field].value(i) {
                Value::Decimal(number) => Some(number.to_f64()),
                Value::Float(number) => Some(number),
                Value::Null | Value::Bytes(_) | Value::Json(_) => None,
            };
        }
        Expression::Minus(of) => return Some(-real(of, batch, i)?),
        Expression::Floor(of, step) => {
            let step = step.to_f64();
            return Some((real(of, batch, i)? / step).floor() * step);
        }
        Expression::Two(operator, a, b) => (operator, real(a, batch, i)?, real(b, batch, i)?),
    };
    match operator {
        Operator::Plus => Some(a + b),
        Operator::Minus => Some(a - b),
        Operator::Times => Some(a * b),
        Operator::Over => (b != 0.0).then(|| a / b),
    }
}
