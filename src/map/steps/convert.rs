//! Conversion: a field's bytes read as numbers, in front of the first step that wants them.

use super::gather::Gather;
use crate::data::parse::{DecimalParser, FloatParser, ParseError};
use crate::data::{Batch, Column, Sink};
use crate::error::Result;
use crate::map::{Field, Next, Stage, Step, Type};

/// Adds field `input` as a number. A record in which it is none is bad.
#[derive(Debug)]
pub struct Convert {
    pub input: Field,
    pub to: Type,
    /// The record's own bytes: where it lies.
    pub record: Field,
    /// For messages.
    pub name: String,
}

impl Step for Convert {
    fn reads(&self) -> Vec<Field> {
        vec![self.input, self.record]
    }

    fn may_reject(&self) -> bool {
        true
    }

    fn stage(&self) -> Box<dyn Stage> {
        let parser = match self.to {
            Type::Float => Parser::Float(FloatParser::default()),
            Type::Int => Parser::Decimal { parser: DecimalParser::default(), whole_only: true },
            Type::Decimal | Type::String => Parser::Decimal { parser: DecimalParser::default(), whole_only: false },
        };
        let (input, record, name) = (self.input, self.record, self.name.clone());
        Box::new(Converting {
            input,
            record,
            name,
            parser,
            bad: Vec::new(),
            kept: Vec::new(),
            gather: Gather::default(),
        })
    }
}

#[derive(Debug)]
struct Converting {
    input: Field,
    record: Field,
    name: String,
    parser: Parser,
    /// Records of the batch that are bad, and why.
    bad: Vec<(u32, ParseError)>,
    kept: Vec<u32>,
    gather: Gather,
}

#[derive(Debug)]
enum Parser {
    Decimal { parser: DecimalParser, whole_only: bool },
    Float(FloatParser),
}

impl Stage for Converting {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Converting { input, record, name, parser, bad, kept, gather } = self;
        let column = batch.bytes(*input);
        bad.clear();
        let added = match parser {
            Parser::Decimal { parser, whole_only } => {
                Column::Decimal(parser.parse(column, *whole_only, |i, error| bad.push((i as u32, error))))
            }
            Parser::Float(parser) => Column::Float(parser.parse(column, |i, error| bad.push((i as u32, error)))),
        };
        let columns = [batch.columns, &[added]].concat();
        if bad.is_empty() {
            return next.take(&Batch { rows: batch.rows, columns: &columns });
        }
        next.rejects.borrow().kept(batch.rows, bad.iter().map(|(i, _)| *i), kept);
        next.take(&Batch { rows: kept.len(), columns: &gather.gather(&columns, kept) })?;
        let records = batch.bytes(*record);
        for &(i, why) in bad.iter() {
            next.rejects.borrow_mut().field(records.spans[i as usize], name, column.get(i as usize), why);
        }
        Ok(())
    }
}
