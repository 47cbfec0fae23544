//! How records are read: the key `read` of a spec, its type and its checks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::map::Type;
use crate::schema::check::{delimiter, separator};
use crate::schema::{Wrong, choices, size};

/// The key `read` of a spec: how the bytes of the input become records and fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Read {
    /// `None`: as the endings of the inputs' names say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<ReadFormat>,
    /// The byte that ends a record of text; a newline if `None`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "read_separator",
        serialize_with = "write_byte"
    )]
    pub record_separator: Option<u8>,
    /// Names of the columns, in place of a header row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Whether the first record of a file names its columns. Without a header, and without `fields`, the columns are
    /// called `$1`, `$2`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// The delimiter between two fields: ASCII, but not a newline, a return or a quote.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "read_delimiter",
        serialize_with = "write_byte"
    )]
    pub delimiter: Option<u8>,
    /// Cells that mean null, besides the format's own null.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub null: Vec<String>,
    /// A pattern whose named groups are the fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// A named pattern in place of `pattern`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Types of fields, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Type>,
    /// The time zone of timestamps without an offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    #[serde(skip_serializing_if = "OnError::is_default")]
    pub on_error: OnError,
    /// The longest record allowed, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "size::option")]
    pub max_record: Option<u64>,
}

choices! {
    /// The formats that an input can have.
    pub enum ReadFormat {
        /// A record is a line, its only field `line`.
        Text = "text",
        /// RFC 4180.
        Csv = "csv",
        /// Fields separated by tabs, with `\t \n \r \\` escaped and null as `\N`.
        Tsv = "tsv",
        /// A record is a line that holds a JSON object.
        Jsonl = "jsonl",
        /// A record is a line. Its fields are what the named groups of a pattern match.
        Regex = "regex",
    }
}

choices! {
    /// Patterns that have a name.
    pub enum Preset {
        /// The format in which web servers write their access logs.
        CommonLog = "common-log",
        /// `CommonLog` with referer and user agent.
        CombinedLog = "combined-log",
        /// RFC 3164, as found in files.
        Syslog = "syslog",
    }
}

impl Preset {
    pub fn pattern(self) -> String {
        // At each byte only one continuation is possible, so a line is read in one pass.
        const COMMON: &str = concat!(
            r#"(?-u)^(?P<host>[^ ]+) (?P<ident>[^ ]+) (?P<user>[^ ]+) \[(?P<time>[^\]]*)\] "#,
            r#""(?P<request>(?P<method>(?:[^ "\\]|\\.)*)(?: (?P<path>(?:[^ "\\]|\\.)*)"#,
            r#"(?: (?P<protocol>(?:[^ "\\]|\\.)*)(?: (?:[^"\\]|\\.)*)?)?)?)" "#,
            r#"(?P<status>[0-9]{3}) (?:(?P<bytes>[0-9]+)|-)"#
        );
        const COMBINED: &str = r#" "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)""#;
        const SYSLOG: &str = concat!(
            r"(?-u)^(?:<(?P<priority>[0-9]{1,3})>)?(?P<time>[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}) ",
            r"(?P<host>[^ ]+) (?P<program>[^:\[ ]+)(?:\[(?P<pid>[0-9]+)\])?: (?P<message>.*)$"
        );
        match self {
            Preset::CommonLog => COMMON.to_owned(),
            Preset::CombinedLog => format!("{COMMON}{COMBINED}"),
            Preset::Syslog => SYSLOG.to_owned(),
        }
    }
}

/// What a job does with a bad record.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OnError {
    #[default]
    Fail,
    Skip,
    /// Skips bad records, and fails if their share of all records is larger than `share`.
    SkipUpTo {
        /// From 0 to 1.
        share: f64,
        /// The file in which bad records are kept as they were read.
        save_to: Option<PathBuf>,
    },
}

impl Read {
    pub(super) fn is_default(&self) -> bool {
        *self == Read::default()
    }

