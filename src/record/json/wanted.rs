//! The fields that are wanted of records: their paths, as a tree of names.

use super::Cell;

/// A field that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedField {
    /// The names along the path to it.
    pub path: Vec<String>,
    /// Whether a string must be told apart from a number.
    pub keeps_type: bool,
}

/// The column of a wanted field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) column: usize,
    pub(super) keeps_type: bool,
}

impl Target {
    /// Returns where the cell of a string begins whose opening quote is at `quote`. If the type is kept, the cell
    /// includes that quote, which marks the string.
    pub(super) fn begin(self, quote: usize) -> usize {
        quote + usize::from(!self.keeps_type)
    }
}

/// The fields that are wanted of an object, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) names: Vec<(Box<[u8]>, Wanted)>,
}

/// What is wanted of one value of an object: the value itself, fields inside it, or both.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The column of the value itself, if the value is wanted.
    pub(super) target: Option<Target>,
    /// The fields that are wanted of the value if it is an object.
    pub(super) inner: Node,
}

/// Splits `name` into the names along its path.
pub fn path(name: &str) -> Vec<String> {
    let (mut path, mut is_escaped) = (vec![String::new()], false);
    for c in name.chars() {
        let last = path.last_mut().expect("there is one");
        match (is_escaped, c) {
            (false, '\\') => is_escaped = true,
            (false, '.') => path.push(String::new()),
            // A backslash before any other character than a dot is a backslash.
            (true, c) => {
                if c != '.' {
                    last.push('\\');
                }
                if c == '\\' {
                    continue;
                }
                last.push(c);
                is_escaped = false;
            }
            (false, c) => last.push(c),
        }
    }
    if is_escaped {
        path.last_mut().expect("there is one").push('\\');
    }
    path
}

impl Node {
    pub(super) fn of(fields: &[WantedField]) -> Node {
        let mut root = Node::default();
        for (column, WantedField { path, keeps_type }) in fields.iter().enumerate() {
            root.want(path, Target { column, keeps_type: *keeps_type });
        }
        root
    }

    pub(super) fn want(&mut self, path: &[String], target: Target) {
        let Some((first, rest)) = path.split_first() else { return };
        let at = self.find(first.as_bytes()).unwrap_or_else(|| {
            self.names.push((first.as_bytes().into(), Wanted::default()));
            self.names.len() - 1
        });
        let wanted = &mut self.names[at].1;
        match rest {
            [] => wanted.target = Some(target),
            rest => wanted.inner.want(rest, target),
        }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|(known, _)| **known == *name)
    }
}

impl Wanted {
    /// Sets to null the value and all wanted fields inside it.
    pub(super) fn clear(&self, record: &mut [Cell]) {
        if let Some(Target { column, .. }) = self.target {
            record[column] = Cell::Null;
        }
        self.inner.names.iter().for_each(|(_, wanted)| wanted.clear(record));
    }
}
