//! Rows, which carry keys with values or states from map to reduce. This module defines their encoding, writes and
//! reads them.
//!
//! ```text
//! [ row length ][ 2 · key length + kind ][ key ][ values ]                 a value row
//! [ row length ][ 2 · key length + kind ][ key ][ fixed part ][ tails ]    a state row
//!   varint        varint                        8-byte words   each: varint length, bytes
//! ```
//!
//! The row length counts what follows it. A **value row** (kind 0) carries one record: the values of the observed
//! columns (see [`values`]), and no fixed part. A **state row** (kind 1) carries combined states: the words of every
//! aggregate as its fixed part, then a tail for each aggregate that may have one. A row has no pointers, so it means
//! the same wherever it is copied.
//!
//! The row doesn't contain the key's hash: a reduce task computes the hash again. For the short keys of real text that
//! takes less time than to write, check and read eight bytes more, a quarter of the row.

use std::ops::Range;

pub use super::values::Values;
use super::values::{self, is_fixed, put_value, value_len};
use crate::aggregate::Aggregate;
use crate::data::buffer::{Buffer, SHORT, SLACK, copy_short};
use crate::data::{Bytes, Column, Kind, Span};
use crate::table::hash::{INLINE, inline_bytes};
use crate::table::{Arena, Group, SlotKey, Tail, TailPlace};

/// What a row carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowKind {
    Value = 0,
    State = 1,
}

/// What a job's rows and slots hold, computed once from the plan's aggregates.
#[derive(Clone, Debug)]
pub struct RowShape {
    pub aggregates: Vec<AggregateShape>,
    /// The state words of a slot whose group is new.
    pub identity: Box<[u64]>,
    /// Kinds of the observed columns.
    pub observed: Box<[Kind]>,
    /// The state words that one record alone leaves, if they are the same for every record.
    unit: Option<Box<[u64]>>,
    state_tails: usize,
    /// Whether the row of a state whose tails are empty is short if its key is.
    is_short: bool,
}

/// How many words an aggregate's state has, and where they and its tail are.
#[derive(Clone, Copy, Debug)]
pub struct AggregateShape {
    pub words: usize,
    /// Index of the aggregate's first word in a slot's states, and in a state row's fixed part.
    pub first: usize,
    pub tail: Option<TailPlace>,
}

