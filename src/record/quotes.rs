//! Which bytes of a CSV file are inside quotes, exactly, a block of 64 at a time.
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
//! A quote in a quoted field leads to where it may be doubled, be closed by a delimiter or a newline, or be followed by
//! what doesn't belong there. The next byte does there what it does at a field's start, so that is the same state.
//!
//! The parity of the quotes before a byte tells whether the byte is inside, as long as every quote that should open a
//! field may open one: it follows a separator or a quote that closed. The first quote of a block that may not is an
//! ordinary byte; it is taken out, and the parity worked out again. That takes a turn for each such quote, and none where
//! a file is well formed.

use super::bits::Vector;

pub const QUOTE: u8 = b'"';

/// Where the machine is between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteState {
    /// Where a record begins, too.
    FieldStart,
    Unquoted,
    Quoted,
}

impl QuoteState {
    pub const ALL: [QuoteState; 3] = [QuoteState::FieldStart, QuoteState::Unquoted, QuoteState::Quoted];

    /// The state behind bytes without a quote, the last of which is `last`.
    pub fn behind_unquoted(self, last: u8, delimiter: u8) -> QuoteState {
        match self {
            QuoteState::Quoted => QuoteState::Quoted,
            _ if last == delimiter || last == b'\n' => QuoteState::FieldStart,
            _ => QuoteState::Unquoted,
        }
    }
}

/// A state as masks.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// All ones in [`QuoteState::Quoted`], else zero.
    pub inside: u64,
    /// One where a quote as the next byte would open a field. Of no meaning inside.
    pub opens: u64,
}

/// The quotes of a block.
#[derive(Clone, Copy, Debug)]
pub struct Quotes {
    /// Bytes in quotes, with the quote that opens and without the one that closes.
    pub inside: u64,
    /// The quotes that open or close.
    pub real: u64,
    /// Quotes in unquoted fields.
    pub stray: u64,
}

impl Machine {
    /// Passes a block whose quotes are `quotes`, and whose delimiters and newlines, wherever they are, `separators`.
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

impl From<QuoteState> for Machine {
    fn from(state: QuoteState) -> Self {
        Machine {
            inside: if state == QuoteState::Quoted { u64::MAX } else { 0 },
            opens: u64::from(state == QuoteState::FieldStart),
        }
    }
}

impl From<Machine> for QuoteState {
    fn from(machine: Machine) -> Self {
        match (machine.inside, machine.opens) {
            (0, 0) => QuoteState::Unquoted,
            (0, _) => QuoteState::FieldStart,
            _ => QuoteState::Quoted,
        }
    }
}
