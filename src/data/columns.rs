//! Columns that are built value by value, as from the rows of a run.

use super::buffer::Buffer;
use super::value::QUOTE;
use super::{Bytes, Column, Decimal, Decimals, Floats, Kind, Numbers, Span, Value};

/// A column that grows.
#[derive(Debug)]
pub enum Growing {
    /// Spans into data that [`Growing::column`] is given.
    Bytes(Vec<Span>),
    Json(Vec<Span>),
    Decimal(GrowingDecimals),
    Float(GrowingFloats),
}

impl Growing {
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Bytes => Growing::Bytes(Vec::new()),
            Kind::Json => Growing::Json(Vec::new()),
            Kind::Decimal => Growing::Decimal(GrowingDecimals::default()),
            Kind::Float => Growing::Float(GrowingFloats::default()),
            Kind::Timestamp(_) => Growing::new(Kind::Decimal),
        }
    }

    pub fn clear(&mut self) {
        match self {
            Growing::Bytes(spans) | Growing::Json(spans) => spans.clear(),
            Growing::Decimal(decimals) => decimals.clear(),
            Growing::Float(floats) => floats.clear(),
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Growing::Bytes(spans) | Growing::Json(spans) => spans.push(Span::NULL),
            Growing::Decimal(decimals) => decimals.push(None),
            Growing::Float(floats) => floats.push(None),
        }
    }

    /// Adds a value. Its bytes, if the column has bytes, are copied to the end of `data`, which is what the column's
    /// spans refer to.
    ///
    /// # Panics
    /// If the value is of another kind than the column.
    #[inline]
    pub fn push(&mut self, value: Value<'_>, data: &mut Buffer) {
        match (self, value) {
            (column @ Growing::Bytes(_), Value::Bytes(bytes)) => column.push_text(|data| data.extend(bytes), data),
            (Growing::Decimal(decimals), Value::Decimal(number)) => decimals.push(Some(number)),
            (Growing::Float(floats), Value::Float(number)) => floats.push(Some(number)),
            (Growing::Json(spans), value) if !value.is_null() => push_json(spans, value, data),
            (column, Value::Null) => column.push_null(),
            (column, value) => panic!("{value:?} isn't of the kind of {column:?}"),
        }
    }

    /// Adds a text to a column of bytes. `put` appends the text to `data`.
    ///
    /// # Panics
    /// If the column is of another kind.
    #[inline]
    pub fn push_text(&mut self, put: impl FnOnce(&mut Buffer), data: &mut Buffer) {
        let Growing::Bytes(spans) = self else { panic!("{self:?} isn't a column of bytes") };
        let start = data.len();
        put(data);
        spans.push(Span::of(start..data.len()));
    }

    /// Adds whole numbers to a column of decimals.
    ///
    /// # Panics
    /// If the column is of another kind.
    #[inline]
    pub fn extend_whole(&mut self, numbers: impl Iterator<Item = u64>) {
        let Growing::Decimal(decimals) = self else { panic!("{self:?} isn't a column of decimals") };
        decimals.extend_whole(numbers);
    }

    /// Returns the values so far as a column. `data` is the bytes that the spans refer to.
    pub fn column<'a>(&'a self, data: &'a [u8]) -> Column<'a> {
        match self {
            Growing::Bytes(spans) => Column::Bytes(Bytes { data, spans }),
            Growing::Json(spans) => Column::Json(Bytes { data, spans }),
            Growing::Decimal(decimals) => Column::Decimal(decimals.column()),
            Growing::Float(floats) => Column::Float(floats.column()),
        }
    }
}

/// Adds a value as a cell of [`Column::Json`].
#[inline(never)]
fn push_json(spans: &mut Vec<Span>, value: Value<'_>, data: &mut Buffer) {
    let start = data.len();
    match value {
        Value::Bytes(text) => {
            data.push(QUOTE);
            data.extend(text);
        }
        Value::Json(json) => data.extend(json),
        Value::Decimal(number) => number.write(data),
        Value::Float(_) | Value::Null => unreachable!("JSON is read as it is written, and null has no cell"),
    }
    spans.push(Span::of(start..data.len()));
}

/// Decimals that are kept at one scale as long as possible: a number with fewer digits is brought to the scale of the
/// others.
#[derive(Debug, Default)]
pub struct GrowingDecimals {
    scale: u8,
    mantissas: Vec<i64>,
    /// All numbers, once one can't be brought to the others' scale in 64 bits.
    mixed: Option<Vec<Decimal>>,
    nulls: Nulls,
}