impl RowShape {
    /// Returns the shape for aggregates that observe columns of these kinds.
    pub fn new<'a>(aggregates: impl Iterator<Item = &'a dyn Aggregate>, observed: &[Kind]) -> Self {
        let (mut identity, mut unit) = (Vec::new(), Some(Vec::new()));
        let aggregates: Vec<_> = aggregates
            .map(|aggregate| {
                let shape = AggregateShape { words: aggregate.words(), first: identity.len(), tail: aggregate.tail() };
                identity.resize(shape.first + shape.words, 0);
                aggregate.identity(&mut identity[shape.first..]);
                match (aggregate.unit(), shape.tail) {
                    (Some(words), None) => unit.iter_mut().for_each(|unit| unit.extend(words)),
                    _ => unit = None,
                }
                shape
            })
            .collect();
        let state_tails = aggregates.iter().filter(|a| a.tail.is_some()).count();
        let unit = unit.filter(|_| observed.is_empty()).map(Vec::into_boxed_slice);
        let is_short = identity.len() <= SHORT_WORDS && state_tails <= SHORT_TAILS;
        RowShape { aggregates, identity: identity.into(), observed: observed.into(), unit, state_tails, is_short }
    }

    /// Returns the bytes of the fixed part of a state row.
    pub fn fixed_len(&self) -> usize {
        8 * self.identity.len()
    }

    /// Returns the tails of a group, one for each aggregate that may have one, each with the index of the word that
    /// says where it lies.
    fn places<'a>(&'a self, states: &'a [u64]) -> impl Iterator<Item = (usize, Tail)> + Clone {
        let place = |a: &AggregateShape| {
            let place = a.tail?;
            Some((a.first + place.word, place.of(&states[a.first..])))
        };
        self.aggregates.iter().filter_map(place)
    }

    /// Returns the encoded lengths of the value rows of `keys`, added up. `values` are the observed columns.
    pub fn value_rows_len(&self, keys: Bytes<'_>, values: &[Column<'_>]) -> u64 {
        debug_assert_eq!(values.len(), self.observed.len());
        if values.iter().all(is_fixed) {
            // While no varint is longer than a byte, the sum doesn't need each row's length.
            let lens = keys.spans.iter().map(|key| key.end - key.start);
            // The sum can overflow only if a key is long, and then it isn't used.
            let (or, sum) = lens.fold((0, 0u32), |(or, sum), len| (or | len, sum.wrapping_add(len)));
            let fixed = values.len() * values::NUMBER;
            if or < 0x40 && 1 + 0x40 + fixed < 0x80 {
                return u64::from(sum) + (value_row_len(0, fixed) * keys.spans.len()) as u64;
            }
            return keys.spans.iter().map(|key| value_row_len(key.len(), fixed) as u64).sum();
        }
        let len = |i: usize| values.iter().map(|column| value_len(column, i)).sum();
        keys.spans.iter().enumerate().map(|(i, key)| value_row_len(key.len(), len(i)) as u64).sum()
    }

    /// Appends the value row of record `i`.
    #[inline]
    pub fn put_value(&self, out: &mut Buffer, key: &[u8], values: &[Column<'_>], i: usize) {
        if values.is_empty() && key.len() <= SHORT_KEY {
            put_medium(out, RowKind::Value, key, &[], 0);
            return;
        }
        put_head(out, RowKind::Value, key, values.iter().map(|column| value_len(column, i)).sum());
        values.iter().for_each(|column| put_value(out, column, i));
    }

    /// Appends the row of a group: a state row, or a value row if that says the same. Returns the row's length.
    #[inline]
    pub fn put_group(&self, out: &mut Buffer, group: &Group<'_>, arena: &Arena) -> usize {
        // Compared word by word: there are few, and `==` would call `memcmp`.
        let is_unit = self.unit.as_deref().is_some_and(|unit| unit.iter().zip(group.states).all(|(a, b)| a == b));
        let tails = self.places(group.states);
        let has_no_tails = || self.state_tails == 0 || tails.clone().all(|(_, tail)| tail == Tail::default());
        if self.is_short && has_no_tails() {
            let states = if is_unit { &[][..] } else { group.states };
            let kind = if is_unit { RowKind::Value } else { RowKind::State };
            match group.key {
                SlotKey::Inline(words, len) => return put_short(out, kind, words, len, states, self.state_tails),
                SlotKey::Long(key) if key.len() <= SHORT_KEY => {
                    return put_medium(out, kind, key, states, self.state_tails);
                }
                SlotKey::Long(_) => {}
            }
        }
        let before = out.len();
        let mut inline = [0; INLINE];
        let key = group.key.bytes(&mut inline);
        if is_unit {
            put_head(out, RowKind::Value, key, 0);
            return out.len() - before;
        }
        let tails_len: usize = tails.clone().map(|(_, tail)| tail_len(arena.get(tail).len())).sum();
        put_head(out, RowKind::State, key, self.fixed_len() + tails_len);
        let words = out.len();
        group.states.iter().for_each(|word| out.extend(&word.to_le_bytes()));
        for (word, tail) in tails {
            if tail != Tail::default() {
                // The word says where the tail lies in this table's arena, which means nothing outside the table.
                out.as_mut_slice()[words + 8 * word..][..8].fill(0);
            }
            put_tail(out, arena.get(tail));
        }
        out.len() - before
    }
}

/// Most state words that still make a short row.
const SHORT_WORDS: usize = 8;

/// Most tails, all of them empty, that still make a short row.
const SHORT_TAILS: usize = 8;

/// Longest key in the arena that still makes a short row: [`copy_short`] takes it, and the row's length fits one byte.
const SHORT_KEY: usize = 48;

const LONGEST_SHORT: usize = 1 + SHORT_KEY + 8 * SHORT_WORDS + SHORT_TAILS;
const _: () = assert!(SHORT_KEY <= SHORT && LONGEST_SHORT < SLACK);
const _: () = assert!(LONGEST_SHORT < 0x80 && SHORT_KEY << 1 < 0x80);

/// Appends the value row of an inline key, for shapes that observe no values.
#[inline]
pub fn put_inline_value(out: &mut Buffer, words: [u64; 2], len: usize) {
    put_short(out, RowKind::Value, words, len, &[], 0);
}

/// Appends a row of an inline key, up to [`SHORT_WORDS`] words and up to [`SHORT_TAILS`] empty tails, in a few stores
/// of fixed size.
#[inline]
fn put_short(out: &mut Buffer, kind: RowKind, words: [u64; 2], len: usize, states: &[u64], tails: usize) -> usize {
    let row = out.slack();
    row[2..2 + INLINE].copy_from_slice(&inline_bytes(words));
    let len = put_around(row, kind, len, states, tails);
    out.advance(len);
    len
}

