//! A job's aggregates with the shape of their rows, which every map and reduce task shares.

use super::Shape;
use crate::aggregate::Aggregate;
use crate::data::Kind;

#[derive(Debug)]
pub struct Aggregation<'p> {
    pub aggregates: Vec<&'p dyn Aggregate>,
    pub cells: &'p [Cell],
    pub shape: Shape,
}

/// A cell of a group that doesn't belong to its key: the value of this number of the aggregate of this index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub aggregate: usize,
    pub number: usize,
    /// What its column is called, for messages.
    pub name: String,
}

impl<'p> Aggregation<'p> {
    /// Of aggregates that observe columns of these kinds.
    pub fn new(aggregates: Vec<&'p dyn Aggregate>, cells: &'p [Cell], observed: &[Kind]) -> Self {
        let shape = Shape::new(aggregates.iter().copied(), observed);
        Aggregation { aggregates, cells, shape }
    }
}
