//! Bad records: where they lie, what is wrong with them, and what the user can do about it.
//!
//! A reader or stage that finds a record bad drops the record from its batch and adds it to [`Rejects`]. The records
//! before it go on to the next stage. So the earliest of several bad records is known, whatever stage found it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use crate::data::parse::{NoTimestamp, ParseError, parse_timestamp, timestamp};
use crate::data::{Decimal, Span, Zone};
use crate::record::delimited::Malformed;
use crate::record::json;

/// A bad record, which is left out of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The range of the record's bytes within the window.
    pub record: Range<usize>,
    pub why: Why,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The code that maps the record panics: a bug in mapfold.
    Panic {
        message: String,
    },
    /// The record doesn't follow its format.
    Malformed(Malformed),
    Json(json::Malformed),
    /// The line doesn't match the pattern that it should match.
    NoMatch,
    /// A derived field has more digits than a decimal holds.
    Derived {
        field: String,
    },
    /// The field that a step takes apart is not a JSON array.
    NoArray {
        field: String,
        value: Vec<u8>,
    },
    /// The field's value is not of the field's type.
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
                write!(f, "column {field:?} is {:?}, not a JSON array", String::from_utf8_lossy(value))
            }
            Why::Field { field, value, why } => {
                write!(f, "column {field:?} is {:?}, {why}", String::from_utf8_lossy(value))
            }
        }
    }
}

impl Why {
    /// Returns what the user can do about it. `numbers` are the names of fields that can't be text. `may_name_nulls`
    /// says whether a spec can name more values that are null.
    pub fn hint(&self, numbers: &BTreeSet<String>, may_name_nulls: bool) -> String {
        const SKIP: &str = "--set read.on_error=skip skips bad records";
        match self {
            Why::Panic { .. } => format!("this is a bug in mapfold, please report it; {SKIP}"),
            Why::Field { field, value, why: why @ (ParseError::NotANumber | NO_TIMESTAMP) } => {
                let is_number = *why == ParseError::NotANumber;
                if let Some(sign) = sign_in_number(value).filter(|_| is_number) {
                    return format!("{SKIP}; a number has no \"{sign}\" in it, so the source has to write it without");
                }
                // `read.null` can't help with an empty value: it is bad only if it was quoted, and quoted values are
                // never null. Nor can it name a value that was cut off or isn't UTF-8.
                let null = match std::str::from_utf8(value) {
                    Ok(value) if may_name_nulls && !value.is_empty() && value.len() < SHOWN => {
                        format!(", 'read.null={}' makes this one null", serde_json::json!([value]))
                    }
                    _ => String::new(),
                };
                // The hint is quoted so that it can be pasted into a shell.
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
                format!(
                    "{SKIP}; jq -c . puts a document on one line, and jq -c '.[]' puts each element of an array on a line"
                )
            }
            Why::Malformed(_) | Why::NoMatch | Why::NoArray { .. } | Why::Derived { .. } | Why::Field { .. } => {
                SKIP.into()
            }
        }
    }
}

const NO_TIMESTAMP: ParseError = ParseError::NoTimestamp(NoTimestamp::Unknown);

/// Returns the sign that keeps `value` from being a number, such as a thousands separator, a currency sign or a percent
/// sign. `None` if `value` is no number without such signs either.
fn sign_in_number(value: &[u8]) -> Option<char> {
    const SIGNS: [char; 8] = [',', '$', '€', '£', '¥', '%', '_', ' '];
    let text = std::str::from_utf8(value).ok()?;
    let sign = text.chars().find(|c| SIGNS.contains(c))?;
    Decimal::parse(text.replace(SIGNS, "").as_bytes()).is_ok().then_some(sign)
}

/// Bytes of a value that a message shows at most.
const SHOWN: usize = 100;

fn start(value: &[u8]) -> Vec<u8> {
    value[..value.len().min(SHOWN)].to_vec()
}

/// The bad records of a window.
#[derive(Debug, Default)]
pub struct Rejects {
    found: Vec<Reject>,
    /// Whether the first bad record ends the job, so that nothing behind it counts.
    first_ends: bool,
}

impl Rejects {
    /// `first_ends`: the first bad record ends the job, so no record behind it is handed on.
    pub fn new(first_ends: bool) -> Self {
        Rejects { found: Vec::new(), first_ends }
    }

    /// Whether a bad record has ended the job.
    pub fn have_ended(&self) -> bool {
        self.first_ends && !self.found.is_empty()
    }

    /// Sets `kept` to the numbers, below `rows`, of the records that go on. `bad` are the numbers of bad records, in
    /// ascending order. If the first bad record ends the job, only the records before it go on.
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

    /// Adds a record with a field that is not of its type.
    #[cold]
    pub fn field(&mut self, record: Span, field: &str, value: &[u8], why: ParseError) {
        self.add(record, Why::Field { field: field.to_owned(), value: start(value), why });
    }

    /// Adds a record with a field that is not a JSON array.
    #[cold]
    pub fn no_array(&mut self, record: Span, field: &str, value: &[u8]) {
        self.add(record, Why::NoArray { field: field.to_owned(), value: start(value) });
    }

    /// Forgets the bad records if the first of them would end the job. It is for jobs that have all the records they
    /// want before that one.
    pub fn forget_the_end(&mut self) {
        if self.first_ends {
            self.found.clear();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the window's bad records in the order of the input, and forgets them. If a record occurs several times,
    /// because several steps found it bad or several records were made of it, it is returned once.
    pub fn take(&mut self) -> Vec<Reject> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|reject| reject.record.start);
        found.dedup_by_key(|reject| reject.record.start);
        found
    }
}
