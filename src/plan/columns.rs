//! Columns: the names of `group_by` and `aggregate`, and what `sort` and `output.columns` make of them.

use super::resolve::Blame;
use super::{Field, Order, OutputColumn, SortKey};
use crate::error::Result;
use crate::spec::Spec;

/// The columns of a job: those of `group_by`, then those of the aggregates.
pub(super) struct Columns {
    pub group_by: Vec<Field>,
    /// Names of all columns.
    pub names: Vec<String>,
}

impl Columns {
    pub fn new(spec: &Spec, fields: &[&str], blame: &Blame<'_>) -> Result<Self> {
        let mut columns = Columns { group_by: Vec::new(), names: Vec::new() };
        for (i, name) in spec.group_by.iter().enumerate() {
            let path = format!("group_by.{i}");
            columns.group_by.push(blame.find(&path, "field", name, fields)?);
            columns.add(name, &path, blame)?;
        }
        for (i, aggregate) in spec.aggregate.iter().enumerate() {
            let name = aggregate.name.as_ref().unwrap_or(&aggregate.op);
            columns.add(name, &format!("aggregate.{i}"), blame)?;
        }
        Ok(columns)
    }

    fn add(&mut self, name: &str, path: &str, blame: &Blame<'_>) -> Result<()> {
        if self.names.iter().any(|known| known == name) {
            let hint = path.starts_with("aggregate").then(|| r#"name it otherwise with "as""#.into());
            return Err(blame.error(path, &format!("there is a column {name:?} already"), hint));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}

/// The columns to write: all of them, or those of `output.columns`.
pub(super) fn output(spec: &Spec, columns: &Columns, blame: &Blame<'_>) -> Result<Vec<OutputColumn>> {
    let names = columns.names();
    let Some(chosen) = &spec.output.columns else {
        let all = names.iter().enumerate();
        return Ok(all.map(|(index, name)| OutputColumn { index, name: (*name).to_owned() }).collect());
    };
    if chosen.is_empty() {
        return Err(blame.error("output.columns", "must not be empty", None));
    }
    let mut output: Vec<OutputColumn> = Vec::new();
    for (i, name) in chosen.iter().enumerate() {
        let path = format!("output.columns.{i}");
        let index = blame.find(&path, "column", name, &names)?;
        if output.iter().any(|column| column.index == index) {
            return Err(blame.error(&path, &format!("column {name:?} is named twice"), None));
        }
        output.push(OutputColumn { index, name: name.clone() });
    }
    Ok(output)
}

/// The order that `sort` asks for, or key order, completed so that it leaves nothing open. `unordered` frees it, except
/// where `limit` makes it a matter of which rows there are.
pub(super) fn order(spec: &Spec, columns: &Columns, unordered: bool, blame: &Blame<'_>) -> Result<Order> {
    let names = columns.names();
    let mut keys: Vec<SortKey> = Vec::new();
    for (i, name) in spec.sort.iter().enumerate() {
        let path = format!("sort.{i}");
        let key = sort_key(name, &path, &names, blame)?;
        if keys.iter().any(|known| known.index == key.index) {
            return Err(blame.error(&path, &format!("column {:?} is named twice", names[key.index]), None));
        }
        keys.push(key);
    }
    for index in 0..names.len() {
        if !keys.iter().any(|key| key.index == index) {
            keys.push(SortKey { index, descending: false });
        }
    }
    keys.truncate(determined_by(&keys, columns.group_by.len()));
    Ok(if unordered && spec.limit.is_none() { Order::Free } else { Order::By(keys) })
}

/// A column whose own name starts with `-` is meant by its name.
fn sort_key(name: &str, path: &str, names: &[&str], blame: &Blame<'_>) -> Result<SortKey> {
    if let Some(index) = names.iter().position(|known| *known == name) {
        return Ok(SortKey { index, descending: false });
    }
    match name.strip_prefix('-') {
        Some(column) => Ok(SortKey { index: blame.find(path, "column", column, names)?, descending: true }),
        None => Ok(SortKey { index: blame.find(path, "column", name, names)?, descending: false }),
    }
}

/// How many of the keys it takes until they hold every `group_by` column: no two rows agree in all of those.
fn determined_by(keys: &[SortKey], group_by: usize) -> usize {
    let last = keys.iter().rposition(|key| key.index < group_by);
    last.map_or(0, |last| last + 1)
}
