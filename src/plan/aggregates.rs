//! The aggregates of a job, and what they observe.

use super::Field;
use crate::aggregate::{self, Aggregate, Observes};
use crate::data::Kind;
use crate::error::Result;
use crate::map::Scope;
use crate::map::steps::only::Only;
use crate::predicate::written::Predicate;
use crate::spec;

#[derive(Debug, Default)]
pub(super) struct Aggregates<'s> {
    pub all: Vec<Box<dyn Aggregate>>,
    /// What their columns are called.
    pub names: Vec<String>,
    /// Fields of mapped records, each once.
    pub observed: Vec<(Field, Kind)>,
    /// Fields that are null where a predicate doesn't hold: of which field, by which predicate.
    only: Vec<(Option<Field>, &'s Predicate, Field)>,
}

impl<'s> Aggregates<'s> {
    pub fn resolve(written: &'s [spec::Aggregate], scope: &mut Scope<'_>) -> Result<Self> {
        let mut aggregates = Aggregates::default();
        for (i, aggregate) in written.iter().enumerate() {
            aggregates.add(aggregate, &format!("aggregate.{i}"), scope)?;
        }
        Ok(aggregates)
    }

    fn add(&mut self, written: &'s spec::Aggregate, path: &str, scope: &mut Scope<'_>) -> Result<()> {
        let op = aggregate::op(&written.op);
        // First: what it needs converted is converted in every record, and the field only where the predicate holds.
        let predicate = match &written.filter {
            None => None,
            Some(filter) => Some((filter, scope.predicate(filter, &format!("{path}.where"))?)),
        };
        let at = format!("{path}.field");
        let field = match (&written.field, op.observes) {
            (None, _) => None,
            (Some(name), Observes::Presence) => Some(scope.raw(&at, name)?),
            (Some(name), Observes::Number) => Some(scope.number(&at, name)?),
            (Some(name), Observes::Order) => Some(scope.number_or_text(&at, name)?),
        };
        let field = match predicate {
            None => field,
            Some((written, predicate)) => {
                let known = self.only.iter().find(|(input, by, _)| *input == field && *by == written);
                Some(match known {
                    Some((_, _, field)) => *field,
                    None => {
                        scope.push(Only { input: field, predicate });
                        let kind = field.map_or(Kind::Decimal, |field| scope.kind(field));
                        let added = scope.add_unnamed(kind, true);
                        self.only.push((field, written, added));
                        added
                    }
                })
            }
        };
        let column = field.map(|field| (self.observe(field, scope.kind(field)), scope.kind(field)));
        self.all.push((op.make)(column));
        self.names.push(written.column().into_owned());
        Ok(())
    }

    /// The index of a field among those that are observed.
    fn observe(&mut self, field: Field, kind: Kind) -> usize {
        self.observed.iter().position(|(known, _)| *known == field).unwrap_or_else(|| {
            self.observed.push((field, kind));
            self.observed.len() - 1
        })
    }
}
