//! Resolves predicates as written to predicates that can be evaluated: looks up their names, and checks that the
//! literals can be compared with the cells.

use regex::bytes::{Regex, RegexBuilder};

use super::written::{self, Literal};
use super::{Comparison, Predicate, Test};
use crate::data::parse::{ParseError, parse_float, parse_timestamp, timestamp};
use crate::data::{Decimal, Kind};
use crate::error::Result;
use crate::schema::Blame;

/// Looks up the names in a predicate.
pub trait Names {
    /// Returns the index and the kind of the cell that `name`, at `path` of the spec, refers to. The predicate reads
    /// the cell only if all of `reached` hold.
    fn find(&mut self, path: &str, name: &str, wanted: Wanted, reached: &[Predicate]) -> Result<(usize, Kind)>;
}

/// What a test wants of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whether the cell has a value, of any type.
    Presence,
    /// A value of the type that the cell was declared to have.
    Declared,
    /// A number: the cell is compared with numbers, so text whose type wasn't declared is to be read as a number.
    Number,
}

/// Resolves the predicate at `path` of the spec.
pub fn resolve(
    written: &written::Predicate,
    path: &str,
    names: &mut dyn Names,
    blame: &Blame<'_>,
) -> Result<Predicate> {
    Resolver { names, blame, reached: Vec::new() }.resolve(written, path)
}

/// The state of a walk through a predicate.
struct Resolver<'a> {
    names: &'a mut dyn Names,
    blame: &'a Blame<'a>,
    /// Predicates that hold whenever evaluation gets to the current place of the walk. Evaluation goes from left to
    /// right, no further than needed.
    reached: Vec<Predicate>,
}

impl Resolver<'_> {
    fn resolve(&mut self, written: &written::Predicate, path: &str) -> Result<Predicate> {
        Ok(match written {
            written::Predicate::And { and } => Predicate::And(self.list(and, path, "and", |held| held)?),
            written::Predicate::Or { or } => {
                Predicate::Or(self.list(or, path, "or", |held| Predicate::Not(Box::new(held)))?)
            }
            written::Predicate::Not { not } => Predicate::Not(Box::new(self.resolve(not, &format!("{path}.not"))?)),
            written::Predicate::Field { field, test } => {
                let at = format!("{path}.field");
                let (index, kind) = self.names.find(&at, field, wanted(test), &self.reached)?;
                Predicate::Cell { index, test: TestedCell { name: field, kind, path, blame: self.blame }.test(test)? }
            }
        })
    }

    /// Resolves the list of an `and` or `or`. Evaluation goes on from one predicate to the next only if `goes_on` of
    /// the first holds.
    fn list(
        &mut self,
        list: &[written::Predicate],
        path: &str,
        key: &str,
        goes_on: impl Fn(Predicate) -> Predicate,
    ) -> Result<Vec<Predicate>> {
        let reached = self.reached.len();
        let mut resolved = Vec::new();
        for (i, one) in list.iter().enumerate() {
            let one = self.resolve(one, &format!("{path}.{key}.{i}"))?;
            self.reached.push(goes_on(one.clone()));
            resolved.push(one);
        }
        self.reached.truncate(reached);
        Ok(resolved)
    }
}

fn wanted(test: &written::Test) -> Wanted {
    match test {
        written::Test::Valid(_) => Wanted::Presence,
        test if is_beside_numbers(test) => Wanted::Number,
        _ => Wanted::Declared,
    }
}

/// Whether the test compares with numbers only.
fn is_beside_numbers(test: &written::Test) -> bool {
    let is_number = |literal: &Literal| matches!(literal, Literal::Number(_));
    match test {
        written::Test::Equal(literal)
        | written::Test::Lt(literal)
        | written::Test::Lte(literal)
        | written::Test::Gt(literal)
        | written::Test::Gte(literal) => is_number(literal),
        written::Test::In(list) => !list.is_empty() && list.iter().all(is_number),
        written::Test::Matches(_) | written::Test::Valid(_) => false,
    }
}

/// Compiles a regular expression of the crate `regex`, over bytes: text need not be UTF-8.
pub fn pattern(text: &str, path: &str, blame: &Blame<'_>) -> Result<Regex> {
    RegexBuilder::new(text).build().map_err(|error| {
        if let regex::Error::CompiledTooBig(_) = error {
            let hint = "a repetition such as {1000} takes as much memory as writing it out; in ASCII, (?-u:\\w) takes less than \\w";
            return blame.error(path, &format!("{text:?} is too large a pattern"), Some(hint.into()));
        }
        // The error has several lines, with a picture. The last line says what is wrong.
        let what = error.to_string();
        let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let hint = match () {
            () if what.contains("look-around") || what.contains("backreferences") => {
                "the syntax is that of ripgrep and of Rust's regex: it has neither look-around nor backreferences"
            }
            () if what.contains("duplicate") => "give each group a name of its own",
            () if what.contains("unrecognized escape") => {
                "the syntax is that of ripgrep and of Rust's regex; for the end of the text write $ or \\z"
            }
            () => "to match the character itself, put a backslash before it: \\( \\[ \\{ \\* \\+ \\? (in JSON two)",
        };
        blame.error(path, &format!("{text:?} is not a regular expression: {what}"), Some(hint.into()))
    })
}

