//! Makes batches: the spans of the wanted fields, from the places where fields end.

use super::index::Index;
use super::{Dialect, Layout, Malformed, Quoting, Reject, is_end};
use crate::data::buffer::equal;
use crate::data::{BATCH, Batch, Bytes, Column, Columns, Sink, Span};
use crate::error::Result;
use crate::record::quotes::QUOTE;

/// A batch that is being made.
#[derive(Debug)]
pub struct Cells {
    quoting: Quoting,
    nulls: Vec<Box<[u8]>>,
    columns: Vec<OneColumn>,
    /// The records as they are written.
    records: Vec<Span>,
}

/// One column of the batch.
#[derive(Debug, Default)]
struct OneColumn {
    spans: Vec<Span>,
    /// The bytes that the spans point into, if they don't point into the window.
    rewritten: Vec<u8>,
    is_rewritten: bool,
}

impl Cells {
    pub fn new(dialect: &Dialect) -> Self {
        Cells { quoting: dialect.quoting, nulls: dialect.nulls.clone(), columns: Vec::new(), records: Vec::new() }
    }

    /// Hands on the first `rows` records of the index. They must have the right number of fields and end in newlines.
    pub fn take(
        &mut self,
        index: &Index,
        rows: usize,
        window: &[u8],
        layout: &Layout,
        out: &mut dyn Sink,
    ) -> Result<()> {
        self.empty(layout);
        let places = &index.places()[..=rows * layout.fields];
        let start = places[0].wrapping_add(1) as usize;
        let (quotes, returns) = (index.quotes_to() > start, index.returns_to() > start);
        let fields = EvenFields { window, places, step: layout.fields };
        for (column, &field) in self.columns.iter_mut().zip(&layout.wanted) {
            let (spans, returns) = (&mut column.spans, returns && field + 1 == layout.fields);
            match (self.quoting, quotes || returns) {
                (Quoting::Quoted, false) => fields.put::<false, false, true>(field, spans),
                (Quoting::Quoted, true) if returns => fields.put::<true, true, true>(field, spans),
                (Quoting::Quoted, true) => fields.put::<true, false, true>(field, spans),
                (Quoting::Escaped, _) if returns => fields.put::<false, true, false>(field, spans),
                (Quoting::Escaped, _) => fields.put::<false, false, false>(field, spans),
            }
        }
        match (layout.verbatim, returns) {
            (true, false) => fields.put_records::<false>(&mut self.records),
            (true, true) => fields.put_records::<true>(&mut self.records),
            (false, _) => {}
        }
        self.hand_on(rows, index.marks(), window, layout, out)
    }

    /// Hands on the records of the index one by one: malformed ones to `bad`, the others in batches to `out`. Returns
    /// the number of records.
    pub fn take_singly(
        &mut self,
        index: &Index,
        window: &[u8],
        layout: &Layout,
        bad: &mut Reject<'_>,
        out: &mut dyn Sink,
    ) -> Result<u64> {
        let (places, mut faults) = (index.places(), index.faults());
        let (mut records, mut rows, mut first) = (0, 0, 0);
        self.empty(layout);
        while let Some(has) = places[first + 1..].iter().position(|&place| is_end(window, place)).map(|at| at + 1) {
            let places = &places[first..=first + has];
            first += has;
            let record = record(window, places[0].wrapping_add(1), places[has]);
            let of_record = faults.partition_point(|&(at, _)| at <= places[has]);
            let fault = faults[..of_record].first().map(|&(_, fault)| fault);
            faults = &faults[of_record..];
            if record.is_empty() && layout.fields > 1 {
                continue;
            }
            records += 1;
            let too_few = (has != layout.fields).then_some(Malformed::Fields { has, wants: layout.fields });
            if let Some(fault) = fault.or(too_few) {
                self.hand_on(rows, index.marks(), window, layout, out)?;
                self.empty(layout);
                rows = 0;
                bad(record, fault)?;
                continue;
            }
            for (column, &field) in self.columns.iter_mut().zip(&layout.wanted) {
                let (start, end) = (places[field].wrapping_add(1), places[field + 1].min(record.end));
                column.spans.push(match self.quoting {
                    Quoting::Quoted => span::<true, true>(window, start, end),
                    Quoting::Escaped => span::<false, false>(window, start, end),
                });
            }
            if layout.verbatim {
                self.records.push(record);
            }
            rows += 1;
            if rows == BATCH {
                self.hand_on(rows, index.marks(), window, layout, out)?;
                self.empty(layout);
                rows = 0;
            }
        }
        self.hand_on(rows, index.marks(), window, layout, out)?;
        Ok(records)
    }

