//! Conversion of fields to numbers or timestamps. A [`Convert`] step stands before the first step that wants the
//! numbers. It adds a column for each field that it converts, and rejects records whose value can't be converted.

use super::gather::Gather;
use super::unquote::text;
use crate::data::parse::{DecimalParser, FloatParser, ParseError, TimestampParser};
use crate::data::{Batch, Column, Columns, Sink, Span, Value, Zone};
use crate::error::Result;
use crate::map::{Field, JobPart, Makes, Next, Stage, Step, Type};

/// Adds fields converted to numbers or timestamps. A record in which a value can't be converted is bad.
#[derive(Debug)]
pub struct Convert {
    pub fields: Vec<Conversion>,
    /// The field with the record's own bytes, which say where the record lies.
    pub record: Field,
    /// The zone of timestamps that don't name one.
    pub zone: Zone,
}

#[derive(Clone, Debug)]
pub struct Conversion {
    pub input: Field,
    pub to: Type,
    /// The name that messages give the field.
    pub name: String,
}

impl Step for Convert {
    fn reads(&self) -> Vec<Field> {
        self.fields.iter().map(|field| field.input).chain([self.record]).collect()
    }

    fn may_reject(&self) -> bool {
        true
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn part(&self) -> JobPart<'_> {
        JobPart::Converts(&self.fields)
    }

    fn stage(&self) -> Box<dyn Stage> {
        let parsed = |field: &Conversion| {
            let parser = match field.to {
                Type::Float => Parser::Float(FloatParser::default()),
                Type::Timestamp => Parser::Timestamp(TimestampParser::new(self.zone.clock())),
                Type::Int => Parser::Decimal { parser: DecimalParser::default(), whole_only: true },
                Type::Decimal | Type::String => Parser::Decimal { parser: DecimalParser::default(), whole_only: false },
            };
            Parsed { field: field.clone(), parser, texts: Vec::new() }
        };
        Box::new(Converting {
            fields: self.fields.iter().map(parsed).collect(),
            record: self.record,
            bad: Vec::new(),
            kept: Vec::new(),
            gather: Gather::default(),
        })
    }
}

#[derive(Debug)]
struct Converting {
    fields: Vec<Parsed>,
    record: Field,
    /// The bad values of the batch: the record's number, the index in `fields`, and why the value is bad.
    bad: Vec<(u32, usize, ParseError)>,
    kept: Vec<u32>,
    gather: Gather,
}

#[derive(Debug)]
struct Parsed {
    field: Conversion,
    parser: Parser,
    /// Where the text of each JSON cell of the batch lies.
    texts: Vec<Span>,
}

#[derive(Debug)]
enum Parser {
    Decimal { parser: DecimalParser, whole_only: bool },
    Float(FloatParser),
    Timestamp(TimestampParser),
}

impl Stage for Converting {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Converting { fields, record, bad, kept, gather } = self;
        bad.clear();
        let mut columns = Columns::from_slice(batch.columns);
        for (number, Parsed { field, parser, texts }) in fields.iter_mut().enumerate() {
            let column = text(&batch.columns[field.input], texts);
            columns.push(match parser {
                Parser::Decimal { parser, whole_only } => {
                    Column::Decimal(parser.parse(column, *whole_only, |i, error| bad.push((i as u32, number, error))))
                }
                Parser::Float(parser) => {
                    Column::Float(parser.parse(column, |i, error| bad.push((i as u32, number, error))))
                }
                Parser::Timestamp(parser) => {
                    Column::Decimal(parser.parse(column, |i, error| bad.push((i as u32, number, error))))
                }
            });
        }
        if bad.is_empty() {
            return next.take(&Batch { rows: batch.rows, columns: &columns });
        }
        // If a record has several bad values, the first one is reported.
        bad.sort_by_key(|(i, number, _)| (*i, *number));
        bad.dedup_by_key(|(i, ..)| *i);
        next.rejects.borrow().kept(batch.rows, bad.iter().map(|(i, ..)| *i), kept);
        next.take(&Batch { rows: kept.len(), columns: &gather.gather(&columns, kept) })?;
        drop(columns);
        let records = batch.bytes(*record);
        for &(i, number, why) in bad.iter() {
            let Conversion { input, name, .. } = &fields[number].field;
            let (Value::Bytes(value) | Value::Json(value)) = batch.columns[*input].value(i as usize) else {
                unreachable!("null is no bad value");
            };
            next.rejects.borrow_mut().field(records.spans[i as usize], name, value, why);
        }
        Ok(())
    }
}
