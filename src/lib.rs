//! MapReduce in one binary: groups and counts what is in files, on every core, in bounded memory.
//!
//! A job is a spec of a few lines of JSON. The command line makes a checked plan of it, and the engine carries the plan
//! out:
//!
//! ```text
//!    spec (JSON, or a built-in's JSON) + flags
//!      │  every key known, every name resolved, every input there
//!      ▼
//!    plan ──────────────────────── one rayon pool: tasks dealt to workers, idle workers steal ────┐
//!      │                                                                                          ▼
//!    sources ─► splits ─► map attempts ────► runs ─────────► reduce tasks ──► ordered rows ─► commit   counters
//!    files      byte      blocks of records  spill files     a partition      sorted runs     rename   tasks
//!    stdin      ranges    map: keys, values  one an attempt  of every run,    merged to       or part  workers
//!    pipes                combine in a       cut into        folded in a      one sequence    files,      │
//!    commands             bounded table      partitions      table                            _SUCCESS    ▼
//!                                                                                                       report
//! ```
//!
//! Data goes one way, left to right. A map attempt owns its table and writes its own run, so no two attempts touch the
//! same state; whatever doesn't fit its table overflows into the run. A reduce task reads the same partitions of every
//! run and sees each of their keys whole. Nothing takes a shorter way: ten bytes pass the same stages as ten
//! gigabytes, and the page cache makes small spill files cheap. Only a job without groups has nothing to reduce: its map
//! attempts write lines to their runs, which are put in the order of the input, or merged if they are sorted.
//!
//! The bytes of the result are a function of the input and the spec alone: not of threads, split size, partitions,
//! memory, combiner or scheduler. `tests/it/oracle.rs` holds the engine to that, and `tests/it/golden.rs` the binary.
//!
//! # Modules
//!
//! A module uses only modules below it in this list; `tests/it/layers.rs` reads the source and this list, and holds
//! the one to the other.
//!
//! - [`cli`]: what a user types, to a plan or a message; progress, signals, exit codes
//! - [`engine`]: `run(&plan)`: the phases, the pool, what is counted on the way
//! - [`run`]: the workers, the attempts they make at tasks, and who decides what is attempted
//! - [`plan`]: spec and inputs to a plan in which nothing is left to look up
//! - [`spec`]: the job as written: the table of its keys, its type, the built-ins of `jobs/`
//! - [`reduce`]: partitions of every run folded to groups, groups finished to rows
//! - [`map`]: blocks of records to keys and values: tokenisers, steps, the combining table's emitter; or to lines
//! - [`output`]: formats, ordering, and files that appear whole or not at all
//! - [`input`]: what a user names to sources, sources to splits, splits to blocks of records
//! - [`record`]: where records end, and blocks to records
//! - [`shuffle`]: rows, the format of a run, its writer and reader
//! - [`aggregate`]: commutative monoids over the records of a group, and the laws they are tested by
//! - [`table`]: keys to group slots, with states beside the keys; the one hash
//! - [`predicate`]: what filters ask of a record, and `having` of a row
//! - [`report`]: events, and what they add up to: counters, tasks, workers; as JSON, summary, trace and history
//! - [`schema`]: what keys a spec may have, told in shapes: strict parsing, checks, overrides, params, suggestions, JSON
//!   Schema and the page of all keys
//! - [`data`]: batches of columns, values, keys, bytes and files in the making, which every room shares
//! - [`panics`]: panics, as errors
//! - [`error`]: what can go wrong, in the words that a user sees
//! - [`units`]: sizes, times and counts as people read and type them
//! - [`failpoint`]: operations that tests have fail; nothing without the feature of that name

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