    fn empty(&mut self, layout: &Layout) {
        self.columns.resize_with(layout.wanted.len(), OneColumn::default);
        self.columns.iter_mut().for_each(|column| column.spans.clear());
        self.records.clear();
    }

    fn hand_on(
        &mut self,
        rows: usize,
        marks: &[u32],
        window: &[u8],
        layout: &Layout,
        out: &mut dyn Sink,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        for column in &mut self.columns {
            if !self.nulls.is_empty() {
                column.find_nulls(&self.nulls, window, self.quoting);
            }
            column.rewrite(marks, window, self.quoting);
        }
        let bytes = |column| Column::Bytes(column);
        let fields = self.columns.iter().map(|column| {
            let data = if column.is_rewritten { &column.rewritten } else { window };
            bytes(Bytes { data, spans: &column.spans })
        });
        let verbatim = layout.verbatim.then_some(bytes(Bytes { data: window, spans: &self.records }));
        let columns: Columns<'_> = fields.chain(verbatim).collect();
        out.take(&Batch { rows, columns: &columns })
    }
}

impl OneColumn {
    /// Makes null the fields that are written as one of `nulls`.
    fn find_nulls(&mut self, nulls: &[Box<[u8]>], window: &[u8], quoting: Quoting) {
        for span in self.spans.iter_mut().filter(|span| !span.is_null()) {
            let (start, end) = (span.start as usize, span.end as usize);
            // A quote stands before a quoted field only. Before any other there is a delimiter, a newline or nothing.
            let is_quoted = quoting == Quoting::Quoted && start > 0 && window[start - 1] == QUOTE;
            if !is_quoted && nulls.iter().any(|null| equal(null, &window[start..end])) {
                *span = Span::NULL;
            }
        }
    }

    /// Rewrites the fields that have marks in them. If there are any, all fields are copied, because a column can point
    /// into one place only.
    fn rewrite(&mut self, marks: &[u32], window: &[u8], quoting: Quoting) {
        self.is_rewritten = false;
        let Some(first) = self.spans.iter().find(|span| !span.is_null()) else { return };
        let mut marks = &marks[marks.partition_point(|&mark| mark < first.start)..];
        if marks.is_empty() {
            return;
        }
        let mut is_marked = |span: Span| {
            marks = &marks[marks.iter().position(|&mark| mark >= span.start).unwrap_or(marks.len())..];
            marks.first().is_some_and(|&mark| mark < span.end)
        };
        let mut unescaped = [false; BATCH];
        for (span, unescaped) in self.spans.iter_mut().zip(&mut unescaped) {
            if span.is_null() || !is_marked(*span) {
                continue;
            }
            match quoting == Quoting::Escaped && &window[span.start as usize..span.end as usize] == br"\N" {
                true => *span = Span::NULL,
                false => (*unescaped, self.is_rewritten) = (true, true),
            }
        }
        if !self.is_rewritten {
            return;
        }
        self.rewritten.clear();
        for (span, &unescaped) in self.spans.iter_mut().zip(&unescaped).filter(|(span, _)| !span.is_null()) {
            let (field, start) = (&window[span.start as usize..span.end as usize], self.rewritten.len());
            match (unescaped, quoting) {
                (false, _) => self.rewritten.extend_from_slice(field),
                (true, Quoting::Quoted) => put_undoubled(field, &mut self.rewritten),
                (true, Quoting::Escaped) => put_unescaped(field, &mut self.rewritten),
            }
            *span = Span::of(start..self.rewritten.len());
        }
    }
}

/// The fields of records that all have `step` fields.
struct EvenFields<'a> {
    window: &'a [u8],
    places: &'a [u32],
    step: usize,
}

