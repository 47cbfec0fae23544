//! Parsers that turn a column of text into a column of numbers.
//!
//! ```text
//! bytes          one at a time             together
//! "12.5"         125, scale 1              1250      scale 2, the greatest of the batch
//! "3"            3, scale 0         ►      300
//! "-0.25"        -25, scale 2              -25
//! ```
//!
//! If all values of a batch fit 64 bits at the greatest scale of the batch, the column is one slice of mantissas.
//! Otherwise it is a slice of [`Decimal`]s, each with its own scale, because no scale suits both 10^37 and 10^-38.

use super::short::{Short, read_8, read_16};
use super::{ParseError, parse_float, uniform};
use crate::data::decimal::{Decimal, power};
use crate::data::{Bytes, Decimals, Floats, Numbers, Span};

/// Returns the number in the bytes of `span` if the number is short and has the usual form. Returns `None` for null,
/// whose span is empty. Reads bytes behind the span too if `data` has them.
#[inline(always)]
fn read_short(data: &[u8], span: Span) -> Option<Short> {
    let len = span.end.wrapping_sub(span.start);
    if len.wrapping_sub(1) < 8 {
        read_8(first_chunk(data, span), len)
    } else if len.wrapping_sub(1) < 16 {
        read_16(first_chunk(data, span), len)
    } else {
        None
    }
}

#[inline(always)]
fn first_chunk<const N: usize>(data: &[u8], span: Span) -> [u8; N] {
    let start = span.start as usize;
    match data.get(start..start + N) {
        Some(chunk) => chunk.try_into().expect("N bytes"),
        None => padded(&data[start..span.end as usize]),
    }
}

#[cold]
#[inline(never)]
fn padded<const N: usize>(from: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..from.len()].copy_from_slice(from);
    bytes
}

/// Turns columns of text into decimals, a batch at a time. Its memory is reused from batch to batch.
#[derive(Debug, Default)]
pub struct DecimalParser {
    mantissas: Vec<i64>,
    scales: Vec<u8>,
    nulls: Vec<bool>,
    /// Numbers that don't fit 64 bits, with their rows.
    large: Vec<(usize, Decimal)>,
    /// All numbers of the batch, if one of them is large.
    wide: Vec<Decimal>,
    /// Batches to read value by value before [`uniform`] is tried again.
    patience: u32,
}

/// The number of batches that are read value by value after one whose values had several forms, because the next ones
/// mostly have several forms too.
const PATIENCE: u32 = 16;

impl DecimalParser {
    /// Returns the numbers of `column`, null where `column` is null. With `whole_only`, points and exponents are
    /// errors. `bad` is called with the row of each value that isn't a number of that kind, in ascending order of rows.
    /// The number of such a row is 0.
    pub fn parse(&mut self, column: Bytes<'_>, whole_only: bool, bad: impl FnMut(usize, ParseError)) -> Decimals<'_> {
        match whole_only {
            true => self.parse_as::<true>(column, bad),
            false => self.parse_as::<false>(column, bad),
        }
    }

    fn parse_as<const WHOLE_ONLY: bool>(
        &mut self,
        column: Bytes<'_>,
        mut bad: impl FnMut(usize, ParseError),
    ) -> Decimals<'_> {
        let rows = column.spans.len();
        self.mantissas.resize(rows, 0);
        if self.patience == 0 {
            match uniform::read(column, &mut self.mantissas) {
                Some(scale) if scale == 0 || !WHOLE_ONLY => {
                    let numbers = Numbers::Narrow { mantissas: &self.mantissas, scale };
                    return Decimals { numbers, nulls: None };
                }
                _ => self.patience = PATIENCE,
            }
        }
        self.patience -= 1;
        self.scales.resize(rows, 0);
        self.nulls.clear();
        self.large.clear();
        let values = self.mantissas.iter_mut().zip(&mut self.scales);
        for (row, (&span, (mantissa, scale))) in column.spans.iter().zip(values).enumerate() {
            (*mantissa, *scale) = match read_short(column.data, span) {
                Some(short) if !(WHOLE_ONLY && short.has_point) => (short.mantissa, short.scale),
                _ => match read_decimal(column, row, WHOLE_ONLY, &mut bad) {
                    Some(number) => {
                        let narrow = i64::try_from(number.mantissa).unwrap_or(0);
                        if i128::from(narrow) != number.mantissa {
                            self.large.push((row, number));
                        }
                        (narrow, number.scale)
                    }
                    None => {
                        mark_null(&mut self.nulls, rows, row);
                        (0, 0)
                    }
                },
            };
        }
        let (least, most) =
            self.scales.iter().fold((u8::MAX, 0), |(least, most), &scale| (least.min(scale), most.max(scale)));
        let fits = self.large.is_empty() && (least >= most || rescale(&mut self.mantissas, &self.scales, most));
        let numbers = match fits {
            true => Numbers::Narrow { mantissas: &self.mantissas, scale: most },
            false => {
                self.widen();
                Numbers::Wide(&self.wide)
            }
        };
        Decimals { numbers, nulls: (!self.nulls.is_empty()).then_some(&self.nulls) }
    }

