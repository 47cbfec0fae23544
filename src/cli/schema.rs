//! `mapfold schema`: prints what a spec may have in it, as JSON Schema for editors or as Markdown for readers.

use super::to_stdout;
use crate::schema::{json_schema, reference};
use crate::spec::schema::SPEC;

const EXAMPLES: &str = "\
Examples:
  mapfold schema > mapfold.schema.json
  mapfold schema --markdown | less

An editor that knows JSON Schema completes and checks a spec that begins with
  {
    \"$schema\": \"mapfold.schema.json\",";

/// Print what a spec may have in it, as JSON Schema
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// As a page to read: every key, in Markdown
    #[arg(long)]
    markdown: bool,
}

/// The beginning of the page in Markdown.
const INTRO: &str = "\
# Every key of a job spec

What a spec may have in it, key by key. `mapfold schema --markdown` prints this page, from the table that mapfold checks specs by; \
`mapfold schema` prints the same [for editors](guide.md#an-editor-that-knows-the-keys). [The guide](guide.md#the-job-spec) explains \
more, with examples.

In the place of any value but in `params` itself `{\"param\": NAME}` may stand for that of a param.
";

pub fn run(args: &Args) -> anyhow::Result<()> {
    let text = match args.markdown {
        true => INTRO.to_owned() + &reference::of("The spec", &SPEC),
        false => format!("{:#}\n", json_schema::of("A job spec of mapfold", &SPEC)),
    };
    Ok(to_stdout(&text)?)
}
