use proptest::prelude::*;

use super::*;
use crate::data::{Batch, Column};
use crate::record::bits::Level;

type Field = Option<Vec<u8>>;
/// A record's bytes without its end, and its fields or what is wrong with it.
type Record = (Vec<u8>, Result<Vec<Field>, Malformed>);

/// Reads the records of a window byte by byte, as the module's docs say.
fn reference(text: &[u8], dialect: &Dialect, fields: usize) -> Vec<Record> {
    let mut records = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        // `end` is the record's end, at a newline or at the text's end.
        let (record, end) = match dialect.quoting {
            Quoting::Quoted => csv_record(rest, dialect),
            Quoting::Escaped => tsv_record(rest, dialect),
        };
        let (mut line, behind) = rest.split_at(end);
        if let Some(behind) = behind.strip_prefix(b"\n") {
            line = line.strip_suffix(b"\r").unwrap_or(line);
            rest = behind;
        } else {
            rest = &[];
        }
        if line.is_empty() && fields > 1 {
            continue;
        }
        let record = record.and_then(|record| match record.len() == fields {
            true => Ok(record),
            false => Err(Malformed::Fields { has: record.len(), wants: fields }),
        });
        records.push((line.to_vec(), record));
    }
    records
}

fn plain(field: &[u8], dialect: &Dialect) -> Field {
    let is_null = dialect.nulls.iter().any(|null| **null == *field)
        || match dialect.quoting {
            Quoting::Quoted => field.is_empty(),
            Quoting::Escaped => field == br"\N",
        };
    (!is_null).then(|| field.to_vec())
}

/// Returns the record that `text` begins with, and where it ends.
fn csv_record(text: &[u8], dialect: &Dialect) -> (Result<Vec<Field>, Malformed>, usize) {
    let (mut fields, mut fault, mut at) = (vec![], None, 0);
    let is_separator = |byte| byte == dialect.delimiter || byte == b'\n';
    loop {
        let mut field = vec![];
        let quoted = text.get(at) == Some(&b'"');
        if quoted {
            at += 1;
            loop {
                match (text.get(at), text.get(at + 1)) {
                    (None, _) => {
                        fault = fault.or(Some(Malformed::Unterminated));
                        break;
                    }
                    (Some(b'"'), Some(b'"')) => {
                        field.push(b'"');
                        at += 2;
                    }
                    (Some(b'"'), _) => {
                        at += 1;
                        break;
                    }
                    (Some(&byte), _) => {
                        field.push(byte);
                        at += 1;
                    }
                }
            }
        }
        let start = at;
        at += text[at..].iter().position(|&byte| is_separator(byte)).unwrap_or(text.len() - at);
        let mut behind = &text[start..at];
        if text.get(at) == Some(&b'\n') {
            behind = behind.strip_suffix(b"\r").unwrap_or(behind);
        }
        fields.push(if quoted { Some(field) } else { plain(behind, dialect) });
        match quoted {
            true if !behind.is_empty() => fault = fault.or(Some(Malformed::BehindQuote)),
            false if behind.contains(&b'"') => fault = fault.or(Some(Malformed::StrayQuote)),
            _ => {}
        }
        if text.get(at) != Some(&dialect.delimiter) {
            break;
        }
        at += 1;
    }
    (fault.map_or(Ok(fields), Err), at)
}

fn tsv_record(text: &[u8], dialect: &Dialect) -> (Result<Vec<Field>, Malformed>, usize) {
    let end = text.iter().position(|&byte| byte == b'\n');
    let line = &text[..end.unwrap_or(text.len())];
    let line = if end.is_some() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    let fields = line.split(|&byte| byte == dialect.delimiter).map(|raw| {
        let mut field = vec![];
        let mut bytes = raw.iter().peekable();
        while let Some(&byte) = bytes.next() {
            let stands_for = [(b't', b'\t'), (b'n', b'\n'), (b'r', b'\r'), (b'\\', b'\\')];
            let escape = stands_for.iter().find(|(name, _)| byte == b'\\' && bytes.peek() == Some(&name));
            field.push(escape.map_or(byte, |(_, byte)| *byte));
            if escape.is_some() {
                bytes.next();
            }
        }
        plain(raw, dialect).map(|_| field)
    });
    (Ok(fields.collect()), end.unwrap_or(text.len()))
}

/// Collects the records of a reader's batches.
#[derive(Default)]
struct Gather(Vec<Vec<Field>>);

