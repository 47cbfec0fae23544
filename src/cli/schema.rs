//! `mapfold schema`: prints what a spec may have in it, as JSON Schema for editors or as Markdown for readers.

use super::to_stdout;
use crate::schema::{json_schema, reference};
use crate::spec::schema::SPEC;

const EXAMPLES: &str = "\
Examples:
  mapfold schema > mapfold.schema.json
  mapfold schema --markdown | less

An editor that supports JSON Schema completes and checks a spec that begins with
  {
    \"$schema\": \"mapfold.schema.json\",";

/// Print the keys of a job spec as JSON Schema
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print a page to read instead, in Markdown
    #[arg(long)]
    markdown: bool,
}

/// The beginning of the page in Markdown.
const INTRO: &str = "\
# Every key of a job spec

A job spec is a JSON object. This page lists every key that it may have. `mapfold schema --markdown` prints this page, from the same \
table by which mapfold checks specs; `mapfold schema` prints the keys as JSON Schema \
[for editors](guide.md#an-editor-that-knows-the-keys). [The guide](guide.md#the-job-spec) explains more, with examples.

`{\"param\": NAME}` may stand in the place of any value, except inside `params`, and means the value of the param NAME. In the column \
\"other keys\", keys in brackets may be left out.
";

pub fn run(args: &Args) -> anyhow::Result<()> {
    let text = match args.markdown {
        true => INTRO.to_owned() + &reference::of("The spec", &SPEC),
        false => format!("{:#}\n", json_schema::of("A job spec of mapfold", &SPEC)),
    };
    Ok(to_stdout(&text)?)
}
