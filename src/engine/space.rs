//! The free space of the spill directories, compared with what the job's runs will take.
//!
//! A job is refused before it reads anything only if it can't succeed: its runs take at least so many bytes, and so
//! many aren't free. Nearly always only an estimate is known. Then the user is warned, and the job goes on: a combiner,
//! a filter or compression may save more than it seems, and space may become free.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{StatVfs, statfs, statvfs};

use super::job::Job;
use crate::error::{Error, Result, spill_directories};
use crate::input::Source;
use crate::plan::{PageCompression, Plan, Read, Rows, SortKeys};
use crate::units::data;

/// Bytes of runs before free space is looked at for the first time, and the least between two looks.
const LEAST: u64 = 1 << 20;

/// Free bytes for each byte of runs that count as much.
const MUCH: u64 = 4;

/// Watches the free space while the map phase writes runs, and while reduce tasks write rows that are sorted later.
#[derive(Debug)]
pub struct SpaceWatch {
    /// Bytes of runs at which free space is looked at next.
    next: AtomicU64,
    has_warned: AtomicBool,
}

impl Default for SpaceWatch {
    fn default() -> Self {
        SpaceWatch { next: AtomicU64::new(LEAST), has_warned: AtomicBool::new(false) }
    }
}

/// Fails if the job can't succeed because too little is free for its runs. Warns if that is only likely.
pub fn check(job: &Job<'_>) -> Result<()> {
    let Some(needs) = bytes_of_sorted_lines(job.plan).filter(|_| job.sample.is_none()) else { return Ok(()) };
    let Some(free) = free(job, all_blocks) else { return Ok(()) };
    if free >= needs {
        return Ok(());
    }
    if job.plan.settings.compress == PageCompression::None && job.run_directories().all(stores_as_written) {
        return Err(Error::SpillSpace { paths: job.plan.settings.spill_dirs.clone(), free, needs });
    }
    job.space.warn(job, &format!("the runs of this job may take about {}", data(needs)), free);
    Ok(())
}

/// Looks, when all runs are written, whether much is free. Space that is given back little by little takes time.
pub fn note_much(job: &Job<'_>) {
    if free(job, |system| system.f_bavail).is_some_and(|free| free / MUCH >= job.runs().taken()) {
        job.runs().note_much_free();
    }
}

impl SpaceWatch {
    /// Looks at the free space if much was written since the last time. Warns once if the runs will probably not fit.
    pub fn look(&self, job: &Job<'_>) {
        let Some(written) = self.is_due(job) else { return };
        let sources = &job.plan.sources;
        if !sources.iter().all(Source::is_file) {
            return;
        }
        let total = sources.iter().map(Source::bytes).sum();
        let read = job.control.progress.in_runs.load(Ordering::Acquire);
        self.judge(job, written, expected(job.counters().map_output_materialized_bytes, read, total));
    }

    /// Does the same while groups become rows that are sorted later. Their runs are made of `read` of `total` bytes so
    /// far, while the runs of the map phase, which took `begun`, give space back.
    pub fn look_at_rows(&self, job: &Job<'_>, begun: u64, read: u64, total: u64) {
        let Some(written) = self.is_due(job) else { return };
        let more = expected(written.saturating_sub(begun), read, total);
        self.judge(job, written, begun.saturating_add(more));
    }

    /// Returns the bytes of all runs if it is time to look.
    fn is_due(&self, job: &Job<'_>) -> Option<u64> {
        let written = job.runs().taken();
        let next = self.next.load(Ordering::Relaxed);
        let later = written + LEAST.max(written / 4);
        let order = Ordering::Relaxed;
        let is_due = written >= next && self.next.compare_exchange(next, later, order, order).is_ok();
        (is_due && job.sample.is_none()).then_some(written)
    }