impl Sink for Gather {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        assert!((1..=BATCH).contains(&batch.rows));
        let column = |column: &Column<'_>, row| match column {
            Column::Bytes(bytes) => {
                assert_eq!(bytes.spans.len(), batch.rows);
                bytes.value(row).map(<[u8]>::to_vec)
            }
            _ => panic!("columns are bytes"),
        };
        self.0.extend((0..batch.rows).map(|row| batch.columns.iter().map(|cells| column(cells, row)).collect()));
        Ok(())
    }
}

/// Returns the records that a reader finds in windows of about `size` bytes. A good record has the columns of `layout`.
fn read(text: &[u8], dialect: &Dialect, layout: &Layout, level: Level, size: usize, likely: bool) -> Vec<Record> {
    let mut reader = Reader { index: Index::with_level(dialect, level), cells: Cells::new(dialect) };
    let (mut found, mut rest, mut is_too_short) = (vec![], text, false);
    while !rest.is_empty() {
        let guess = dialect.framing().likely_window(rest, size).filter(|_| likely && !is_too_short);
        let window = &rest[..guess.unwrap_or_else(|| dialect.framing().window(rest, size, usize::MAX))];
        let (good, bad) = (std::cell::RefCell::new(Gather::default()), std::cell::RefCell::new(vec![]));
        let mut take = |span: Span, fault| {
            let record = window[span.start as usize..span.end as usize].to_vec();
            let before = good.borrow().0.len();
            bad.borrow_mut().push((before, record, fault));
            Ok(())
        };
        struct Shared<'a>(&'a std::cell::RefCell<Gather>);
        impl Sink for Shared<'_> {
            fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
                self.0.borrow_mut().take(batch)
            }
        }
        let Taken { records, bytes } =
            reader.read(window, guess.is_none(), layout, &mut take, &mut Shared(&good)).unwrap();
        is_too_short = bytes == 0;
        let mut bad = bad.into_inner().into_iter().peekable();
        let good = good.into_inner().0;
        assert_eq!(records as usize, good.len() + bad.len());
        for row in 0..=good.len() {
            while let Some((_, record, fault)) = bad.next_if(|&(before, _, _)| before == row) {
                found.push((record, Err(fault)));
            }
            if let Some(columns) = good.get(row) {
                let (verbatim, columns) = columns.split_last().unwrap();
                found.push((verbatim.clone().unwrap(), Ok(columns.to_vec())));
            }
        }
        rest = &rest[bytes..];
    }
    found
}

fn agrees(text: &[u8], dialect: &Dialect, layout: &Layout, sizes: &[usize]) -> Result<(), TestCaseError> {
    let want = reference(text, dialect, layout.fields).into_iter().map(|(record, fields)| {
        (record, fields.map(|fields| layout.wanted.iter().map(|&field| fields[field].clone()).collect::<Vec<_>>()))
    });
    let want: Vec<_> = want.collect();
    for level in Level::available() {
        for &size in sizes {
            for likely in [false, true] {
                let found = read(text, dialect, layout, level, size, likely);
                prop_assert_eq!(&found, &want, "{:?} by {}", level, size);
            }
        }
    }
    Ok(())
}

/// Pieces of records, which may be malformed.
fn text(delimiter: char) -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "\"",
        "\"\"",
        ",",
        ",",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "a",
        "b,",
        ",\"",
        "\",\"",
        "\"\n\"",
        "\"\"\"",
        "plain,12\n",
        "\0",
        "é",
        "\"a quoted, \"\"field\"\"\nof two lines\",",
        "1,2\n3,4\n",
        "1,2,3\n4,5,6\n",
        "NA",
        "\"NA\"",
        ",NA,",
        "\\",
        r"\N",
        r"\t",
        r"\\",
        r"\n\r\x",
        ",\\N\n",
        "a long field without anything in it, and another that is as long, so that blocks have none",
    ];
    let pieces = pieces.map(|piece| piece.replace(',', &delimiter.to_string()).into_bytes());
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60).prop_map(|pieces| pieces.concat())
}

fn layout() -> impl Strategy<Value = Layout> {
    (1usize..4).prop_flat_map(|fields| {
        let wanted = prop::collection::vec(0..fields, 0..4);
        wanted.prop_map(move |wanted| Layout { fields, wanted, verbatim: true })
    })
}

fn nulls() -> impl Strategy<Value = Vec<Box<[u8]>>> {
    prop::sample::subsequence(vec![b"NA"[..].into(), b"1"[..].into(), br"\x"[..].into()], 0..3)
}

