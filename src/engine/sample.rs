//! Runs a job on a part of its input, and notes [`Findings`]: how tables fill, and how many keys several tasks share.
//! `explain` predicts the whole job's counters from them.
//!
//! The engine runs a sample as it runs any job, with two exceptions: a sample is given the splits to read, and it
//! doesn't check that the first record of a piece begins where the last record of the piece before ended. Beside the
//! usual counters a sample notes two things:
//!
//! ```text
//! curve    a task's rows after so many records       how the task's table combines, and when it is full
//! met      keys met by one task, by two, …            how many more keys other parts of the input would bring
//! ```

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use ahash::AHashMap;

use super::job::Job;
use super::runs::Runs;
use crate::error::Result;
use crate::input::splits::Split;
use crate::map::emit::OutputCurve;
use crate::map::growth::Growth;
use crate::panics::{lock, unlocked};
use crate::run::Meter;
use crate::shuffle::row::get_row;
use crate::table::hash;

/// Bytes of rows in which keys are counted. If there are more, only the first partitions are looked at: the keys in any
/// partition are a random part of all keys.
const MOST: u64 = 48 << 20;

/// The part of the input that is read.
#[derive(Debug)]
pub struct Sample {
    /// The splits of files to read.
    pub splits: Vec<Split>,
    /// Bytes, counted as they are stored (compressed), after which compressed files are read no further.
    most: u64,
    /// Bytes of a block of compressed files.
    pub block: usize,
    findings: Mutex<Findings>,
}

/// Findings of a sample beside the counters.
#[derive(Debug, Default)]
pub struct Findings {
    /// The number of keys that exactly one task met, exactly two tasks, and so on.
    pub met: Vec<f64>,
    /// One curve per task.
    pub curves: Vec<OutputCurve>,
    /// How the tables of the job's map tasks grow.
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
        let bytes = runs.bytes();
        let mut sum = 0;
        let partitions = bytes
            .iter()
            .take_while(|&&bytes| {
                sum += bytes;
                sum <= MOST
            })
            .count()
            .max(1);
        // By hash of the key: the last task that met the key, and how many tasks did.
        let mut keys: AHashMap<u64, (u32, u32)> = AHashMap::new();
        let mut buffer = Vec::new();
        let mut tasks = 0;
        let mut curves = Vec::new();
        runs.each(|run, curve| {
            tasks += 1;
            curves.push(curve.clone());
            let reader = run.reader()?;
            for page in &*run.pages(0..partitions)? {
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
        *lock(&self.findings) = Findings { met, curves, growth: Some(growth) };
        Ok(())
    }

    pub fn into_findings(self) -> Findings {
        unlocked(self.findings)
    }
}
