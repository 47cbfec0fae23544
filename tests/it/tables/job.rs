//! Jobs over tables: as a spec, and done by the reference.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use num_bigint::BigInt;
use serde_json::{Map, json};

use super::Value;
use super::number::{self, fit, product, quotient};
use super::predicate::Predicate;
use super::reader::Cell;
use super::sketches;

#[derive(Clone, Debug, Default)]
pub struct Job {
    /// `string`, `int`, `float` or `decimal`, by field.
    pub types: BTreeMap<&'static str, &'static str>,
    pub steps: Vec<Step>,
    pub filter: Option<Predicate>,
    pub rows: Rows,
    /// Columns of the result, each with whether its order is descending.
    pub sort: Vec<(String, bool)>,
    pub limit: Option<usize>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Filter(Predicate),
    Derive { name: &'static str, left: Operand, sign: char, right: Operand },
}

#[derive(Clone, Debug)]
pub enum Operand {
    Field(&'static str),
    Number(&'static str),
}

#[derive(Clone, Debug)]
pub enum Rows {
    Groups { by: Vec<&'static str>, aggregates: Vec<Aggregate>, having: Option<Predicate> },
    Records { select: Vec<&'static str> },
}

impl Default for Rows {
    fn default() -> Self {
        Rows::Records { select: Vec::new() }
    }
}

/// An aggregate. The column of the first one is called `c0`, the next one `c1`, and so on.
#[derive(Clone, Debug)]
pub struct Aggregate {
    pub op: &'static str,
    pub field: Option<&'static str>,
    pub only: Option<Predicate>,
    /// The share of a quantile.
    pub q: Option<f64>,
    /// The field that an argmin or argmax compares.
    pub by: Option<&'static str>,
}

/// What an aggregate sees of a record: the value of its field, and the value that it compares.
pub type Seen = (Value, Value);

/// A bad record: a field isn't of its type, or a derived value has too many digits.
#[derive(Debug)]
pub struct Bad;

/// A sum has more than 38 digits.
#[derive(Clone, Debug)]
pub struct Overflow;

// As a spec.

impl Job {
    pub fn spec(&self) -> Map<String, serde_json::Value> {
        let mut spec = Map::new();
        let mut put = |key: &str, value: serde_json::Value| spec.insert(key.into(), value);
        put("map", self.steps.iter().map(Step::json).collect());
        if let Some(filter) = &self.filter {
            put("where", filter.json());
        }
        match &self.rows {
            Rows::Records { select } => drop(put("select", json!(select))),
            Rows::Groups { by, aggregates, having } => {
                put("group_by", json!(by));
                put("aggregate", aggregates.iter().enumerate().map(Aggregate::json).collect());
                if let Some(having) = having {
                    put("having", having.json());
                }
            }
        }
        put("sort", self.sort.iter().map(|(name, down)| format!("{}{name}", if *down { "-" } else { "" })).collect());
        if let Some(limit) = self.limit {
            put("limit", limit.into());
        }
        spec
    }
}

impl Step {
    fn json(&self) -> serde_json::Value {
        let shown = |operand: &Operand| match operand {
            Operand::Field(text) | Operand::Number(text) => text.to_string(),
        };
        match self {
            Step::Filter(predicate) => json!({"filter": predicate.json()}),
            Step::Derive { name, left, sign, right } => {
                json!({"derive": format!("{} {sign} {}", shown(left), shown(right)), "as": name})
            }
        }
    }
}

impl Aggregate {
    fn json((i, aggregate): (usize, &Aggregate)) -> serde_json::Value {
        let mut object = json!({"op": aggregate.op, "as": format!("c{i}")});
        if let Some(field) = aggregate.field {
            object["field"] = field.into();
        }
        if let Some(q) = aggregate.q {
            object["q"] = q.into();
        }
        if let Some(by) = aggregate.by {
            object["by"] = by.into();
        }
        if let Some(only) = &aggregate.only {
            object["where"] = only.json();
        }
        object
    }
}

// By hand.

/// One record, with its fields by name.
pub struct Record<'a> {
    types: &'a BTreeMap<&'static str, &'static str>,
    cells: BTreeMap<String, Cell>,
    derived: BTreeMap<&'static str, Value>,
}

impl Record<'_> {
    pub fn raw(&self, name: &str) -> Value {
        match (self.derived.get(name), &self.cells.get(name)) {
            (Some(value), _) => value.clone(),
            (None, Some(Some(text))) => Value::Bytes(text.clone()),
            _ => Value::Null,
        }
    }

    fn convert(&self, name: &str, to: &str) -> Result<Value, Bad> {
        let Value::Bytes(text) = self.raw(name) else { return Ok(self.raw(name)) };
        let value = match to {
            "string" => Some(Value::Bytes(text)),
            "int" => number::whole(&text).map(Value::Decimal),
            "decimal" => number::decimal(&text).map(Value::Decimal),
            _ => number::float(&text).map(Value::float),
        };
        value.ok_or(Bad)
    }

    /// Returns the field in its declared type, or as text.
    pub fn field(&self, name: &str) -> Result<Value, Bad> {
        self.convert(name, self.types.get(name).copied().unwrap_or("string"))
    }

    /// Returns the field where a number is wanted: in its declared type, or as a decimal.
    pub fn number(&self, name: &str) -> Result<Value, Bad> {
        self.convert(name, self.types.get(name).copied().unwrap_or("decimal"))
    }

    fn operand(&self, operand: &Operand) -> Result<Value, Bad> {
        match operand {
            Operand::Field(name) => self.number(name),
            Operand::Number(text) => Ok(Value::Decimal(number::decimal(text.as_bytes()).unwrap())),
        }
    }
}

impl Job {
    /// Whether the field holds doubles.
    fn is_float(&self, name: &str) -> bool {
        let derived = self.steps.iter().find_map(|step| match step {
            Step::Derive { name: derived, left, right, .. } if *derived == name => Some([left, right]),
            _ => None,
        });
        match derived {
            Some(operands) => operands.iter().any(|it| matches!(it, Operand::Field(name) if self.is_float(name))),
            None => self.types.get(name) == Some(&"float"),
        }
    }

    /// Returns the record behind all steps, or `None` if it is filtered out.
    pub fn mapped(&self, cells: BTreeMap<String, Cell>) -> Result<Option<Record<'_>>, Bad> {
        let mut record = Record { types: &self.types, cells, derived: BTreeMap::new() };
        for step in &self.steps {
            match step {
                Step::Filter(predicate) if !predicate.of(&record)? => return Ok(None),
                Step::Filter(_) => {}
                Step::Derive { name, left, sign, right } => {
                    let (left, right) = (record.operand(left)?, record.operand(right)?);
                    let value = match self.is_float(name) {
                        true => derived_float(*sign, &left, &right),
                        false => derived(*sign, left, right)?,
                    };
                    record.derived.insert(name, value);
                }
            }
        }
        let is_wanted = self.filter.as_ref().map_or(Ok(true), |filter| filter.of(&record))?;
        Ok(is_wanted.then_some(record))
    }

    /// Returns what a record contributes: the key of its group and what each aggregate sees, or its row.
    pub fn observed(&self, record: &Record<'_>) -> Result<(Vec<Value>, Vec<Seen>), Bad> {
        let fields = |names: &[&str]| names.iter().map(|name| record.field(name)).collect::<Result<Vec<_>, _>>();
        match &self.rows {
            Rows::Records { select } => Ok((fields(select)?, Vec::new())),
            Rows::Groups { by, aggregates, .. } => {
                let seen = aggregates.iter().map(|aggregate| aggregate.sees(record));
                Ok((fields(by)?, seen.collect::<Result<_, _>>()?))
            }
        }
    }

    /// Returns the rows of the result, from what `observed` gave for each record.
    pub fn rows(&self, records: Vec<(Vec<Value>, Vec<Seen>)>) -> Result<Vec<Vec<Value>>, Overflow> {
        let Rows::Groups { by, aggregates, having } = &self.rows else {
            let mut rows: Vec<_> = records.into_iter().map(|(row, _)| row).collect();
            rows.sort_by(|a, b| self.order(a, b));
            rows.truncate(self.limit.unwrap_or(usize::MAX));
            return Ok(rows);
        };
        let mut groups: BTreeMap<Vec<Value>, Vec<Vec<Seen>>> = BTreeMap::new();
        if by.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for (key, seen) in records {
            groups.entry(key).or_default().push(seen);
        }
        let mut rows = Vec::new();
        for (key, seen) in groups {
            let finished = |(i, aggregate): (usize, &Aggregate)| {
                let column: Vec<_> = seen.iter().map(|seen| seen[i].clone()).collect();
                aggregate.finish(column, aggregate.field.is_some_and(|field| self.is_float(field)))
            };
            let cells: Vec<_> = aggregates.iter().enumerate().map(finished).collect();
            if let Some(having) = having {
                let (names, row) = (self.columns(), key.clone().into_iter().map(Ok).chain(cells.iter().cloned()));
                let row: BTreeMap<_, _> = names.into_iter().zip(row).collect();
                if !having.holds(&|name| row[name].clone())? {
                    continue;
                }
            }
            rows.push(key.into_iter().map(Ok).chain(cells).collect::<Result<Vec<_>, _>>()?);
        }
        // Ties stay in the order of the key.
        rows.sort_by(|a, b| self.order(a, b).then_with(|| a.cmp(b)));
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(rows)
    }

    pub fn columns(&self) -> Vec<String> {
        match &self.rows {
            Rows::Records { select } => select.iter().map(|name| name.to_string()).collect(),
            Rows::Groups { by, aggregates, .. } => {
                let aggregates = (0..aggregates.len()).map(|i| format!("c{i}"));
                by.iter().map(|name| name.to_string()).chain(aggregates).collect()
            }
        }
    }

    fn order(&self, a: &[Value], b: &[Value]) -> Ordering {
        let names = self.columns();
        let each = self.sort.iter().map(|(name, is_descending)| {
            let column = names.iter().position(|known| known == name).unwrap();
            let order = a[column].cmp(&b[column]);
            if *is_descending { order.reverse() } else { order }
        });
        each.fold(Ordering::Equal, Ordering::then)
    }
}

fn derived(sign: char, left: Value, right: Value) -> Result<Value, Bad> {
    let (Value::Decimal(a), Value::Decimal(b)) = (left, right) else { return Ok(Value::Null) };
    let value = match sign {
        '+' => fit(a + b),
        '-' => fit(a - b),
        '*' => product(&a, &b),
        _ if b == BigInt::ZERO => return Ok(Value::Null),
        _ => quotient(&a, &b),
    };
    value.map(Value::Decimal).ok_or(Bad)
}

fn derived_float(sign: char, left: &Value, right: &Value) -> Value {
    let double = |value: &Value| match value {
        Value::Decimal(number) => Some(number::to_double(number)),
        Value::Float(number) => Some(*number),
        Value::Null | Value::Bytes(_) => None,
    };
    match (double(left), double(right), sign) {
        (Some(a), Some(b), '+') => Value::float(a + b),
        (Some(a), Some(b), '-') => Value::float(a - b),
        (Some(a), Some(b), '*') => Value::float(a * b),
        (Some(a), Some(b), _) if b != 0.0 => Value::float(a / b),
        _ => Value::Null,
    }
}

impl Aggregate {
    fn sees(&self, record: &Record<'_>) -> Result<Seen, Bad> {
        let is_seen = self.only.as_ref().map_or(Ok(true), |only| only.of(record))?;
        let by = self.by.filter(|_| is_seen).map_or(Ok(Value::Null), |by| record.number(by))?;
        Ok((self.value(record, is_seen)?, by))
    }

