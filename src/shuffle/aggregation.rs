//! A job's aggregates and the shape of their rows, which every map and reduce task shares.

use super::RowShape;
use crate::aggregate::{Aggregate, TailGrowth};
use crate::data::Kind;

/// A job's aggregates, and the shape of their rows.
#[derive(Debug)]
pub struct Aggregation<'p> {
    pub aggregates: Vec<&'p dyn Aggregate>,
    pub shape: RowShape,
}

impl<'p> Aggregation<'p> {
    /// Returns the aggregation for aggregates that observe columns of these kinds.
    pub fn new(aggregates: Vec<&'p dyn Aggregate>, observed: &[Kind]) -> Self {
        let shape = RowShape::new(aggregates.iter().copied(), observed);
        Aggregation { aggregates, shape }
    }

    /// Returns the tail growth of each aggregate that has tails.
    pub fn tail_growth(&self) -> impl Iterator<Item = TailGrowth> {
        self.aggregates.iter().filter(|aggregate| aggregate.tail().is_some()).map(|aggregate| aggregate.tail_growth())
    }
}
