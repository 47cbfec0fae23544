//! Steps: their fields found, their patterns compiled.

use regex::bytes::{Regex, RegexBuilder};

use super::Field;
use super::predicates;
use super::resolve::Blame;
use crate::error::{Result, suggestion};
use crate::map::{Splitter, Step};
use crate::spec::{self, Spec};

/// The fields of a record: its own, then one a step that adds one.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, Null)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Null {
    Never,
    Possible,
}

impl Fields {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub fn may_be_null(&self, field: Field) -> bool {
        self.0[field].1 == Null::Possible
    }

    pub fn find(&self, path: &str, name: &str, blame: &Blame<'_>) -> Result<Field> {
        blame.find(path, "field", name, &self.names().collect::<Vec<_>>())
    }

    fn add(&mut self, name: &str, null: Null, path: &str, blame: &Blame<'_>) -> Result<()> {
        if self.names().any(|known| known == name) {
            let hint = Some("choose another name".into());
            return Err(blame.error(&format!("{path}.as"), &format!("there is a field {name:?} already"), hint));
        }
        self.0.push((name.to_owned(), null));
        Ok(())
    }
}

/// The steps, `where` as the last of them, and the fields of a record behind them.
pub(super) fn steps(spec: &Spec, blame: &Blame<'_>) -> Result<(Fields, Vec<Step>)> {
    let mut fields = Fields(vec![("line".into(), Null::Never)]);
    let mut steps = Vec::new();
    for (i, step) in spec.map.iter().enumerate() {
        let path = format!("map.{i}");
        let at = |key: &str| format!("{path}.{key}");
        steps.push(match step {
            spec::Step::Split { split, on, name } => {
                let input = fields.find(&at("split"), split, blame)?;
                fields.add(name, Null::Never, &path, blame)?;
                Step::Split { input, on: splitter(on) }
            }
            spec::Step::Ngrams { ngrams, of, n, name } => {
                let input = fields.find(&at("ngrams"), ngrams, blame)?;
                fields.add(name, Null::Never, &path, blame)?;
                Step::Ngrams { input, of: splitter(of), n: *n }
            }
            spec::Step::Extract { extract, pattern: text, name, group, all } => {
                let input = fields.find(&at("extract"), extract, blame)?;
                let pattern = pattern(text, &at("pattern"), blame)?;
                let group = number(group.as_ref(), &pattern, &at("group"), blame)?;
                let null = if *all && group == 0 { Null::Never } else { Null::Possible };
                fields.add(name, null, &path, blame)?;
                match all {
                    true => Step::ExtractAll { input, pattern, group },
                    false => Step::Extract { input, pattern, group },
                }
            }
            spec::Step::Derive { .. } => return Err(blame.error(&at("derive"), "not supported yet", None)),
            spec::Step::Filter { filter } => Step::Filter(predicates::filter(filter, &at("filter"), &fields, blame)?),
        });
    }
    if let Some(filter) = &spec.filter {
        steps.push(Step::Filter(predicates::filter(filter, "where", &fields, blame)?));
    }
    Ok((fields, steps))
}

fn splitter(on: &str) -> Splitter {
    match on {
        "words" => Splitter::Words,
        "whitespace" => Splitter::Whitespace,
        "letters" => Splitter::Letters,
        "chars" => Splitter::Chars,
        literal => Splitter::Literal(literal.as_bytes().to_vec()),
    }
}

/// A regular expression of the crate `regex`, over bytes: text need not be UTF-8.
pub(super) fn pattern(text: &str, path: &str, blame: &Blame<'_>) -> Result<Regex> {
    RegexBuilder::new(text).build().map_err(|error| {
        if let regex::Error::CompiledTooBig(_) = error {
            let hint = "a repetition such as {1000} takes as much room as writing it out; in ASCII, (?-u:\\w) takes less than \\w";
            return blame.error(path, &format!("{text:?} is too large a pattern"), Some(hint.into()));
        }
        // Several lines, with a picture; what is wrong is in the last.
        let what = error.to_string();
        let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let hint = match what.contains("look-around") || what.contains("backreferences") {
            true => "the syntax is that of ripgrep and of Rust's regex: it has neither look-around nor backreferences",
            false => "for the sign itself put a backslash before it: \\( \\[ \\{ \\* \\+ \\? (in JSON two)",
        };
        blame.error(path, &format!("{text:?} is no regular expression: {what}"), Some(hint.into()))
    })
}

/// Of a group of `pattern`: 0, the whole match, where none is named.
fn number(group: Option<&spec::Group>, pattern: &Regex, path: &str, blame: &Blame<'_>) -> Result<usize> {
    match group {
        None => Ok(0),
        Some(spec::Group::Number(number)) if *number < pattern.captures_len() => Ok(*number),
        Some(spec::Group::Number(number)) => {
            let what = match pattern.captures_len() - 1 {
                0 => "it has none".to_owned(),
                groups => format!("it has {groups}"),
            };
            Err(blame.error(path, &format!("the pattern has no group {number}: {what}"), None))
        }
        Some(spec::Group::Name(name)) => {
            let found = pattern.capture_names().position(|known| known == Some(name));
            found.ok_or_else(|| {
                let names: Vec<_> = pattern.capture_names().flatten().collect();
                let hint = match names.as_slice() {
                    [] => format!("a group is named so: (?P<{name}>…)"),
                    names => suggestion(name, "its groups", names),
                };
                blame.error(path, &format!("the pattern has no group {name:?}"), Some(hint))
            })
        }
    }
}