    /// Warns if `all` bytes of runs, of which so many are written, will probably not fit.
    fn judge(&self, job: &Job<'_>, written: u64, all: u64) {
        let more = all.saturating_sub(written);
        if let Some(limit) = job.plan.settings.spill_limit.filter(|&limit| is_clearly_beyond(all, limit)) {
            let expected = format!("the runs of this job may take about {}", data(all));
            self.warn_once(job, &format!("{expected}, and --spill-limit allows {}", data(limit)));
        } else if let Some(free) = free(job, all_blocks).filter(|&free| is_clearly_beyond(more, free)) {
            self.warn(job, &format!("the runs of this job may take about {} more", data(more)), free);
        }
    }

    fn warn(&self, job: &Job<'_>, expected: &str, free: u64) {
        let directories = spill_directories(&job.plan.settings.spill_dirs);
        self.warn_once(job, &format!("{directories}: {} are free, and {expected}", data(free)));
    }

    fn warn_once(&self, job: &Job<'_>, message: &str) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            (job.control.warn)(message);
        }
    }
}

/// Returns the bytes of all runs, if those of `read` bytes of input took `written`.
fn expected(written: u64, read: u64, total: u64) -> u64 {
    let all = u128::from(written) * u128::from(total) / u128::from(read.max(1));
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// Whether an estimate is more than `most`, even if it is a little wrong.
fn is_clearly_beyond(estimate: u64, most: u64) -> bool {
    estimate > most.saturating_add(most / 10)
}

/// Returns the least bytes that the rows of all runs take at a time, if that is certain from the plan: every line of
/// plain files is sorted and comes out. Rows then have more bytes than lines, which end with one or two.
fn bytes_of_sorted_lines(plan: &Plan) -> Option<u64> {
    /// A byte order mark is ignored.
    const MARK: u64 = 3;
    let is_sorted = matches!(plan.rows, Rows::Records { sort: Some(SortKeys { per_group: None, .. }) });
    let has_line =
        plan.columns.iter().any(|column| plan.fields.read.get(column.index).is_some_and(|name| name == "line"));
    let is_all = plan.limit.is_none() && plan.steps.is_empty() && !plan.may_be_partial();
    let is_text = matches!(plan.read, Read::Text { .. });
    let plain = |source: &Source| match source {
        Source::File { len, codec: None, .. } => Some(len.saturating_sub(MARK)),
        _ => None,
    };
    let bytes: Option<u64> = plan.sources.iter().map(plain).sum();
    bytes.filter(|_| is_sorted && has_line && is_all && is_text)
}

/// Returns the bytes of free blocks in all spill directories. `None` if a system doesn't tell.
fn free(job: &Job<'_>, blocks: impl Fn(&StatVfs) -> u64) -> Option<u64> {
    let mut by_device = BTreeMap::new();
    for path in job.run_directories() {
        let system = statvfs(path).ok()?;
        by_device.insert(path.metadata().ok()?.dev(), blocks(&system).saturating_mul(system.f_frsize));
    }
    Some(by_device.values().fold(0, |sum, free| sum.saturating_add(*free)))
}

/// Those reserved for root too: a job isn't refused because of them.
fn all_blocks(system: &StatVfs) -> u64 {
    system.f_bfree
}

/// Whether bytes take as much space as they are: the file system neither compresses them nor stores equal ones once.
fn stores_as_written(directory: &Path) -> bool {
    /// Numbers from linux/magic.h: ext2 to ext4, XFS, tmpfs.
    const PLAIN: [u32; 3] = [0xef53, 0x5846_5342, 0x0102_1994];
    statfs(directory).is_ok_and(|system| PLAIN.contains(&(system.f_type as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected() {
        assert_eq!(expected(500, 1_000, 10_000), 5_000);
        assert_eq!(expected(500, 10_000, 10_000), 500);
        assert_eq!(expected(500, 0, 10_000), 5_000_000);
        assert_eq!(expected(u64::MAX, 1, u64::MAX), u64::MAX);
        assert!(is_clearly_beyond(112, 100) && !is_clearly_beyond(110, 100));
        assert!(!is_clearly_beyond(u64::MAX, u64::MAX));
    }
}
