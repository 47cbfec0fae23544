//! A predicate as it is written in a spec.

use serde::{Deserialize, Serialize};

/// A condition as it is written in a spec: its fields are names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Predicate {
    And {
        and: Vec<Predicate>,
    },
    Or {
        or: Vec<Predicate>,
    },
    Not {
        not: Box<Predicate>,
    },
    Field {
        field: String,
        #[serde(flatten)]
        test: Test,
    },
}

/// A test of one field, as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    Equal(Literal),
    Lt(Literal),
    Lte(Literal),
    Gt(Literal),
    Gte(Literal),
    In(Vec<Literal>),
    Matches(String),
    Valid(bool),
}

/// A value that a field is compared with, as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    Text(String),
    Number(serde_json::Number),
}
