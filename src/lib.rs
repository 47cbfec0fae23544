//! MapReduce in one binary: groups and counts the records of files, on every core, in bounded memory.
//!
//! A job is described by a spec, which is a few lines of JSON. The command line turns the spec into a checked plan, and
//! the engine carries the plan out:
//!
//! ```text
//!    spec (JSON, or a built-in's JSON) + flags
//!      │  every key is known, every name is resolved, every input exists
//!      ▼
//!    plan ──────────────────────── one rayon pool: tasks dealt to workers, idle workers steal ────┐
//!      │                                                                                          ▼
//!    sources ─► splits ─► map attempts ────► runs ─────────► reduce tasks ──► finished rows ► commit   counters
//!    files      byte      blocks of records  spill files     a partition      lines in the    rename   tasks
//!    stdin      ranges    map: keys, values  one per attempt of every run,    order of tasks, or part  workers
//!    pipes                combine in a       cut into        folded in a      or sorted in    files,      │
//!    commands             bounded table      partitions      table, sorted    ranges          _SUCCESS    ▼
//!                                                                                                       report
//! ```
//!
//! Data goes one way, left to right. A map attempt owns its table and writes its own run, so no two attempts touch the
//! same state. What doesn't fit in the table overflows into the run. A reduce task reads the same partitions of every
//! run, so it has all rows of each of their keys. No job takes a shorter way: ten bytes pass the same stages as ten
//! gigabytes, and the page cache makes small spill files cheap. Only a job without groups has nothing to reduce: its
//! map attempts write lines to their runs, and the lines are then put in the order of the input, or sorted.
//!
//! Order comes from how rows are divided. If the output is in the order of the keys, the partitions of a run are ranges
//! of keys instead of hashes, so the groups of one partition come before those of the next, and each reduce task sorts
//! its groups in a cache. Any other order takes a second division, of finished rows by ranges of their sort keys. The
//! bounds of ranges are keys of a sample. A partition that doesn't fit its memory is folded or sorted in parts, and the
//! sorted parts are merged. The rows of a partition that has most of them are folded by all workers first, so that no
//! worker has to reduce them alone.
//!
//! The bytes of the result depend on the input and the spec alone. They don't depend on threads, split size,
//! partitions, memory, combiner or scheduler. `tests/it/oracle.rs` checks this for the engine, and `tests/it/golden.rs`
//! for the binary.
//!
//! # Modules
//!
//! A module uses only modules below it in this list. `tests/it/layers.rs` reads this list and the source, and checks
//! that they agree.
//!
//! - [`cli`]: turns what a user types into a plan or a message; progress, signals, exit codes
//! - [`engine`]: `run(&plan)`: the phases, the thread pool, and what is counted on the way
//! - [`run`]: the workers, the attempts that they make at tasks, and the choice of what is attempted
//! - [`plan`]: turns a spec and its inputs into a plan in which every name is resolved
//! - [`spec`]: the job as written: the table of its keys, its type, the built-in jobs of `jobs/`
//! - [`reduce`]: folds the partitions of every run to groups, and finishes groups to rows
//! - [`map`]: turns blocks of records into keys and values (tokenisers, steps, the combining table's emitter), or into
//!   lines
//! - [`output`]: formats, ordering, and files that appear whole or not at all
//! - [`input`]: turns what a user names into sources, sources into splits, splits into blocks of records
//! - [`record`]: finds where records end, and cuts blocks into records
//! - [`shuffle`]: rows, the format of a run, its writer and reader, compression of its pages, and the disk space of runs
//! - [`aggregate`]: commutative monoids over the records of a group, and the laws that they are tested by
//! - [`table`]: a table from keys to group slots, with states beside the keys; the one hash function
//! - [`predicate`]: what filters test in a record, and `having` in a row
//! - [`report`]: events, and what they add up to: counters, tasks, workers; as JSON, summary, trace and history
//! - [`schema`]: the language in which the keys of a spec are declared: strict parsing, checks, overrides, params,
//!   suggestions, JSON Schema and the page of all keys
//! - [`data`]: batches of columns, values, keys, bytes, and files that are being written, for use by all modules
//! - [`panics`]: turns panics into errors
//! - [`error`]: what can go wrong, in the words that a user sees
//! - [`units`]: sizes, times and counts as people read and type them
//! - [`failpoint`]: operations that tests make fail; compiles to nothing without the feature `failpoints`

#![deny(unsafe_code)]

pub mod aggregate;
pub mod cli;
pub mod data;
pub mod engine;
pub mod error;
pub mod failpoint;
pub mod input;
pub mod map;
pub mod output;
pub mod panics;
pub mod plan;
pub mod predicate;
pub mod record;
pub mod reduce;
pub mod report;
pub mod run;
pub mod schema;
pub mod shuffle;
pub mod spec;
pub mod table;
pub mod units;

pub use error::{Error, Result};
