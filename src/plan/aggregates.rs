//! The aggregates of a job: resolves the aggregates of a spec, and the fields that they observe.

use super::Field;
use crate::aggregate::summary::{self, Statistics};
use crate::aggregate::{self, Aggregate, Made, Observed, Observes, Options, Quantiles};
use crate::data::Kind;
use crate::error::Result;
use crate::map::{Scope, Type};
use crate::predicate::{self, written::Predicate};
use crate::reduce::ResultColumn;
use crate::spec;

/// The resolved aggregates of a job, and the fields that they observe.
#[derive(Debug, Default)]
pub(super) struct Aggregates<'s> {
    pub all: Vec<Box<dyn Aggregate>>,
    /// One column for each aggregate of the spec.
    pub results: Vec<ResultColumn>,
    /// The fields of mapped records that the aggregates observe, each once.
    pub observed: Vec<(Field, Kind)>,
    /// Fields that are null where a predicate doesn't hold: the original field, the predicate, and the field made from
    /// them.
    only: Vec<(Option<Field>, &'s Predicate, Field)>,
}

impl<'s> Aggregates<'s> {
    pub fn resolve(written: &'s [spec::Aggregate], scope: &mut Scope<'_>) -> Result<Self> {
        let mut aggregates = Aggregates::default();
        let made = written.iter().enumerate().map(|(i, written)| {
            let path = format!("aggregate.{i}");
            scope.at(&path);
            let made = aggregates.make(written, &path, scope)?;
            Ok((made, written.column().into_owned()))
        });
        let made = made.collect::<Result<Vec<_>>>()?;
        aggregates.place(made);
        Ok(aggregates)
    }

    /// Joins the statistics of each column into one summary, and its quantiles into one sketch.
    fn place(&mut self, made: Vec<(Made, String)>) {
        let mut summaries = vec![Statistics::default(); self.observed.len()];
        for (made, _) in &made {
            if let Made::Statistic { column, statistic, .. } = made {
                summaries[*column].add(*statistic);
            }
        }
        let mut quantiles = vec![Vec::new(); self.observed.len()];
        for (made, _) in &made {
            if let Made::Quantile { column, q } = made {
                quantiles[*column].push(*q);
            }
        }
        let mut placed = vec![None; self.observed.len()];
        let mut sketched: Vec<Option<(usize, usize)>> = vec![None; self.observed.len()];
        for (made, name) in made {
            let next = self.all.len();
            let (aggregate, number) = match made {
                Made::Own(aggregate) => {
                    self.all.push(aggregate);
                    (next, 0)
                }
                Made::Statistic { column, kind, statistic } => {
                    let aggregate = *placed[column].get_or_insert_with(|| {
                        self.all.push(summary::make(column, kind, summaries[column]));
                        next
                    });
                    (aggregate, statistic.number())
                }
                Made::Quantile { column, .. } => {
                    let (aggregate, number) = sketched[column].get_or_insert_with(|| {
                        let quantiles = std::mem::take(&mut quantiles[column]);
                        self.all.push(Box::new(Quantiles { column, quantiles }));
                        (next, 0)
                    });
                    *number += 1;
                    (*aggregate, *number - 1)
                }
            };
            self.results.push(ResultColumn { aggregate, number, name });
        }
    }

    fn make(&mut self, written: &'s spec::Aggregate, path: &str, scope: &mut Scope<'_>) -> Result<Made> {
        let op = aggregate::op(&written.op);
        let predicate = match &written.filter {
            None => None,
            Some(filter) => Some((filter, scope.predicate(filter, &format!("{path}.where"))?)),
        };
        let field = self.field((&format!("{path}.field"), &written.field), op.observes, predicate.clone(), scope)?;
        let mut observed = Observed { field: field.map(|field| self.observe(field, scope)), ..Observed::default() };
        if op.observes == Observes::DeclaredWithPosition {
            if written.by.is_some() {
                let by = self.field((&format!("{path}.by"), &written.by), Observes::Comparable, predicate, scope)?;
                observed.by = by.map(|by| self.observe(by, scope).0);
            }
            observed.position = Some(self.observe(scope.position(), scope).0);
        }
        Ok((op.make)(&observed, &Options { q: written.q }))
    }

    /// Returns the field called `name` in the form in which it is observed, limited to the records for which the
    /// predicate holds.
    fn field(
        &mut self,
        (at, name): (&str, &Option<String>),
        observes: Observes,
        predicate: Option<(&'s Predicate, predicate::Predicate)>,
        scope: &mut Scope<'_>,
    ) -> Result<Option<Field>> {
        if let (Some(name), Observes::Number) = (name, observes) {
            scope.wants_number(name);
        }
        Ok(match (name, observes) {
            (None, _) => self.where_holds(None, predicate, scope),
            (Some(name), Observes::Presence) => {
                let field = scope.raw(at, name)?;
                self.where_holds(Some(field), predicate, scope)
            }
            (Some(name), Observes::Declared | Observes::DeclaredWithPosition) if !scope.is_declared(name) => {
                let field = scope.field(at, name)?;
                self.where_holds(Some(field), predicate, scope)
            }
            (Some(name), observes) => match scope
                .unconverted(at, name)?
                .filter(|(_, to)| predicate.is_some() && (observes != Observes::Number || *to != Type::Timestamp))
            {
                // The field is converted after the predicate, so it isn't converted in records for which the predicate
                // doesn't hold.
                Some((field, to)) => {
                    let field = self.where_holds(Some(field), predicate, scope);
                    field.map(|field| scope.convert(field, name, to))
                }
                None => {
                    let field = match observes {
                        Observes::Comparable => scope.number_or_text(at, name)?,
                        Observes::Declared | Observes::DeclaredWithPosition => scope.field(at, name)?,
                        Observes::Presence | Observes::Number => scope.number(at, name)?,
                    };
                    self.where_holds(Some(field), predicate, scope)
                }
            },
        })
    }

    /// Returns a field that is null where the predicate doesn't hold, and otherwise equals `field`, or the number 1 if
    /// there is no field. Without a predicate, returns `field` itself.
    fn where_holds(
        &mut self,
        field: Option<Field>,
        predicate: Option<(&'s Predicate, predicate::Predicate)>,
        scope: &mut Scope<'_>,
    ) -> Option<Field> {
        let Some((written, predicate)) = predicate else { return field };
        let known = self.only.iter().find(|(input, by, _)| *input == field && *by == written);
        if let Some((.., field)) = known {
            return Some(*field);
        }
        let added = scope.null_unless(field, predicate);
        self.only.push((field, written, added));
        Some(added)
    }

    /// Returns the index of a field among the observed fields, and the field's kind.
    fn observe(&mut self, field: Field, scope: &Scope<'_>) -> (usize, Kind) {
        let kind = scope.kind(field);
        let index = self.observed.iter().position(|(known, _)| *known == field).unwrap_or_else(|| {
            self.observed.push((field, kind));
            self.observed.len() - 1
        });
        (index, kind)
    }
}