    fn value(&self, record: &Record<'_>, is_seen: bool) -> Result<Value, Bad> {
        match (self.op, self.field) {
            _ if !is_seen => Ok(Value::Null),
            ("first" | "last" | "argmin" | "argmax", Some(field)) => record.field(field),
            (_, None) => Ok(Value::Decimal(number::one())),
            ("count", Some(field)) => Ok(record.raw(field)),
            ("approx_distinct", Some(field)) => record.field(field),
            (_, Some(field)) => record.number(field),
        }
    }

    fn finish(&self, seen: Vec<Seen>, is_float: bool) -> Result<Value, Overflow> {
        let seen = seen.into_iter().filter(|(value, by)| !value.is_null() && (self.by.is_none() || !by.is_null()));
        let seen: Vec<_> = seen.collect();
        let mut best: Option<&Seen> = None;
        for one in &seen {
            let is_better = best.is_none_or(|best| match self.op {
                "last" => true,
                "argmin" => one.1 < best.1,
                "argmax" => one.1 > best.1,
                _ => false,
            });
            best = if is_better { Some(one) } else { best };
        }
        if let "first" | "last" | "argmin" | "argmax" = self.op {
            return Ok(best.map_or(Value::Null, |(value, _)| value.clone()));
        }
        let seen: Vec<_> = seen.into_iter().map(|(value, _)| value).collect();
        if self.op == "count" {
            return Ok(Value::Decimal(number::one() * seen.len()));
        }
        if self.op == "approx_distinct" {
            return Ok(Value::Decimal(number::one() * sketches::distinct(&seen)));
        }
        if seen.is_empty() {
            return Ok(Value::Null);
        }
        if let Some(q) = self.q {
            return Ok(Value::float(sketches::quantile(&seen, q)));
        }
        let decimals =
            seen.iter().filter_map(|value| if let Value::Decimal(number) = value { Some(number) } else { None });
        let doubles: Vec<_> = seen
            .iter()
            .filter_map(|value| if let Value::Float(number) = value { Some(*number) } else { None })
            .collect();
        let total: BigInt = decimals.sum();
        match (self.op, is_float) {
            ("min", _) => Ok(seen.into_iter().min().unwrap()),
            ("max", _) => Ok(seen.into_iter().max().unwrap()),
            ("sum", false) => fit(total).map(Value::Decimal).ok_or(Overflow),
            ("sum", true) => Ok(Value::float(number::sum_of_doubles(&doubles, 1))),
            (_, true) => Ok(Value::float(number::sum_of_doubles(&doubles, doubles.len()))),
            (_, false) => Ok(Value::float(number::nearest(&(total << 1074u32), &(number::one() * seen.len())))),
        }
    }
}
