//! Paths, where the standard library's answer needs a second look.

use std::path::Path;

/// The directory that `path` is, or is to be, in; of a root, itself.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents() {
        for (path, directory) in [("a", "."), ("./a", "."), ("d/a", "d"), ("/a", "/"), ("/", "/"), ("d/e/", "d")] {
            assert_eq!(parent(Path::new(path)), Path::new(directory), "{path}");
        }
    }
}
