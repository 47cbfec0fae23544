//! Where a record is from. The fields `@file`, `@line` and `@offset` exist if something names them. The position exists
//! for aggregates that need to know which record comes first.

use crate::data::batch::Kind;
use crate::data::{Batch, Bytes, Column, Columns, Decimal, Decimals, Numbers, Sink, Span};
use crate::error::Result;
use crate::input::Place;
use crate::map::{Field, JobPart, Makes, Next, Stage, Step};

/// One thing that is known of a record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceField {
    /// The name of the record's source, as the user gave it.
    File,
    /// The number of the record's first line in its source, counted from 1.
    Line,
    /// The byte of the source at which the record begins, counted from 0 in decompressed bytes.
    Offset,
    /// A whole number that is greater for records later in the input. Records that were made of one record have
    /// different positions.
    Position,
}

impl PlaceField {
    /// The things that a spec can name.
    pub const NAMED: [(&'static str, PlaceField); 3] =
        [("@file", PlaceField::File), ("@line", PlaceField::Line), ("@offset", PlaceField::Offset)];

    pub fn named(name: &str) -> Option<Self> {
        PlaceField::NAMED.iter().find(|(own, _)| *own == name).map(|(_, what)| *what)
    }

    pub fn kind(self) -> Kind {
        match self {
            PlaceField::File => Kind::Bytes,
            PlaceField::Line | PlaceField::Offset | PlaceField::Position => Kind::Decimal,
        }
    }
}

/// Adds one thing of the record's place as a field.
#[derive(Debug)]
pub struct Locate {
    pub what: PlaceField,
    /// The field with the record's own bytes. It lies where the record does.
    pub record: Field,
}

impl Step for Locate {
    fn reads(&self) -> Vec<Field> {
        vec![self.record]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn part(&self) -> JobPart<'_> {
        JobPart::Prepares
    }

    fn tells_lines(&self) -> bool {
        self.what == PlaceField::Line
    }

    fn stage(&self) -> Box<dyn Stage> {
        let record = self.record;
        match self.what {
            PlaceField::File => Box::new(Files { record, names: Vec::new(), spans: Vec::new() }),
            PlaceField::Line => Box::new(LineNumbers { record, before: None, numbers: Vec::new() }),
            PlaceField::Offset => Box::new(Offsets { record, numbers: Vec::new() }),
            PlaceField::Position => Box::new(Positions { record, last: None, positions: Vec::new() }),
        }
    }
}

fn whole(mantissas: &[i64]) -> Column<'_> {
    Column::Decimal(Decimals { numbers: Numbers::Narrow { mantissas, scale: 0 }, nulls: None })
}

fn hand_on(batch: &Batch<'_>, column: Column<'_>, next: &mut Next<'_>) -> Result<()> {
    let mut columns = Columns::from_slice(batch.columns);
    columns.push(column);
    next.take(&Batch { rows: batch.rows, columns: &columns })
}

#[derive(Debug)]
struct Files {
    record: Field,
    names: Vec<u8>,
    spans: Vec<Span>,
}

impl Stage for Files {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Files { record, names, spans } = self;
        names.clear();
        spans.clear();
        let mut last = None;
        for record in batch.bytes(*record).spans {
            let source = next.home.place(*record).source;
            let known = last.filter(|(of, _)| *of == source);
            let (_, span) = known.unwrap_or_else(|| {
                let start = names.len();
                names.extend(next.home.sources[source].path().as_os_str().as_encoded_bytes());
                (source, Span::of(start..names.len()))
            });
            last = Some((source, span));
            spans.push(span);
        }
        hand_on(batch, Column::Bytes(Bytes { data: names, spans }), next)
    }
}

#[derive(Debug)]
struct LineNumbers {
    record: Field,
    /// A place in the input, and the number of newlines before it in its source.
    before: Option<(Place, u64)>,
    numbers: Vec<i64>,
}

impl Stage for LineNumbers {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let LineNumbers { record, before, numbers } = self;
        numbers.clear();
        for record in batch.bytes(*record).spans {
            let (place, lines) = next.home.lines_before(*record, *before)?;
            *before = Some((place, lines));
            numbers.push((lines + 1).cast_signed());
        }
        hand_on(batch, whole(numbers), next)
    }
}

#[derive(Debug)]
struct Offsets {
    record: Field,
    numbers: Vec<i64>,
}

impl Stage for Offsets {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Offsets { record, numbers } = self;
        numbers.clear();
        let spans = batch.bytes(*record).spans.iter();
        numbers.extend(spans.map(|record| next.home.place(*record).offset.cast_signed()));
        hand_on(batch, whole(numbers), next)
    }
}

#[derive(Debug)]
struct Positions {
    record: Field,
    /// The place of the previous record, and the previous record's number among those made at that place, from 0.
    last: Option<(Place, i128)>,
    positions: Vec<Decimal>,
}

/// Bits of a position. The lowest bits number the records that were made of one record. The next bits are the byte at
/// which that record begins. The remaining 31 bits number the source, so that the position is a decimal of at most 38
/// digits.
const MADE_BITS: u32 = 46;
const OFFSET_BITS: u32 = 48;

impl Stage for Positions {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Positions { record, last, positions } = self;
        positions.clear();
        for record in batch.bytes(*record).spans {
            let place = next.home.place(*record);
            let made = last.filter(|(of, _)| *of == place).map_or(0, |(_, made)| made + 1);
            *last = Some((place, made));
            let begin = (place.source as i128) << OFFSET_BITS | i128::from(place.offset);
            positions.push(Decimal { mantissa: begin << MADE_BITS | made, scale: 0 });
        }
        let numbers = Numbers::Wide(positions);
        hand_on(batch, Column::Decimal(Decimals { numbers, nulls: None }), next)
    }
}
