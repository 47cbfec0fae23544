//! What a reader makes of a record.

use crate::data::Kind;
use crate::map::Field;

/// A field of a source.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub name: &'a str,
    pub kind: Kind,
}

impl<'a> Named<'a> {
    pub fn text(name: &'a str) -> Self {
        Named { name, kind: Kind::Bytes }
    }
}

/// What the reader makes of a record.
#[derive(Clone, Debug)]
pub struct RecordSource<'a> {
    pub fields: Vec<Named<'a>>,
    /// Whether it has any other that is asked for, of JSON.
    pub is_open: bool,
    pub may_be_null: bool,
    pub record: OwnBytes,
}

/// Which field holds a record's own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnBytes {
    /// One that has a name.
    Field(Field),
    /// One behind those that have names.
    Behind,
    /// None: nobody needs them.
    Nowhere,
}
