//! `filter`: drops the records for which a predicate doesn't hold.

use serde::Deserialize;

use super::candidates::Candidates;
use super::gather::Gather;
use crate::data::{Batch, Sink};
use crate::error::Result;
use crate::map::program::Front;
use crate::map::scope::Written;
use crate::map::{Field, JobPart, Makes, Next, Scope, Stage, Step};
use crate::predicate::{Predicate, Test, written};
use crate::schema::predicate::PREDICATES;
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[Key::required("filter", Shape::Variants(&PREDICATES))
    .about("Drops the records for which this predicate doesn't hold")];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let predicate = written::Predicate::deserialize(written.get("filter").expect("the schema asks for it"))
        .expect("the schema has been through it");
    scope.filter(&predicate, &written.at("filter"))
}

#[derive(Debug)]
pub struct Filter(pub Predicate);

impl Step for Filter {
    fn reads(&self) -> Vec<Field> {
        let mut reads = Vec::new();
        self.0.cells(&mut |cell| reads.push(cell));
        reads
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn part(&self) -> JobPart<'_> {
        JobPart::Filters
    }

    fn stage(&self) -> Box<dyn Stage> {
        // The predicate is cloned because each clone's patterns have a cache of their own, and workers then don't share
        // one.
        Box::new(Filtering { predicate: self.0.clone(), kept: Vec::new(), gather: Gather::default() })
    }

    /// If the predicate is a pattern on the line, only lines that may match need to be looked at.
    fn front(&self, _: bool) -> Option<Front> {
        let Predicate::Cell { index: 0, test: Test::Matches(pattern) } = &self.0 else { return None };
        let candidates = Candidates::new(pattern)?;
        Some(Front { reader: Box::new(candidates), does_the_step: false })
    }
}

#[derive(Debug)]
struct Filtering {
    predicate: Predicate,
    kept: Vec<u32>,
    gather: Gather,
}

impl Stage for Filtering {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Filtering { predicate, kept, gather } = self;
        predicate.keep(batch, kept);
        match kept.len() {
            0 => Ok(()),
            all if all == batch.rows => next.take(batch),
            rows => next.take(&Batch { rows, columns: &gather.gather(batch.columns, kept) }),
        }
    }
}
