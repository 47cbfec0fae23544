//! Modules use only modules that are below them in the list of the crate's docs.

use std::fs;
use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules in the order of the list in `lib.rs`, top to bottom.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    let listed = lib.lines().filter_map(|line| line.strip_prefix("//! - [`")?.split_once("`]"));
    listed.map(|(name, _)| name.to_owned()).collect()
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Returns the source without comments and `#[cfg(test)]` items, and the names of test modules that have files of their
/// own.
fn without_tests(source: &str) -> (String, Vec<String>) {
    let (mut kept, mut test_modules) = (String::new(), Vec::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line.split("//").next().unwrap_or_default());
            kept.push('\n');
            continue;
        }
        // Skip the item that the attribute is for: one line, or all lines up to the end of its block. rustfmt indents
        // the end of a block like its beginning.
        let mut item = lines.by_ref().skip_while(|line| line.trim_start().starts_with("#["));
        let first = item.next().unwrap_or_default();
        if let Some((_, name)) = first.trim_end_matches(';').split_once("mod ").filter(|_| first.ends_with(';')) {
            test_modules.push(name.to_owned());
        } else if !first.ends_with(';') {
            let indent = first.len() - first.trim_start().len();
            item.find(|line| line.starts_with(&format!("{:indent$}}}", "")));
        }
    }
    (kept, test_modules)
}

/// Returns the modules that the source names by `crate::`, alone or as `crate::{a, b::c}`.
fn uses(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, path) in source.match_indices("crate::") {
        if source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &source[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group)),
            None => found.push(name(rest)),
        }
    }
    found
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Returns the first names of the entries of a `use` group. `group` begins behind the opening brace.
fn heads(group: &str) -> Vec<&str> {
    let (mut depth, mut heads, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(name(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

#[test]
fn modules_use_only_what_is_below_them() {
    let layers = layers();
    let layer = |name: &str| layers.iter().position(|layer| layer == name);
    let src = src();
    let mut paths = Vec::new();
    files(&src, &mut paths);
    let sources: Vec<_> = paths.iter().map(|path| (path, fs::read_to_string(path).unwrap())).collect();
    let parted: Vec<_> = sources.iter().map(|(path, source)| (*path, without_tests(source))).collect();

    // The file of `mod tests;` in a/b.rs or a/b/mod.rs is a/b/tests.rs. #[path] may name another file beside that,
    // whose name ends with "_tests".
    let is_test = |path: &Path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let parents = [path.parent().unwrap().join("mod.rs"), path.parent().unwrap().with_extension("rs")];
        let declared = |(file, (_, tests)): &(&PathBuf, (String, Vec<String>))| {
            parents.contains(file) && tests.iter().any(|test| test == stem)
        };
        stem.ends_with("_tests") || parted.iter().any(declared)
    };

    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, (source, _)) in &parted {
        let relative = path.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        if ["lib", "main"].contains(&module) || is_test(path) {
            continue;
        }
        let Some(own) = layer(module) else {
            wrong.push(format!("{}: lib.rs's list has no {module}", relative.display()));
            continue;
        };
        for used in uses(source) {
            seen += 1;
            match layer(used) {
                Some(below) if below >= own => {}
                Some(_) => wrong.push(format!("{}: uses crate::{used}, which is above {module}", relative.display())),
                None => wrong.push(format!("{}: crate::{used} is not in lib.rs's list", relative.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} uses found: is this still how they are written?");
}

#[test]
fn every_module_is_in_the_list() {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    let mut modules: Vec<_> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut listed = layers();
    modules.sort();
    listed.sort();
    assert_eq!(listed, modules);
}

#[test]
fn the_reader_of_uses_reads_them() {
    let source = "\
use crate::a::X; // crate::no
use crate::{b, c::{self, Y}, d::e::F};
fn f() -> crate::g::Z { my_crate::h() }
#[cfg(test)]
mod outer;
#[cfg(test)]
pub use crate::i::W;
#[cfg(test)]
mod tests {
    use crate::j;
}
use crate::k;
";
    let (kept, tests) = without_tests(source);
    assert_eq!(uses(&kept), ["a", "b", "c", "d", "g", "k"]);
    assert_eq!(tests, ["outer"]);
}
