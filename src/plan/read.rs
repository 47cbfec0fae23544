//! How the sources are read: finds the format, the fields, and where each source has which field.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use regex::bytes::Regex;

use crate::error::{Error, Result, shown, suggestion};
use crate::input::{Codec, Head, Heads, Hedging, Patience, RecordEnd, Source, Sources};
use crate::predicate;
use crate::record::delimited::{self, Dialect, Layout, Quoting};
use crate::record::pattern::Pattern;
use crate::record::{self, Framing, TERMINATOR, json};
use crate::schema::Blame;
use crate::spec::{self, ReadFormat};

/// How sources are read.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// Lines, or texts that another separator ends. The text is field 0.
    Text { separator: u8 },
    Delimited {
        dialect: Dialect,
        /// Whether each source begins with a record that names its fields.
        header: bool,
        /// One layout for each source.
        layouts: Vec<Arc<Layout>>,
    },
    /// JSON lines.
    Json {
        fields: Vec<json::WantedField>,
        /// Whether an additional last field holds the record as it was read.
        verbatim: bool,
    },
    /// Lines that match a pattern.
    Matching {
        pattern: Pattern,
        /// Whether an additional last field holds the line.
        verbatim: bool,
    },
}

impl Read {
    pub fn framing(&self) -> Framing {
        match self {
            Read::Text { separator } => Framing::Terminator(*separator),
            Read::Json { .. } | Read::Matching { .. } => Framing::Terminator(TERMINATOR),
            Read::Delimited { dialect, .. } => dialect.framing(),
        }
    }
}

