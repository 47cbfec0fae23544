//! Samples: chooses the part of the input that is read for a prediction, and runs the job on that part.
//!
//! Files are cut into pieces no longer than a split, and equally many pieces lie between any two that are read. Files
//! that can only be decompressed from their beginning are chosen in the same way, as a whole. Input that takes less
//! than half a second is read whole. What a command prints and what a pipe brings is not read: running a command may
//! have an effect, and reading a pipe would use it up.

use std::path::PathBuf;

use crate::engine::{self, Findings, Sample, Sizes};
use crate::error::Result;
use crate::input::splits::{self, Split};
use crate::input::{Source, Sources};
use crate::map::Combiner;
use crate::output::Compression;
use crate::plan::{self, Invocation, OnError, Plan, Read, Rows, Target};
use crate::report::{Outcome, Report, TaskAttempt};
use crate::run::Control;
use crate::spec::{Input, Spec};

/// Bytes of the first sample, which is read however long that takes; how many times larger the next sample is if a
/// sample took little time; and bytes of the largest sample.
const LEAST: u64 = 4 << 20;
const MORE: u64 = 4;
const MOST: u64 = 64 << 20;
const SECONDS: f64 = 0.5;

/// The least number of pieces. With fewer pieces nobody can say how many keys others have.
const PIECES: u64 = 16;
const SMALLEST_PIECE: u64 = 16 << 10;

/// How many times longer compressed text is assumed to be when it is decompressed. Only the size of the sample depends
/// on this.
const PACKED: u64 = 4;

/// Takes samples of a job.
pub struct Sampler<'a> {
    /// The job's spec, with only those inputs that can be read for a sample.
    spec: Spec,
    call: &'a Invocation,
    /// The sizes of the whole job's splits, tables and buffers.
    pub sizes: Sizes,
    /// Bytes of the files that are read by splits, and bytes of the compressed files, as they are.
    pub plain: u64,
    pub packed: u64,
    /// Paths of the inputs that are not read.
    pub passed_over: Vec<PathBuf>,
}

/// What a run on a sample showed.
pub struct Sampled {
    pub combiner: Combiner,
    pub report: Report,
    pub findings: Findings,
    /// Bytes of the sample that were in compressed files: as they are, and decompressed.
    pub packed: u64,
    pub unpacked: u64,
    /// Peak memory of the process, in bytes.
    pub peak: u64,
    pub is_all: bool,
    /// Whether each piece is a whole split.
    pub by_splits: bool,
}

impl Sampled {
    /// Returns the attempts that did the sample's map tasks, one per task.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskAttempt> {
        self.report.tasks.iter().filter(|task| task.outcome == Outcome::Won && task.id.starts_with("map-"))
    }

    pub fn pieces(&self) -> usize {
        self.tasks().count()
    }
}

fn can_be_read(source: &Source) -> bool {
    matches!(source, Source::File { reach, .. } if !reach.may_hang)
}

impl<'a> Sampler<'a> {
    pub fn new(spec: &Spec, call: &'a Invocation, plan: &Plan) -> Self {
        let (read, passed_over): (Vec<_>, Vec<_>) = plan.sources.iter().partition(|source| can_be_read(source));
        let bytes = |packed: bool| read.iter().filter(|s| s.is_stream() == packed).map(|s| s.bytes()).sum();
        let mut spec = Spec {
            input: read.iter().map(|source| Input::Name(source.path().to_owned())).collect(),
            deadline: Default::default(),
            ..spec.clone()
        };
        spec.output.path = None;
        Sampler {
            spec,
            call,
            sizes: Sizes::choose(plan),
            plain: bytes(false),
            packed: bytes(true),
            passed_over: passed_over.into_iter().map(|source| source.path().to_owned()).collect(),
        }
    }

    pub fn has_any(&self) -> bool {
        !self.spec.input.is_empty()
    }

    /// Takes a sample of `bytes`, and returns it with its size. Without `bytes`, the sample grows until it takes about
    /// half a second.
    pub fn take(&self, bytes: Option<u64>, control: &Control) -> Result<(Sampled, u64)> {
        let combiner = self.spec.run.combiner.unwrap_or_default();
        let mut enough = bytes.unwrap_or(LEAST);
        let mut sampled = self.run(enough, combiner, control)?;
        let is_short = |sampled: &Sampled| !sampled.is_all && sampled.report.wall_seconds * MORE as f64 <= SECONDS;
        while bytes.is_none() && enough < MOST && is_short(&sampled) {
            enough = (enough * MORE).min(MOST);
            sampled = self.run(enough, combiner, control)?;
        }
        // Most of such a short run is what a process does for the first time.
        if sampled.is_all && sampled.report.wall_seconds < SECONDS / 4.0 {
            let again = self.run(enough, combiner, control)?;
            if again.report.wall_seconds < sampled.report.wall_seconds {
                sampled = again;
            }
        }
        Ok((sampled, enough))
    }

