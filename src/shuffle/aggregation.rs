//! A job's aggregates with the shape of their rows, which every map and reduce task shares.

use super::Shape;
use crate::aggregate::Aggregate;
use crate::data::Kind;

#[derive(Debug)]
pub struct Aggregation<'p> {
    pub aggregates: Vec<&'p dyn Aggregate>,
    pub shape: Shape,
}

impl<'p> Aggregation<'p> {
    /// Of aggregates that observe columns of these kinds.
    pub fn new(aggregates: Vec<&'p dyn Aggregate>, observed: &[Kind]) -> Self {
        let shape = Shape::new(aggregates.iter().copied(), observed);
        Aggregation { aggregates, shape }
    }
}