    #[cold]
    fn widen(&mut self) {
        let narrow = self.mantissas.iter().zip(&self.scales);
        self.wide.clear();
        self.wide.extend(narrow.map(|(&mantissa, &scale)| Decimal { mantissa: mantissa.into(), scale }));
        self.large.iter().for_each(|&(row, number)| self.wide[row] = number);
    }
}

/// Reads a value of any form. Returns `None` for null. The function isn't inlined, so that the loop that calls it keeps
/// its variables in registers.
#[inline(never)]
fn read_decimal(
    column: Bytes<'_>,
    row: usize,
    whole_only: bool,
    bad: &mut dyn FnMut(usize, ParseError),
) -> Option<Decimal> {
    let text = column.value(row)?;
    let number = if whole_only { Decimal::parse_whole(text) } else { Decimal::parse(text) };
    Some(number.unwrap_or_else(|error| {
        bad(row, error);
        Decimal::ZERO
    }))
}

/// Reads a value of any form. Returns `None` for null.
#[inline(never)]
fn read_float(column: Bytes<'_>, row: usize, bad: &mut dyn FnMut(usize, ParseError)) -> Option<f64> {
    Some(parse_float(column.value(row)?).unwrap_or_else(|error| {
        bad(row, error);
        0.0
    }))
}

#[inline(never)]
fn mark_null(nulls: &mut Vec<bool>, rows: usize, row: usize) {
    nulls.resize(rows, false);
    nulls[row] = true;
}

/// Brings all mantissas to `scale`, the greatest of `scales`. If one doesn't fit, changes none and returns false.
fn rescale(mantissas: &mut [i64], scales: &[u8], scale: u8) -> bool {
    const MOST: usize = 18;
    const POWERS: [i64; MOST + 1] = {
        let mut powers = [1; MOST + 1];
        let mut i = 0;
        while i <= MOST {
            powers[i] = power(i as u32) as i64;
            i += 1;
        }
        powers
    };
    let by = |from: u8| POWERS.get(usize::from(scale - from)).copied();
    let fits = |(&mantissa, &from): (&i64, &u8)| {
        mantissa == 0 || by(from).is_some_and(|by| mantissa.checked_mul(by).is_some())
    };
    if !mantissas.iter().zip(scales).all(fits) {
        return false;
    }
    for (mantissa, &from) in mantissas.iter_mut().zip(scales) {
        *mantissa *= by(from).unwrap_or(0);
    }
    true
}

/// Turns columns of text into floats, a batch at a time. Its memory is reused from batch to batch.
#[derive(Debug, Default)]
pub struct FloatParser {
    values: Vec<f64>,
    nulls: Vec<bool>,
}

