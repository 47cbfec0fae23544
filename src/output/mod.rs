//! Output: rows to bytes in the order asked for, to where they were asked for, all or nothing.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Tsv,
    Csv,
    Jsonl,
}
