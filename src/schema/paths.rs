//! The paths that `--set` takes, for shells to complete: those that no number or name of the user's is in.

use super::Shape;

/// A path to one value.
pub struct Path {
    /// Dotted.
    pub path: String,
    /// The words that its value is one of; none where it may be anything else.
    pub words: &'static [&'static str],
}

/// In the order of the table.
pub fn of(root: &'static Shape) -> Vec<Path> {
    let mut paths = Vec::new();
    add(root, String::new(), &mut paths);
    paths
}

fn add(shape: &'static Shape, path: String, paths: &mut Vec<Path>) {
    if !matches!(shape, Shape::Object(_)) {
        paths.push(Path { path: path.clone(), words: words(shape) });
    }
    for key in shape.keys().unwrap_or_default().iter().filter(|key| key.is_built()) {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        add(&key.shape, path, paths);
    }
}

/// The words that a value of that shape is one of.
pub fn words(shape: &'static Shape) -> &'static [&'static str] {
    match shape {
        Shape::Choice(choice) | Shape::WordOr(choice, _) => choice.built,
        Shape::Flag => &["true", "false"],
        _ => &[],
    }
}