/// Appends a short row as [`put_short`] does, with a key of up to [`SHORT_KEY`] bytes that isn't inline.
#[inline]
fn put_medium(out: &mut Buffer, kind: RowKind, key: &[u8], states: &[u64], tails: usize) -> usize {
    let row = out.slack();
    copy_short(&mut row[2..], key);
    let len = put_around(row, kind, key.len(), states, tails);
    out.advance(len);
    len
}

/// Writes what is before and behind the key of a short row. Returns the row's length.
#[inline]
fn put_around(row: &mut [u8; SLACK], kind: RowKind, key: usize, states: &[u64], tails: usize) -> usize {
    let row_len = 1 + key + 8 * states.len() + tails;
    row[0] = row_len as u8;
    row[1] = key_and_kind(key, kind) as u8;
    let mut at = 2 + key;
    for word in states {
        row[at..at + 8].copy_from_slice(&word.to_le_bytes());
        at += 8;
    }
    // One store writes as many empty tails as there may be: most rows have none.
    row[at..at + SHORT_TAILS].copy_from_slice(&[0; SHORT_TAILS]);
    1 + row_len
}

#[inline]
fn key_and_kind(key: usize, kind: RowKind) -> usize {
    key << 1 | kind as usize
}

fn put_head(out: &mut Buffer, kind: RowKind, key: &[u8], rest: usize) {
    let tagged = key_and_kind(key.len(), kind);
    put_varint(out, varint_len(tagged) + key.len() + rest);
    put_varint(out, tagged);
    out.extend(key);
}

fn put_tail(out: &mut Buffer, tail: &[u8]) {
    put_varint(out, tail.len());
    out.extend(tail);
}

fn tail_len(len: usize) -> usize {
    varint_len(len) + len
}

/// Returns the encoded length of a value row, including the row length.
#[inline]
pub fn value_row_len(key: usize, tails: usize) -> usize {
    let row = varint_len(key_and_kind(key, RowKind::Value)) + key + tails;
    varint_len(row) + row
}

#[inline]
pub fn varint_len(value: usize) -> usize {
    // 7 bits fit a byte; 0 takes one byte.
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends a varint, in LEB128.
pub fn put_varint(out: &mut Buffer, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads the varint at `*at` and moves `*at` behind it. `None` if the bytes end first or the varint is too long.
#[inline]
pub fn get_varint(data: &[u8], at: &mut usize) -> Option<usize> {
    let byte = *data.get(*at)?;
    *at += 1;
    if byte < 0x80 {
        return Some(usize::from(byte));
    }
    let mut value = usize::from(byte & 0x7f);
    for shift in (7..).step_by(7).take(4) {
        let byte = *data.get(*at)?;
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A row as it lies in a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    pub is_state: bool,
    pub key: Span,
    /// Values, or fixed part and tails.
    pub payload: Span,
}

/// Reads the row at `*at` and moves `*at` behind it. `None` if the bytes aren't a row.
#[inline]
pub fn get_row(data: &[u8], at: &mut usize) -> Option<Row> {
    let row_len = get_varint(data, at)?;
    let end = at.checked_add(row_len).filter(|&end| end <= data.len())?;
    let mut key_at = *at;
    let tagged = get_varint(&data[..end], &mut key_at)?;
    let key_end = key_at.checked_add(tagged >> 1).filter(|&key_end| key_end <= end)?;
    *at = end;
    Some(Row {
        is_state: tagged & 1 == RowKind::State as usize,
        key: Span { start: key_at as u32, end: key_end as u32 },
        payload: Span { start: key_end as u32, end: end as u32 },
    })
}

/// Finds the key of the row at `*at` and moves `*at` behind it. `None` if the bytes aren't a row.
pub fn find_key(data: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let key = get_row(data, at)?.key;
    Some(key.start as usize..key.end as usize)
}

impl AggregateShape {
    /// Returns where a state row with this payload has the aggregate's words.
    pub fn words_at(&self, payload: Span) -> u32 {
        payload.start + 8 * self.first as u32
    }
}

impl RowShape {
    /// Splits the tails of a state row into spans, one for each aggregate that may have one. `None` if the payload
    /// isn't of this shape.
    pub fn tails(&self, data: &[u8], row: &Row, mut each: impl FnMut(Span)) -> Option<()> {
        let end = row.payload.end as usize;
        let mut at = row.payload.start as usize + self.fixed_len();
        for _ in 0..self.state_tails {
            let len = get_varint(&data[..end], &mut at)?;
            let stop = at.checked_add(len).filter(|&stop| stop <= end)?;
            each(Span { start: at as u32, end: stop as u32 });
            at = stop;
        }
        (at == end).then_some(())
    }
}
