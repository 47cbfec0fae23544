//! The errors of mapfold, with the words that a user sees.
//!
//! Every error says what was being done and to which path. [`Error::hint`] says what to do next, and is the second line
//! of the message. [`Error::exit_code`] is the process's exit code. Only the command line prints errors. This module
//! also defines what every message needs: [`shown`] escapes names so that they can't spoil a line, [`reason`] returns
//! what the system says, and [`nearest`] finds a name to suggest.

mod names;

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::units::{Span, argument, data, size};
pub use names::{meant, nearest, one_line, shown, suggestion};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The largest value of `read.max_record`, in bytes: lengths in rows have 32 bits, and a row may hold a record twice.
pub const LONGEST_RECORD: u64 = 2 << 30;

/// The hint when the disk of the spill directory is full.
pub const ROOMIER: &str = "choose a directory with more free space with --spill-dir";

/// The hint when the system gives no more memory.
pub const LESS_MEMORY: &str = "use a smaller --memory, fewer --threads, or a higher limit (ulimit -v)";

/// What messages call standard output.
pub const STDOUT: &str = "standard output";

/// The hint when a file would exceed the limit of the process.
const LARGER_FILES: &str = "allow larger files (ulimit -f)";

/// The hint when the process may open no more files.
const MORE_FILES: &str = "allow more open files (ulimit -n), or use fewer --threads";

/// The hint when the disk of the result is full.
const OTHER_DISK: &str = "make room on its disk, or write to another one with --output";

/// The hint when a job wasn't done in its time.
pub const ANSWER_FROM_A_PART: &str = "with --on-timeout partial the job answers from what it has read by then";

