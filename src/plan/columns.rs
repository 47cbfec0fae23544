//! The columns of a job's result: finds their names, and resolves `select`, `sort` and `output.columns` to them.

use ahash::AHashSet;

use super::aggregates::Aggregates;
use super::{KeyFields, Order, OutputColumn, SortKey};
use crate::data::Kind;
use crate::error::Result;
use crate::map::Scope;
use crate::predicate::Predicate;
use crate::predicate::resolve::{Names, Wanted};
use crate::schema::Blame;
use crate::spec::Spec;

/// A column that `select`, `sort` and `output.columns` can name.
#[derive(Debug)]
pub(super) struct NamedColumn {
    pub name: String,
    pub kind: Kind,
    /// Index of a group's cell, or of a record's field.
    pub index: usize,
}

impl From<&NamedColumn> for OutputColumn {
    fn from(column: &NamedColumn) -> Self {
        OutputColumn { index: column.index, name: column.name.clone(), kind: column.kind }
    }
}

/// The columns of a job, in order.
#[derive(Debug)]
pub(super) struct NamedColumns {
    pub all: Vec<NamedColumn>,
    /// How many of the columns are the key of a group.
    group_by: usize,
    names: AHashSet<String>,
}

impl NamedColumns {
    fn new(group_by: usize) -> Self {
        NamedColumns { all: Vec::new(), group_by, names: AHashSet::new() }
    }

    /// Returns the key, and the columns of groups: those of `group_by`, then those of the aggregates.
    pub fn of_groups(spec: &Spec, aggregates: &Aggregates, scope: &mut Scope<'_>) -> Result<(KeyFields, Self)> {
        let blame = scope.blame;
        if spec.select.is_some() {
            let hint = "to choose and order the columns of groups, use output.columns";
            return Err(blame.error("select", "is only for jobs that write records, not groups", Some(hint.into())));
        }
        let mut columns = NamedColumns::new(spec.group_by.len());
        let mut key = Vec::new();
        scope.at("group_by");
        for (i, name) in spec.group_by.iter().enumerate() {
            let path = format!("group_by.{i}");
            let field = scope.field(&path, name)?;
            key.push((field, scope.kind(field)));
            columns.add(name, scope.kind(field), i, &path, &blame)?;
        }
        for (i, result) in aggregates.results.iter().enumerate() {
            let kind = aggregates.all[result.aggregate].kind(result.number);
            columns.add(&result.name, kind, columns.all.len(), &format!("aggregate.{i}"), &blame)?;
        }
        let may_be_null = key.iter().any(|(field, _)| scope.may_be_null(*field));
        Ok((KeyFields::new(key, may_be_null), columns))
    }

    /// Returns the columns of records: those of `select`, or all fields.
    pub fn of_records(spec: &Spec, scope: &mut Scope<'_>) -> Result<Self> {
        let blame = scope.blame;
        if spec.having.is_some() {
            let hint = "for records use \"where\"";
            return Err(blame.error("having", "is for groups, but this job has none", Some(hint.into())));
        }
        let mut columns = NamedColumns::new(0);
        let all: Vec<_>;
        let (names, path) = match &spec.select {
            Some(names) if names.is_empty() => return Err(blame.error("select", "must not be empty", None)),
            Some(names) => (names, "select"),
            None if scope.is_open() => {
                let hint = r#"name the fields to write: "select": ["a", "b.c"]"#;
                return Err(blame.error(
                    "select",
                    "is needed, because records of JSON may have fields of any name",
                    Some(hint.into()),
                ));
            }
            None => {
                all = scope.names().into_iter().map(str::to_owned).collect();
                (&all, "map")
            }
        };
        scope.at("select");
        for (i, name) in names.iter().enumerate() {
            let path = if spec.select.is_some() { format!("{path}.{i}") } else { path.to_owned() };
            let field = scope.field(&path, name)?;
            columns.add(name, scope.kind(field), field, &path, &blame)?;
        }
        Ok(columns)
    }

