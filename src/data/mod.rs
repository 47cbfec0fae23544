//! The data types that every module shares: batches of columns, values, numbers, keys, byte buffers, and files that are
//! being made.
//!
//! A [`Batch`] is the unit that flows through a job: readers make batches, steps change them, and sinks take them.

mod arithmetic;
pub mod batch;
pub mod buffer;
pub mod columns;
pub mod decimal;
pub mod escaped;
pub mod float;
pub mod key;
pub mod misses;
pub mod new_file;
pub mod ordered;
pub mod parse;
pub mod path;
pub mod prefetch;
pub mod prefix;
pub mod scratch;
pub mod temporary;
pub mod value;
pub mod wide;
pub mod zone;

pub use batch::{BATCH, Batch, Bytes, Column, Columns, Decimals, Floats, Kind, Numbers, Sink, Span};
pub use decimal::Decimal;
pub use value::Value;
pub use zone::Zone;
