//! Paths, where the standard library's answer needs a second look.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The directory that `path` is, or is to be, in; of a root, itself.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes a file under another name beside `path`, which `write` fills, and renames it; replaces one that is there.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".mapfold.")
        .permissions(Permissions::from_mode(0o666)) // less the umask, as any file
        .tempfile_in(parent(path))?;
    write(file.as_file_mut())?;
    file.persist(path)?;
    Ok(())
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
