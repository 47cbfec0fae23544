//! Bad records: where they lie and what is wrong with them.
//!
//! Whoever finds a record bad drops it from its batch and says so here; records before it go on, so that of several bad
//! records the earliest is known whatever stage found it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use crate::data::parse::{NoTimestamp, ParseError, parse_timestamp, timestamp};
use crate::data::{Decimal, Span, Zone};
use crate::record::delimited::Malformed;
use crate::record::json;

/// A record that is not in the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Its bytes, within the window.
    pub record: Range<usize>,
    pub why: Why,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// What takes it panics: a bug in mapfold.
    Panic {
        message: String,
    },
    /// It is no record of its format.
    Malformed(Malformed),
    Json(json::Malformed),
    /// A line that a pattern is to match, and doesn't.
    NoMatch,
    /// A field worked out of others that is beyond what decimals hold.
    Derived {
        field: String,
    },
    /// A field that is no JSON array, where one is taken apart.
    NoArray {
        field: String,
        value: Vec<u8>,
    },
    /// A field that is not of its type.
    Field {
        /// The field's name.
        field: String,
        value: Vec<u8>,
        why: ParseError,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Panic { message } => write!(f, "internal error: {message}"),
            Why::Malformed(malformed) => malformed.fmt(f),
            Why::Json(malformed) => malformed.fmt(f),
            Why::NoMatch => f.write_str("doesn't match the pattern"),
            Why::Derived { field } => write!(f, "column {field:?} needs more than 38 digits"),
            Why::NoArray { field, value } => {
                write!(f, "column {field:?} is {:?}, no JSON array", String::from_utf8_lossy(value))
            }
            Why::Field { field, value, why } => {
                write!(f, "column {field:?} is {:?}, {why}", String::from_utf8_lossy(value))
            }
        }
    }
}

impl Why {
    /// What to do about it. `numbers` are names of fields that can't be text; `may_name_nulls` says whether a spec can say
    /// what else is null.
    pub fn hint(&self, numbers: &BTreeSet<String>, may_name_nulls: bool) -> String {
        const SKIP: &str = "--set read.on_error=skip passes over bad records";
        match self {
            Why::Panic { .. } => format!("this is a bug in mapfold, please report it; {SKIP}"),
            Why::Field { field, value, why: why @ (ParseError::NotANumber | NO_TIMESTAMP) } => {
                let is_number = *why == ParseError::NotANumber;
                if let Some(sign) = sign_in_number(value).filter(|_| is_number) {
                    return format!("{SKIP}; a number has no \"{sign}\" in it, and the source has to write it without");
                }
                // In quotes nothing is null, and what is empty has them.
                // What was cut, or isn't UTF-8, can't be given so.
                let null = match std::str::from_utf8(value) {
                    Ok(value) if may_name_nulls && !value.is_empty() && value.len() < SHOWN => {
                        format!(", 'read.null={}' makes this one null", serde_json::json!([value]))
                    }
                    _ => String::new(),
                };
                // The words are given as they are pasted into a shell.
                let quote = if field.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c)) { "" } else { "'" };
                let to = |to, what| format!(", {quote}read.types.{field}={to}{quote} {what}");
                let other = match numbers.contains(field) || field.contains('\'') {
                    _ if !is_number => format!("; {}", timestamp::FORMS),
                    true => String::new(),
                    false if parse_timestamp(value, &Zone::UTC.clock()).is_ok() => {
                        to("timestamp", "the column timestamps") + &to("string", "text")
                    }
                    false => to("string", "the column text"),
                };
                format!("{SKIP}{null}{other}")
            }
            Why::Json(_) => {
                format!("{SKIP}; one document is made a line by jq -c ., and an array's elements by jq -c '.[]'")
            }
            Why::Malformed(_) | Why::NoMatch | Why::NoArray { .. } | Why::Derived { .. } | Why::Field { .. } => {
                SKIP.into()
            }
        }
    }
}

const NO_TIMESTAMP: ParseError = ParseError::NoTimestamp(NoTimestamp::Unknown);

/// What people write numbers with, where the rest is one.
fn sign_in_number(value: &[u8]) -> Option<char> {
    const SIGNS: [char; 8] = [',', '$', '€', '£', '¥', '%', '_', ' '];
    let text = std::str::from_utf8(value).ok()?;
    let sign = text.chars().find(|c| SIGNS.contains(c))?;
    Decimal::parse(text.replace(SIGNS, "").as_bytes()).is_ok().then_some(sign)
}

/// Longest part of a value that a message shows.
const SHOWN: usize = 100;

fn start(value: &[u8]) -> Vec<u8> {
    value[..value.len().min(SHOWN)].to_vec()
}

/// The bad records of a window.
#[derive(Debug, Default)]
pub struct Rejects {
    found: Vec<Reject>,
    /// Whether the first of them is the last record that counts.
    first_ends: bool,
}

impl Rejects {
    /// `first_ends`: nothing behind a bad record is handed on, because it ends the job.
    pub fn new(first_ends: bool) -> Self {
        Rejects { found: Vec::new(), first_ends }
    }

    /// Whether there is a bad record behind which nothing counts.
    pub fn have_ended(&self) -> bool {
        self.first_ends && !self.found.is_empty()
    }

    /// Which of `rows` records go on, of which those of `bad`, ascending, don't.
    pub fn kept(&self, rows: usize, bad: impl Iterator<Item = u32>, kept: &mut Vec<u32>) {
        let mut bad = bad.peekable();
        let end = match bad.peek() {
            Some(&first) if self.first_ends => first,
            _ => rows as u32,
        };
        kept.clear();
        kept.extend((0..end).filter(|row| bad.next_if_eq(row).is_none()));
    }

    pub fn add(&mut self, record: Span, why: Why) {
        self.found.push(Reject { record: record.start as usize..record.end as usize, why });
    }

    /// A field of a record that is not of its type.
    #[cold]
    pub fn field(&mut self, record: Span, field: &str, value: &[u8], why: ParseError) {
        self.add(record, Why::Field { field: field.to_owned(), value: start(value), why });
    }

    /// A field of a record that is no JSON array.
    #[cold]
    pub fn no_array(&mut self, record: Span, field: &str, value: &[u8]) {
        self.add(record, Why::NoArray { field: field.to_owned(), value: start(value) });
    }

    /// Forgets bad records behind which nothing counts: nor do they.
    pub fn forget_the_end(&mut self) {
        if self.first_ends {
            self.found.clear();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Those of the window, in the order of the input. A record that several steps found bad, or that several records
    /// were made of, is one.
    pub fn take(&mut self) -> Vec<Reject> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|reject| reject.record.start);
        found.dedup_by_key(|reject| reject.record.start);
        found
    }
}