    /// Runs the job with this combiner on a sample of about `bytes`.
    pub fn run(&self, bytes: u64, combiner: Combiner, control: &Control) -> Result<Sampled> {
        let mut plan = self.plan(combiner)?;
        let is_all = self.plain + self.packed * PACKED <= bytes;
        let packed = (bytes / PACKED).max(1);
        if !is_all {
            leave_out(&mut plan, self.packed.div_ceil(packed).max(1));
        }
        let block = (bytes / PIECES).max(SMALLEST_PIECE);
        let piece = block.min(self.sizes.split);
        let (splits, most, block) = match is_all {
            true => (splits::cut(&plan.sources, self.sizes.split), u64::MAX, usize::MAX),
            false => {
                let splits = spread(splits::cut(&plan.sources, piece), (bytes / piece).max(1) as usize);
                let read = splits.iter().map(Split::bytes).sum::<u64>();
                (splits, read + packed, block as usize)
            }
        };
        let plain: u64 = splits.iter().map(Split::bytes).sum();
        let mut own = Control::default();
        own.signal = control.signal.clone();
        engine::forget_peak();
        let (report, findings) =
            engine::sample(&plan, &own, Sample::new(splits, most, block)).map_err(|failed| failed.error)?;
        super::super::warn_of_left(&own.temporaries);
        let done = own.progress.map.done.load(std::sync::atomic::Ordering::Relaxed);
        let read = report.counters.map_input_bytes;
        Ok(Sampled {
            combiner,
            findings,
            packed: done.saturating_sub(plain),
            unpacked: if self.packed > 0 { read.saturating_sub(plain) } else { 0 },
            peak: report.peak_rss_bytes,
            is_all,
            by_splits: piece == self.sizes.split && self.packed == 0,
            report,
        })
    }

    /// Returns the plan of a sample: its output goes to /dev/null, and bad records are counted.
    fn plan(&self, combiner: Combiner) -> Result<Plan> {
        let mut plan = plan::resolve(&self.spec, self.call)?;
        plan.output.target = Target::Device("/dev/null".into(), Compression::None);
        plan.on_error = OnError::SkipUpTo { share: 1.0, save_to: None };
        plan.settings.combiner = combiner;
        plan.settings.split_size = Some(self.sizes.split);
        plan.settings.partitions = Some(self.sizes.partitions);
        plan.latencies = Vec::new();
        // How soon the job has the rows of its limit is computed from the sample.
        if let Rows::Records { sort: None } = plan.rows {
            plan.limit = None;
        }
        Ok(plan)
    }
}

/// Keeps one in `of` compressed files in the plan, and leaves out the others.
fn leave_out(plan: &mut Plan, of: u64) {
    let is_packed = |sources: &Sources, i: usize| sources[i].is_stream();
    let packed: Vec<_> = (0..plan.sources.len()).filter(|&i| is_packed(&plan.sources, i)).collect();
    let kept: Vec<_> = packed.iter().skip(packed.len().min(of as usize) / 2).step_by(of as usize).copied().collect();
    let is_left_out = |i: usize| packed.binary_search(&i).is_ok() && kept.binary_search(&i).is_err();
    plan.sources.leave_out(is_left_out);
    if let Read::Delimited { layouts, .. } = &mut plan.read {
        let mut i = 0..;
        layouts.retain(|_| !i.next().is_some_and(is_left_out));
    }
}

/// Returns `wanted` of the splits, with equally many between any two.
fn spread(all: Vec<Split>, wanted: usize) -> Vec<Split> {
    let n = all.len();
    let wanted = wanted.min(n);
    let mut next = (0..wanted).map(|i| (2 * i + 1) * n / (2 * wanted)).peekable();
    all.into_iter().enumerate().filter_map(|(i, split)| next.next_if_eq(&i).map(|_| split)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_spread() {
        let split = |i: u64| Split { pieces: vec![splits::Piece { source: 0, offset: i, len: 1 }] };
        let spread = |n: u64, wanted| -> Vec<_> {
            spread((0..n).map(split).collect(), wanted).iter().map(|split| split.pieces[0].offset).collect()
        };
        assert_eq!(spread(10, 2), [2, 7]);
        assert_eq!(spread(3, 3), [0, 1, 2]);
        assert_eq!(spread(3, 9), [0, 1, 2]);
        assert_eq!(spread(0, 4), [0; 0]);
        assert_eq!(spread(100, 16).len(), 16);
    }
}
