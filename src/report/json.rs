//! Writes a report as JSON, to a file that appears whole or not at all.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::data::path;
use crate::error::{Error, Result};

/// Renders a report as indented JSON with a final newline.
pub fn render(report: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    Ok(text)
}

pub fn write(report: &impl Serialize, path: &Path) -> Result<()> {
    let text = render(report).map_err(|e| Error::Output { path: path.to_owned(), source: e.into() })?;
    replace(path, &text)
}

/// Writes a file under another name beside `to` and renames it. A file that exists is replaced.
pub fn replace(to: &Path, text: &[u8]) -> Result<()> {
    let written = path::replace(to, |mut file| file.write_all(text));
    written.map_err(|source| Error::Output { path: to.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn names_are_those_of_the_interface() {
        let value: serde_json::Value = serde_json::from_slice(&render(&example()).unwrap()).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "bad_records",
                "counters",
                "error",
                "job",
                "mapfold",
                "missing",
                "peak_rss_bytes",
                "phase_seconds",
                "settings",
                "status",
                "tasks",
                "wall_seconds",
                "workers"
            ]
        );
        assert_eq!(value["status"], "succeeded");
        assert_eq!(value["tasks"][0]["id"], "map-00000");
        assert_eq!(value["settings"]["combiner"], "on");
    }

    #[test]
    fn a_written_report_replaces_the_one_before_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.json");
        std::fs::write(&path, "old").unwrap();
        write(&example(), &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), render(&example()).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let error = write(&example(), &dir.path().join("none/r.json")).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error}");
    }
}