/// What went wrong, in the words that a user sees. [`Error::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the spec or an input was found wrong before anything was read.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },

    /// An input could not be read. `at` is a byte offset.
    #[error("{}: cannot read at byte {at}: {}", shown(path), reason(source))]
    Read { path: PathBuf, at: u64, source: io::Error },

    /// An input was changed in place after the job was planned. Its length is the same.
    #[error("{}: was changed while the job ran", shown(path))]
    Changed { path: PathBuf },
    /// An input took longer than its timeout. `read` is the number of its bytes, compressed if it is compressed, that
    /// were read by then.
    #[error("{name}: timed out after {after}, {} read", data(*read))]
    TimedOut { name: String, after: Span, read: u64 },

    /// A command whose output is an input could not be run or failed, or an input brought nothing in time.
    #[error("{name}: {why}")]
    Source { name: String, why: String },

    /// An input gave other bytes when it was read again.
    #[error("{name}: gave different bytes when it was {} again", if *is_command { "run" } else { "read" })]
    OtherBytes { name: String, is_command: bool },

    /// A spill file or the spill directory could not be written or read.
    #[error("spill file {}: {}", shown(path), reason(source))]
    Spill { path: PathBuf, source: io::Error },

    /// No directory could be made in the spill directory.
    #[error("spill directory {}: cannot make a file in it: {}", shown(path), reason(source))]
    SpillDirectory { path: PathBuf, source: io::Error },

    /// The runs of the job take more bytes than `--spill-limit` allows. `path` is the run that didn't fit.
    #[error("spill file {}: the runs of this job take more than the limit of {}", shown(path), size(*limit))]
    SpillLimit { path: PathBuf, limit: u64, may_compress: bool },

    /// The spill directories have too little free space for the runs of the job, which take at least `needs` bytes.
    #[error(
        "{}: the runs of this job take at least {}, but only {} are free",
        spill_directories(paths), data(*needs), data(*free)
    )]
    SpillSpace { paths: Vec<PathBuf>, free: u64, needs: u64 },

    /// A run on disk is not what was written. No answer is made from it.
    #[error("spill file {}: {what}{}", shown(path), at_byte(*at))]
    Corrupt { path: PathBuf, at: Option<u64>, what: &'static str },

    /// The result could not be written.
    #[error("cannot write {}: {}", shown(path), reason(source))]
    Output { path: PathBuf, source: io::Error },

    /// The reader of standard output closed it. This is not a failure.
    #[error("output closed")]
    ClosedPipe,

    /// A signal asked the job to end.
    #[error("interrupted")]
    Interrupted { signal: i32 },

    /// A record is too long. `at` is the byte at which the record begins, `most` the job's `read.max_record`, and `len`
    /// the record's length if it is known.
    #[error("{}: the record at byte {at} is longer than {}, the read.max_record of this job", shown(path), size(*most))]
    RecordTooLong { path: PathBuf, at: u64, most: u64, len: Option<u64> },

    /// A record doesn't fit in a thread's part of the memory. `needs` is the `--memory` with which it would fit.
    #[error("{}: the record at byte {at}, of {}, doesn't fit in the memory of a thread", shown(path), size(*bytes))]
    RecordTooLarge { path: PathBuf, at: u64, bytes: u64, needs: u64 },

    /// The window of zstd data doesn't fit in the memory for it. `needs` is the `--memory` with which it would fit.
    #[error("{name}: is compressed with a window of {}, which doesn't fit in the memory", size(*window))]
    Window { name: String, window: u64, needs: u64 },

    /// A row doesn't fit in a thread's part of the memory, because its key or value is too long. `needs` is the
    /// `--memory` with which it would fit.
    #[error("a row of {} doesn't fit in the memory of a thread", size(*bytes))]
    RowTooLarge { bytes: u64, needs: u64 },

    /// A row of a run, or a row of the output with its sort key, is longer than 4 GiB.
    #[error("a row of {bytes} bytes is longer than 4 GiB, the most that a row may have")]
    RowTooLong { bytes: u64 },

    /// A record is invalid in its format, or a value in it is invalid for its type. `place` is `FILE:LINE`.
    #[error("{place}: {why}")]
    BadRecord { place: String, why: String, hint: String },

    /// More records are bad than the job may skip.
    #[error("{bad} of {records} records are bad, but read.on_error allows only a share of {share}")]
    TooManyBad { bad: u64, records: u64, share: f64 },

    /// A value is beyond what its type holds. `group` is the key of its group, if records are grouped.
    #[error("column {column:?}{} needs more than 38 digits", of_group(group.as_deref()))]
    Overflow { column: String, group: Option<String> },

    /// The system gave no more memory.
    #[error("cannot allocate {bytes} bytes: out of memory")]
    OutOfMemory { bytes: usize },

    /// A child process that runs the job could not be started or waited for.
    #[error("cannot {what}: {}", reason(source))]
    Start { what: &'static str, source: io::Error },

    /// A child process that ran the job failed. `message` and `hint` are what it printed.
    #[error("{message}")]
    Run { message: String, hint: Option<String>, code: u8 },

    /// Executions of a job that must write the same output wrote different outputs.
    #[error("{message}")]
    Differ { message: String },

    /// A task panicked: a bug in mapfold.
    #[error("internal error in {task}: {message}")]
    Panic { task: String, message: String },

    /// Every attempt at a task failed, for a reason that might have passed. `from` is the source and the byte at which
    /// the task's input begins.
    #[error("{}", each_attempt(task, from.as_ref(), causes))]
    Attempts { task: String, from: Option<(PathBuf, u64)>, causes: Vec<Error> },

    /// The job was not done in its time.
    #[error("the job was not done after {after}")]
    Deadline { after: Span },

    /// A job that answers from what it read in its time had not answered `reserve` later.
    #[error("the job was not done after {after}, nor {reserve} later")]
    Overdue { after: Span, reserve: Span },

    /// The result is written, but it was made from a part of the input. The text says from which part.
    #[error("{0}")]
    Partial(String),

    /// An attempt was told to end, because its result isn't needed. Only attempts see this error.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Usage { message: message.into(), hint: None }
    }

    pub fn usage_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// Returns [`Error::Interrupted`] if a signal asked the process to end. `signal` holds that signal's number, or 0.
    pub fn unless_interrupted(signal: &AtomicUsize) -> Result<()> {
        match signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Error::Interrupted { signal: signal as i32 }),
        }
    }

    /// Returns what to do next, if there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Usage { hint, .. } | Error::Run { hint, .. } => hint.clone(),
            Error::Differ { .. } => {
                Some("either an input changed meanwhile, or this is a bug in mapfold: please report it".into())
            }
            Error::OutOfMemory { .. } => Some(LESS_MEMORY.into()),
            Error::OtherBytes { is_command: true, .. } => {
                Some(r#""retry" is for commands that print the same bytes each time"#.into())
            }
            Error::Changed { .. } | Error::OtherBytes { is_command: false, .. } => {
                Some("run the job again when nothing writes to the file; only appending to it does no harm".into())
            }
            Error::Spill { source, .. } | Error::SpillDirectory { source, .. }
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                Some(ROOMIER.into())
            }
            Error::SpillSpace { .. } => Some(ROOMIER.into()),
            Error::SpillLimit { may_compress, .. } => {
                let compress = if *may_compress { "--compress zstd or " } else { "" };
                Some(format!("allow more with --spill-limit, or make runs smaller with {compress}a larger --memory"))
            }
            Error::Read { source, .. }
            | Error::Spill { source, .. }
            | Error::SpillDirectory { source, .. }
            | Error::Output { source, .. }
            | Error::Start { source, .. }
                if let Some(hint) = of_limit(source) =>
            {
                Some(hint.into())
            }
            Error::SpillDirectory { .. } => Some("name a directory on a disk with free space with --spill-dir".into()),
            Error::Output { path, source }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
                    && path != Path::new(STDOUT) =>
            {
                Some(OTHER_DISK.into())
            }
            Error::Output { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("another program made it while the job ran; --force replaces it".into())
            }
            Error::RecordTooLong { most, len, .. } if *most < LONGEST_RECORD => {
                let more = argument(most.saturating_mul(8).max(len.unwrap_or(0)).min(LONGEST_RECORD));
                Some(format!("a newline ends a record; if this is one record, allow it: --set read.max_record={more}"))
            }
            Error::RecordTooLong { .. } => Some("a newline ends a record: is this a text file?".into()),
            Error::Window { needs, .. } => Some(format!("use --memory {}", argument(*needs))),
            Error::RecordTooLarge { needs, .. } | Error::RowTooLarge { needs, .. } => {
                Some(format!("use --memory {}, or fewer --threads", argument(*needs)))
            }
            Error::BadRecord { hint, .. } => Some(hint.clone()),
            Error::Corrupt { .. } => Some("the disk of the spill directory damaged the file; run the job again".into()),
            Error::Panic { .. } => Some("this is a bug in mapfold; please report it with the job's spec".into()),
            Error::Deadline { .. } => Some(ANSWER_FROM_A_PART.into()),
            Error::Attempts { causes, .. } => causes.last().and_then(Error::hint),
            _ => None,
        }
    }

    /// Makes one error of the failures of all attempts at a task. `from` is the source and the byte at which the task's
    /// input begins. `may_pass` says whether the last failure might not come again.
    pub fn of_attempts(task: String, from: Option<(PathBuf, u64)>, mut causes: Vec<Error>, may_pass: bool) -> Error {
        match causes.pop() {
            // If the last failure would come again, it alone is what is wrong: further attempts can't help.
            Some(last) if causes.is_empty() || !may_pass => last,
            last => {
                causes.extend(last);
                Error::Attempts { task, from, causes }
            }
        }
    }

    /// Whether another attempt at the same task may succeed.
    pub fn may_pass(&self) -> bool {
        match self {
            Error::Read { source, .. } | Error::Spill { source, .. } => may_pass(source),
            Error::Corrupt { .. } | Error::Panic { .. } => true,
            _ => false,
        }
    }

    /// Whether a spill file is damaged, so that reading it again doesn't help. The system's errors for a momentary lack
    /// of something don't count.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Corrupt { .. } => true,
            Error::Spill { source, .. } => source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
            _ => false,
        }
    }

    /// Whether the error is about one record, or about a row made from a record.
    pub fn is_of_a_record(&self) -> bool {
        use Error::{BadRecord, RecordTooLarge, RecordTooLong, RowTooLarge, RowTooLong};
        matches!(
            self,
            BadRecord { .. } | RecordTooLong { .. } | RecordTooLarge { .. } | RowTooLong { .. } | RowTooLarge { .. }
        )
    }

    /// Returns the input to blame, if map tasks failed to read it.
    pub fn of_input(&self) -> Option<&Path> {
        match self {
            Error::Read { path, .. } | Error::Changed { path } => Some(path),
            Error::Attempts { causes, .. } => causes.last().and_then(Error::of_input),
            _ => None,
        }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } => 2,
            Error::ClosedPipe => 0,
            Error::Run { code, .. } => *code,
            Error::Partial(_) => 3,
            Error::Interrupted { signal } => 128u8.wrapping_add(*signal as u8),
            _ => 1,
        }
    }
}