    fn add(&mut self, name: &str, kind: Kind, index: usize, path: &str, blame: &Blame<'_>) -> Result<()> {
        if !self.names.insert(name.to_owned()) {
            let hint = match path {
                "map" => Some(r#""select" says which fields to write"#.into()),
                _ => path.starts_with("aggregate").then(|| r#"give it another name with "as""#.into()),
            };
            return Err(blame.error(path, &format!("there is already a column {name:?}"), hint));
        }
        self.all.push(NamedColumn { name: name.to_owned(), kind, index });
        Ok(())
    }

    pub fn find(&self, path: &str, name: &str, blame: &Blame<'_>) -> Result<&NamedColumn> {
        let names: Vec<_> = self.all.iter().map(|column| column.name.as_str()).collect();
        Ok(&self.all[blame.find(path, "column", name, &names)?])
    }
}

/// Lets `having` name columns.
impl Names for (&NamedColumns, Blame<'_>) {
    fn find(&mut self, path: &str, name: &str, _: Wanted, _: &[Predicate]) -> Result<(usize, Kind)> {
        let (columns, blame) = self;
        columns.find(path, name, blame).map(|column| (column.index, column.kind))
    }
}

/// Returns the columns to write: all of them, or those of `output.columns`.
pub(super) fn output(spec: &Spec, columns: &NamedColumns, blame: &Blame<'_>) -> Result<Vec<OutputColumn>> {
    let Some(chosen) = &spec.output.columns else {
        let all = columns.all.iter();
        return Ok(all.map(OutputColumn::from).collect());
    };
    if chosen.is_empty() {
        return Err(blame.error("output.columns", "must not be empty", None));
    }
    let mut output: Vec<OutputColumn> = Vec::new();
    for (i, name) in chosen.iter().enumerate() {
        let path = format!("output.columns.{i}");
        let found = columns.find(&path, name, blame)?;
        if output.iter().any(|column| column.index == found.index) {
            return Err(blame.error(&path, &format!("column {name:?} is named twice"), None));
        }
        output.push(found.into());
    }
    Ok(output)
}

/// Returns the sort keys that `sort` asks for.
pub(super) fn sort_keys(spec: &Spec, columns: &NamedColumns, blame: &Blame<'_>) -> Result<Vec<SortKey>> {
    let mut keys: Vec<SortKey> = Vec::new();
    for (i, name) in spec.sort.iter().enumerate() {
        let path = format!("sort.{i}");
        // A name that is a column's full name means that column, even if it starts with `-`.
        let named_so = columns.all.iter().any(|column| column.name == *name);
        let (name, descending) = match name.strip_prefix('-') {
            Some(column) if !named_so => (column, true),
            _ => (name.as_str(), false),
        };
        let index = columns.find(&path, name, blame)?.index;
        if keys.iter().any(|known| known.index == index) {
            return Err(blame.error(&path, &format!("column {name:?} is named twice"), None));
        }
        keys.push(SortKey { index, descending });
    }
    Ok(keys)
}

/// Returns the order that `sort` asks for, or key order, completed so that no two rows are equal. With `unordered` rows
/// come in any order, unless a `limit` makes the order decide which rows there are.
pub(super) fn group_order(spec: &Spec, columns: &NamedColumns, unordered: bool, blame: &Blame<'_>) -> Result<Order> {
    let mut keys = sort_keys(spec, columns, blame)?;
    for NamedColumn { index, .. } in &columns.all {
        if !keys.iter().any(|key| key.index == *index) {
            keys.push(SortKey { index: *index, descending: false });
        }
    }
    keys.truncate(determined_by(&keys, columns.group_by));
    Ok(if unordered && spec.limit.is_none() { Order::Free } else { Order::By(keys) })
}

/// Returns how many of the keys are needed to hold every `group_by` column: no two rows agree in all of those.
fn determined_by(keys: &[SortKey], group_by: usize) -> usize {
    let last = keys.iter().rposition(|key| key.index < group_by);
    last.map_or(0, |last| last + 1)
}
