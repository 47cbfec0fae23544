//! Finds which bytes of a CSV file are inside quotes, exactly, a block of 64 bytes at a time.
//!
//! RFC 4180 as a machine of three states; `,` stands for the delimiter:
//!
//! ```text
//!              "           , or ⏎       else
//! FieldStart   Quoted      FieldStart   Unquoted
//! Unquoted     Unquoted    FieldStart   Unquoted      a quote here is an ordinary byte
//! Quoted       FieldStart  Quoted       Quoted
//! ```
//!
//! Behind a quote in a quoted field, there may be a second quote that makes it a doubled quote, a delimiter or newline
//! that ends the field, or a byte that doesn't belong there. Each has the same effect there as at the start of a field,
//! so both places are one state.
//!
//! The parity of the quotes before a byte tells whether the byte is inside quotes, as long as every quote that should
//! open a field may open one: it must follow a separator or a quote that closed. The first quote in a block that may
//! not open a field is an ordinary byte. It is taken out of the mask, and the parity is computed again. This takes one
//! turn for each such quote, and none if the file is well formed.

use super::bits::Vector;

pub const QUOTE: u8 = b'"';

/// The state of the machine between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteState {
    /// The start of a field, and also of a record.
    FieldStart,
    Unquoted,
    Quoted,
}

impl QuoteState {
    pub const ALL: [QuoteState; 3] = [QuoteState::FieldStart, QuoteState::Unquoted, QuoteState::Quoted];

    /// Returns the state behind bytes without a quote. `last` is the last of these bytes.
    pub fn behind_unquoted(self, last: u8, delimiter: u8) -> QuoteState {
        match self {
            QuoteState::Quoted => QuoteState::Quoted,
            _ if last == delimiter || last == b'\n' => QuoteState::FieldStart,
            _ => QuoteState::Unquoted,
        }
    }
}

/// A state of the machine as masks.
#[derive(Clone, Copy, Debug)]
pub struct StateMasks {
    /// All ones in [`QuoteState::Quoted`], else zero.
    pub inside: u64,
    /// One if a quote as the next byte would open a field, else zero. Without meaning inside quotes.
    pub opens: u64,
}

/// What is known of a block's quotes, as masks.
#[derive(Clone, Copy, Debug)]
pub struct Quotes {
    /// Bytes inside quotes, with the quote that opens and without the quote that closes.
    pub inside: u64,
    /// The quotes that open or close.
    pub real: u64,
    /// Quotes in unquoted fields.
    pub stray: u64,
}

impl StateMasks {
    /// Passes a block, and finds what its quotes mean. `quotes` has all its quotes, `separators` all its delimiters and
    /// newlines, inside quotes or not.
    #[inline(always)]
    pub fn pass<V: Vector>(&mut self, vector: V, quotes: u64, separators: u64) -> Quotes {
        let (mut real, mut stray) = (quotes, 0);
        let inside = loop {
            let inside = vector.parity(real) ^ self.inside;
            let open = (separators | real) << 1 | self.opens;
            let wrong = real & inside & !open;
            if wrong == 0 {
                break inside;
            }
            let first = wrong & wrong.wrapping_neg();
            real ^= first;
            stray |= first;
        };
        self.inside = (inside as i64 >> 63) as u64;
        self.opens = (separators | real) >> 63;
        Quotes { inside, real, stray }
    }

    /// Passes a block without quotes.
    #[inline(always)]
    pub fn pass_unquoted(&mut self, separators: u64) -> Quotes {
        self.opens = separators >> 63;
        Quotes { inside: self.inside, real: 0, stray: 0 }
    }
}

impl From<QuoteState> for StateMasks {
    fn from(state: QuoteState) -> Self {
        StateMasks {
            inside: if state == QuoteState::Quoted { u64::MAX } else { 0 },
            opens: u64::from(state == QuoteState::FieldStart),
        }
    }
}

impl From<StateMasks> for QuoteState {
    fn from(machine: StateMasks) -> Self {
        match (machine.inside, machine.opens) {
            (0, 0) => QuoteState::Unquoted,
            (0, _) => QuoteState::FieldStart,
            _ => QuoteState::Quoted,
        }
    }
}