/// Records that are mostly well formed, enough for several batches.
fn table(quoted: f64) -> impl Strategy<Value = (usize, Vec<u8>)> {
    let field = prop_oneof![
        4 => "[a-z0-9 .é]{0,12}".prop_map(String::into_bytes),
        1 => "[a-z\",\n\r]{0,8}".prop_map(|field| format!("\"{}\"", field.replace('"', "\"\"")).into_bytes()),
    ];
    let field =
        (field, prop::bool::weighted(quoted)).prop_map(|(field, quote)| match quote && !field.starts_with(b"\"") {
            true => [b"\"", &field[..], b"\""].concat(),
            false => field,
        });
    (1usize..6, prop::collection::vec(field, 1..40), prop::bool::ANY, 0usize..5, any::<u64>()).prop_map(
        |(fields, pool, crlf, odd, seed)| {
            let (mut text, mut at) = (vec![], seed as usize % 100);
            let odd: Vec<usize> = (0..odd).map(|i| (seed >> (10 * i)) as usize % 700).collect();
            for row in 0..700 {
                for field in 0..fields + usize::from(odd.contains(&row)) {
                    text.extend_from_slice(if field > 0 { b"," } else { b"" });
                    at = (at * 31 + 7) % 10_007;
                    text.extend_from_slice(&pool[at % pool.len()]);
                }
                text.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
            }
            (fields, text)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn csv_is_read_as_by_the_reference(text in text(','), layout in layout(), nulls in nulls(), size in 1usize..100) {
        let dialect = Dialect { nulls, ..Dialect::csv() };
        agrees(&text, &dialect, &layout, &[size, 10_000])?;
    }

    #[test]
    fn tsv_is_read_as_by_the_reference(text in text('\t'), layout in layout(), nulls in nulls(), size in 1usize..100) {
        let dialect = Dialect { nulls, ..Dialect::tsv() };
        agrees(&text, &dialect, &layout, &[size, 10_000])?;
    }

    #[test]
    fn any_bytes_are_read_as_by_the_reference(
        text in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\",;\n\r\\".to_vec())], 0..300),
        layout in layout(),
        delimiter in prop::sample::select(b",;\t\0 \xff".to_vec()),
        quoting in prop::sample::select(vec![Quoting::Quoted, Quoting::Escaped]),
        size in 1usize..100,
    ) {
        let dialect = Dialect { delimiter, quoting, nulls: vec![] };
        agrees(&text, &dialect, &layout, &[size, 10_000])?;
    }

    #[test]
    fn a_header_is_a_record(text in text(',')) {
        for dialect in [Dialect::csv(), Dialect { quoting: Quoting::Escaped, ..Dialect::csv() }] {
            let end = dialect.framing().first_end(&text).unwrap_or(text.len());
            let (record, _) = match dialect.quoting {
                Quoting::Quoted => csv_record(&text[..end], &dialect),
                Quoting::Escaped => tsv_record(&text[..end], &dialect),
            };
            let names = header(&text[..end], &dialect).map(|names| names.into_iter().map(|name| (!name.is_empty()).then_some(name)));
            // A name is never null.
            let as_name = |field: Field| field.filter(|name| !name.is_empty());
            let of_null = |field: Field| if dialect.quoting == Quoting::Escaped { field.or(Some(br"\N".to_vec())) } else { field };
            prop_assert_eq!(
                names.map(|names| names.collect::<Vec<_>>()),
                record.map(|record| record.into_iter().map(of_null).map(as_name).collect::<Vec<_>>())
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn tables_are_read_as_by_the_reference((fields, text) in table(0.1), size in 1usize..20_000) {
        let layout = Layout { fields, wanted: (0..fields).rev().collect(), verbatim: true };
        agrees(&text, &Dialect::csv(), &layout, &[size, 1 << 20])?;
    }

    /// The reader reads what the `csv` crate reads, except that an empty string there may be null here.
    #[test]
    fn tables_are_read_as_by_the_csv_crate((fields, text) in table(0.5)) {
        let layout = Layout { fields, wanted: (0..fields).collect(), verbatim: true };
        let mut csv = csv::ReaderBuilder::new();
        let mut reader = csv.has_headers(false).flexible(true).from_reader(&text[..]);
        let want: Vec<Vec<Vec<u8>>> =
            reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
        let found = read(&text, &Dialect::csv(), &layout, Level::detect(), 1 << 20, false);
        let found = found.into_iter().filter(|(record, _)| !record.is_empty()).map(|(_, record)| record);
        for (found, want) in found.zip(&want) {
            match found {
                Ok(found) => prop_assert_eq!(&found.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>(), want),
                Err(fault) => prop_assert_eq!(fault, Malformed::Fields { has: want.len(), wants: fields }),
            }
        }
    }
}

fn records(text: &str, dialect: &Dialect, fields: usize) -> Vec<Result<Vec<Field>, Malformed>> {
    let layout = Layout { fields, wanted: (0..fields).collect(), verbatim: true };
    read(text.as_bytes(), dialect, &layout, Level::detect(), 1 << 20, false)
        .into_iter()
        .map(|(_, record)| record)
        .collect()
}

fn some<const N: usize>(fields: [&str; N]) -> Result<Vec<Field>, Malformed> {
    Ok(fields.map(|field| Some(field.as_bytes().to_vec())).to_vec())
}

#[test]
fn null_and_empty_are_two_things() {
    let null = || Ok(vec![None, None]);
    let mut csv = Dialect::csv();
    assert_eq!(records(",\n\"\",\"\"\r\n,\r\n", &csv, 2), [null(), some(["", ""]), null()]);
    csv.nulls = vec![b"NA"[..].into()];
    assert_eq!(records("NA,NA\n\"NA\", NA\n", &csv, 2), [null(), some(["NA", " NA"])]);
    let tsv = Dialect::tsv();
    assert_eq!(records("\t\n\\N\t\\N\n\\\\N\t\"\"\n", &tsv, 2), [some(["", ""]), null(), some(["\\N", "\"\""])]);
    // If records have one field, an empty line is a record.
    assert_eq!(
        records("a\n\n\"\"\n\r\n", &Dialect::csv(), 1),
        [some(["a"]), Ok(vec![None]), some([""]), Ok(vec![None])]
    );
    assert_eq!(records("\n\n", &tsv, 1), [some([""]), some([""])]);
    assert_eq!(records("\na,b\n\r\n\nc,d", &Dialect::csv(), 2), [some(["a", "b"]), some(["c", "d"])]);
}

#[test]
fn malformed_records_and_their_neighbours() {
    let text = "a,b\nx\n5\" x,1\n\"a\"b,1\n\"a\"\rb,1\n1,2,3\n\"c\"\r\nd,\"e\"\n,\"f\n";
    let fields = |has| Err(Malformed::Fields { has, wants: 2 });
    let want = [
        some(["a", "b"]),
        fields(1),
        Err(Malformed::StrayQuote),
        Err(Malformed::BehindQuote),
        Err(Malformed::BehindQuote),
        fields(3),
        fields(1),
        some(["d", "e"]),
        Err(Malformed::Unterminated),
    ];
    assert_eq!(records(text, &Dialect::csv(), 2), want);
    assert_eq!(Malformed::Fields { has: 1, wants: 2 }.to_string(), "1 field where 2 are expected");
}

#[test]
fn very_wide_records() {
    let wide = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(",") + "\n";
    let text = wide(100_000) + &wide(300_000) + &wide(100_000) + "1,2\n";
    let layout = Layout { fields: 100_000, wanted: vec![99_999, 0], verbatim: false };
    let mut bad = vec![];
    let mut good = Gather::default();
    let mut reader = Reader::new(&Dialect::csv());
    let mut reject = |span: Span, fault| {
        bad.push((span.start as usize, fault));
        Ok(())
    };
    assert_eq!(reader.read(text.as_bytes(), true, &layout, &mut reject, &mut good).unwrap().records, 4);
    let row = vec![Some(b"99999".to_vec()), Some(b"0".to_vec())];
    assert_eq!(good.0, [row.clone(), row]);
    let wrong = |has| Malformed::Fields { has, wants: 100_000 };
    assert_eq!(bad, [(wide(100_000).len(), wrong(300_000)), (text.len() - 4, wrong(2))]);
}

#[test]
fn an_error_of_whom_records_go_to_ends_the_reading() {
    struct Refuse;
    impl Sink for Refuse {
        fn take(&mut self, _: &Batch<'_>) -> Result<()> {
            Err(crate::error::Error::ClosedPipe)
        }
    }
    let layout = Layout { fields: 1, wanted: vec![0], verbatim: false };
    let mut reader = Reader::new(&Dialect::csv());
    let mut none = |_, _| panic!("nothing is malformed");
    assert!(reader.read(b"a\nb\n", true, &layout, &mut none, &mut Refuse).is_err());
    let mut refuse = |_, _| Err(crate::error::Error::ClosedPipe);
    assert!(reader.read(b"a,b\n", true, &layout, &mut refuse, &mut Gather::default()).is_err());
}
