//! Small jobs that run in this process, and the checks that each run must pass.

use std::fmt;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use mapfold::engine::{self, Control};
use mapfold::failpoint;
use mapfold::input::Source;
use mapfold::output::Compression;
use mapfold::plan::{self, Groups, Invocation, Order, PageCompression, Plan, Rows, Scheduler, Target};
use mapfold::report::{Counters, Report};
use mapfold::spec::{Document, OnError};
use serde_json::json;
use tempfile::TempDir;

/// Longest time that a run may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Job {
    pub name: &'static str,
    pub spec: &'static str,
    /// A name behind `| ` is a file that a command prints. The command may be run again.
    pub inputs: &'static [&'static str],
    pub passes_in_order: bool,
    is_unordered: bool,
    /// Ending of the output's name.
    ending: &'static str,
}

impl Job {
    pub fn has_deadline(&self) -> bool {
        self.spec.contains("deadline")
    }
}

const PLAIN: &[&str] = &["long.txt", "short.txt", "shorter.txt"];
const TABLE: &[&str] = &["table.csv"];
const WORDS: &str = r#"{"map": [{"split": "line", "on": "letters", "as": "word"}], "group_by": ["word"]}"#;

pub const JOBS: [Job; 8] = [
    Job { name: "ordered", spec: WORDS, inputs: PLAIN, passes_in_order: false, is_unordered: false, ending: "" },
    Job { name: "unordered", spec: WORDS, inputs: PLAIN, passes_in_order: false, is_unordered: true, ending: "" },
    Job {
        name: "in order",
        spec: r#"{"select": ["line"]}"#,
        inputs: PLAIN,
        passes_in_order: true,
        is_unordered: false,
        ending: ".gz",
    },
    Job {
        name: "sorted",
        spec: r#"{"select": ["key", "n"], "sort": ["-key"]}"#,
        inputs: TABLE,
        passes_in_order: false,
        is_unordered: false,
        ending: "",
    },
    Job {
        name: "bad records",
        spec: r#"{"read": {"types": {"n": "int"}, "on_error": {"skip_up_to": 1, "save_to": "bad.txt"}},
            "group_by": ["key"], "aggregate": [{"op": "sum", "field": "n"}]}"#,
        inputs: TABLE,
        passes_in_order: false,
        is_unordered: false,
        ending: "",
    },
    Job {
        name: "packed",
        spec: WORDS,
        inputs: &["packed.gz"],
        passes_in_order: false,
        is_unordered: false,
        ending: ".zst",
    },
    Job {
        name: "a command",
        spec: r#"{"map": [{"split": "line", "on": "letters", "as": "word"}], "group_by": ["word"],
            "deadline": {"timeout": "1h", "on_timeout": "partial"}}"#,
        inputs: &["short.txt", "| long.txt"],
        passes_in_order: false,
        is_unordered: false,
        ending: "",
    },
    Job { name: FAR, spec: WORDS, inputs: PLAIN, passes_in_order: false, is_unordered: false, ending: "" },
];

/// Name of a job whose first input is read in a way that may hang.
const FAR: &str = "far";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    File,
    ForcedFile,
    Directory,
    ForcedDirectory,
    /// An output that can't be taken back, such as standard output.
    Device,
}

impl Goal {
    pub const ALL: [Goal; 5] = [Goal::File, Goal::ForcedFile, Goal::Directory, Goal::ForcedDirectory, Goal::Device];
}

pub struct Case {
    pub job: &'static Job,
    pub goal: Goal,
    dir: TempDir,
    plan: Plan,
    out: PathBuf,
}

/// The result of a run.
pub struct Outcome {
    pub result: Result<Report, engine::Failed>,
    control: Arc<Control>,
}

impl Outcome {
    pub fn error(&self) -> String {
        self.result.as_ref().err().map(|failed| failed.error.to_string()).unwrap_or_default()
    }
}

/// What a run without faults produces.
pub struct Expected {
    bytes: Vec<u8>,
    /// The saved bad records.
    saved: Option<String>,
    counters: Counters,
    progress: [u64; 4],
}

pub fn text(lines: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghij";
    let word = |mut i: usize| {
        let mut word = String::new();
        for _ in 0..6 {
            word.push(LETTERS[i % 10] as char);
            i /= 10;
        }
        word
    };
    (0..lines).map(|i| format!("{} {} the\n", word(i * 7919), word(i * 104_729 + 5))).collect()
}

/// A table in which one row of seven is bad, and one in five has a newline in quotes.
fn table(rows: usize) -> String {
    let cell = |i: usize| if i % 7 == 3 { "many".to_owned() } else { (i % 13).to_string() };
    let key = |i: usize| if i % 5 == 1 { format!("\"k{}\n,\"", i % 50) } else { format!("k{}", i * 31 % 97) };
    let row = |i| format!("{},{},some more to fill the row\n", key(i), cell(i));
    "key,n,rest\n".chars().chain((0..rows).flat_map(|i| row(i).chars().collect::<Vec<_>>())).collect()
}

