//! How the sources are read: the format, the fields, and where each source has which.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result, shown, suggestion};
use crate::input::{RecordEnd, Source};
use crate::record::delimited::{self, Dialect, Layout};
use crate::record::{self, Framing, TERMINATOR};
use crate::spec::{self, ReadFormat};

/// How sources are read.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// Lines: field 0.
    Text,
    Delimited {
        dialect: Dialect,
        /// Whether each source begins with a record that names its fields.
        header: bool,
        /// By source.
        layouts: Vec<Arc<Layout>>,
    },
}

impl Read {
    pub fn framing(&self) -> Framing {
        match self {
            Read::Text => Framing::Terminator(TERMINATOR),
            Read::Delimited { dialect, .. } => dialect.framing(),
        }
    }
}

/// The format that the spec names, else the one that the names of the inputs end with, else text.
pub(super) fn format(read: &spec::Read, sources: &[Source]) -> Result<ReadFormat> {
    if let Some(format) = read.format {
        return Ok(format);
    }
    let mut found: Option<(ReadFormat, &Source)> = None;
    for source in sources {
        let format = by_ending(source.path())?;
        match found {
            Some((other, first)) if other != format => {
                let message = format!(
                    "{} is {} by its name, and {} is {}",
                    shown(first.path()),
                    other.name(),
                    shown(source.path()),
                    format.name()
                );
                return Err(Error::usage_hint(message, r#"read.format says how to read them all: "csv""#));
            }
            _ => found = Some((format, source)),
        }
    }
    Ok(found.map_or(ReadFormat::Text, |(format, _)| format))
}

fn by_ending(path: &Path) -> Result<ReadFormat> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let packed = [".gz", ".zst", ".bgz"].into_iter().find_map(|ending| name.strip_suffix(ending));
    let ending = packed.unwrap_or(&name).rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "csv" => Ok(ReadFormat::Csv),
        "tsv" => Ok(ReadFormat::Tsv),
        "jsonl" | "ndjson" | "json" => Err(Error::usage_hint(
            format!("{}: reading JSON lines is not supported yet", shown(path)),
            r#""read": {"format": "text"} reads its lines as they are"#,
        )),
        _ => Ok(ReadFormat::Text),
    }
}

/// The fields that each source has.
#[derive(Debug)]
pub(super) struct Fields {
    dialect: Dialect,
    header: bool,
    /// By source; `None` for one that is empty.
    sources: Vec<Option<Arc<[String]>>>,
}

impl Fields {
    /// Looks into the sources, where they say themselves what fields they have.
    pub fn of(read: &spec::Read, format: ReadFormat, sources: &[Source], max_record: u64) -> Result<Self> {
        let plain = if format == ReadFormat::Tsv { Dialect::tsv() } else { Dialect::csv() };
        let dialect = Dialect {
            delimiter: read.delimiter.unwrap_or(plain.delimiter),
            nulls: read.null.iter().map(|text| text.as_bytes().into()).collect(),
            ..plain
        };
        if let Some(fields) = &read.fields {
            let fields: Arc<[String]> = fields.as_slice().into();
            return Ok(Fields { dialect, header: false, sources: vec![Some(fields); sources.len()] });
        }
        let header = read.header.unwrap_or(true);
        let end_of = RecordEnd { framing: dialect.framing(), longest: record::longest(max_record) };
        let mut known: Vec<Option<Arc<[String]>>> = Vec::new();
        for source in sources {
            let head = source.head(end_of)?;
            if head.is_empty() {
                known.push(None);
                continue;
            }
            if head.len() as u64 >= end_of.longest {
                return Err(Error::RecordTooLong { path: source.path().into(), at: 0, most: max_record });
            }
            let names = delimited::header(&head, &dialect).map_err(|malformed| {
                let what = if header { "the header" } else { "the first record" };
                Error::usage(format!("{}: {what} has {malformed}", shown(source.path())))
            })?;
            let names: Vec<_> = match header {
                true => names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
                false => (1..=names.len()).map(|number| format!("${number}")).collect(),
            };
            // Files of a kind share one list.
            let last = known.iter().rev().flatten().next().filter(|last| ***last == *names);
            known.push(Some(last.cloned().unwrap_or_else(|| names.into())));
        }
        Ok(Fields { dialect, header, sources: known })
    }

    /// Those of the first source that isn't empty.
    pub fn names(&self, sources: &[Source]) -> Result<Vec<&str>> {
        match self.sources.iter().flatten().next() {
            Some(names) => Ok(names.iter().map(String::as_str).collect()),
            None => {
                let name = sources.first().map_or_else(String::new, |source| shown(source.path()));
                let hint = r#"an empty file has no header: "fields": ["a", "b"] of read names the columns without one"#;
                Err(Error::usage_hint(format!("{name}: is empty"), hint))
            }
        }
    }

    /// Where each source has the fields of these names, which are `used`.
    pub fn layouts(&self, sources: &[Source], used: &[&str], verbatim: bool) -> Result<Read> {
        let mut layouts: Vec<Arc<Layout>> = Vec::new();
        for (names, source) in self.sources.iter().zip(sources) {
            // An empty source has no record to be laid out.
            let fields = names.as_deref().unwrap_or_default();
            let wanted = match names {
                None => Vec::new(),
                Some(_) => used.iter().map(|name| find(fields, name, source)).collect::<Result<_>>()?,
            };
            let layout = Layout { fields: fields.len().max(1), wanted, verbatim };
            let last = layouts.last().filter(|last| ***last == layout);
            layouts.push(last.cloned().unwrap_or_else(|| layout.into()));
        }
        Ok(Read::Delimited { dialect: self.dialect.clone(), header: self.header, layouts })
    }
}

fn find(fields: &[String], name: &str, source: &Source) -> Result<usize> {
    let mut found = fields.iter().enumerate().filter(|(_, field)| *field == name).map(|(number, _)| number);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Error::usage_hint(
            format!("{}: its header has the column {name:?} twice", shown(source.path())),
            r#""fields" of read gives the columns other names; "header": false calls them $1, $2 and so on"#,
        )),
        (None, _) => {
            let names: Vec<_> = fields.iter().map(String::as_str).collect();
            let hint = suggestion(name, "its columns", &names);
            Err(Error::usage_hint(format!("{}: no column {name:?}", shown(source.path())), hint))
        }
    }
}
