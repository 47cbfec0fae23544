//! A sample: a job's own map, reduce and output over a part of its input, and what of that tells of the whole.
//!
//! Nothing of the engine is done otherwise for it, but that it is given the splits to read, and that nobody asks whether records
//! which begin in one piece were whole in the piece before. Beside the counters that any run has there are two things to see:
//!
//! ```text
//! course   a task's rows after so many records       how its table combines, and from when on it is full
//! met      keys that one task met, two, three, …     how many more keys other parts of the input would bring
//! ```

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use ahash::AHashMap;

use super::job::Job;
use super::runs::Runs;
use crate::error::Result;
use crate::input::splits::Split;
use crate::map::emit::Course;
use crate::map::growth::Growth;
use crate::panics::{lock, unlocked};
use crate::run::Meter;
use crate::shuffle::row::get_row;
use crate::table::hash;

/// Bytes of rows in which keys are looked for. Of more of them only those of the first partitions are, which are any of all.
const MOST: u64 = 48 << 20;

/// What is read of the input.
#[derive(Debug)]
pub struct Sample {
    /// Of files.
    pub splits: Vec<Split>,
    /// Bytes, packed as they are, after which no more is read of packed files.
    most: u64,
    /// Bytes of a block of those.
    pub block: usize,
    findings: Mutex<Findings>,
}

/// What is seen of it beside the counters.
#[derive(Debug, Default)]
pub struct Findings {
    /// Keys that just one task met, just two, and so on.
    pub met: Vec<f64>,
    /// Of each task.
    pub courses: Vec<Course>,
    /// How tables of the job grow.
    pub growth: Option<Growth>,
}

impl Sample {
    pub fn new(splits: Vec<Split>, most: u64, block: usize) -> Self {
        Sample { splits, most, block, findings: Mutex::default() }
    }

    pub fn wants_more(&self, read: &Meter) -> bool {
        read.done.load(Ordering::Relaxed) < self.most
    }

    /// Looks at the runs of the map phase.
    pub fn observe(&self, job: &Job<'_>, runs: &Runs<'_>, growth: Growth) -> Result<()> {
        let bytes = runs.bytes(job.sizes.partitions);
        let mut sum = 0;
        let partitions = bytes
            .iter()
            .take_while(|&&bytes| {
                sum += bytes;
                sum <= MOST
            })
            .count()
            .max(1);
        // By hash: the last task that met the key, and how many did.
        let mut keys: AHashMap<u64, (u32, u32)> = AHashMap::new();
        let mut buffer = Vec::new();
        let mut tasks = 0;
        let mut courses = Vec::new();
        runs.each(|run, course| {
            tasks += 1;
            courses.push(course.clone());
            let reader = run.reader()?;
            for page in run.pages(0..partitions) {
                job.check()?;
                let (payload, mut at) = (reader.read(page, &mut buffer)?, 0);
                while at < payload.len()
                    && let Some(row) = get_row(payload, &mut at)
                {
                    let key = &payload[row.key.start as usize..row.key.end as usize];
                    let (last, met) = keys.entry(hash::hash(key)).or_default();
                    if *last != tasks {
                        (*last, *met) = (tasks, *met + 1);
                    }
                }
            }
            Ok(())
        })?;
        let mut met = vec![0.0; tasks as usize];
        let each = bytes.len() as f64 / partitions as f64;
        keys.values().for_each(|(_, tasks)| met[*tasks as usize - 1] += each);
        *lock(&self.findings) = Findings { met, courses, growth: Some(growth) };
        Ok(())
    }

    pub fn into_findings(self) -> Findings {
        unlocked(self.findings)
    }
}