impl GrowingDecimals {
    pub fn clear(&mut self) {
        *self = GrowingDecimals {
            scale: 0,
            mantissas: std::mem::take(&mut self.mantissas),
            mixed: None,
            nulls: std::mem::take(&mut self.nulls),
        };
        self.mantissas.clear();
        self.nulls.clear();
    }

    #[inline]
    pub fn push(&mut self, number: Option<Decimal>) {
        self.nulls.push(number.is_none());
        // A null gets the scale of the numbers before it.
        let number = number.unwrap_or(Decimal { mantissa: 0, scale: self.scale });
        if let Some(mixed) = &mut self.mixed {
            mixed.push(number);
        } else if let Some(mantissa) = self.at_scale(number) {
            self.mantissas.push(mantissa);
        } else {
            let scale = self.scale;
            let all = self.mantissas.iter().map(|&mantissa| Decimal { mantissa: i128::from(mantissa), scale });
            self.mixed = Some(all.chain([number]).collect());
        }
    }

    #[inline]
    fn extend_whole(&mut self, numbers: impl Iterator<Item = u64>) {
        if self.scale > 0 || self.mixed.is_some() {
            return numbers.for_each(|number| self.push(Some(number.into())));
        }
        for number in numbers {
            match i64::try_from(number) {
                Ok(mantissa) if self.mixed.is_none() => {
                    self.mantissas.push(mantissa);
                    self.nulls.push(false);
                }
                _ => self.push(Some(number.into())),
            }
        }
    }

    /// Returns the mantissa of `number` at the common scale, and raises that scale if `number` has a larger one.
    /// Returns `None` if a mantissa doesn't fit 64 bits.
    fn at_scale(&mut self, number: Decimal) -> Option<i64> {
        let mantissa = i64::try_from(number.mantissa).ok()?;
        if number.scale == self.scale {
            return Some(mantissa);
        }
        let factor = 10i64.checked_pow(u32::from(number.scale.abs_diff(self.scale)))?;
        if number.scale < self.scale {
            return mantissa.checked_mul(factor);
        }
        if self.mantissas.iter().any(|held| held.checked_mul(factor).is_none()) {
            return None;
        }
        self.mantissas.iter_mut().for_each(|held| *held *= factor);
        self.scale = number.scale;
        Some(mantissa)
    }

    pub fn column(&self) -> Decimals<'_> {
        let numbers = match &self.mixed {
            None => Numbers::Narrow { mantissas: &self.mantissas, scale: self.scale },
            Some(mixed) => Numbers::Wide(mixed),
        };
        Decimals { numbers, nulls: self.nulls.column() }
    }
}

/// A column of doubles that is built value by value.
#[derive(Debug, Default)]
pub struct GrowingFloats {
    values: Vec<f64>,
    nulls: Nulls,
}

impl GrowingFloats {
    pub fn clear(&mut self) {
        self.values.clear();
        self.nulls.clear();
    }

    #[inline]
    pub fn push(&mut self, number: Option<f64>) {
        self.nulls.push(number.is_none());
        self.values.push(number.unwrap_or(0.0));
    }

    pub fn column(&self) -> Floats<'_> {
        Floats { values: &self.values, nulls: self.nulls.column() }
    }
}

/// Which values are null.
#[derive(Debug, Default)]
struct Nulls {
    each: Vec<bool>,
    any: bool,
}

impl Nulls {
    fn clear(&mut self) {
        self.each.clear();
        self.any = false;
    }

    #[inline]
    fn push(&mut self, is_null: bool) {
        self.each.push(is_null);
        self.any |= is_null;
    }

    fn column(&self) -> Option<&[bool]> {
        self.any.then_some(&self.each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decimals_stay_what_they_are(numbers in prop::collection::vec(prop::option::of((any::<i64>(), 0u8..=38, 0u32..64)), 0..20)) {
            let numbers: Vec<_> = numbers
                .into_iter()
                .map(|number| number.map(|(mantissa, scale, bits)| Decimal { mantissa: i128::from(mantissa >> bits), scale }))
                .collect();
            let mut growing = GrowingDecimals::default();
            growing.push(Some(Decimal { mantissa: 5, scale: 7 }));
            growing.clear();
            numbers.iter().for_each(|&number| growing.push(number));
            for (i, &number) in numbers.iter().enumerate() {
                prop_assert_eq!(growing.column().value(i), number);
            }
        }
    }

    #[test]
    fn decimals_of_a_table_have_one_scale() {
        let mut growing = GrowingDecimals::default();
        for (mantissa, scale) in [(125, 2), (3, 0), (-5, 1)] {
            growing.push(Some(Decimal { mantissa, scale }));
        }
        assert!(matches!(growing.column().numbers, Numbers::Narrow { mantissas: [125, 300, -50], scale: 2 }));
    }
}
