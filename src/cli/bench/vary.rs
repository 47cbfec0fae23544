//! Parses `--vary WHAT=A,B`: a setting, and the values that take turns.

use crate::cli::settings::{self, Setting};
use crate::cli::trial::Trials;
use crate::error::{Error, Result, suggestion};

/// The setting that `--vary` names, and the values to compare.
#[derive(Debug)]
pub struct Vary {
    pub setting: &'static Setting,
    /// Two or more values, no two of which are the same. The others are compared with the first.
    pub values: Vec<String>,
}

impl Vary {
    pub fn parse(text: &str) -> Result<Vary> {
        let Some((what, values)) = text.split_once('=') else {
            return Err(Error::usage_hint(
                format!("--vary {text}: no \"=\""),
                "--vary WHAT=A,B, such as --vary combiner=on,off",
            ));
        };
        let setting = settings::find(what).filter(|setting| setting.is_free()).ok_or_else(|| {
            let names: Vec<_> = settings::ALL.iter().filter(|setting| setting.is_free()).map(|s| s.flag).collect();
            Error::usage_hint(format!("--vary: unknown setting {what:?}"), suggestion(what, "settings", &names))
        })?;
        let values: Vec<_> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if values.iter().any(String::is_empty) {
            return Err(Error::usage_hint(format!("--vary {text}: a value is empty"), "separate values by commas"));
        }
        if let [only] = values.as_slice() {
            return Err(Error::usage_hint(
                format!("--vary {text}: has only one value, so there is nothing to compare"),
                format!("name two or more: --vary {what}={only},…"),
            ));
        }
        Ok(Vary { setting, values })
    }

    /// Checks that the job can be run with every value, and that no two values mean the same.
    pub fn check(&self, trials: &Trials) -> Result<()> {
        let flag = format!("--vary {}", self.setting.flag);
        let mut seen: Vec<(crate::spec::RunSettings, &str)> = Vec::new();
        for value in &self.values {
            let run = trials.check(&flag, &[(self.setting, value)])?.run;
            if let Some((_, other)) = seen.iter().find(|(known, _)| *known == run) {
                let again = if other == value { "given twice".to_owned() } else { format!("the same as {other}") };
                return Err(Error::usage_hint(
                    format!("{flag}: {value} is {again}"),
                    "give different values to compare",
                ));
            }
            seen.push((run, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, message: &str, hint: &str) {
        let error = Vary::parse(text).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (message, Some(hint)));
    }

    #[test]
    fn a_setting_and_its_values() {
        let vary = Vary::parse("threads=1, 2,4").unwrap();
        assert_eq!((vary.setting.flag, vary.values), ("threads", vec!["1".into(), "2".into(), "4".into()]));
    }

    #[test]
    fn what_is_refused() {
        refused("combiner", "--vary combiner: no \"=\"", "--vary WHAT=A,B, such as --vary combiner=on,off");
        refused("combinr=on,off", "--vary: unknown setting \"combinr\"", "did you mean \"combiner\"?");
        refused("split_size=1,2", "--vary: unknown setting \"split_size\"", "did you mean \"split-size\"?");
        refused("combiner=on,", "--vary combiner=on,: a value is empty", "separate values by commas");
        refused(
            "threads=4",
            "--vary threads=4: has only one value, so there is nothing to compare",
            "name two or more: --vary threads=4,…",
        );
        // A setting that changes what the job prints can't be varied.
        let names: Vec<_> =
            settings::ALL.iter().filter(|setting| setting.is_free()).map(|setting| setting.flag).collect();
        refused("format=csv,tsv", "--vary: unknown setting \"format\"", &format!("settings: {}", names.join(", ")));
    }
}
