//! The program of a job's map: a reader and the stages of its steps, run over windows of records.

use std::cell::RefCell;
use std::fmt::Debug;

use super::read::{Home, Lines, Reader, Window};
use super::reject::Rejects;
use super::steps::convert::Conversion;
use super::tokenise::Splitter;
use crate::data::{Batch, Column, Sink};
use crate::error::Result;
use crate::failpoint;
use crate::record::Taken;

/// Index of a field of a record: those that its reader makes come first, and each step that adds one adds the next.
pub type Field = usize;

/// A step of the job, its fields resolved. One file a kind.
pub trait Step: Debug + Send + Sync {
    /// The fields that it reads.
    fn reads(&self) -> Vec<Field>;

    /// Whether it may find a record bad.
    fn may_reject(&self) -> bool {
        false
    }

    /// Whether it tells on which lines records are.
    fn tells_lines(&self) -> bool {
        false
    }

    /// What it is of the job, for whoever explains that.
    fn part(&self) -> JobPart<'_> {
        JobPart::Written
    }

    /// What runs it, with scratch memory of its own: one a worker.
    fn stage(&self) -> Box<dyn Stage>;

    /// How many records it makes of one: says what bytes that nobody has read may hold at most.
    fn makes(&self) -> Makes<'_>;

    /// Where lines of text are read, what may read them in place of the reader of lines if this is the job's first step.
    /// `line_is_read` says whether anyone else wants the line.
    fn front(&self, _line_is_read: bool) -> Option<Front> {
        None
    }
}

/// What a step is of the job.
pub enum JobPart<'a> {
    /// What the spec has in its place.
    Written,
    /// It drops records for what is in them.
    Filters,
    /// It reads fields as numbers or timestamps, for steps behind it.
    Converts(&'a [Conversion]),
    /// It hides a field where a predicate doesn't hold.
    Hides,
    /// It hands on in another form what records have.
    Prepares,
}

/// How many records a step makes of one.
pub enum Makes<'a> {
    /// At most one.
    One,
    /// One for each piece of field `of`, with the piece in `field`.
    Pieces { field: Field, of: Field, on: &'a Splitter },
    /// Nothing bounds them.
    Any,
}

/// A reader that knows of the first step.
#[derive(Debug)]
pub struct Front {
    pub reader: Box<dyn Reader>,
    /// Whether it does all that the step has to do.
    pub does_the_step: bool,
}

/// A step at work.
pub trait Stage: Debug + Send {
    /// Hands what it makes of a batch to `next`, in order.
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()>;
}

/// What comes behind a reader or a stage.
pub struct Next<'a> {
    stages: &'a mut [Box<dyn Stage>],
    sink: &'a mut dyn Sink,
    pub rejects: &'a RefCell<Rejects>,
    /// Where the window lies that is read.
    pub home: Home<'a>,
}

impl Sink for Next<'_> {
    fn take(&mut self, batch: &Batch<'_>) -> Result<()> {
        if self.rejects.borrow().have_ended() {
            return Ok(());
        }
        failpoint::records(texts(batch));
        let Some((stage, stages)) = self.stages.split_first_mut() else { return self.sink.take(batch) };
        stage.run(batch, &mut Next { stages, sink: self.sink, rejects: self.rejects, home: self.home })
    }

    fn wants_more(&self) -> bool {
        self.sink.wants_more()
    }
}

/// Every value that is bytes.
fn texts<'a>(batch: &Batch<'a>) -> impl Iterator<Item = &'a [u8]> + Clone {
    batch.columns.iter().flat_map(|column| {
        let bytes = match column {
            Column::Bytes(bytes) | Column::Json(bytes) => Some(*bytes),
            Column::Decimal(_) | Column::Float(_) => None,
        };
        bytes.into_iter().flat_map(|bytes| (0..bytes.spans.len()).filter_map(move |i| bytes.value(i)))
    })
}

/// Runs a job's steps over windows of records. Holds scratch memory: one a worker.
#[derive(Debug)]
pub struct Mapper {
    reader: Box<dyn Reader>,
    stages: Vec<Box<dyn Stage>>,
    rejects: RefCell<Rejects>,
}

impl Mapper {
    /// Which bad records count `rejects` says.
    pub fn new(reader: Box<dyn Reader>, steps: &[Box<dyn Step>], rejects: Rejects) -> Self {
        let stages = steps.iter().map(|step| step.stage()).collect();
        Mapper { reader, stages, rejects: RefCell::new(rejects) }
    }

    /// For lines of text. `read` are the fields of mapped records that are of use behind the steps.
    pub fn of_lines(steps: &[Box<dyn Step>], read: &[Field], rejects: Rejects) -> Self {
        let front = steps.split_first().and_then(|(first, rest)| {
            first.front(read.contains(&0) || rest.iter().any(|step| step.reads().contains(&0)))
        });
        match front {
            None => Mapper::new(Box::new(Lines), steps, rejects),
            Some(front) => Mapper::new(front.reader, &steps[usize::from(front.does_the_step)..], rejects),
        }
    }

    /// Maps the records of `window`. Returns what was taken, bad ones included.
    pub fn map(&mut self, window: Window<'_>, out: &mut dyn Sink) -> Result<Taken> {
        let Mapper { reader, stages, rejects } = self;
        reader.read(window, &mut Next { stages, sink: out, rejects, home: window.home })
    }

    /// The bad records of the windows since this was last asked.
    pub fn rejects(&mut self) -> &mut Rejects {
        self.rejects.get_mut()
    }
}
