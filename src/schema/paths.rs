//! The paths that shells complete for `--set`: those without list indices and without names that the user chooses.

use super::Shape;

/// A path to one value of a spec.
pub struct Path {
    /// The keys, with dots between them.
    pub path: String,
    /// The words that the value may be. Empty if it may be anything else.
    pub words: &'static [&'static str],
}

/// Returns the paths in the order of the table.
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

/// Returns the words that a value of this shape may be.
pub fn words(shape: &'static Shape) -> &'static [&'static str] {
    match shape {
        Shape::Choice(choice) | Shape::WordOr(choice, _) => choice.built,
        Shape::Flag => &["true", "false"],
        _ => &[],
    }
}
