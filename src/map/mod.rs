//! Map: blocks of records to keys and values.

/// A step of `map`, its fields resolved. Each adds one field to the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One record a piece of field `input`.
    Split { input: usize, on: Splitter },
}

/// How `split` cuts a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Splitter {
    Words,
    Whitespace,
    Letters,
    /// Never empty. Keeps empty pieces.
    Literal(Vec<u8>),
}