/// Returns the format that the spec names, else the one that the endings of the inputs' names tell, else text.
pub(super) fn format(read: &spec::Read, sources: &[Source]) -> Result<ReadFormat> {
    if let Some(format) = read.format {
        return Ok(format);
    }
    if read.pattern.is_some() || read.preset.is_some() {
        return Ok(ReadFormat::Regex);
    }
    let mut found: Option<(ReadFormat, &Source)> = None;
    // The words of a command aren't a file name.
    for source in sources.iter().filter(|source| !matches!(source, Source::Command { .. })) {
        let format = by_ending(source.path())?;
        match found {
            Some((other, first)) if other != format => {
                let message = format!(
                    "{} is {} by its name, but {} is {}",
                    shown(first.path()),
                    other.name(),
                    shown(source.path()),
                    format.name()
                );
                return Err(Error::usage_hint(message, r#"to read all of them in one format, set read.format: "csv""#));
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
        "jsonl" | "ndjson" | "json" => Ok(ReadFormat::Jsonl),
        _ => Ok(ReadFormat::Text),
    }
}

/// The fields that each source has.
#[derive(Debug)]
pub(super) struct FieldsOfSources {
    dialect: Dialect,
    header: bool,
    /// One list for each source; `None` for an empty source.
    sources: Vec<Option<Arc<[String]>>>,
}

impl FieldsOfSources {
    /// Finds the fields, by reading the first record of each source unless the spec names the fields. Also returns
    /// which sources took too long and are left out, and why.
    pub fn of(
        read: &spec::Read,
        format: ReadFormat,
        sources: &Sources,
        max_record: u64,
        hedging: Arc<Hedging>,
        patience: &Patience<'_>,
    ) -> Result<(Self, BTreeMap<usize, String>)> {
        let plain = if format == ReadFormat::Tsv { Dialect::tsv() } else { Dialect::csv() };
        let dialect = Dialect {
            delimiter: read.delimiter.unwrap_or(plain.delimiter),
            nulls: read.null.iter().map(|text| text.as_bytes().into()).collect(),
            ..plain
        };
        if let Some(fields) = &read.fields {
            let fields: Arc<[String]> = fields.as_slice().into();
            let fields = FieldsOfSources { dialect, header: false, sources: vec![Some(fields); sources.len()] };
            return Ok((fields, BTreeMap::new()));
        }
        let header = read.header.unwrap_or(true);
        let end_of = RecordEnd { framing: dialect.framing(), longest: record::bytes_to_exceed(max_record) };
        let mut heads = Heads::new(sources, end_of, hedging, patience)?;
        let mut late = BTreeMap::new();
        let mut known: Vec<Option<Arc<[String]>>> = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let head = match heads.take(index)? {
                Head::Record(head) => head,
                Head::Late(why) => {
                    late.insert(index, why);
                    continue;
                }
            };
            if head.is_empty() {
                known.push(None);
                continue;
            }
            check_is_text(&head, source)?;
            if head.len() as u64 >= end_of.longest {
                return Err(Error::RecordTooLong { path: source.path().into(), at: 0, most: max_record, len: None });
            }
            check_first_line(&head, &dialect, header, source)?;
            let names = delimited::header(&head, &dialect).map_err(|malformed| {
                let what = if header { "the header" } else { "the first record" };
                Error::usage(format!("{}: {what} has {malformed}", shown(source.path())))
            })?;
            let names: Vec<_> = match header {
                true => names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
                false => (1..=names.len()).map(|number| format!("${number}")).collect(),
            };
            // Sources with equal fields share one list.
            let last = known.iter().rev().flatten().next().filter(|last| ***last == *names);
            known.push(Some(last.cloned().unwrap_or_else(|| names.into())));
        }
        Ok((FieldsOfSources { dialect, header, sources: known }, late))
    }

    /// Returns the fields of the first source that isn't empty.
    pub fn names(&self, sources: &[Source]) -> Result<Vec<&str>> {
        match self.sources.iter().flatten().next() {
            Some(names) => Ok(names.iter().map(String::as_str).collect()),
            // If no header is expected, sources that are all empty are valid: there are zero records.
            None if !self.header => Ok(Vec::new()),
            None => {
                let name = sources.first().map_or_else(String::new, |source| shown(source.path()));
                let hint = r#"an empty file has no header: "fields": ["a", "b"] of read names the columns without one"#;
                Err(Error::usage_hint(format!("{name}: is empty"), hint))
            }
        }
    }

    /// Finds where each source has the fields `used`.
    pub fn layouts(&self, sources: &[Source], used: &[&str], verbatim: bool) -> Result<Read> {
        let mut layouts: Vec<Arc<Layout>> = Vec::new();
        for (number, (names, source)) in self.sources.iter().zip(sources).enumerate() {
            // Sources that share a list of fields share a layout, too.
            let is_as_before = number > 0
                && match (names, &self.sources[number - 1]) {
                    (Some(names), Some(before)) => Arc::ptr_eq(names, before),
                    (names, before) => names.is_none() && before.is_none(),
                };
            if let Some(last) = layouts.last().filter(|_| is_as_before) {
                layouts.push(last.clone());
                continue;
            }
            // An empty source has no record to lay out.
            let (fields, used) = names.as_deref().map_or((&[][..], &[][..]), |fields| (fields, used));
            let wanted = find(fields, used, source, self.header)?;
            layouts.push(Layout { fields: fields.len().max(1), wanted, verbatim }.into());
        }
        Ok(Read::Delimited { dialect: self.dialect.clone(), header: self.header, layouts })
    }
}

/// Returns the pattern that lines must match, or the one that the preset stands for.
pub(super) fn pattern(read: &spec::Read, blame: &Blame<'_>) -> Result<Regex> {
    let (text, at) = match (read.preset, &read.pattern) {
        (Some(preset), _) => (preset.pattern(), "read.preset"),
        (None, text) => (text.clone().unwrap_or_default(), "read.pattern"),
    };
    let pattern = predicate::resolve::pattern(&text, at, blame)?;
    if pattern.capture_names().flatten().next().is_none() {
        let hint = "to name a group, write (?P<name>…); each named group is a field";
        return Err(blame.error(at, "has no named groups", Some(hint.into())));
    }
    Ok(pattern)
}

/// Reads lines by a pattern, with the groups `used` as fields.
pub(super) fn matching(pattern: &Regex, used: &[&str], verbatim: bool, blame: &Blame<'_>) -> Result<Read> {
    let pattern = Pattern::new(pattern.as_str(), used);
    let pattern = pattern.ok_or_else(|| blame.error("read.pattern", "is too large a pattern", None))?;
    Ok(Read::Matching { pattern, verbatim })
}

/// Fails if a source begins like something that is certainly not a table.
fn check_is_text(start: &[u8], source: &Source) -> Result<()> {
    let name = shown(source.path());
    let outer = match source {
        Source::File { codec: Some(Codec::Zstd), .. } => "zstdcat",
        _ => "zcat",
    };
    let (what, tool) = match start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("is UTF-16, but must be UTF-8", "iconv -f UTF-16 -t UTF-8"),
        [b'P', b'K', 3, 4, ..] => ("is a zip archive, which is not supported", "unzip -p"),
        // The compression of a source itself is known already. This is its decompressed content.
        [0x1f, 0x8b, 8, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => ("is compressed twice", outer),
        _ => return Ok(()),
    };
    let hint = on_its_way(source, tool, || format!("{tool} {name} | mapfold … -"));
    Err(Error::usage_hint(format!("{name}: {what}"), hint))
}

/// Returns a hint how to run a tool on the content of a source. `of_file` returns the hint for a file.
fn on_its_way(source: &Source, tool: &str, of_file: impl FnOnce() -> String) -> String {
    match source {
        Source::Stdin { .. } => format!("… | {tool} | mapfold … -"),
        Source::Command { .. } => format!("in the command, by a shell: sh -c \"… | {tool}\""),
        Source::File { .. } | Source::Stream { .. } | Source::Silent { .. } => of_file(),
    }
}

/// Fails if the first line of a source doesn't end as lines do, or is an empty header.
fn check_first_line(line: &[u8], dialect: &Dialect, header: bool, source: &Source) -> Result<()> {
    let name = shown(source.path());
    if header && matches!(line, b"\n" | b"\r\n") {
        let hint = r#""fields": ["a", "b"] of read names the columns of a file without a header"#;
        return Err(Error::usage_hint(format!("{name}: its first line is empty, and names no columns"), hint));
    }
    let mut is_quoted = false;
    let is_return = |(at, &byte): (usize, &u8)| {
        is_quoted ^= byte == b'"' && dialect.quoting == Quoting::Quoted;
        byte == b'\r' && !is_quoted && line.get(at + 1) != Some(&b'\n')
    };
    // A return may be part of a record that ends with a newline, but not of a column's name.
    if (header || !line.ends_with(b"\n")) && line.iter().enumerate().any(is_return) {
        let tool = r"tr '\r' '\n'";
        let how = on_its_way(source, tool, || format!("{tool} < {name} > FILE"));
        let hint = format!("if lines end with only a return, as on old Macs: {how}");
        return Err(Error::usage_hint(format!("{name}: its first line has a return (CR) without a newline"), hint));
    }
    Ok(())
}

/// Returns the numbers of the fields called `names`. `header` tells whether the names come from the source's own
/// header.
fn find(fields: &[String], names: &[&str], source: &Source, header: bool) -> Result<Vec<usize>> {
    let (mut numbers, mut twice) = (AHashMap::new(), AHashSet::new());
    for (number, field) in fields.iter().enumerate() {
        if numbers.insert(field.as_str(), number).is_some() {
            twice.insert(field.as_str());
        }
    }
    let number = |name: &&str| match numbers.get(name) {
        Some(_) if twice.contains(name) && !header => Err(Error::usage_hint(
            format!("read.fields: has the column {name:?} twice"),
            "each column that the job uses must have a different name",
        )),
        Some(_) if twice.contains(name) => Err(Error::usage_hint(
            format!("{}: its header has the column {name:?} twice", shown(source.path())),
            r#""fields" of read gives the columns other names; "header": false calls them $1, $2 and so on"#,
        )),
        Some(number) => Ok(*number),
        None => {
            let fields: Vec<_> = fields.iter().map(String::as_str).collect();
            let hint = suggestion(name, "its columns", &fields);
            Err(Error::usage_hint(format!("{}: no column {name:?}", shown(source.path())), hint))
        }
    };
    names.iter().map(number).collect()
}
