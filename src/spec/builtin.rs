//! The built-in jobs: the files `jobs/*.json`, embedded by `build.rs`. Each is a spec that a user could have written,
//! and is read by the same parser.

use super::Document;
use crate::error::{Error, Result, meant};

/// A built-in job: its name and its spec.
pub struct Builtin {
    pub name: &'static str,
    /// The spec, byte for byte as in `jobs/`.
    pub text: &'static str,
}

/// All built-in jobs, ordered by name.
pub static ALL: &[Builtin] = &include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

impl Builtin {
    pub fn document(&self) -> Result<Document> {
        Document::parse(self.name, self.text.as_bytes())
    }
}

pub fn find(name: &str) -> Result<&'static Builtin> {
    ALL.iter().find(|job| job.name == name).ok_or_else(|| {
        let hint = match meant(name, ALL.iter().map(|job| job.name)) {
            Some(right) => {
                format!("did you mean {right:?}? mapfold jobs lists them; the name of a spec file has a / or ends with .json")
            }
            None => "mapfold jobs lists them; the name of a spec file has a / or ends with .json".into(),
        };
        Error::usage_hint(format!("no built-in job {name:?}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_is_a_right_spec_with_its_files_name_and_a_description() {
        assert!(ALL.iter().any(|job| job.name == "wordcount"));
        for job in ALL {
            let mut document = job.document().unwrap();
            for param in document.params().unwrap().into_iter().filter(|param| param.default.is_none()) {
                document.param(&format!("{}=1", param.name)).unwrap();
            }
            let spec = document.finish().unwrap();
            assert_eq!(spec.name.as_deref(), Some(job.name));
            assert!(spec.description.is_some_and(|text| text.len() > 10), "{}", job.name);
            assert!(spec.input.is_empty(), "{}", job.name);
        }
    }

    #[test]
    fn a_misspelt_builtin_names_the_nearest() {
        let error = find("wordcont").err().unwrap();
        assert_eq!(error.to_string(), "no built-in job \"wordcont\"");
        assert!(error.hint().unwrap().starts_with("did you mean \"wordcount\"?"));
        assert!(find("frobnicate").err().unwrap().hint().unwrap().starts_with("mapfold jobs"));
    }
}