impl FloatParser {
    /// Returns the nearest doubles to the numbers of `column` as [`parse_float`] reads them, null where `column` is
    /// null. `bad` is called with the row of each value that isn't a number, in ascending order of rows. The number of
    /// such a row is 0.
    pub fn parse(&mut self, column: Bytes<'_>, mut bad: impl FnMut(usize, ParseError)) -> Floats<'_> {
        /// Powers of ten that doubles hold exactly, as they do up to 10^22.
        const POWERS: [f64; 17] =
            [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16];
        let rows = column.spans.len();
        self.values.resize(rows, 0.0);
        self.nulls.clear();
        for (row, (&span, value)) in column.spans.iter().zip(&mut self.values).enumerate() {
            // A mantissa and a power that doubles hold exactly give a quotient that is rounded only once (Clinger,
            // 1990).
            *value = match read_short(column.data, span) {
                Some(short) if short.mantissa.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS => {
                    short.mantissa as f64 / POWERS[usize::from(short.scale)]
                }
                _ => read_float(column, row, &mut bad).unwrap_or_else(|| {
                    mark_null(&mut self.nulls, rows, row);
                    0.0
                }),
            };
        }
        Floats { values: &self.values, nulls: (!self.nulls.is_empty()).then_some(&self.nulls) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decimal::tests::decimal;
    use proptest::prelude::*;

    type Cells = Vec<Option<Vec<u8>>>;

    fn cells() -> impl Strategy<Value = Cells> {
        let cell = prop_oneof![
            20 => "-?[0-9]{1,4}",
            20 => "-?[0-9]{0,9}\\.[0-9]{0,6}",
            2 => "[ +-][0-9]{1,17}",
            2 => "[0-9]{1,25}(e[-+]?[0-9]{1,2})?",
            1 => decimal().prop_map(|number| number.to_string()),
            1 => ".{0,3}",
        ];
        prop_oneof![
            prop::collection::vec(
                prop::option::weighted(0.9, "-?[0-9]{1,3}\\.[0-9]".prop_map(String::into_bytes)),
                0..20
            ),
            prop::collection::vec(prop::option::weighted(0.9, cell.prop_map(String::into_bytes)), 0..20),
        ]
    }

    /// Lays the cells side by side. The last one ends where the data ends.
    fn laid_out(cells: &Cells) -> (Vec<u8>, Vec<Span>) {
        let mut data = Vec::new();
        let spans = cells.iter().map(|cell| {
            let Some(cell) = cell else { return Span::NULL };
            data.push(b'7');
            let start = data.len();
            data.extend_from_slice(cell);
            Span::of(start..data.len())
        });
        let spans = spans.collect();
        (data, spans)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn decimals_as_one_by_one(batches in prop::collection::vec(cells(), 1..4), whole_only in any::<bool>()) {
            let mut parser = DecimalParser::default();
            for cells in batches {
                let (data, spans) = laid_out(&cells);
                let mut errors = Vec::new();
                let numbers = parser.parse(Bytes { data: &data, spans: &spans }, whole_only, |row, error| errors.push((row, error)));
                let parse = if whole_only { Decimal::parse_whole } else { Decimal::parse };
                let expected: Vec<_> = cells.iter().map(|cell| cell.as_deref().map(parse)).collect();
                for (row, expected) in expected.iter().enumerate() {
                    prop_assert_eq!(numbers.value(row), expected.map(|number| number.unwrap_or(Decimal::ZERO)));
                }
                let expected = expected.iter().enumerate().filter_map(|(row, cell)| Some((row, cell.as_ref()?.err()?)));
                prop_assert_eq!(errors, expected.collect::<Vec<_>>());
            }
        }

        #[test]
        fn floats_as_one_by_one(batches in prop::collection::vec(cells(), 1..4)) {
            let mut parser = FloatParser::default();
            for cells in batches {
                let (data, spans) = laid_out(&cells);
                let mut errors = Vec::new();
                let floats = parser.parse(Bytes { data: &data, spans: &spans }, |row, error| errors.push((row, error)));
                for (row, cell) in cells.iter().enumerate() {
                    let expected = cell.as_deref().map(|cell| parse_float(cell).unwrap_or(0.0).to_bits());
                    prop_assert_eq!(floats.value(row).map(f64::to_bits), expected);
                }
                let bad = |cell: &Option<Vec<u8>>| parse_float(cell.as_deref()?).err();
                let expected = cells.iter().enumerate().filter_map(|(row, cell)| Some((row, bad(cell)?)));
                prop_assert_eq!(errors, expected.collect::<Vec<_>>());
            }
        }
    }

    fn parse<'a>(parser: &'a mut DecimalParser, cells: &[&str]) -> Decimals<'a> {
        let cells = cells.iter().map(|cell| Some(cell.as_bytes().to_vec())).collect();
        let (data, spans) = laid_out(&cells);
        parser.parse(Bytes { data: &data, spans: &spans }, false, |row, error| panic!("{row}: {error}"))
    }

    #[test]
    fn what_fits_64_bits_has_one_scale() {
        let mut parser = DecimalParser::default();
        let Numbers::Narrow { mantissas, scale } =
            parse(&mut parser, &["12.5", "3", "-0.25", "922337203685477"]).numbers
        else {
            panic!("narrow numbers");
        };
        assert_eq!((mantissas, scale), (&[1250, 300, -25, 92233720368547700][..], 2));
        let wide = parse(&mut parser, &["0.001", "9223372036854775807"]);
        assert!(matches!(wide.numbers, Numbers::Wide(_)));
        assert_eq!(wide.value(1), Some(Decimal::from(i64::MAX)));
    }
}