/// Whether an error may not come again. Only errors of the operating system may pass. What mapfold found out itself,
/// such as that a file was truncated, stays true.
pub fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{
        FileTooLarge, IsADirectory, NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
        StorageFull,
    };
    let stays = matches!(
        error.kind(),
        FileTooLarge
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | QuotaExceeded
            | ReadOnlyFilesystem
            | StorageFull
    );
    error.raw_os_error().is_some() && !stays
}

/// Returns the names of the spill directories, for the beginning of a message.
pub fn spill_directories(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(shown).collect();
    format!("spill {} {}", if names.len() == 1 { "directory" } else { "directories" }, names.join(", "))
}

fn at_byte(at: Option<u64>) -> String {
    at.map_or_else(String::new, |at| format!(" at byte {at}"))
}

fn of_group(group: Option<&str>) -> String {
    group.map_or_else(String::new, |group| format!(" of the group {group}"))
}

/// Returns what to do if a limit of the process was reached.
pub fn of_limit(error: &io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::FBIG => Some(LARGER_FILES),
        Errno::MFILE => Some(MORE_FILES),
        Errno::NOMEM => Some(LESS_MEMORY),
        _ => None,
    }
}

/// Returns what the causes of two attempts must share to be the same. Each attempt has spill files of its own.
fn sameness(cause: &Error) -> String {
    match cause {
        Error::Spill { source, .. } => reason(source),
        cause => cause.to_string(),
    }
}

