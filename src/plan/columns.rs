//! The columns of a job's result: finds their names, and resolves `select`, `sort` and `output.columns` to them.

use ahash::AHashSet;

use super::aggregates::Aggregates;
use super::{KeyFields, Order, OutputColumn, PerGroup, SortKey, SortKeys};
use crate::data::Kind;
use crate::error::{Error, Result};
use crate::map::Scope;
use crate::predicate::Predicate;
use crate::predicate::resolve::{Names, Wanted};
use crate::schema::Blame;
use crate::spec::{SortBy, Spec};

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

/// A column that rows are sorted by.
#[derive(Debug)]
struct NamedKey {
    name: String,
    key: SortKey,
}

/// The columns that rows are sorted by.
#[derive(Debug)]
struct NamedKeys(Vec<NamedKey>);

impl NamedKeys {
    /// Finds the columns of `sort`. `number` returns the index of a column that is to be read as a number.
    fn find(
        spec: &Spec,
        columns: &NamedColumns,
        blame: &Blame<'_>,
        mut number: impl FnMut(&str, &str) -> Result<usize>,
    ) -> Result<Self> {
        let mut keys: Vec<NamedKey> = Vec::new();
        for (i, by) in spec.sort.iter().enumerate() {
            let (path, name, descending, is_number) = match by {
                SortBy::Ascending { ascending, number } => (format!("sort.{i}.ascending"), ascending, false, *number),
                SortBy::Descending { descending, number } => {
                    (format!("sort.{i}.descending"), descending, true, *number)
                }
                SortBy::Named(name) => (format!("sort.{i}"), name, false, false),
            };
            // A name that is a column's full name means that column, even if it starts with `-`.
            let (name, descending) = match (by, name.strip_prefix('-')) {
                (SortBy::Named(_), Some(column)) if columns.all.iter().all(|column| column.name != *name) => {
                    (column, true)
                }
                _ => (name.as_str(), descending),
            };
            let index = columns.find(&path, name, blame)?.index;
            if keys.iter().any(|known| known.name == name) {
                return Err(blame.error(&path, &format!("column {name:?} is named twice"), None));
            }
            let index = if is_number { number(&path, name)? } else { index };
            keys.push(NamedKey { name: name.to_owned(), key: SortKey { index, descending } });
        }
        Ok(NamedKeys(keys))
    }

    fn add(&mut self, name: &str, index: usize) {
        if self.0.iter().all(|known| known.name != name) {
            self.0.push(NamedKey { name: name.to_owned(), key: SortKey { index, descending: false } });
        }
    }

    /// Puts these columns, which make a group, before all others. Those that `sort` names come first.
    fn put_first(&mut self, group: &[(&str, usize)]) {
        let is_of_group = |key: &NamedKey| group.iter().any(|(name, _)| *name == key.name);
        let (first, rest) = std::mem::take(&mut self.0).into_iter().partition(is_of_group);
        self.0 = first;
        group.iter().for_each(|(name, index)| self.add(name, *index));
        self.0.extend::<Vec<_>>(rest);
    }

    /// Returns the keys, and their names, with `-` before those in descending order.
    fn finish(self, per_group: Option<PerGroup>) -> (SortKeys, Vec<String>) {
        let written =
            |NamedKey { name, key }: &NamedKey| if key.descending { format!("-{name}") } else { name.clone() };
        let names = self.0.iter().map(written).collect();
        (SortKeys { keys: self.0.into_iter().map(|named| named.key).collect(), per_group }, names)
    }
}

/// Returns the order of records, `None` for that of the input, and the names of its columns.
pub(super) fn record_order(
    spec: &Spec,
    columns: &NamedColumns,
    scope: &mut Scope<'_>,
) -> Result<(Option<SortKeys>, Vec<String>)> {
    let blame = scope.blame;
    scope.at("sort");
    let mut keys = NamedKeys::find(spec, columns, &blame, |path, name| scope.number(path, name))?;
    let per_group = match spec.limit_per_group {
        None => None,
        Some(_) if spec.group_by.is_empty() => return Err(no_groups(&blame)),
        Some(limit) => {
            let mut group: Vec<(&str, usize)> = Vec::new();
            scope.at("group_by");
            for (i, name) in spec.group_by.iter().enumerate() {
                let path = format!("group_by.{i}");
                if group.iter().any(|(known, _)| known == name) {
                    return Err(blame.error(&path, &format!("column {name:?} is named twice"), None));
                }
                group.push((name, scope.field(&path, name)?));
            }
            keys.put_first(&group);
            Some(PerGroup { columns: group.len(), limit })
        }
    };
    let (keys, names) = keys.finish(per_group);
    Ok((Some(keys).filter(|order| !order.keys.is_empty()), names))
}

/// Returns the order that `sort` asks for, or key order, completed so that no two rows are equal; and the names of its
/// columns. With `unordered` rows come in any order, unless a limit makes the order decide which rows there are.
pub(super) fn group_order(
    spec: &Spec,
    columns: &NamedColumns,
    unordered: bool,
    blame: &Blame<'_>,
) -> Result<(Order, Vec<String>)> {
    let mut keys = NamedKeys::find(spec, columns, blame, |path, name| {
        let hint = "a column of groups is a number if an aggregate or read.types makes it one";
        Err(blame.error(path, &format!("only records can be sorted by {name:?} as a number"), Some(hint.into())))
    })?;
    let per_group = match (spec.limit_per_group, columns.group_by) {
        (None, _) => None,
        (Some(_), 0) => return Err(no_groups(blame)),
        (Some(_), 1) => return Err(one_row_each(&spec.group_by[0], blame)),
        (Some(limit), group_by) => {
            let group: Vec<_> = columns.all[..group_by - 1].iter().map(|of| (of.name.as_str(), of.index)).collect();
            keys.put_first(&group);
            Some(PerGroup { columns: group.len(), limit })
        }
    };
    columns.all.iter().for_each(|column| keys.add(&column.name, column.index));
    let last = keys.0.iter().rposition(|named| named.key.index < columns.group_by);
    // No two rows agree in all columns of `group_by`.
    keys.0.truncate(last.map_or(0, |last| last + 1));
    if unordered && spec.limit.is_none() && per_group.is_none() {
        return Ok((Order::Free, Vec::new()));
    }
    let (keys, names) = keys.finish(per_group);
    Ok((Order::By(keys), names))
}

fn no_groups(blame: &Blame<'_>) -> Error {
    let limit = if blame.is_a_line() { "--limit" } else { "limit" };
    let hint = format!("to take the first of all rows: {limit}");
    blame.error("limit_per_group", "needs group_by, which says what a group is", Some(hint))
}

fn one_row_each(column: &str, blame: &Blame<'_>) -> Error {
    let (limit, more) = match blame.is_a_line() {
        true => ("--limit", "-g FIRST,SECOND takes the first SECOND of each FIRST"),
        false => ("limit", r#""group_by": ["first", "second"] takes the first rows of each first"#),
    };
    blame.error(
        "limit_per_group",
        &format!("with one column in group_by, each {column:?} has one row: there is nothing to take the first of"),
        Some(format!("to take the first of all rows: {limit}; {more}")),
    )
}
