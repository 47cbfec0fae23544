//! Reads any bytes as CSV and as TSV, in windows and parts of several sizes, and compares the records with those of
//! `reader`. The fuzz target and the test that replays its corpus share this.

use std::cell::RefCell;

use mapfold::data::{Batch, Sink, Span};
use mapfold::record::delimited::{self, Dialect, Layout, Quoting};
use mapfold::record::{Framing, QuoteState, Transition, first_record_start};

use super::reader::{self, Cell, Format};

/// Sizes of windows and parts.
const SIZES: [usize; 6] = [1, 2, 7, 16, 65, 1 << 20];

/// A record as a reader gives it: its bytes, and its cells if it is good.
type Read = (Vec<u8>, Option<Vec<Cell>>);

#[derive(Default)]
struct Records(Vec<Read>);

impl Sink for Records {
    fn take(&mut self, batch: &Batch<'_>) -> mapfold::Result<()> {
        let fields = batch.columns.len() - 1;
        for i in 0..batch.rows {
            let cell = |field: usize| batch.bytes(field).value(i).map(<[u8]>::to_vec);
            let bytes = cell(fields).expect("a record is not null");
            self.0.push((bytes, Some((0..fields).map(cell).collect())));
        }
        Ok(())
    }
}

/// # Panics
/// Panics if the readers differ.
pub fn check(file: &[u8]) {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let csv = |delimiter| (Dialect { delimiter, ..Dialect::csv() }, Format::Csv { delimiter });
    for (dialect, format) in [csv(b','), csv(b';'), (Dialect::tsv(), Format::Tsv)] {
        for fields in 1..=3 {
            check_as(file, &dialect, format, fields);
        }
    }
}

fn check_as(file: &[u8], plain: &Dialect, format: Format, fields: usize) {
    let dialect = Dialect { nulls: vec![b"NA"[..].into()], ..plain.clone() };
    let expected: Vec<Read> = reader::records(file, format, &["NA"], fields)
        .into_iter()
        .map(|record| (record.bytes.clone(), record.cells_of(fields).map(<[Cell]>::to_vec)))
        .collect();
    let layout = Layout { fields, wanted: (0..fields).collect(), verbatim: true };
    for size in SIZES {
        let mut found = Records::default();
        let mut reader = delimited::Reader::new(&dialect);
        for part in parts(file, &dialect, size) {
            let mut rest = part;
            while !rest.is_empty() {
                let window = &rest[..dialect.framing().window(rest, size, usize::MAX)];
                read(&mut reader, window, &layout, &mut found);
                rest = &rest[window.len()..];
            }
        }
        assert!(found.0 == expected, "{format:?}, {fields} fields, size {size}: {:?} {expected:?}", found.0);
    }
}

/// Returns the bytes that each part of this size owns, which are the records that begin in it.
fn parts<'f>(file: &'f [u8], dialect: &Dialect, size: usize) -> Vec<&'f [u8]> {
    let mut starts = vec![0];
    let mut state = Transition::IDENTITY;
    for at in (size..file.len()).step_by(size) {
        let start = match dialect.framing() {
            Framing::Terminator(byte) => file[at - 1..].iter().position(|&b| b == byte).map(|end| at + end),
            Framing::Quoted { delimiter } => {
                state = state.then(Transition::of(&file[at - size..at], delimiter));
                // If a newline just before the cut ends a record, a record begins at the cut.
                let before = Transition::of(&file[..at - 1], delimiter).from(QuoteState::FieldStart);
                assert_eq!(
                    Transition::of(&file[..at], delimiter).from(QuoteState::FieldStart),
                    state.from(QuoteState::FieldStart)
                );
                first_record_start(before, &file[at - 1..], delimiter).map(|start| at - 1 + start)
            }
        };
        starts.push(start.unwrap_or(file.len()));
    }
    starts.push(file.len());
    assert!(dialect.quoting == Quoting::Quoted || state == Transition::IDENTITY);
    starts.windows(2).map(|ends| &file[ends[0]..ends[1]]).collect()
}

fn read(reader: &mut delimited::Reader, window: &[u8], layout: &Layout, found: &mut Records) {
    let bad = RefCell::new(Vec::new());
    let before = found.0.len();
    let note = &mut |span: Span, _| {
        bad.borrow_mut().push(window[span.start as usize..span.end as usize].to_vec());
        Ok(())
    };
    // Keep the order of the input: batches that came before a bad record are before it.
    let records = {
        let mut sink = Ordered { found, bad: &bad };
        let records = reader.read(window, true, layout, note, &mut sink).unwrap().records;
        sink.flush();
        records
    };
    assert_eq!(records as usize, found.0.len() - before);
}

/// Inserts bad records between the good ones, in order.
struct Ordered<'a> {
    found: &'a mut Records,
    bad: &'a RefCell<Vec<Vec<u8>>>,
}

impl Ordered<'_> {
    fn flush(&mut self) {
        self.found.0.extend(self.bad.borrow_mut().drain(..).map(|bytes| (bytes, None)));
    }
}

impl Sink for Ordered<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> mapfold::Result<()> {
        self.flush();
        self.found.take(batch)
    }
}