/// Returns the message of [`Error::Attempts`]: the cause if it was the same each time, otherwise all causes in turn.
fn each_attempt(task: &str, from: Option<&(PathBuf, u64)>, causes: &[Error]) -> String {
    let from = from.map_or_else(String::new, |(path, at)| format!(", {} from byte {at}", shown(path)));
    let attempts = causes.len();
    let mut different: Vec<_> = causes.iter().collect();
    different.dedup_by_key(|cause| sameness(cause));
    let texts: Vec<_> = different.into_iter().map(ToString::to_string).collect();
    match &texts[..] {
        [cause] => format!("{cause} (each of {attempts} attempts at {task}{from})"),
        _ => format!("each of {attempts} attempts at {task}{from} failed: {}", texts.join("; then: ")),
    }
}

/// Returns what the operating system says, with a lower-case first letter, without the error number and without what
/// libraries add.
pub fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_what_the_system_says_and_no_more() {
        assert_eq!(reason(&io::Error::from_raw_os_error(28)), "no space left on device");
        let error = tempfile::tempfile_in("/nonexistent").unwrap_err();
        assert_eq!(reason(&error), "no such file or directory");
        assert_eq!(reason(&io::Error::other("the file was cut")), "the file was cut");
    }

    #[test]
    fn what_failed_alike_in_each_attempt_is_said_once() {
        let spill = |number: usize, code| Error::Spill {
            path: format!("map-00001-{number}.run").into(),
            source: io::Error::from_raw_os_error(code),
        };
        let of = |codes: &[i32]| {
            let causes = codes.iter().enumerate().map(|(number, &code)| spill(number, code)).collect();
            Error::of_attempts("map-00001".into(), None, causes, true)
        };
        let same = of(&[24, 24, 24]);
        let text = "spill file map-00001-0.run: too many open files (each of 3 attempts at map-00001)";
        assert_eq!((same.to_string().as_str(), same.hint().as_deref()), (text, Some(MORE_FILES)));
        let different = of(&[5, 24, 24]).to_string();
        assert!(
            different.ends_with(
                "map-00001-0.run: input/output error; then: spill file map-00001-1.run: too many open files"
            ),
            "{different}"
        );
    }

    #[test]
    fn errors_have_their_exit_codes() {
        assert_eq!(Error::usage("x").exit_code(), 2);
        assert_eq!(Error::ClosedPipe.exit_code(), 0);
        assert_eq!(Error::Interrupted { signal: 2 }.exit_code(), 130);
        assert_eq!(Error::Interrupted { signal: 15 }.exit_code(), 143);
        assert_eq!(Error::Run { message: "gone".into(), hint: None, code: 2 }.exit_code(), 2);
        assert_eq!(Error::Differ { message: String::new() }.exit_code(), 1);
        assert_eq!(Error::Panic { task: "map-00000".into(), message: String::new() }.exit_code(), 1);
    }
}