    /// Checks that every given key means something with `format`. The plan calls this when it has chosen the format.
    pub fn fits(&self, format: ReadFormat) -> Result<(), Wrong> {
        let given = [
            ("record_separator", self.record_separator.is_some(), "text"),
            ("fields", self.fields.is_some(), "csv and tsv"),
            ("header", self.header.is_some(), "csv and tsv"),
            ("delimiter", self.delimiter.is_some(), "csv"),
            ("null", !self.null.is_empty(), "csv and tsv"),
            ("pattern", self.pattern.is_some(), "regex"),
            ("preset", self.preset.is_some(), "regex"),
        ];
        for (key, given, formats) in given {
            let means_something = match format {
                ReadFormat::Jsonl => false,
                ReadFormat::Text => formats == "text",
                ReadFormat::Csv => formats.starts_with("csv"),
                ReadFormat::Tsv => formats == "csv and tsv",
                ReadFormat::Regex => formats == "regex",
            };
            if given && !means_something {
                let what = format!("is only for {formats}, but the inputs are read as {}", format.name());
                let first = formats.split(' ').next().unwrap_or(formats);
                let hint = format!("to read them in this format: --set read.format={first}");
                return Err(Wrong::new(&["read".into(), key.into()], what, Some(hint)));
            }
        }
        Ok(())
    }

    /// Checks that the keys go together, as far as the spec alone can tell.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if let (Some(_), Some(true)) = (&self.fields, self.header) {
            let hint = "with fields every row is a record; without them the first row names the columns";
            let path = ["read".into(), "header".into()];
            return Err(Wrong::new(&path, "is true, but fields takes the place of a header", Some(hint.into())));
        }
        if self.fields.as_ref().is_some_and(Vec::is_empty) {
            return Err(Wrong::new(&["read".into(), "fields".into()], "must not be empty", None));
        }
        if let (Some(_), Some(_)) = (&self.pattern, self.preset) {
            let hint = "a preset stands for a pattern";
            return Err(Wrong::new(
                &["read".into(), "preset".into()],
                "and read.pattern can't be used together",
                Some(hint.into()),
            ));
        }
        if let (Some(ReadFormat::Regex), None, None) = (self.format, &self.pattern, self.preset) {
            let hint = format!("or a preset: {}", Preset::NAMES.join(", "));
            return Err(Wrong::new(&["read".into(), "pattern".into()], "is needed by the format regex", Some(hint)));
        }
        self.format.map_or(Ok(()), |format| self.fits(format))
    }
}

fn read_delimiter<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u8>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    text.map(|text| delimiter(&text).ok_or_else(|| de::Error::custom("no delimiter"))).transpose()
}

fn read_separator<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u8>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    text.map(|text| separator(&text).ok_or_else(|| de::Error::custom("no separator"))).transpose()
}

fn write_byte<S: Serializer>(byte: &Option<u8>, out: S) -> Result<S::Ok, S::Error> {
    byte.map(char::from).serialize(out)
}

/// How [`OnError::SkipUpTo`] is written in JSON.
#[derive(Serialize, Deserialize)]
struct Skip {
    skip_up_to: f64,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "super::lossy_option")]
    save_to: Option<PathBuf>,
}

impl OnError {
    fn is_default(&self) -> bool {
        *self == OnError::Fail
    }
}

impl Serialize for OnError {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            OnError::Fail => "fail".serialize(out),
            OnError::Skip => "skip".serialize(out),
            OnError::SkipUpTo { share, save_to } => {
                Skip { skip_up_to: *share, save_to: save_to.clone() }.serialize(out)
            }
        }
    }
}

impl<'de> Deserialize<'de> for OnError {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            Fail,
            Skip,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum WordOrSkip {
            Word(Word),
            Skip(Skip),
        }
        Ok(match WordOrSkip::deserialize(input)? {
            WordOrSkip::Word(Word::Fail) => OnError::Fail,
            WordOrSkip::Word(Word::Skip) => OnError::Skip,
            WordOrSkip::Skip(Skip { skip_up_to: share, save_to }) => OnError::SkipUpTo { share, save_to },
        })
    }
}
