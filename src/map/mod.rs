//! Map: turns blocks of records into keys and values, or into lines of output.
//!
//! ```text
//! block ─► windows of records ─► reader ─► batches ─► stage ─► stage ─┬─► keys, values ─► table ─► run    (emit)
//!                                  │                    │            └─► lines, with sort keys or without (output)
//!                                  └── bad records ─────┴─► rejects
//! ```
//!
//! A reader makes batches of a window's records. Each step of the job has a stage, which adds a column, makes several
//! records of one, or drops some records. Which step, type or aggregate applies is decided once for each batch, not for
//! each record.

pub mod combining;
pub mod emit;
pub mod growth;
pub mod program;
pub mod read;
pub mod reject;
pub mod scope;
pub mod steps;
pub mod tokenise;

pub use combining::Combiner;
pub use program::{Field, JobPart, Makes, Mapper, Next, Stage, Step};
pub use read::{Home, Reader, Window};
pub use reject::{Reject, Rejects, Why};
pub use scope::{Scope, Type};
pub use tokenise::Splitter;
