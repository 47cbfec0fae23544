//! The fold strategy: merges the rows of some partitions into a hash table, page by page.

use crate::aggregate::TailGrowth;
use crate::data::{BATCH, Bytes, Span};
use crate::shuffle::Aggregation;
use crate::shuffle::row::{Row, Values, get_row};
use crate::table::{Arena, HomeBits, KeyBatch, StateColumn, Table};

/// A table that rows are folded into, and buffers for reading the rows in batches.
#[derive(Debug)]
pub struct Fold {
    pub table: Table,
    /// Bytes that the table may take.
    memory: usize,
    hash_mask: u64,
    /// Bytes of rows that were folded since the table was empty.
    folded: usize,
    /// The keys of a batch.
    spans: Vec<Span>,
    keys: Box<KeyBatch>,
    slots: Box<[u32; BATCH]>,
    value_rows: RowsOfKind,
    values: Values,
    state_rows: RowsOfKind,
    states: States,
    /// The growth of each aggregate that has tails.
    tail_growth: Vec<TailGrowth>,
}

/// The rows of one kind in a batch.
#[derive(Debug, Default)]
struct RowsOfKind {
    /// Indices of these rows in the batch.
    index: Vec<u32>,
    /// Slots of the rows' groups.
    slots: Vec<u32>,
}

/// What the state rows of a batch carry.
#[derive(Debug, Default)]
struct States {
    payloads: Vec<Span>,
    /// The rows' tails, by aggregate.
    tails: Vec<Vec<Span>>,
    /// Where each row has the words of one aggregate.
    words_at: Vec<u32>,
}

impl RowsOfKind {
    fn resolve(&mut self, slots: &[u32; BATCH]) {
        self.slots.clear();
        self.slots.extend(self.index.iter().map(|&i| slots[i as usize]));
    }
}

impl States {
    fn clear(&mut self) {
        self.payloads.clear();
        self.tails.iter_mut().for_each(Vec::clear);
    }
}

impl Fold {
    /// Makes a fold whose table takes at most `memory` bytes for as long as its owner asks whether pages
    /// [fit](Self::fits).
    pub fn new(slots: usize, hash_mask: u64, memory: usize, aggregation: &Aggregation<'_>) -> Self {
        let shape = &aggregation.shape;
        let tails = shape.aggregates.iter().filter(|a| a.tail.is_some()).map(|_| Vec::new()).collect();
        Fold {
            table: Table::new(slots, HomeBits::Bottom, &shape.identity),
            memory,
            hash_mask,
            folded: 0,
            spans: Vec::with_capacity(BATCH),
            keys: Box::default(),
            slots: Box::new([0; BATCH]),
            value_rows: RowsOfKind::default(),
            values: Values::new(&shape.observed),
            state_rows: RowsOfKind::default(),
            states: States { tails, ..States::default() },
            tail_growth: aggregation.tail_growth().collect(),
        }
    }

    /// Folds the rows of a page. Returns the number of rows, or `None` if the bytes aren't rows of this job.
    pub fn absorb(&mut self, page: &[u8], aggregation: &Aggregation<'_>) -> Option<u32> {
        let (mut at, mut rows) = (0, 0);
        self.folded = if self.table.is_empty() { page.len() } else { self.folded + page.len() };
        while at < page.len() {
            self.spans.clear();
            self.value_rows.index.clear();
            self.values.clear();
            self.state_rows.index.clear();
            self.states.clear();
            while at < page.len() && self.spans.len() < BATCH {
                let row = get_row(page, &mut at)?;
                self.add(page, &row, aggregation)?;
            }
            rows += self.spans.len() as u32;
            self.fold(page, aggregation);
        }
        Some(rows)
    }

    /// Whether the groups of a page with this number of bytes and rows fit the memory beside those that are held.
    pub fn fits(&self, page: usize, rows: u32) -> bool {
        let growth = self.tail_growth.iter().map(|growth| growth.most(0, page, rows as usize));
        let tails = growth.fold(0, usize::saturating_add);
        self.table.bytes_with(rows as usize, page.saturating_add(tails)) <= self.memory && self.has_room(page, rows)
    }

    /// Whether the table's arena has room for the keys and tails of a page with this number of bytes and rows. The
    /// tails may take more bytes than the page: a value that several aggregates hold is in the page once, and a number
    /// of a few bytes may become a longer tail.
    pub fn has_room(&self, page: usize, rows: u32) -> bool {
        let held = self.table.arena().len();
        // What is in the arena may be copied: each tail by the one aggregate that it belongs to.
        let copies = self.tail_growth.iter().map(|growth| growth.copies).max().unwrap_or(0);
        let there = held.saturating_mul(1 + copies).saturating_add(page);
        let new = self.tail_growth.iter().map(|growth| growth.most(0, page, rows as usize));
        new.fold(there, usize::saturating_add) <= Arena::MAX
    }

    /// Returns the bytes of the rows that were folded since the table was empty.
    pub fn bytes_of_rows(&self) -> usize {
        if self.table.is_empty() { 0 } else { self.folded }
    }

    /// Makes the group of the empty key, if no row made it.
    pub fn ensure_empty_key(&mut self) {
        self.keys.hash(Bytes { data: &[], spans: &[Span::default()] }, self.hash_mask);
        self.table.reserve(1);
        self.table.probe(&self.keys, &[], &mut self.slots);
    }

    #[inline]
    fn add(&mut self, page: &[u8], row: &Row, Aggregation { shape, .. }: &Aggregation<'_>) -> Option<()> {
        let number = self.spans.len() as u32;
        self.spans.push(row.key);
        if !row.is_state {
            self.value_rows.index.push(number);
            return self.values.push(page, row);
        }
        self.state_rows.index.push(number);
        let States { payloads, tails, .. } = &mut self.states;
        payloads.push(row.payload);
        if tails.is_empty() {
            return (row.payload.len() == shape.fixed_len()).then_some(());
        }
        let mut tails = tails.iter_mut();
        shape.tails(page, row, |tail| tails.next().expect("as many as the shape has").push(tail))
    }

    fn fold(&mut self, page: &[u8], Aggregation { aggregates, shape, .. }: &Aggregation<'_>) {
        self.keys.hash(Bytes { data: page, spans: &self.spans }, self.hash_mask);
        self.table.reserve(self.keys.len);
        self.table.probe(&self.keys, page, &mut self.slots);
        let Fold { table, value_rows, values, state_rows, states, slots, .. } = self;
        value_rows.resolve(slots);
        state_rows.resolve(slots);
        let observed = values.columns(page);
        let mut all_tails = states.tails.iter();
        for (aggregate, shape) in aggregates.iter().zip(&shape.aggregates) {
            let mut target = table.states(shape.first, shape.words);
            aggregate.observe(&mut target, &value_rows.slots, &observed);
            states.words_at.clear();
            states.words_at.extend(states.payloads.iter().map(|&payload| shape.words_at(payload)));
            let tails =
                if shape.tail.is_some() { all_tails.next().expect("as many as the shape has") } else { &[][..] };
            let others = StateColumn { data: page, words_at: &states.words_at, tails };
            aggregate.merge(&mut target, &state_rows.slots, &others);
        }
    }
}
