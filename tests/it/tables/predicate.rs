//! Predicates: as a spec, and done by the reference.

use std::cmp::Ordering;

use serde_json::{Number, json};

use super::Value;
use super::job::{Bad, Overflow, Record};
use super::number;

#[derive(Clone, Debug)]
pub enum Predicate {
    Field(String, Test),
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
}

#[derive(Clone, Debug)]
pub enum Test {
    /// `equal`, `lt`, `lte`, `gt` or `gte`.
    Compare(&'static str, Literal),
    In(Vec<Literal>),
    Valid(bool),
}

#[derive(Clone, Copy, Debug)]
pub enum Literal {
    Text(&'static str),
    Number(&'static str),
}

impl Predicate {
    pub fn json(&self) -> serde_json::Value {
        match self {
            Predicate::And(list) => json!({"and": list.iter().map(Predicate::json).collect::<Vec<_>>()}),
            Predicate::Or(list) => json!({"or": list.iter().map(Predicate::json).collect::<Vec<_>>()}),
            Predicate::Not(not) => json!({"not": not.json()}),
            Predicate::Field(field, Test::Compare(key, literal)) => json!({"field": field, *key: literal.json()}),
            Predicate::Field(field, Test::Valid(valid)) => json!({"field": field, "valid": valid}),
            Predicate::Field(field, Test::In(list)) => {
                json!({"field": field, "in": list.iter().map(Literal::json).collect::<Vec<_>>()})
            }
        }
    }
}

impl Literal {
    fn json(&self) -> serde_json::Value {
        match self {
            Literal::Text(text) => (*text).into(),
            Literal::Number(text) => serde_json::from_str::<Number>(text).unwrap().into(),
        }
    }
}

impl Predicate {
    /// Evaluates the predicate for a record, from left to right and no further than needed. Only the fields it looks at
    /// can make the record bad.
    pub fn of(&self, record: &Record<'_>) -> Result<bool, Bad> {
        self.evaluate(&|field, test| match test {
            // A field may be present whatever its type.
            Test::Valid(_) => Ok(record.raw(field)),
            test if test.is_of_numbers() => record.number(field),
            _ => record.field(field),
        })
    }

    /// Evaluates the predicate for a row. A cell that overflowed counts only if the predicate looks at it.
    pub fn holds(&self, cell: &impl Fn(&str) -> Result<Value, Overflow>) -> Result<bool, Overflow> {
        self.evaluate(&|field, _| cell(field))
    }

    fn evaluate<E>(&self, cell: &impl Fn(&str, &Test) -> Result<Value, E>) -> Result<bool, E> {
        match self {
            Predicate::Field(field, test) => Ok(test.holds(&cell(field, test)?)),
            Predicate::Not(not) => Ok(!not.evaluate(cell)?),
            Predicate::And(list) | Predicate::Or(list) => {
                let ends_with = matches!(self, Predicate::Or(_));
                for one in list {
                    if one.evaluate(cell)? == ends_with {
                        return Ok(ends_with);
                    }
                }
                Ok(!ends_with)
            }
        }
    }
}

impl Test {
    /// Whether all literals of the test are numbers.
    fn is_of_numbers(&self) -> bool {
        let is_number = |literal: &Literal| matches!(literal, Literal::Number(_));
        match self {
            Test::Compare(_, literal) => is_number(literal),
            Test::In(list) => !list.is_empty() && list.iter().all(is_number),
            Test::Valid(_) => false,
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Test::Valid(valid) => value.is_null() != *valid,
            Test::In(list) => list.iter().any(|literal| literal.order(value).is_some_and(Ordering::is_eq)),
            Test::Compare(key, literal) => literal.order(value).is_some_and(|order| match *key {
                "equal" => order.is_eq(),
                "lt" => order.is_lt(),
                "lte" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            }),
        }
    }
}

impl Literal {
    /// Compares a value with the literal. Returns `None` for null.
    fn order(&self, value: &Value) -> Option<Ordering> {
        let (Literal::Text(text) | Literal::Number(text)) = self;
        let number = || number::decimal(text.as_bytes()).unwrap();
        match value {
            Value::Null => None,
            Value::Bytes(bytes) => Some(bytes.as_slice().cmp(text.as_bytes())),
            Value::Decimal(value) => Some(value.cmp(&number())),
            // NaN is the greatest value, and no literal is NaN.
            Value::Float(value) if value.is_nan() => Some(Ordering::Greater),
            Value::Float(value) => value.partial_cmp(&text.parse().unwrap()),
        }
    }
}
