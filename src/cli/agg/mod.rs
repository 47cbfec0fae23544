//! `mapfold agg`: a group-by in one line.
//!
//! ```text
//! -g region 'sum(amount) as total, count' --where 'status >= 500' sales.csv
//!    grammar ──► Agg, Predicate, Field ──to_spec──► a spec in JSON ──► run as by `mapfold run`
//! ```
//!
//! The command can do nothing that a spec can't do: `--print-spec` prints the spec that the command line stands for.

mod cursor;
mod grammar;
mod print;
mod to_spec;

use std::path::Path;

use serde_json::{Map, Value, json};

use super::job::Changes;
use super::run::{self, ResultArgs};
use super::{help, names, to_stdout};
use crate::error::{Error, Result, shown};
use crate::schema::check::check;
use crate::spec::{Document, schema};
use grammar::{Field, Over};
use to_spec::Header;

const EXAMPLES: &str = "\
Examples:
  mapfold agg -g region 'sum(amount) as total, count' --sort=-total sales.csv
  mapfold agg 'mean(ms), max(ms)' --where 'status >= 500' -n 10 requests.tsv
  mapfold agg -g '$1' 'mean($2)' --no-header --delimiter ';' readings.txt";

const GRAMMAR: &str = "\
AGGS:
  count              the number of records
  count(x)           the number of records in which x is not null
  sum(x) min(x) max(x) mean(x)
  ... as NAME        the column's name, which is sum(x) and so on by default
  A field is a name, a \"quoted name\", or with --no-header $1, $2, and so on.
  To compute with fields: --set 'map=[{\"derive\": \"a * b\", \"as\": \"x\"}]'

Predicates:
  x = 'New York'     also != < <= > >=; all of them are false for null
  x ~ '^GET '        a regular expression matches somewhere in x
  x in (EU, US)      x is one of these values
  A value is a number, a word, or text in single or double quotes; a quote in
  the text is written twice. Digits after a leading zero (01234) are a word.
  --having is about columns of the result: 'sum(amount) > 100'.";

const READING: &str = "How the input is read";

/// Group and aggregate the columns of a table in one line
#[derive(clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = [EXAMPLES, &help::after_long(GRAMMAR)].join("\n\n"),
    disable_help_flag = true,
    mut_args(|arg| {
        let is_seldom = arg.is_hide_short_help_set() || arg.get_help_heading() == Some(help::SETTINGS);
        arg.hide_short_help(is_seldom)
    })
)]
pub struct Args {
    /// Aggregates: 'sum(amount) as total, count'
    #[arg(value_name = "AGGS", help_heading = help::INPUT_AND_JOB, display_order = 0)]
    aggs: String,

    /// Fields to group by, separated by commas
    ///
    /// A name with a comma in it must be in double quotes. The groups are sorted by these fields, unless --sort says
    /// otherwise. Without -g all records are one group.
    #[arg(short, long, value_name = "FIELDS", help_heading = help::INPUT_AND_JOB, display_order = 2)]
    group_by: Option<String>,

    /// Keep only records like 'status >= 500'; repeatable
    ///
    /// If there are several, all must hold.
    #[arg(long = "where", value_name = "P", help_heading = help::INPUT_AND_JOB, display_order = 3)]
    filters: Vec<String>,

    /// Keep only groups like 'count > 10'; repeatable
    ///
    /// The predicate is about columns of the result. If there are several, all must hold.
    #[arg(long, value_name = "P", help_heading = help::INPUT_AND_JOB, display_order = 4)]
    having: Vec<String>,

