//! Parses lists of names on a command line: `region,"first, last",-sum(amount)`.
//!
//! Commas separate names, except in double quotes or parentheses. A name in quotes is taken literally, and `""` in it
//! is a quote.

use crate::error::{Error, Result};

/// A name of a list, and whether it was in quotes.
#[derive(Debug, PartialEq)]
pub struct Name {
    /// The name, still with the `-` of a descending sort key before it.
    pub text: String,
    pub quoted: bool,
}

/// Parses a list of names. `flag` is the flag that messages blame.
pub fn list(flag: &str, text: &str) -> Result<Vec<Name>> {
    let (mut names, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                names.push(name(flag, &text[start..at])?);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(Error::usage_hint(
            format!("{flag}: a quote is not closed in {text:?}"),
            "inside quotes write \"\" for a quote",
        ));
    }
    names.push(name(flag, &text[start..])?);
    Ok(names)
}

fn name(flag: &str, written: &str) -> Result<Name> {
    let written = written.trim();
    let (sign, rest) = written.strip_prefix('-').map_or(("", written), |rest| ("-", rest));
    let inside = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let (text, quoted) = match inside {
        Some(inside) => (format!("{sign}{}", inside.replace("\"\"", "\"")), true),
        None => (written.to_owned(), false),
    };
    if text.len() == sign.len() {
        return Err(Error::usage_hint(format!("{flag}: a name is empty"), "separate names by commas: a,b"));
    }
    Ok(Name { text, quoted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_between_them() {
        let bare = |text: &str| Name { text: text.into(), quoted: false };
        let quoted = |text: &str| Name { text: text.into(), quoted: true };
        let names = |text: &str| list("-g", text).unwrap();
        assert_eq!(names("a"), [bare("a")]);
        assert_eq!(names("first name, b-c"), [bare("first name"), bare("b-c")]);
        assert_eq!(names(r#""a, b",c"#), [quoted("a, b"), bare("c")]);
        assert_eq!(names(r#"-"say ""hi""",-n"#), [quoted(r#"-say "hi""#), bare("-n")]);
        assert_eq!(names("-quantile(ms, 0.5),x"), [bare("-quantile(ms, 0.5)"), bare("x")]);
    }

    #[test]
    fn what_is_no_list_of_names() {
        for text in ["", " ", "a,,b", "a,", "-", "\"\""] {
            let error = list("--sort", text).unwrap_err();
            assert_eq!(error.to_string(), "--sort: a name is empty", "{text:?}");
        }
        assert_eq!(list("-g", "\"a,b").unwrap_err().to_string(), "-g: a quote is not closed in \"\\\"a,b\"");
    }
}
