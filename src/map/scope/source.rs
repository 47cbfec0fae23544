//! What a reader makes of a record: the fields that a [`Scope`](super::Scope) begins with.

use crate::data::Kind;
use crate::map::Field;

/// A field that a reader makes.
#[derive(Clone, Copy, Debug)]
pub struct ReaderField<'a> {
    pub name: &'a str,
    pub kind: Kind,
}

impl<'a> ReaderField<'a> {
    pub fn text(name: &'a str) -> Self {
        ReaderField { name, kind: Kind::Bytes }
    }
}

/// The fields that a reader makes of a record.
#[derive(Clone, Debug)]
pub struct RecordSource<'a> {
    pub fields: Vec<ReaderField<'a>>,
    /// Whether a record may have fields of any other name, of kind JSON.
    pub is_open: bool,
    pub may_be_null: bool,
    pub record: OwnBytes,
}

/// Which field holds a record's bytes as they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnBytes {
    /// A field that has a name.
    Field(Field),
    /// The field after those that have names.
    Behind,
    /// No field: no step needs the bytes.
    Nowhere,
}