    /// Only the first N rows of each group, by --sort
    ///
    /// A group has the rows that agree in all fields of -g but the last: -g country,city --per-group 3 --sort=-count takes
    /// the three largest cities of each country. --limit cuts what is left.
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = help::INPUT_AND_JOB, display_order = 5)]
    per_group: Option<String>,

    /// text, csv, tsv or jsonl  [default: by input names]
    #[arg(long, value_name = "FORMAT", help_heading = READING, display_order = 10)]
    read: Option<String>,

    /// The character between two fields; implies csv
    #[arg(long, value_name = "C", help_heading = READING, display_order = 11)]
    delimiter: Option<String>,

    /// The first row is a record; fields are $1, $2, ...
    #[arg(long, help_heading = READING, display_order = 12)]
    no_header: bool,

    /// The type of a column, such as id=int; repeatable
    ///
    /// TYPE is string, int, float, decimal or timestamp. A field without a type is read as a decimal where a number is needed:
    /// an exact number of up to 38 digits.
    #[arg(long = "type", value_name = "COL=TYPE", help_heading = READING, display_order = 13)]
    types: Vec<String>,

    #[command(flatten)]
    changes: Changes,

    #[command(flatten)]
    result: ResultArgs,

    /// Print the spec of this command line, don't run it
    #[arg(long, help_heading = help::WHAT_HAPPENED, display_order = 0)]
    print_spec: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let job = args.changes.apply(document(&args)?)?;
    if args.print_spec {
        let mut spec = job.spec;
        spec.output.path = args.result.output.as_ref().map(Into::into).or(spec.output.path);
        return Ok(to_stdout(&print::spec(&spec)?)?);
    }
    run::execute(job, args.changes.unordered, &args.result)
}

fn document(args: &Args) -> Result<Document> {
    let mut spec = Map::new();
    let mut put = |key: &str, value: Option<Value>| value.map(|value| spec.insert(key.into(), value));
    let header = if args.no_header { Header::None } else { Header::Row };
    let aggs = grammar::aggs(&args.aggs).map_err(|error| perhaps_a_file(&args.aggs, error))?;
    let aggregates = aggs.iter().map(|agg| to_spec::aggregate(agg, header)).collect::<Result<Vec<_>>>()?;
    put("aggregate", Some(aggregates.into()));
    put("group_by", args.group_by.as_deref().map(|fields| group_by(fields, header)).transpose()?);

    let parse = |flag: &str, texts: &[String], over| {
        texts.iter().map(|text| grammar::predicate(flag, text, over)).collect::<Result<Vec<_>>>()
    };
    put("where", to_spec::all("--where", &parse("--where", &args.filters, Over::Fields)?, header)?);
    put("having", to_spec::all("--having", &parse("--having", &args.having, Over::Columns)?, Header::None)?);
    put("read", Some(json!({ "types": types(&args.types)? })).filter(|_| !args.types.is_empty()));

    let mut document = Document::new("agg", spec);
    let format = args.read.as_deref().or(args.delimiter.is_some().then_some("csv"));
    for (flag, path, value) in [
        ("--read", "read.format", format),
        ("--delimiter", "read.delimiter", args.delimiter.as_deref()),
        ("--no-header", "read.header", args.no_header.then_some("false")),
        ("--per-group", "limit_per_group", args.per_group.as_deref()),
    ] {
        value.map_or(Ok(()), |value| document.set_flag(flag, path, value))?;
    }
    Ok(document)
}

/// Adds a hint to `error` if a file was named in the place of AGGS.
fn perhaps_a_file(aggs: &str, error: Error) -> Error {
    match error {
        Error::Usage { message, .. } if Path::new(aggs).exists() => {
            let file = shown(aggs);
            Error::usage_hint(message, format!("AGGS come first, then each INPUT: mapfold agg count {file}"))
        }
        error => error,
    }
}

fn group_by(fields: &str, header: Header) -> Result<Value> {
    let position = |name: &str| {
        let digits = name.strip_prefix('$');
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let field = |name: names::Name| {
        let is_position = !name.quoted && position(&name.text);
        let field = if is_position { Field::Position(name.text) } else { Field::Name(name.text) };
        header.field("-g", &field).map(str::to_owned)
    };
    Ok(names::list("-g", fields)?.into_iter().map(field).collect::<Result<Vec<_>>>()?.into())
}

fn types(given: &[String]) -> Result<Value> {
    let mut types = Map::new();
    for text in given {
        // The name of a field may have a = in it, the name of a type has none.
        let Some((field, name)) = text.rsplit_once('=') else {
            let hint = "--type COL=TYPE, such as --type amount=float";
            return Err(Error::usage_hint(format!("--type {text}: no \"=\""), hint));
        };
        let value = Value::from(name);
        check(&value, &schema::TYPE, &mut Vec::new()).map_err(|wrong| wrong.into_error(&format!("--type {field}")))?;
        if types.insert(field.to_owned(), value).is_some() {
            return Err(Error::usage(format!("--type {field}: is given twice")));
        }
    }
    Ok(types.into())
}

#[cfg(test)]
mod tests;
