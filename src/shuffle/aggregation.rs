//! A job's aggregates with the shape of their rows, which every map and reduce task shares.

use super::Shape;
use super::row::AggregateShape;
use crate::aggregate::{Aggregate, Overflow};
use crate::data::{Kind, Value};
use crate::table::{Arena, Tail};

#[derive(Debug)]
pub struct Aggregation<'p> {
    pub aggregates: Vec<&'p dyn Aggregate>,
    pub shape: Shape,
    pub cells: Vec<CellOf<'p>>,
}

/// A cell of a group that doesn't belong to its key: the value of this number of the aggregate of this index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub aggregate: usize,
    pub number: usize,
    /// What its column is called, for messages.
    pub name: String,
}

/// A cell with all that is needed to work it out: rows of a job are as many as its groups.
#[derive(Debug)]
pub struct CellOf<'p> {
    aggregate: &'p dyn Aggregate,
    number: usize,
    shape: AggregateShape,
    pub name: &'p str,
}

impl<'p> Aggregation<'p> {
    /// Of aggregates that observe columns of these kinds.
    pub fn new(aggregates: Vec<&'p dyn Aggregate>, cells: &'p [Cell], observed: &[Kind]) -> Self {
        let shape = Shape::new(aggregates.iter().copied(), observed);
        let of = |Cell { aggregate, number, name }: &'p Cell| CellOf {
            aggregate: aggregates[*aggregate],
            number: *number,
            shape: shape.aggregates[*aggregate],
            name,
        };
        let cells = cells.iter().map(of).collect();
        Aggregation { aggregates, shape, cells }
    }
}

impl CellOf<'_> {
    /// Its value in the group of these states.
    #[inline]
    pub fn value<'a>(&self, states: &[u64], arena: &'a Arena) -> Result<Value<'a>, Overflow> {
        let words = &states[self.shape.first..][..self.shape.words];
        let tail = self.shape.tail.map_or(Tail::default(), |place| place.of(words));
        self.aggregate.finish(self.number, words, if tail == Tail::default() { &[] } else { arena.get(tail) })
    }
}
