//! `extract`: the first match of a pattern in a field, or a record for each match. A group of the pattern may be taken
//! in place of the whole match.

use regex::bytes::Regex;
use serde_json::Value;

use super::AS;
use super::pieces::{PieceFinder, Pieces};
use crate::data::{BATCH, Batch, Bytes, Column, Kind, Sink, Span};
use crate::error::{Result, suggestion};
use crate::map::scope::Written;
use crate::map::tokenise::Tokens;
use crate::map::{Field, Makes, Next, Scope, Stage, Step};
use crate::predicate::resolve::pattern;
use crate::schema::{Blame, Key, Shape};

pub const KEYS: &[Key] = &[
    Key::required("extract", Shape::Name).about("The first match of a pattern in this field, or null"),
    Key::required("pattern", Shape::Pattern).about("A regular expression, which may match anywhere"),
    AS,
    Key::optional("group", Shape::Group)
        .about("The group of the pattern to take, by number or name; 0 is the whole match")
        .by_default("0"),
    Key::optional("all", Shape::Flag)
        .about("Whether to make one record of each match that isn't empty, and not only of the first")
        .by_default("false"),
];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let input = scope.text(&written.at("extract"), written.text("extract"))?;
    let pattern = pattern(written.text("pattern"), &written.at("pattern"), &scope.blame)?;
    let group = group(written.get("group"), &pattern, &written.at("group"), &scope.blame)?;
    let all = written.get("all") == Some(&Value::Bool(true));
    match all {
        true => scope.push(ExtractAll { input, pattern, group }),
        false => scope.push(Extract { input, pattern, group }),
    }
    scope.add(&written.at("as"), written.text("as"), Kind::Bytes, !all || group > 0)?;
    Ok(())
}

/// Returns the number of the group that the spec asks for. Without a group in the spec that is 0, the whole match.
fn group(written: Option<&Value>, pattern: &Regex, path: &str, blame: &Blame<'_>) -> Result<usize> {
    let Some(written) = written else { return Ok(0) };
    if let Some(number) = written.as_u64() {
        return match usize::try_from(number).ok().filter(|&number| number < pattern.captures_len()) {
            Some(number) => Ok(number),
            None => {
                let what = match pattern.captures_len() - 1 {
                    0 => "it has none".to_owned(),
                    groups => format!("it has {groups}"),
                };
                Err(blame.error(path, &format!("the pattern has no group {number}: {what}"), None))
            }
        };
    }
    let name = written.as_str().expect("the schema has been through it");
    pattern.capture_names().position(|known| known == Some(name)).ok_or_else(|| {
        let names: Vec<_> = pattern.capture_names().flatten().collect();
        let hint = match names.as_slice() {
            [] => format!("to name a group, write (?P<{name}>…)"),
            names => suggestion(name, "its groups", names),
        };
        blame.error(path, &format!("the pattern has no group {name:?}"), Some(hint))
    })
}

/// Adds the first match of a pattern, or a group of that match. The new field is null if there is none.
#[derive(Debug)]
pub struct Extract {
    pub input: Field,
    pub pattern: Regex,
    /// The group to take; 0 is the whole match.
    pub group: usize,
}

/// Makes one record for each match that isn't empty.
#[derive(Debug)]
pub struct ExtractAll {
    pub input: Field,
    pub pattern: Regex,
    /// The group to take; 0 is the whole match.
    pub group: usize,
}

impl Step for Extract {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn stage(&self) -> Box<dyn Stage> {
        // The pattern is cloned, here and below, because each clone has a cache of its own, and workers then don't
        // share one.
        let pattern = self.pattern.clone();
        Box::new(Extracting { input: self.input, pattern, group: self.group, found: Vec::new() })
    }
}

#[derive(Debug)]
struct Extracting {
    input: Field,
    pattern: Regex,
    group: usize,
    found: Vec<Span>,
}

impl Stage for Extracting {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Extracting { input, pattern, group, found } = self;
        let column = batch.bytes(*input);
        found.clear();
        found.extend((0..batch.rows).map(|i| first_match(pattern, *group, &column, i)));
        next.take(&Batch {
            rows: batch.rows,
            columns: &[batch.columns, &[Column::Bytes(Bytes { data: column.data, spans: found })]].concat(),
        })
    }
}

/// Returns where the first match in record `i` lies in the column's data.
fn first_match(pattern: &Regex, group: usize, column: &Bytes<'_>, i: usize) -> Span {
    let found = column.value(i).and_then(|field| match group {
        0 => pattern.find(field),
        group => pattern.captures(field).and_then(|captures| captures.get(group)),
    });
    found.map_or(Span::NULL, |found| Span::of(found.range()).shifted(column.spans[i].start))
}

impl Step for ExtractAll {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::Any
    }

    fn stage(&self) -> Box<dyn Stage> {
        let matches = Matches { pattern: self.pattern.clone(), group: self.group, found: Vec::new() };
        Box::new(Pieces::new(self.input, matches))
    }
}

#[derive(Debug)]
struct Matches {
    pattern: Regex,
    group: usize,
    found: Vec<Span>,
}

impl PieceFinder for Matches {
    fn copies(&self) -> bool {
        false
    }

    fn find(&mut self, field: &[u8], each: &mut dyn FnMut(Tokens<'_>)) {
        let Matches { pattern, group, found } = self;
        let mut hand_on = |spans: &[Span]| each(Tokens { data: field, begins: 0, spans });
        found.clear();
        let mut put = |span| {
            found.push(span);
            if found.len() == BATCH {
                hand_on(found);
                found.clear();
            }
        };
        if *group == 0 {
            pattern.find_iter(field).filter(|found| !found.is_empty()).for_each(|found| put(Span::of(found.range())));
        } else {
            for captures in pattern.captures_iter(field).filter(|captures| !captures[0].is_empty()) {
                put(captures.get(*group).map_or(Span::NULL, |group| Span::of(group.range())));
            }
        }
        hand_on(found);
    }
}