/// The cell that a test is about.
struct TestedCell<'a> {
    name: &'a str,
    kind: Kind,
    /// Path of the predicate in the spec.
    path: &'a str,
    blame: &'a Blame<'a>,
}

/// A literal, converted to the type of the cell that it is compared with.
enum Constant {
    Text(Box<[u8]>),
    Decimal(Decimal),
    Float(f64),
}

impl TestedCell<'_> {
    fn test(&self, test: &written::Test) -> Result<Test> {
        let compare = |key: &str, comparison, literal: &Literal| {
            Ok(match self.literal(literal, key)? {
                Constant::Text(text) => Test::Text(comparison, text),
                Constant::Decimal(number) => Test::Decimal(comparison, number),
                Constant::Float(number) => Test::Float(comparison, number),
            })
        };
        match test {
            written::Test::Equal(literal) => compare("equal", Comparison::Equal, literal),
            written::Test::Lt(literal) => compare("lt", Comparison::Less, literal),
            written::Test::Lte(literal) => compare("lte", Comparison::LessOrEqual, literal),
            written::Test::Gt(literal) => compare("gt", Comparison::Greater, literal),
            written::Test::Gte(literal) => compare("gte", Comparison::GreaterOrEqual, literal),
            written::Test::In(list) => {
                let (mut texts, mut decimals, mut floats) = (Vec::new(), Vec::new(), Vec::new());
                for (i, literal) in list.iter().enumerate() {
                    match self.literal(literal, &format!("in.{i}"))? {
                        Constant::Text(text) => texts.push(text),
                        Constant::Decimal(number) => decimals.push(number),
                        Constant::Float(number) => floats.push(number),
                    }
                }
                Ok(match self.kind {
                    Kind::Json if !texts.is_empty() && !decimals.is_empty() => {
                        let what = format!("{:?} is compared with texts and with numbers", self.name);
                        let hint = r#"each kind has its own test: {"or": […]}"#;
                        return Err(self.blame.error(&format!("{}.in", self.path), &what, Some(hint.into())));
                    }
                    Kind::Json if !decimals.is_empty() => Test::DecimalIn(decimals),
                    Kind::Bytes | Kind::Json => Test::TextIn(texts.into_iter().collect()),
                    Kind::Decimal | Kind::Timestamp(_) => Test::DecimalIn(decimals),
                    Kind::Float => Test::FloatIn(floats),
                })
            }
            written::Test::Matches(text) => {
                let path = format!("{}.matches", self.path);
                if !matches!(self.kind, Kind::Bytes | Kind::Json) {
                    let what = format!("{:?} is {}, but only text matches a pattern", self.name, self.kind.noun());
                    return Err(self.blame.error(&path, &what, None));
                }
                pattern(text, &path, self.blame).map(Test::Matches)
            }
            written::Test::Valid(valid) => Ok(Test::Valid(*valid)),
        }
    }

    /// Converts a literal to what the cell can be compared with. If the cell is a float, the constant is a float, so
    /// that a number equals what it is written as. If the cell is a number, a text that is a number becomes one: a
    /// command line can give only text.
    fn literal(&self, literal: &Literal, key: &str) -> Result<Constant> {
        let name = self.name;
        let (what, hint) = match (literal, self.kind) {
            (Literal::Text(text), Kind::Bytes | Kind::Json) => return Ok(Constant::Text(text.as_bytes().into())),
            (Literal::Number(number), Kind::Bytes) => {
                let what = format!("{name:?} is text, but {number} is a number");
                (what, Some(format!("put it in quotes to compare it as text: {:?}", number.to_string())))
            }
            (Literal::Number(number), kind) => match constant(&number.to_string(), kind) {
                Ok(number) => return Ok(number),
                Err(ParseError::NoTimestamp(why)) => (format!("{name:?} is a timestamp, but {number} is {why}"), None),
                Err(_) if kind == Kind::Float => (format!("{number} is beyond the greatest float"), None),
                Err(_) => (format!("{number} has more than 38 digits"), None),
            },
            (Literal::Text(text), kind) => match constant(text, kind) {
                Ok(number) => return Ok(number),
                Err(ParseError::NoTimestamp(why)) => {
                    (format!("{name:?} is a timestamp, but {text:?} is {why}"), Some(timestamp::FORMS.into()))
                }
                Err(_) => (format!("{name:?} is a number, but {text:?} is not"), None),
            },
        };
        Err(self.blame.error(&format!("{}.{key}", self.path), &what, hint))
    }
}

fn constant(text: &str, kind: Kind) -> Result<Constant, ParseError> {
    match kind {
        Kind::Float => parse_float(text.as_bytes()).map(Constant::Float),
        Kind::Timestamp(zone) => parse_timestamp(text.as_bytes(), &zone.clock()).map(Constant::Decimal),
        Kind::Decimal | Kind::Json | Kind::Bytes => Decimal::parse(text.as_bytes()).map(Constant::Decimal),
    }
}