pub fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Writes all inputs of the jobs to `dir`, which it creates.
pub fn inputs(dir: &Path) {
    fs::create_dir(dir).unwrap();
    fs::write(dir.join("long.txt"), text(260)).unwrap();
    fs::write(dir.join("short.txt"), text(5)).unwrap();
    fs::write(dir.join("shorter.txt"), text(2)).unwrap();
    fs::write(dir.join("table.csv"), table(200)).unwrap();
    fs::write(dir.join("packed.gz"), gzipped(&text(260))).unwrap();
}

/// Files of an older result, with their contents.
const OLD: [(&str, &str); 4] =
    [("_REPORT.json", "{}"), ("_SUCCESS", ""), ("part-00000", "old\n"), ("part-00001", "older\n")];

impl Case {
    pub fn new(job: &'static Job, goal: Goal) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        inputs(&path("in"));
        ["spill", "spill2", "to"].iter().for_each(|name| fs::create_dir(path(name)).unwrap());
        let mut document = Document::parse(job.name, job.spec.as_bytes()).unwrap();
        let input = |name: &&str| match name.strip_prefix("| ") {
            Some(name) => json!({"command": ["cat", path("in").join(name)], "retry": true}),
            None => json!(path("in").join(name)),
        };
        let inputs: Vec<_> = job.inputs.iter().map(input).collect();
        document.set(&format!("input={}", serde_json::to_string(&inputs).unwrap())).unwrap();
        let mut spec = document.finish().unwrap();
        if let OnError::SkipUpTo { save_to: Some(to), .. } = &mut spec.read.on_error {
            *to = path("to").join(&to);
        }
        let call = Invocation { unordered: job.is_unordered, ..Invocation::default() };
        failpoint::arm("");
        let mut plan = plan::resolve(&spec, &call).unwrap();
        if job.name == FAR
            && let Some(Source::File { reach, .. }) = plan.sources.first_mut()
        {
            reach.may_hang = true;
        }
        let out = path("to").join(format!("out{}", job.ending));
        let compression = Compression::of(&out);
        plan.output.target = match goal {
            Goal::File | Goal::ForcedFile => Target::File(out.clone(), compression),
            Goal::Directory | Goal::ForcedDirectory => Target::Directory(out.clone()),
            Goal::Device => Target::Device(out.clone(), compression),
        };
        plan.output.force = matches!(goal, Goal::ForcedFile | Goal::ForcedDirectory);
        plan.output.part_size = 2 << 10;
        let settings = &mut plan.settings;
        settings.memory = 64 << 10;
        settings.split_size = Some(2 << 10);
        settings.partitions = Some(4);
        settings.table_slots = Some(1 << 10);
        settings.spill_dirs = vec![path("spill")];
        // Pages of every kind: each job has one of these settings.
        let number = JOBS.iter().position(|other| other.name == job.name).unwrap_or_default();
        settings.compress = [PageCompression::Zstd, PageCompression::Lz4, PageCompression::None][number % 3];
        Case { job, goal, dir, plan, out }
    }

    pub fn set(&mut self, scheduler: Scheduler, threads: usize) {
        self.plan.settings.scheduler = scheduler;
        self.plan.settings.threads = threads;
    }

    /// Spreads the runs over two directories.
    pub fn two_directories(&mut self) {
        self.plan.settings.spill_dirs = vec![self.dir.path().join("spill"), self.dir.path().join("spill2")];
    }

    pub fn one_split(&mut self) {
        self.plan.settings.split_size = Some(1 << 20);
        self.plan.settings.memory = 8 << 20;
    }

    /// Whether the output has a staging directory.
    pub fn has_staging(&self) -> bool {
        let is_staged = matches!(self.goal, Goal::Directory | Goal::ForcedDirectory);
        let is_written_at_once = |groups: &Groups| groups.order == Order::Free || groups.key_order().is_some();
        let waits = matches!(&self.plan.rows, Rows::Groups(groups) if is_written_at_once(groups));
        is_staged || waits
    }

