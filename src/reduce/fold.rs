//! The fold strategy: the rows of some partitions, hash-merged into a table.

use crate::aggregate::Input;
use crate::data::{BATCH, Bytes, Span};
use crate::map::emit::Aggregation;
use crate::shuffle::row::{Row, get_row};
use crate::table::{Arena, HomeBits, KeyBatch, StateColumn, Table};

/// A table that rows are folded into, and the memory to read them by batches.
#[derive(Debug)]
pub struct Fold {
    pub table: Table,
    hash_mask: u64,
    /// The keys of a batch.
    spans: Vec<Span>,
    keys: Box<KeyBatch>,
    slots: Box<[u32; BATCH]>,
    values: Kind,
    states: Kind,
}

/// The rows of one kind in a batch.
#[derive(Debug, Default)]
struct Kind {
    /// Which rows of the batch these are.
    index: Vec<u32>,
    /// Their groups' slots.
    slots: Vec<u32>,
    payloads: Vec<Span>,
    /// Their tails, aggregate by aggregate.
    tails: Vec<Vec<Span>>,
    /// For one aggregate, where each row has its words.
    words_at: Vec<u32>,
}

impl Kind {
    fn clear(&mut self) {
        self.index.clear();
        self.payloads.clear();
        self.tails.iter_mut().for_each(Vec::clear);
    }

    fn resolve(&mut self, slots: &[u32; BATCH]) {
        self.slots.clear();
        self.slots.extend(self.index.iter().map(|&i| slots[i as usize]));
    }
}

impl Fold {
    pub fn new(slots: usize, hash_mask: u64, aggregation: &Aggregation<'_>) -> Self {
        let shapes = &aggregation.shape.aggregates;
        let tails = |n| Kind { tails: vec![Vec::new(); n], ..Kind::default() };
        Fold {
            table: Table::new(slots, HomeBits::Bottom, &aggregation.shape.identity),
            hash_mask,
            spans: Vec::with_capacity(BATCH),
            keys: Box::default(),
            slots: Box::new([0; BATCH]),
            values: tails(shapes.iter().filter(|a| a.input == Input::Bytes).count()),
            states: tails(shapes.iter().filter(|a| a.has_tail).count()),
        }
    }

    /// Folds the rows of a page. Returns how many there were, or `None` where the bytes are no rows of this job.
    pub fn absorb(&mut self, page: &[u8], aggregation: &Aggregation<'_>) -> Option<u32> {
        let (mut at, mut rows) = (0, 0);
        while at < page.len() {
            self.spans.clear();
            self.values.clear();
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

    /// Whether the table can take a page's keys and tails, whatever they are.
    pub fn has_room(&self, page: usize) -> bool {
        self.table.arena().len() + page <= Arena::MAX
    }

    /// Makes the group of the empty key, if no row did.
    pub fn ensure_empty_key(&mut self) {
        self.keys.hash(Bytes { data: &[], spans: &[Span::default()] }, self.hash_mask);
        self.table.reserve(1);
        self.table.probe(&self.keys, &[], &mut self.slots);
    }

    #[inline]
    fn add(&mut self, page: &[u8], row: &Row, Aggregation { shape, .. }: &Aggregation<'_>) -> Option<()> {
        let kind = if row.is_state { &mut self.states } else { &mut self.values };
        kind.index.push(self.spans.len() as u32);
        kind.payloads.push(row.payload);
        self.spans.push(row.key);
        if kind.tails.is_empty() {
            return (row.payload.len() == shape.fixed_len(row.is_state)).then_some(());
        }
        let mut tails = kind.tails.iter_mut();
        shape.tails(page, row, |tail| tails.next().expect("as many as the shape has").push(tail))
    }

    fn fold(&mut self, page: &[u8], Aggregation { aggregates, shape }: &Aggregation<'_>) {
        self.keys.hash(Bytes { data: page, spans: &self.spans }, self.hash_mask);
        self.table.reserve(self.keys.len);
        self.table.probe(&self.keys, page, &mut self.slots);
        let Fold { table, values, states, slots, .. } = self;
        values.resolve(slots);
        states.resolve(slots);
        let (mut value_tails, mut state_tails) = (values.tails.iter(), states.tails.iter());
        for (aggregate, shape) in aggregates.iter().zip(&shape.aggregates) {
            let spans = match shape.input {
                Input::Nothing => &[][..],
                Input::Bytes => value_tails.next().expect("as many as the shape has"),
            };
            let mut target = table.states(shape.slot_word, shape.words);
            aggregate.observe(&mut target, &values.slots, Bytes { data: page, spans });
            states.words_at.clear();
            states.words_at.extend(states.payloads.iter().map(|&payload| shape.words_at(payload)));
            let tails = if shape.has_tail { state_tails.next().expect("as many as the shape has") } else { &[][..] };
            let others = StateColumn { data: page, words_at: &states.words_at, tails };
            aggregate.merge(&mut target, &states.slots, &others);
        }
    }
}
