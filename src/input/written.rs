//! Inputs as a job spec writes them: names, or objects that say more.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schema::{Key, Shape, Variant, Variants};
use crate::units::Span;

/// The shape of an element of `input`.
pub static SHAPE: Shape = Shape::NameOr(&Variants {
    what: "an input",
    example: r#"{"path": "a.log", "timeout": "2s"}"#,
    all: &[Variant { name: "path", keys: PATH }, Variant { name: "command", keys: COMMAND }],
});

const TIMEOUT: Key = Key::optional("timeout", Shape::Span)
    .about("How long reading this input may take; if it takes longer, the input has failed");

const PATH: &[Key] = &[
    Key::required("path", Shape::Name).about("A file, a directory, a glob, or - for standard input"),
    TIMEOUT,
    Key::optional(
        "retry",
        Shape::Elsewhere("is only for commands", "files are read again without it, and a pipe can't be read again"),
    ),
    Key::later("read"),
];

const COMMAND: &[Key] = &[
    Key::required("command", Shape::Words).about("A program and its arguments, whose standard output is read"),
    Key::optional("name", Shape::Name).about("The command's name in messages and reports, by default its words"),
    TIMEOUT,
    Key::optional("retry", Shape::Flag)
        .about("Whether the command may be run again if it fails or is slow; it must print the same each time")
        .by_default("false"),
    Key::later("read"),
];

/// What a user named as input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Input {
    /// A file, directory, glob, or `-`.
    Name(#[serde(serialize_with = "lossy")] PathBuf),
    /// A name with a timeout, after which each of its files counts as failed.
    Path {
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout: Option<Span>,
    },
    Command(Command),
}

/// A command whose standard output is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments, at least one word.
    #[serde(rename = "command")]
    pub words: Vec<String>,
    /// The name that messages and reports use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Whether the command may be run again and then prints the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retry: bool,
}

impl Command {
    /// `name`, or else the words quoted for a shell.
    pub fn title(&self) -> Cow<'_, str> {
        match &self.name {
            Some(name) => name.into(),
            None => {
                shlex::try_join(self.words.iter().map(String::as_str)).unwrap_or_else(|_| self.words.join(" ")).into()
            }
        }
    }
}

impl Input {
    /// Whether the input is standard input.
    pub fn is_stdin(&self) -> bool {
        self.path().is_some_and(|path| path.as_os_str() == "-")
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Input::Name(path) | Input::Path { path, .. } => Some(path),
            Input::Command(_) => None,
        }
    }
}

impl From<PathBuf> for Input {
    fn from(name: PathBuf) -> Self {
        Input::Name(name)
    }
}

/// Reads one value or a list of them: `"a"` is short for `["a"]`.
pub fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore<T> {
        One(T),
        More(Vec<T>),
    }
    Ok(match OneOrMore::deserialize(input)? {
        OneOrMore::One(input) => vec![input],
        OneOrMore::More(inputs) => inputs,
    })
}

/// Writes a path as UTF-8. Names from the command line need not be UTF-8, but the report's JSON must be.
fn lossy<S: Serializer>(path: &Path, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&path.to_string_lossy())
}

fn is_false(flag: &bool) -> bool {
    !flag
}