impl EvenFields<'_> {
    /// Appends the span of field `field` of each record. The constants are known for the whole batch, so each case has
    /// its own loop.
    #[inline(always)]
    fn put<const QUOTED: bool, const RETURNS: bool, const EMPTY_IS_NULL: bool>(
        &self,
        field: usize,
        spans: &mut Vec<Span>,
    ) {
        let EvenFields { window, places, step } = *self;
        let cell = |before: u32, end: u32| {
            let start = before.wrapping_add(1);
            let end = if RETURNS { without_return(window, start, end) } else { end };
            span::<QUOTED, EMPTY_IS_NULL>(window, start, end)
        };
        match step {
            1 => spans.extend(places.windows(2).map(|ends| cell(ends[0], ends[1]))),
            2 => spans.extend(places[field..].as_chunks::<2>().0.iter().map(|ends| cell(ends[0], ends[1]))),
            _ => {
                let rows = (places.len() - 1) / step;
                spans.extend(places[field..].chunks(step).take(rows).map(|ends| cell(ends[0], ends[1])));
            }
        }
    }

    /// Appends the span of each record, without its end.
    #[inline(always)]
    fn put_records<const RETURNS: bool>(&self, spans: &mut Vec<Span>) {
        let EvenFields { window, places, step } = *self;
        let record = |before: u32, end: u32| {
            let start = before.wrapping_add(1);
            Span { start, end: if RETURNS { without_return(window, start, end) } else { end } }
        };
        if step == 2 {
            let (befores, ends) = (places.as_chunks::<2>().0, places[1..].as_chunks::<2>().0);
            spans.extend(befores.iter().zip(ends).map(|(before, end)| record(before[0], end[1])));
        } else {
            let (befores, ends) = (places.chunks(step), places[step..].chunks(step));
            spans.extend(befores.zip(ends).map(|(before, end)| record(before[0], end[0])));
        }
    }
}

/// Returns the span of a well-formed field without a carriage return behind it. The span of a quoted field is the bytes
/// between its quotes.
#[inline(always)]
fn span<const QUOTED: bool, const EMPTY_IS_NULL: bool>(window: &[u8], start: u32, end: u32) -> Span {
    let quote = u32::from(QUOTED && window.get(start as usize) == Some(&QUOTE));
    if EMPTY_IS_NULL && start == end { Span::NULL } else { Span { start: start + quote, end: end - quote } }
}

/// Returns where a record, or its last field, ends. The newline is at `end`.
#[inline(always)]
fn without_return(window: &[u8], start: u32, end: u32) -> u32 {
    end - u32::from(end > start && window[end as usize - 1] == b'\r')
}

/// Returns the span of the record from `start` to the newline at `end` or to the window's end, without a carriage
/// return before the newline.
fn record(window: &[u8], start: u32, end: u32) -> Span {
    let is_terminated = (end as usize) < window.len();
    Span { start, end: if is_terminated { without_return(window, start, end) } else { end } }
}

/// Appends a name of a header, given as it is written there.
pub fn put_name(name: &[u8], quoting: Quoting, out: &mut Vec<u8>) {
    match (quoting, name) {
        (Quoting::Quoted, [QUOTE, quoted @ .., QUOTE]) => put_undoubled(quoted, out),
        (Quoting::Quoted, name) => out.extend_from_slice(name),
        (Quoting::Escaped, name) => put_unescaped(name, out),
    }
}

/// Appends the bytes between the quotes of a field, and makes each doubled quote one quote.
fn put_undoubled(mut field: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(QUOTE, field) {
        out.extend_from_slice(&field[..=at]);
        field = &field[at + 2..];
    }
    out.extend_from_slice(field);
}

/// Appends a TSV field, and undoes its escapes.
fn put_unescaped(mut field: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', field) {
        out.extend_from_slice(&field[..at]);
        let (byte, taken) = match field.get(at + 1) {
            Some(b't') => (b'\t', 2),
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'\\') => (b'\\', 2),
            _ => (b'\\', 1),
        };
        out.push(byte);
        field = &field[at + taken..];
    }
    out.extend_from_slice(field);
}
