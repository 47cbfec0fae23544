//! `split`: makes a record for each piece of a field. The pieces are those of a tokeniser, or what lies between
//! occurrences of a literal or matches of a pattern.

use regex::bytes::Regex;
use serde_json::Value;

use super::AS;
use super::pieces::{PieceFinder, Pieces};
use crate::data::{BATCH, Batch, Bytes, Column, Kind, Sink, Span};
use crate::error::Result;
use crate::map::program::{Front, Makes};
use crate::map::scope::Written;
use crate::map::tokenise::{Cutter, Splitter, Tokens};
use crate::map::{Field, Next, Reader, Scope, Stage, Step, Window};
use crate::predicate::resolve::pattern;
use crate::record::{self, Taken};
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[
    Key::required("split", Shape::Name).about("Makes one record of each piece of this field"),
    Key::required("on", Shape::SplitterOr(BETWEEN)).about(
        "What the pieces are: words or characters, or the text between separators, which are a text or a pattern",
    ),
    AS,
];

const BETWEEN: &[Key] =
    &[Key::required("pattern", Shape::Pattern).about("The pieces are the text between matches of this pattern")];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let input = scope.text(&written.at("split"), written.text("split"))?;
    match written.get("on").and_then(|on| on.get("pattern")).and_then(Value::as_str) {
        Some(between) => {
            let path = format!("{}.pattern", written.at("on"));
            scope.push(SplitBetween { input, between: pattern(between, &path, &scope.blame)? });
        }
        None => scope.push(Split { input, on: Splitter::named(written.text("on")), adds: scope.next_field() }),
    }
    scope.add(&written.at("as"), written.text("as"), Kind::Bytes, false)?;
    Ok(())
}

#[derive(Debug)]
pub struct Split {
    pub input: Field,
    pub on: Splitter,
    /// The field that holds the piece.
    pub adds: Field,
}

impl Step for Split {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::Pieces { field: self.adds, of: self.input, on: &self.on }
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Pieces::new(self.input, Cutter::new(&self.on)))
    }

    /// A splitter that cuts at every line end anyway (at white space, or at whatever is no letter) finds the same
    /// pieces in the whole window as in its lines. The window is then cut without being split into lines.
    fn front(&self, line_is_read: bool) -> Option<Front> {
        let fuses = self.input == 0 && self.on.may_see_lines_joined() && !line_is_read;
        fuses.then(|| Front { reader: Box::new(Fused(Cutter::new(&self.on))), does_the_step: true })
    }
}

/// Makes a record for each piece between matches of a pattern. Empty pieces are kept.
#[derive(Debug)]
struct SplitBetween {
    input: Field,
    between: Regex,
}

impl Step for SplitBetween {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::Any
    }

    fn stage(&self) -> Box<dyn Stage> {
        // The pattern is cloned because each clone has a cache of its own, and workers then don't share one.
        Box::new(Pieces::new(self.input, Between { pattern: self.between.clone(), found: Vec::new() }))
    }
}

#[derive(Debug)]
struct Between {
    pattern: Regex,
    found: Vec<Span>,
}

impl PieceFinder for Between {
    fn copies(&self) -> bool {
        false
    }

    fn find(&mut self, field: &[u8], each: &mut dyn FnMut(Tokens<'_>)) {
        let Between { pattern, found } = self;
        found.clear();
        let begin = field.as_ptr().addr();
        for piece in pattern.split(field) {
            let from = piece.as_ptr().addr() - begin;
            found.push(Span::of(from..from + piece.len()));
            if found.len() == BATCH {
                each(Tokens { data: field, begins: 0, spans: found });
                found.clear();
            }
        }
        each(Tokens { data: field, begins: 0, spans: found });
    }
}

impl PieceFinder for Cutter {
    fn copies(&self) -> bool {
        self.folds()
    }

    fn find(&mut self, field: &[u8], each: &mut dyn FnMut(Tokens<'_>)) {
        self.cut(field, each);
    }
}

/// Cuts a whole window into pieces, in place of the first step.
#[derive(Debug)]
struct Fused(Cutter);

impl Reader for Fused {
    fn read(&mut self, window: Window<'_>, next: &mut Next<'_>) -> Result<Taken> {
        // Counted first, because counting brings the window into the cache faster than a tokeniser does. With counting
        // last, wordcount took a twentieth more time.
        let records = record::count(window.bytes);
        let mut result = Ok(());
        self.0.cut(window.bytes, |Tokens { data, spans, .. }| {
            for spans in spans.chunks(BATCH) {
                let pieces = Column::Bytes(Bytes { data, spans });
                // Nothing reads the line, so the pieces stand in for it as field 0.
                if result.is_ok() {
                    result = next.take(&Batch { rows: spans.len(), columns: &[pieces, pieces] });
                }
            }
        });
        result.map(|()| window.taken(records))
    }
}
