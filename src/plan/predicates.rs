//! Predicates: their names found, and what they compare with held to what there is to compare.

use super::columns::{Columns, Kind};
use super::resolve::Blame;
use super::steps::{Fields, pattern};
use crate::error::Result;
use crate::predicate::{Comparison, Number, Predicate, Test};
use crate::spec::{self, Literal};

/// `where`, or a step's `filter`: over fields.
pub(super) fn filter(spec: &spec::Predicate, path: &str, fields: &Fields, blame: &Blame<'_>) -> Result<Predicate> {
    let find = |path: &str, name: &str| Ok((fields.find(path, name, blame)?, Kind::Text));
    Names { find: &find, blame }.resolve(spec, path)
}

/// `having`: over columns.
pub(super) fn having(spec: &spec::Predicate, columns: &Columns, blame: &Blame<'_>) -> Result<Predicate> {
    let find = |path: &str, name: &str| columns.find(path, name, blame).map(|column| (column.index, column.kind));
    Names { find: &find, blame }.resolve(spec, "having")
}

type Find<'a> = dyn Fn(&str, &str) -> Result<(usize, Kind)> + 'a;

/// What there is to ask for.
struct Names<'a> {
    /// The cell that a name at a path means, and what it holds.
    find: &'a Find<'a>,
    blame: &'a Blame<'a>,
}

impl Names<'_> {
    fn resolve(&self, spec: &spec::Predicate, path: &str) -> Result<Predicate> {
        let list = |list: &[spec::Predicate], key: &str| {
            let each = list.iter().enumerate();
            each.map(|(i, one)| self.resolve(one, &format!("{path}.{key}.{i}"))).collect::<Result<Vec<_>>>()
        };
        Ok(match spec {
            spec::Predicate::And { and } => Predicate::And(list(and, "and")?),
            spec::Predicate::Or { or } => Predicate::Or(list(or, "or")?),
            spec::Predicate::Not { not } => Predicate::Not(Box::new(self.resolve(not, &format!("{path}.not"))?)),
            spec::Predicate::Field { field, test } => {
                let (index, kind) = (self.find)(&format!("{path}.field"), field)?;
                Predicate::Cell { index, test: self.test(test, Cell { name: field, kind, path })? }
            }
        })
    }

    fn test(&self, test: &spec::Test, cell: Cell<'_>) -> Result<Test> {
        let compare = |key: &str, comparison, literal: &Literal| {
            Ok(match self.literal(literal, &cell, key)? {
                Constant::Text(text) => Test::Text(comparison, text),
                Constant::Number(number) => Test::Number(comparison, number),
            })
        };
        match test {
            spec::Test::Equal(literal) => compare("equal", Comparison::Equal, literal),
            spec::Test::Lt(literal) => compare("lt", Comparison::Less, literal),
            spec::Test::Lte(literal) => compare("lte", Comparison::LessOrEqual, literal),
            spec::Test::Gt(literal) => compare("gt", Comparison::Greater, literal),
            spec::Test::Gte(literal) => compare("gte", Comparison::GreaterOrEqual, literal),
            spec::Test::In(list) => {
                let (mut texts, mut numbers) = (Vec::new(), Vec::new());
                for (i, literal) in list.iter().enumerate() {
                    match self.literal(literal, &cell, &format!("in.{i}"))? {
                        Constant::Text(text) => texts.push(text),
                        Constant::Number(number) => numbers.push(number),
                    }
                }
                Ok(match cell.kind {
                    Kind::Text => Test::TextIn(texts.into_iter().collect()),
                    Kind::Number => Test::NumberIn(numbers),
                })
            }
            spec::Test::Matches(text) => {
                let path = format!("{}.matches", cell.path);
                if cell.kind == Kind::Number {
                    let what = format!("{:?} is a number, and only text matches a pattern", cell.name);
                    return Err(self.blame.error(&path, &what, None));
                }
                pattern(text, &path, self.blame).map(Test::Matches)
            }
            spec::Test::Valid(valid) => Ok(Test::Valid(*valid)),
        }
    }

    /// A literal as the cell can be compared with it. Text that is a number is one where one is wanted: so a command line,
    /// which knows only text, can give it.
    fn literal(&self, literal: &Literal, cell: &Cell<'_>, key: &str) -> Result<Constant> {
        let (what, hint) = match (literal, cell.kind) {
            (Literal::Text(text), Kind::Text) => return Ok(Constant::Text(text.as_bytes().into())),
            (Literal::Number(number), Kind::Number) => return Ok(Constant::Number(real(number))),
            (Literal::Number(number), Kind::Text) => {
                let what =
                    format!("{:?} is text, and {number} a number: comparing them is not supported yet", cell.name);
                (what, Some(format!("in quotes it is compared as text: {:?}", number.to_string())))
            }
            (Literal::Text(text), Kind::Number) => match text.parse() {
                Ok(number) => return Ok(Constant::Number(real(&number))),
                Err(_) => (format!("{:?} is a number, and {text:?} is none", cell.name), None),
            },
        };
        Err(self.blame.error(&format!("{}.{key}", cell.path), &what, hint))
    }
}

fn real(number: &serde_json::Number) -> Number {
    let real = || number.as_f64().map(Number::Real);
    let number = number.as_u64().map(Number::Unsigned).or_else(real);
    number.expect("a number of JSON is one or the other")
}

/// What a test is about.
struct Cell<'a> {
    name: &'a str,
    kind: Kind,
    path: &'a str,
}

enum Constant {
    Text(Box<[u8]>),
    Number(Number),
}
