//! The program of a job's map: a reader and the stages of the job's steps, run over windows of records. Windows go in;
//! batches of mapped records come out, in a [`Sink`]. Defines what a step ([`Step`]), its running form ([`Stage`]) and
//! their chain ([`Next`], [`Mapper`]) are.

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

/// The index of a field of a record. The fields that the reader makes come first. Each step that adds a field adds the
/// next index.
pub type Field = usize;

/// A step of the job whose fields are resolved. Each kind of step has a file of its own in [`steps`](super::steps).
pub trait Step: Debug + Send + Sync {
    /// Returns the fields that the step reads.
    fn reads(&self) -> Vec<Field>;

    /// Whether the step may find a record bad.
    fn may_reject(&self) -> bool {
        false
    }

    /// Whether the step needs to know on which lines records are.
    fn tells_lines(&self) -> bool {
        false
    }

    /// Returns which part of the job the step is, for `explain`.
    fn part(&self) -> JobPart<'_> {
        JobPart::Written
    }

    /// Makes the stage that runs the step. Each worker has a stage of its own, with its own scratch memory.
    fn stage(&self) -> Box<dyn Stage>;

    /// Returns how many records the step makes of one. This bounds the number of records in bytes that weren't read.
    fn makes(&self) -> Makes<'_>;

    /// Returns a reader that may read lines of text in place of [`Lines`] if this is the job's first step.
    /// `line_is_read` says whether anything but this step uses the line.
    fn front(&self, _line_is_read: bool) -> Option<Front> {
        None
    }
}

/// Which part of the job a step is.
pub enum JobPart<'a> {
    /// The step that the spec has in this place.
    Written,
    /// The step drops records because of their values.
    Filters,
    /// The step reads fields as numbers or timestamps, for later steps.
    Converts(&'a [Conversion]),
    /// The step hides a field in records for which a predicate doesn't hold.
    Hides,
    /// The step adds another form of what records already have.
    Prepares,
}

/// How many records a step makes of one.
pub enum Makes<'a> {
    /// At most one.
    One,
    /// One for each piece of field `of`, cut by `on`. The piece is in `field`.
    Pieces { field: Field, of: Field, on: &'a Splitter },
    /// Any number.
    Any,
}

/// A reader that does work of the job's first step.
#[derive(Debug)]
pub struct Front {
    pub reader: Box<dyn Reader>,
    /// Whether the reader does all of the step's work.
    pub does_the_step: bool,
}

/// A step that is run, with its scratch memory.
pub trait Stage: Debug + Send {
    /// Hands the records that it makes of `batch` to `next`, in order.
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()>;
}

/// The stages and the sink that come after a reader or a stage.
pub struct Next<'a> {
    stages: &'a mut [Box<dyn Stage>],
    sink: &'a mut dyn Sink,
    pub rejects: &'a RefCell<Rejects>,
    /// Where the window that is read lies in the input.
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

/// All values of the batch that are bytes.
fn texts<'a>(batch: &Batch<'a>) -> impl Iterator<Item = &'a [u8]> + Clone {
    batch.columns.iter().flat_map(|column| {
        let bytes = match column {
            Column::Bytes(bytes) | Column::Json(bytes) => Some(*bytes),
            Column::Decimal(_) | Column::Float(_) => None,
        };
        bytes.into_iter().flat_map(|bytes| (0..bytes.spans.len()).filter_map(move |i| bytes.value(i)))
    })
}

/// Runs a job's steps over windows of records. Each worker has one, since it holds scratch memory.
#[derive(Debug)]
pub struct Mapper {
    reader: Box<dyn Reader>,
    stages: Vec<Box<dyn Stage>>,
    rejects: RefCell<Rejects>,
}

impl Mapper {
    /// `rejects` collects the bad records, and says whether anything behind the first one counts.
    pub fn new(reader: Box<dyn Reader>, steps: &[Box<dyn Step>], rejects: Rejects) -> Self {
        let stages = steps.iter().map(|step| step.stage()).collect();
        Mapper { reader, stages, rejects: RefCell::new(rejects) }
    }

    /// A mapper for lines of text. `read` lists the fields of mapped records that are used after the steps.
    pub fn of_lines(steps: &[Box<dyn Step>], read: &[Field], rejects: Rejects) -> Self {
        let front = steps.split_first().and_then(|(first, rest)| {
            first.front(read.contains(&0) || rest.iter().any(|step| step.reads().contains(&0)))
        });
        match front {
            None => Mapper::new(Box::new(Lines), steps, rejects),
            Some(front) => Mapper::new(front.reader, &steps[usize::from(front.does_the_step)..], rejects),
        }
    }

    /// Maps the records of `window`. Returns how much of the window was taken, bad records included.
    pub fn map(&mut self, window: Window<'_>, out: &mut dyn Sink) -> Result<Taken> {
        let Mapper { reader, stages, rejects } = self;
        reader.read(window, &mut Next { stages, sink: out, rejects, home: window.home })
    }

    /// Returns the bad records found since they were last taken.
    pub fn rejects(&mut self) -> &mut Rejects {
        self.rejects.get_mut()
    }
}
