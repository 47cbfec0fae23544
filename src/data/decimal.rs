//! Decimals: exact numbers of up to 38 digits, `mantissa / 10^scale`.

/// Equal numbers may have several forms (1.0 and 1.00); equality here is of the number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decimal {
    /// Less than 10^38 in size.
    pub mantissa: i128,
    /// At most 38.
    pub scale: u8,
}

impl Decimal {
    pub fn normalised(self) -> Decimal { self }
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        Decimal { mantissa: i128::from(number), scale: 0 }
    }
}

use super::buffer::Buffer;
pub fn put_ordered(_out: &mut Buffer, _number: Decimal) { unimplemented!() }
pub fn get_ordered(_bytes: &[u8]) -> Option<(Decimal, &[u8])> { unimplemented!() }