    fn prepare(&self) {
        for name in ["to", "spill", "spill2"] {
            let path = self.dir.path().join(name);
            fs::remove_dir_all(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
        match self.goal {
            Goal::File | Goal::Directory => {}
            Goal::Device => fs::write(&self.out, "").unwrap(),
            Goal::ForcedFile => fs::write(&self.out, "old\n").unwrap(),
            Goal::ForcedDirectory => {
                fs::create_dir(&self.out).unwrap();
                OLD.iter().for_each(|(name, text)| fs::write(self.out.join(name), text).unwrap());
            }
        }
    }

    /// Runs the job with these faults.
    #[track_caller]
    pub fn run(&self, faults: &str) -> Outcome {
        self.prepare();
        let control = Arc::new(Control::default());
        let (done, is_done) = mpsc::channel();
        failpoint::arm(faults);
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                let run = || engine::run(&self.plan, &control);
                drop(done.send(catch_unwind(AssertUnwindSafe(run))));
            });
            is_done.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                // Returning would wait for the thread of the scope for ever.
                eprintln!("{self}, {faults}: hangs");
                std::process::abort();
            })
        });
        let result = result.unwrap_or_else(|_| panic!("{self}, {faults}: a panic of the engine's"));
        Outcome { result, control }
    }

    #[track_caller]
    pub fn undisturbed(&self) -> Expected {
        let outcome = self.run("");
        let Ok(report) = &outcome.result else { panic!("{self}: {}", outcome.error()) };
        let bytes = self.made();
        assert!(bytes.len() > 500 && !report.tasks.is_empty(), "{self}: {} bytes, {:?}", bytes.len(), report.tasks);
        Expected { bytes, saved: self.saved(), counters: comparable(report), progress: outcome.progress() }
    }

    fn saved(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("to/bad.txt")).ok()
    }

    /// Bytes of the output: all parts concatenated, with the lines sorted if the job leaves their order open.
    fn made(&self) -> Vec<u8> {
        let bytes = match self.goal {
            Goal::Directory | Goal::ForcedDirectory => {
                let names = names(&self.out);
                assert!(["_REPORT.json", "_SUCCESS"].iter().all(|name| names.iter().any(|n| n == name)), "{names:?}");
                let parts = names.iter().filter(|name| name.starts_with("part-"));
                assert_eq!(parts.clone().count() + 2, names.len(), "{names:?}");
                parts.flat_map(|name| fs::read(self.out.join(name)).unwrap()).collect()
            }
            _ => fs::read(&self.out).unwrap(),
        };
        if !self.job.is_unordered {
            return bytes;
        }
        let mut lines: Vec<_> = bytes.split_inclusive(|&b| b == b'\n').collect();
        lines.sort();
        lines.concat()
    }

    /// Checks that the run gave the same bytes, or an error and nothing else.
    #[track_caller]
    pub fn check(&self, expected: &Expected, outcome: &Outcome, label: &str) {
        let path = |name: &str| self.dir.path().join(name);
        for spill in ["spill", "spill2"] {
            assert_eq!(names(&path(spill)), [""; 0], "{label}: {}", outcome.error());
        }
        let left = outcome.control.temporaries.take_unremoved();
        assert!(left.is_empty(), "{label}: {left:?}");
        let out = self.out.file_name().unwrap().to_str().unwrap();
        let mut present = names(&path("to"));
        if present.first().is_some_and(|name| name == "bad.txt") {
            // The file of bad records is complete, whatever happened to the job afterwards.
            present.remove(0);
            assert!(self.saved() == expected.saved, "{label}: other bad records");
        } else {
            assert!(outcome.result.is_err() || self.job.name != "bad records", "{label}: they aren't saved");
        }
        match &outcome.result {
            Ok(report) => {
                assert_eq!(present, [out], "{label}");
                assert!(self.made() == expected.bytes, "{label}: other bytes");
                assert_eq!(comparable(report), expected.counters, "{label}");
                assert_eq!(outcome.progress(), expected.progress, "{label}");
            }
            Err(failed) => {
                let error = outcome.error();
                assert_eq!(failed.error.exit_code(), 1, "{label}: {error}");
                assert!(!error.is_empty() && !error.contains('\n'), "{label}: {error}");
                self.check_untouched(&present, expected, &format!("{label}: {error}"));
            }
        }
    }

    /// Checks the output of a failed job: it is absent, or it is the older result.
    fn check_untouched(&self, present: &[String], expected: &Expected, label: &str) {
        let out = self.out.file_name().unwrap().to_str().unwrap();
        match self.goal {
            Goal::File | Goal::Directory => assert_eq!(present, [""; 0], "{label}"),
            Goal::Device => {
                let made = fs::read(&self.out).unwrap();
                let begins = expected.bytes.starts_with(&made);
                assert!(begins || self.job.is_unordered, "{label}: {} other bytes", made.len());
            }
            Goal::ForcedFile => assert_eq!(fs::read_to_string(&self.out).unwrap(), "old\n", "{label}"),
            Goal::ForcedDirectory => {
                assert_eq!(names(&self.out), OLD.map(|(name, _)| name), "{label}");
                for (name, text) in OLD {
                    assert_eq!(fs::read_to_string(self.out.join(name)).unwrap(), text, "{label}");
                }
            }
        }
        assert!(present.iter().all(|name| name == out), "{label}: {present:?}");
    }
}

impl Outcome {
    fn progress(&self) -> [u64; 4] {
        use std::sync::atomic::Ordering::Relaxed;
        let progress = &self.control.progress;
        [&progress.map.done, &progress.reduce.done, &progress.output.done, &progress.in_runs].map(|n| n.load(Relaxed))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { job, goal, plan, .. } = self;
        write!(f, "{} to {goal:?} by {}", job.name, plan.settings.scheduler.name())
    }
}

/// Counters that no failure may change. Whether an attempt is so slow that a speculative attempt starts is chance. So is
/// which block of a stream is mapped first, and that block's keys decide how many pages a run has.
fn comparable(report: &Report) -> Counters {
    Counters {
        failed_attempts: 0,
        speculative_attempts: 0,
        stolen_tasks: 0,
        map_output_materialized_bytes: 0,
        spilled_bytes: 0,
        ..report.counters
    }
}

pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
