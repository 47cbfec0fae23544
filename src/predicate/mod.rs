//! Predicates: the conditions of `filter` and `where` on a record, and of `having` on a row. A predicate is a tree
//! whose leaves test single cells.
//!
//! A predicate is evaluated record by record: walking the tree takes next to no time beside the search or comparison at
//! a leaf.

pub mod resolve;
pub mod written;

pub use resolve::resolve;

use std::cmp::Ordering;

use ahash::AHashSet;
use regex::bytes::Regex;

use crate::data::{Batch, Decimal, Value, float};

/// A resolved condition on a record or a row: a tree whose leaves test single cells.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// Evaluated from left to right, no further than needed. So is `Or`.
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Cell {
        /// Index of the cell's field in a record, or of its column in a row.
        index: usize,
        test: Test,
    },
}

/// A test of one cell. Every test but `Valid` is false for null. The plan makes sure that a test fits the type of its
/// cell.
#[derive(Clone, Debug)]
pub enum Test {
    /// Whether the cell has a value (`true`) or is null (`false`).
    Valid(bool),
    /// Compares by bytes.
    Text(Comparison, Box<[u8]>),
    Decimal(Comparison, Decimal),
    Float(Comparison, f64),
    TextIn(AHashSet<Box<[u8]>>),
    DecimalIn(Vec<Decimal>),
    FloatIn(Vec<f64>),
    /// Whether the pattern matches anywhere in the text.
    Matches(Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Test {
    fn holds(&self, value: &Value<'_>) -> bool {
        match (self, value.resolved()) {
            (Test::Valid(valid), value) => value.is_null() != *valid,
            (Test::Text(comparison, to), Value::Bytes(bytes)) => comparison.holds((*bytes).cmp(&**to)),
            (Test::TextIn(set), Value::Bytes(bytes)) => set.contains(bytes),
            (Test::Matches(pattern), Value::Bytes(bytes)) => pattern.is_match(bytes),
            (Test::Decimal(comparison, to), Value::Decimal(number)) => comparison.holds(number.cmp(to)),
            (Test::Float(comparison, to), Value::Float(number)) => comparison.holds(float::compare(number, *to)),
            (Test::DecimalIn(list), Value::Decimal(number)) => list.contains(&number),
            (Test::FloatIn(list), Value::Float(number)) => list.iter().any(|to| float::compare(number, *to).is_eq()),
            _ => false,
        }
    }
}

impl Predicate {
    /// Whether the predicate holds for a record or row. `cell` returns the cells by index.
    pub fn holds<'a>(&self, cell: &impl Fn(usize) -> Value<'a>) -> bool {
        match self {
            Predicate::Cell { index, test } => test.holds(&cell(*index)),
            Predicate::And(all) => all.iter().all(|one| one.holds(cell)),
            Predicate::Or(any) => any.iter().any(|one| one.holds(cell)),
            Predicate::Not(not) => !not.holds(cell),
        }
    }

    /// Replaces the content of `kept` by those records of a batch for which the predicate holds.
    pub fn keep(&self, batch: &Batch<'_>, kept: &mut Vec<u32>) {
        kept.clear();
        kept.extend(
            (0..batch.rows as u32).filter(|&i| self.holds(&|field: usize| batch.columns[field].value(i as usize))),
        );
    }

    /// Calls `each` with the index of every cell that the predicate may read.
    pub fn cells(&self, each: &mut impl FnMut(usize)) {
        match self {
            Predicate::Cell { index, .. } => each(*index),
            Predicate::And(list) | Predicate::Or(list) => list.iter().for_each(|one| one.cells(each)),
            Predicate::Not(not) => not.cells(each),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(test: Test, value: Value<'_>) -> bool {
        Predicate::Cell { index: 0, test }.holds(&|_| value)
    }

    fn text(comparison: Comparison, to: &str) -> Test {
        Test::Text(comparison, to.as_bytes().into())
    }

    #[test]
    fn texts_compare_by_bytes() {
        assert!(holds(text(Comparison::Equal, "b"), Value::Bytes(b"b")));
        assert!(holds(text(Comparison::Less, "b"), Value::Bytes(b"a\xff")));
        assert!(!holds(text(Comparison::Less, "b"), Value::Bytes(b"b")));
        assert!(holds(text(Comparison::LessOrEqual, "b"), Value::Bytes(b"b")));
        assert!(holds(text(Comparison::Greater, "b"), Value::Bytes(b"b\0")));
        assert!(holds(text(Comparison::GreaterOrEqual, "Z"), Value::Bytes(b"a")));
        let set = Test::TextIn(["a", ""].map(|text| text.as_bytes().into()).into_iter().collect());
        assert!(holds(set.clone(), Value::Bytes(b"")) && !holds(set, Value::Bytes(b"b")));
        let pattern = Test::Matches(Regex::new("b+$").unwrap());
        assert!(holds(pattern.clone(), Value::Bytes(b"\xffabb")) && !holds(pattern, Value::Bytes(b"ba")));
    }

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn decimals_compare_exactly() {
        let holds =
            |number, comparison, to| holds(Test::Decimal(comparison, decimal(to)), Value::Decimal(decimal(number)));
        assert!(holds("3", Comparison::Equal, "3.0"));
        assert!(holds("3", Comparison::Less, "3.5"));
        assert!(holds("4", Comparison::Greater, "3.5"));
        assert!(holds("0", Comparison::Greater, "-0.5"));
        assert!(holds("-0", Comparison::Equal, "0"));
        // 2^53 + 1 can't be represented as a float.
        assert!(holds("9007199254740993", Comparison::Greater, "9007199254740992"));
        assert!(super::tests::holds(Test::DecimalIn(vec![decimal("1"), decimal("2.0")]), Value::Decimal(decimal("2"))));
        assert!(!super::tests::holds(Test::Decimal(Comparison::Less, decimal("2")), Value::Bytes(b"1")));
    }

    #[test]
    fn floats_compare_as_floats() {
        let holds = |number, comparison, to| holds(Test::Float(comparison, to), Value::Float(number));
        assert!(holds(0.1, Comparison::Equal, 0.1) && !holds(0.1, Comparison::Less, 0.1));
        assert!(holds(-0.0, Comparison::Equal, 0.0));
        assert!(holds(f64::NAN, Comparison::Greater, 1.0) && holds(f64::NAN, Comparison::Equal, f64::NAN));
        assert!(holds(f64::NEG_INFINITY, Comparison::Less, 1.0));
        assert!(super::tests::holds(Test::FloatIn(vec![0.5, f64::NAN]), Value::Float(f64::NAN)));
        assert!(!super::tests::holds(Test::FloatIn(vec![0.5]), Value::Float(0.25)));
    }

    #[test]
    fn null_is_false_whatever_is_asked_but_whether_it_is_null() {
        for comparison in [Comparison::Equal, Comparison::Less, Comparison::GreaterOrEqual] {
            assert!(!holds(text(comparison, ""), Value::Null));
            assert!(!holds(Test::Decimal(comparison, decimal("0")), Value::Null));
        }
        assert!(!holds(Test::Matches(Regex::new("").unwrap()), Value::Null));
        assert!(!holds(Test::Valid(true), Value::Null) && holds(Test::Valid(false), Value::Null));
        assert!(holds(Test::Valid(true), Value::Bytes(b"")));
        let not = Predicate::Not(Box::new(Predicate::Cell { index: 0, test: text(Comparison::Equal, "") }));
        assert!(not.holds(&|_| Value::Null));
    }

    #[test]
    fn and_or_stop_early() {
        let cell = |index| Predicate::Cell { index, test: Test::Valid(true) };
        let value = |index| if index < 2 { Value::Decimal(decimal("1")) } else { panic!("cell {index} was asked for") };
        assert!(Predicate::Or(vec![cell(0), cell(2)]).holds(&value));
        assert!(!Predicate::And(vec![Predicate::Not(Box::new(cell(1))), cell(2)]).holds(&value));
        assert!(Predicate::And(vec![]).holds(&value) && !Predicate::Or(vec![]).holds(&value));
        let mut asked = vec![];
        Predicate::And(vec![cell(0), Predicate::Not(Box::new(cell(2)))]).cells(&mut |index| asked.push(index));
        assert_eq!(asked, [0, 2]);
    }
}
