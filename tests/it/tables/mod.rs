//! A reference for what the engine does to tables, by simple means: it reads files byte by byte, computes with integers
//! of any size, and keeps groups in a `BTreeMap`. It is slow, and was written without looking at the engine.

pub mod draw;
pub mod job;
pub mod number;
pub mod predicate;
pub mod reader;
pub mod replay;
pub mod sketches;
pub mod writer;

use std::cmp::Ordering;

use num_bigint::BigInt;

/// The value of a cell.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bytes(Vec<u8>),
    /// A number in units of 10^-38.
    Decimal(BigInt),
    /// A double, with only one zero and one NaN.
    Float(f64),
}

impl Value {
    pub fn float(value: f64) -> Value {
        Value::Float(if value.is_nan() { f64::NAN } else { value + 0.0 })
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

/// The order of the engine: null first, NaN last.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
            (a, b) => panic!("a column has one type: {a:?} {b:?}"),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}
