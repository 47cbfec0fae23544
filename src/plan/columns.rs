//! Columns: what the cells of a row are called, and what `sort` and `output.columns` make of them.

use super::resolve::Blame;
use super::steps::Fields;
use super::{KeyFields, Order, OutputColumn, SortKey};
use crate::error::Result;
use crate::spec::Spec;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
}

#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
    /// Which cell of a group, or field of a record.
    pub index: usize,
}

/// The columns of a job, in order.
#[derive(Debug)]
pub(super) struct Columns {
    pub all: Vec<Column>,
    /// How many of them are the key of a group.
    group_by: usize,
}

impl Columns {
    /// Those of `group_by`, then those of the aggregates; and the key.
    pub fn of_groups(spec: &Spec, fields: &Fields, blame: &Blame<'_>) -> Result<(KeyFields, Self)> {
        if spec.select.is_some() {
            let hint = "the columns of groups are chosen and put in order by output.columns";
            return Err(blame.error("select", "is for records that pass through, not for groups", Some(hint.into())));
        }
        let mut columns = Columns { all: Vec::new(), group_by: spec.group_by.len() };
        let mut key = Vec::new();
        for (i, name) in spec.group_by.iter().enumerate() {
            let path = format!("group_by.{i}");
            key.push(fields.find(&path, name, blame)?);
            columns.add(name, Kind::Text, i, &path, blame)?;
        }
        for (i, aggregate) in spec.aggregate.iter().enumerate() {
            columns.add(&aggregate.column(), Kind::Number, columns.all.len(), &format!("aggregate.{i}"), blame)?;
        }
        let key = match key.as_slice() {
            [one] if !fields.may_be_null(*one) => KeyFields::One(*one),
            _ => KeyFields::Composite(key),
        };
        Ok((key, columns))
    }

    /// Those of `select`, or all fields.
    pub fn of_records(spec: &Spec, fields: &Fields, blame: &Blame<'_>) -> Result<Self> {
        if spec.having.is_some() {
            let hint = "of records it is asked by \"where\"";
            return Err(blame.error("having", "is for groups, and there are none", Some(hint.into())));
        }
        let mut columns = Columns { all: Vec::new(), group_by: 0 };
        match &spec.select {
            None => {
                for (i, name) in fields.names().enumerate() {
                    columns.add(name, Kind::Text, i, "map", blame)?;
                }
            }
            Some(names) if names.is_empty() => return Err(blame.error("select", "must not be empty", None)),
            Some(names) => {
                for (i, name) in names.iter().enumerate() {
                    let path = format!("select.{i}");
                    columns.add(name, Kind::Text, fields.find(&path, name, blame)?, &path, blame)?;
                }
            }
        }
        Ok(columns)
    }

    fn add(&mut self, name: &str, kind: Kind, index: usize, path: &str, blame: &Blame<'_>) -> Result<()> {
        if self.all.iter().any(|known| known.name == name) {
            let hint = path.starts_with("aggregate").then(|| r#"name it otherwise with "as""#.into());
            return Err(blame.error(path, &format!("there is a column {name:?} already"), hint));
        }
        self.all.push(Column { name: name.to_owned(), kind, index });
        Ok(())
    }

    pub fn find(&self, path: &str, name: &str, blame: &Blame<'_>) -> Result<&Column> {
        let names: Vec<_> = self.all.iter().map(|column| column.name.as_str()).collect();
        Ok(&self.all[blame.find(path, "column", name, &names)?])
    }
}

/// The columns to write: all of them, or those of `output.columns`.
pub(super) fn output(spec: &Spec, columns: &Columns, blame: &Blame<'_>) -> Result<Vec<OutputColumn>> {
    let Some(chosen) = &spec.output.columns else {
        let all = columns.all.iter();
        return Ok(all.map(|column| OutputColumn { index: column.index, name: column.name.clone() }).collect());
    };
    if chosen.is_empty() {
        return Err(blame.error("output.columns", "must not be empty", None));
    }
    let mut output: Vec<OutputColumn> = Vec::new();
    for (i, name) in chosen.iter().enumerate() {
        let path = format!("output.columns.{i}");
        let index = columns.find(&path, name, blame)?.index;
        if output.iter().any(|column| column.index == index) {
            return Err(blame.error(&path, &format!("column {name:?} is named twice"), None));
        }
        output.push(OutputColumn { index, name: name.clone() });
    }
    Ok(output)
}

/// What `sort` asks for.
pub(super) fn sort_keys(spec: &Spec, columns: &Columns, blame: &Blame<'_>) -> Result<Vec<SortKey>> {
    let mut keys: Vec<SortKey> = Vec::new();
    for (i, name) in spec.sort.iter().enumerate() {
        let path = format!("sort.{i}");
        // A column whose own name starts with `-` is meant by its name.
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

/// The order that `sort` asks for, or key order, completed so that it leaves nothing open. `unordered` frees it, except
/// where `limit` makes it a matter of which rows there are.
pub(super) fn group_order(spec: &Spec, columns: &Columns, unordered: bool, blame: &Blame<'_>) -> Result<Order> {
    let mut keys = sort_keys(spec, columns, blame)?;
    for Column { index, .. } in &columns.all {
        if !keys.iter().any(|key| key.index == *index) {
            keys.push(SortKey { index: *index, descending: false });
        }
    }
    keys.truncate(determined_by(&keys, columns.group_by));
    Ok(if unordered && spec.limit.is_none() { Order::Free } else { Order::By(keys) })
}

/// How many of the keys it takes until they hold every `group_by` column: no two rows agree in all of those.
fn determined_by(keys: &[SortKey], group_by: usize) -> usize {
    let last = keys.iter().rposition(|key| key.index < group_by);
    last.map_or(0, |last| last + 1)
}
