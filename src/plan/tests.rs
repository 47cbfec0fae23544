use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::resolve::{Invocation, resolve};
use super::*;
use crate::error::{Error, Result};
use crate::output::Compression;
use crate::spec::Document;

/// Resolves a spec in a directory that has a file `in.txt`, which is the input unless `change` says otherwise.
fn plan(dir: &TempDir, text: &str, change: impl FnOnce(&mut Invocation)) -> Result<Plan> {
    let input = dir.path().join("in.txt");
    fs::write(&input, "x\n").unwrap();
    let mut spec = Document::parse("spec.json", text.as_bytes())?.finish()?;
    spec.input = vec![input.into()];
    spec.output.path = spec.output.path.map(|path| dir.path().join(path));
    let mut call = Invocation { origin: "spec.json".into(), ..Invocation::default() };
    change(&mut call);
    resolve(&spec, &call)
}

fn planned(text: &str) -> Plan {
    plan(&tempfile::tempdir().unwrap(), text, |_| ()).unwrap()
}

fn error(text: &str) -> Error {
    let error = plan(&tempfile::tempdir().unwrap(), text, |_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error
}

#[track_caller]
fn refused(text: &str, message: &str, hint: &str) {
    let error = error(text);
    assert_eq!(error.to_string(), message);
    assert_eq!(error.hint().unwrap_or_default(), hint);
}

fn sort_keys(keys: &[(usize, bool)], per_group: Option<PerGroup>) -> SortKeys {
    SortKeys { keys: keys.iter().map(|&(index, descending)| SortKey { index, descending }).collect(), per_group }
}

fn by(keys: &[(usize, bool)]) -> Order {
    Order::By(sort_keys(keys, None))
}

fn groups(plan: Plan) -> Groups {
    match plan.rows {
        Rows::Groups(groups) => groups,
        Rows::Records { .. } => panic!("records pass through"),
    }
}

fn sort(text: &str) -> Option<SortKeys> {
    match planned(text).rows {
        Rows::Records { sort } => sort,
        Rows::Groups(_) => panic!("records are grouped"),
    }
}

fn names(plan: &Plan) -> Vec<(usize, &str)> {
    plan.columns.iter().map(|column| (column.index, column.name.as_str())).collect()
}

const SPLIT: &str =
    r#""map": [{"split": "line", "on": "words", "as": "word"}, {"split": "word", "on": "-", "as": "part"}]"#;

#[test]
fn wordcount() {
    let job = crate::spec::builtin::find("wordcount").unwrap();
    let plan = planned(job.text);
    assert_eq!(format!("{:?}", plan.steps), "[Split { input: 0, on: Words, adds: 1 }]");
    assert_eq!(names(&plan), [(0, "word"), (1, "count")]);
    assert_eq!(plan.output.target, Target::Stdout);
    assert_eq!((plan.output.format, plan.output.header), (Format::Text, false));
    assert_eq!(plan.settings.hash_mask, u64::MAX);
    assert_eq!(plan.job["name"], "wordcount");
    assert!(plan.job["input"][0].as_str().unwrap().ends_with("/in.txt"));
    let groups = groups(plan);
    assert_eq!(groups.key, KeyFields::One(1));
    assert_eq!(groups.aggregates.len(), 1);
    assert_eq!(groups.order, by(&[(1, true), (0, false)]));
}

#[test]
fn fields_are_numbered_as_they_appear() {
    let plan = planned(&format!(r#"{{{SPLIT}, "group_by": ["part", "line"], "aggregate": [{{"op": "count"}}]}}"#));
    assert_eq!(format!("{:?}", plan.steps[1]), "Split { input: 1, on: Literal([45]), adds: 2 }");
    assert_eq!(plan.columns[2].name, "count");
    assert_eq!(groups(plan).key, KeyFields::Composite(vec![(2, Kind::Bytes), (0, Kind::Bytes)]));
}

#[test]
fn without_aggregates_the_distinct_keys_alone() {
    let plan = planned(r#"{"group_by": ["line"]}"#);
    assert_eq!(names(&plan), [(0, "line")]);
    let groups = groups(plan);
    assert!(groups.aggregates.is_empty());
    assert_eq!(groups.order, by(&[(0, false)]));
}

#[test]
fn without_group_by_one_group() {
    let plan = planned(r#"{"aggregate": [{"op": "count"}, {"op": "count", "as": "n"}]}"#);
    let groups = groups(plan);
    assert_eq!(groups.key, KeyFields::Composite(vec![]));
    assert_eq!(groups.aggregates.len(), 2);
    assert_eq!(groups.order, by(&[]));
}

#[test]
fn with_neither_records_pass_through() {
    assert_eq!(names(&planned("{}")), [(0, "line")]);
    assert_eq!(names(&planned(&format!("{{{SPLIT}}}"))), [(0, "line"), (1, "word"), (2, "part")]);
    let selected = planned(&format!(r#"{{{SPLIT}, "select": ["part", "line"], "output": {{"columns": ["line"]}}}}"#));
    assert_eq!(names(&selected), [(0, "line")]);
    assert_eq!(sort("{}"), None);
    let keys = sort(&format!(r#"{{{SPLIT}, "select": ["part", "word"], "sort": ["-word"]}}"#));
    assert_eq!(keys, Some(sort_keys(&[(1, true)], None)));
    refused(
        &format!(r#"{{{SPLIT}, "select": ["part"], "sort": ["line"]}}"#),
        "spec.json: sort.0: no column \"line\"",
        "columns: part",
    );
    refused(r#"{"select": []}"#, "spec.json: select: must not be empty", "");
    refused(r#"{"select": ["lin"]}"#, "spec.json: select.0: no field \"lin\"", "did you mean \"line\"?");
    refused(r#"{"select": ["line", "line"]}"#, "spec.json: select.1: there is already a column \"line\"", "");
    refused(
        r#"{"select": ["line"], "group_by": ["line"]}"#,
        "spec.json: select: is only for jobs that write records, not groups",
        "to choose and order the columns of groups, use output.columns",
    );
    refused(
        r#"{"having": {"field": "line", "valid": true}}"#,
        "spec.json: having: is for groups, but this job has none",
        "for records use \"where\"",
    );
}

#[test]
fn what_may_be_null_makes_a_composite_key() {
    let key = |step: &str| {
        groups(planned(&format!(
            r#"{{"map": [{{"extract": "line", "pattern": "(a)|b", {step}, "as": "x"}}], "group_by": ["x"]}}"#
        )))
        .key
    };
    assert_eq!(key(r#""all": true"#), KeyFields::One(1));
    assert_eq!(key(r#""all": false"#), KeyFields::Nullable(1));
    assert_eq!(key(r#""all": true, "group": 1"#), KeyFields::Nullable(1));
}

#[test]
fn patterns() {
    let extract = |rest: &str| format!(r#"{{"map": [{{"extract": "line", "as": "x", {rest}}}]}}"#);
    let group = |text: &str| -> usize {
        let steps = format!("{:?}", planned(&extract(text)).steps);
        let group = steps.strip_prefix("[Extract {").and_then(|rest| rest.rsplit_once("group: "));
        group.unwrap().1.strip_suffix(" }]").unwrap().parse().unwrap()
    };
    assert_eq!(group(r#""pattern": "a(b)""#), 0);
    assert_eq!(group(r#""pattern": "a(b)", "group": 1"#), 1);
    assert_eq!(group(r#""pattern": "(a)(?P<n>b)", "group": "n""#), 2);
    refused(
        &extract(r#""pattern": "a(b)", "group": 2"#),
        "spec.json: map.0.group: the pattern has no group 2: it has 1",
        "",
    );
    refused(
        &extract(r#""pattern": "a(?P<name>b)", "group": "nam""#),
        "spec.json: map.0.group: the pattern has no group \"nam\"",
        "did you mean \"name\"?",
    );
    refused(
        &extract(r#""pattern": "a(b""#),
        "spec.json: map.0.pattern: \"a(b\" is not a regular expression: unclosed group",
        r"to match the character itself, put a backslash before it: \( \[ \{ \* \+ \? (in JSON two)",
    );
    refused(
        r#"{"where": {"field": "line", "matches": "a(?=b)"}}"#,
        "spec.json: where.matches: \"a(?=b)\" is not a regular expression: look-around, including look-ahead and look-behind, is not supported",
        "the syntax is that of ripgrep and of Rust's regex: it has neither look-around nor backreferences",
    );
}

#[test]
fn predicates_compare_what_can_be_compared() {
    let counted = |having: &str| {
        format!(r#"{{"group_by": ["line"], "aggregate": [{{"op": "count", "as": "n"}}], "having": {having}}}"#)
    };
    assert!(
        groups(planned(&counted(
            r#"{"and": [{"field": "n", "gt": 1.5}, {"field": "n", "lt": "7"}, {"field": "line", "lt": "m"}]}"#
        )))
        .having
        .is_some()
    );
    refused(
        &counted(r#"{"field": "n", "gt": "one"}"#),
        "spec.json: having.gt: \"n\" is a number, but \"one\" is not",
        "",
    );
    refused(
        &counted(r#"{"or": [{"field": "n", "gt": 1}, {"not": {"field": "n", "matches": "1"}}]}"#),
        "spec.json: having.or.1.not.matches: \"n\" is a number, but only text matches a pattern",
        "",
    );
    refused(&counted(r#"{"field": "m", "gt": 1}"#), "spec.json: having.field: no column \"m\"", "columns: line, n");
    refused(
        r#"{"map": [{"filter": {"field": "line", "in": ["a", 5]}}]}"#,
        "spec.json: map.0.filter.in.1: \"line\" is text, but 5 is a number",
        "put it in quotes to compare it as text: \"5\"",
    );
    refused(
        r#"{"where": {"field": "lines", "equal": "a"}}"#,
        "spec.json: where.field: no field \"lines\"",
        "did you mean \"line\"?",
    );
}

#[test]
fn order_is_completed_and_cut_where_it_leaves_nothing_open() {
    let order = |sort: &str| {
        let aggregate = r#""aggregate": [{"op": "count", "as": "n"}, {"op": "count", "as": "m"}]"#;
        groups(planned(&format!(r#"{{{SPLIT}, "group_by": ["word", "part"], {aggregate}, "sort": {sort}}}"#))).order
    };
    assert_eq!(order("[]"), by(&[(0, false), (1, false)]));
    assert_eq!(order(r#"["-part"]"#), by(&[(1, true), (0, false)]));
    assert_eq!(order(r#"["-n"]"#), by(&[(2, true), (0, false), (1, false)]));
    assert_eq!(order(r#"["part", "word", "n"]"#), by(&[(1, false), (0, false)]));
    assert_eq!(order(r#"["m", "word"]"#), by(&[(3, false), (0, false), (1, false)]));
}

#[test]
fn a_column_named_with_a_dash_is_meant_by_its_name() {
    let order = |sort: &str| {
        let counted = r#""group_by": ["line"], "aggregate": [{"op": "count", "as": "-n"}]"#;
        groups(planned(&format!(r#"{{{counted}, "sort": [{sort}]}}"#))).order
    };
    assert_eq!(order(r#""-n""#), by(&[(1, false), (0, false)]));
    assert_eq!(order(r#""--n""#), by(&[(1, true), (0, false)]));
}

#[test]
fn with_a_limit_for_each_group_its_columns_come_first() {
    let order = |sort: &str| {
        let counted =
            r#""group_by": ["word", "part"], "aggregate": [{"op": "count", "as": "n"}], "limit_per_group": 3"#;
        let plan = planned(&format!(r#"{{{SPLIT}, {counted}, "sort": {sort}}}"#));
        let names = plan.sorted_by.join(" ");
        (groups(plan).order, names)
    };
    let per_group = |columns| Some(PerGroup { columns, limit: 3 });
    let of_groups = |keys: &[(usize, bool)], names: &str| (Order::By(sort_keys(keys, per_group(1))), names.to_owned());
    assert_eq!(order("[]"), of_groups(&[(0, false), (1, false)], "word part"));
    assert_eq!(order(r#"["-n"]"#), of_groups(&[(0, false), (2, true), (1, false)], "word -n part"));
    assert_eq!(order(r#"["-n", "-word"]"#), of_groups(&[(0, true), (2, true), (1, false)], "-word -n part"));
    assert_eq!(order(r#"["-part", "n"]"#), of_groups(&[(0, false), (1, true)], "word -part"));

    let records = |keys: &str| sort(&format!(r#"{{{SPLIT}, "limit_per_group": 3, {keys}}}"#));
    assert_eq!(records(r#""group_by": ["word"]"#), Some(sort_keys(&[(1, false)], per_group(1))));
    let keys = records(r#""group_by": ["word", "part"], "select": ["line", "part"], "sort": ["line", "-part"]"#);
    assert_eq!(keys, Some(sort_keys(&[(2, true), (1, false), (0, false)], per_group(2))));
}

#[test]
fn unordered_frees_the_sequence_but_never_which_rows() {
    let dir = tempfile::tempdir().unwrap();
    let order = |text: &str| groups(plan(&dir, text, |call| call.unordered = true).unwrap()).order;
    assert_eq!(order(r#"{"group_by": ["line"], "sort": ["-line"]}"#), Order::Free);
    assert_eq!(order(r#"{"group_by": ["line"], "limit": 3}"#), by(&[(0, false)]));
    let counted = r#"{"group_by": ["line", "@file"], "aggregate": [{"op": "count"}], "limit_per_group": 3}"#;
    assert_ne!(order(counted), Order::Free);
}

#[test]
fn names_that_are_not_there() {
    refused(r#"{"group_by": ["lin"]}"#, "spec.json: group_by.0: no field \"lin\"", "did you mean \"line\"?");
    refused(
        &format!(r#"{{{SPLIT}, "group_by": ["x"]}}"#),
        "spec.json: group_by.0: no field \"x\"",
        "fields: line, word, part",
    );
    refused(
        r#"{"map": [{"split": "text", "on": ",", "as": "x"}], "group_by": ["x"]}"#,
        "spec.json: map.0.split: no field \"text\"",
        "fields: line; to read columns: --set read.format=csv, or tsv",
    );
    refused(r#"{"group_by": ["@fil"]}"#, "spec.json: group_by.0: no field \"@fil\"", "did you mean \"@file\"?");
    let counted = r#""group_by": ["line"], "aggregate": [{"op": "count"}]"#;
    refused(
        &format!(r#"{{{counted}, "sort": ["-cuont"]}}"#),
        "spec.json: sort.0: no column \"cuont\"",
        "did you mean \"count\"?",
    );
    refused(
        &format!(r#"{{{counted}, "output": {{"columns": ["count", "word"]}}}}"#),
        "spec.json: output.columns.1: no column \"word\"",
        "columns: line, count",
    );
}

#[test]
fn names_that_are_there_already() {
    refused(
        r#"{"map": [{"split": "line", "on": ",", "as": "line"}], "group_by": ["line"]}"#,
        "spec.json: map.0.as: there is already a field \"line\"",
        "choose another name",
    );
    refused(r#"{"group_by": ["line", "line"]}"#, "spec.json: group_by.1: there is already a column \"line\"", "");
    let hint = r#"give it another name with "as""#;
    let (twice, shadow) = (r#"[{"op": "count"}, {"op": "count"}]"#, r#"[{"op": "count", "as": "line"}]"#);
    let aggregate = |list: &str| format!(r#"{{"group_by": ["line"], "aggregate": {list}}}"#);
    refused(&aggregate(twice), "spec.json: aggregate.1: there is already a column \"count\"", hint);
    refused(&aggregate(shadow), "spec.json: aggregate.0: there is already a column \"line\"", hint);
    refused(
        r#"{"group_by": ["line"], "output": {"columns": ["line", "line"]}}"#,
        "spec.json: output.columns.1: column \"line\" is named twice",
        "",
    );
    refused(
        r#"{"group_by": ["line"], "sort": ["line", "-line"]}"#,
        "spec.json: sort.1: column \"line\" is named twice",
        "",
    );
    refused(r#"{"group_by": ["line"], "output": {"columns": []}}"#, "spec.json: output.columns: must not be empty", "");
}

#[test]
fn columns_are_chosen_and_ordered() {
    let text =
        r#"{"group_by": ["line"], "aggregate": [{"op": "count"}], "output": {"columns": ["count"], "format": "csv"}}"#;
    let plan = planned(text);
    assert_eq!(plan.columns, [OutputColumn { index: 1, name: "count".into(), kind: Kind::Decimal }]);
    assert!(plan.output.header);
    assert_eq!(groups(plan).order, by(&[(0, false)]));
}

/// Returns the target of `-o path` in a directory made by `prepare`.
fn target(path: &str, force: bool, prepare: impl FnOnce(&Path)) -> Result<Target, String> {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let text = serde_json::json!({"group_by": ["line"], "output": {"path": path}}).to_string();
    let root = format!("{}/", dir.path().display());
    let relative = |path: PathBuf| path.strip_prefix(dir.path()).map_or(path.clone(), Path::to_owned);
    match plan(&dir, &text, |call| call.force = force) {
        Ok(plan) => Ok(match plan.output.target {
            Target::Stdout => Target::Stdout,
            Target::File(path, compression) => Target::File(relative(path), compression),
            Target::Device(path, compression) => Target::Device(relative(path), compression),
            Target::Directory(path) => Target::Directory(relative(path)),
            Target::Scratch(path) => Target::Scratch(relative(path)),
        }),
        Err(e) => Err(match e.hint() {
            Some(hint) => format!("{e} | {hint}").replace(&root, ""),
            None => e.to_string().replace(&root, ""),
        }),
    }
}

#[test]
fn targets() {
    let file = |path: &str| Ok(Target::File(path.into(), Compression::of(path.as_ref())));
    let directory = |path: &str| Ok(Target::Directory(path.into()));
    assert_eq!(target("out.txt", false, |_| ()), file("out.txt"));
    assert_eq!(target("out/", false, |_| ()), directory("out/"));
    assert_eq!(target("out", false, |dir| fs::create_dir(dir.join("out")).unwrap()), directory("out"));
    assert_eq!(target("/dev/null", false, |_| ()), Ok(Target::Device("/dev/null".into(), Compression::None)));
    assert_eq!(target("/dev/stdout", false, |_| ()), Ok(Target::Stdout));
    assert_eq!(
        target("none/out.txt", false, |_| ()).unwrap_err().split(": ").nth(1).unwrap().split(' ').next(),
        Some("there")
    );
    assert_eq!(target("out.gz", false, |_| ()), Ok(Target::File("out.gz".into(), Compression::Gzip)));
    assert_eq!(target("out.csv.zst", false, |_| ()), Ok(Target::File("out.csv.zst".into(), Compression::Zstd)));
    assert_eq!(target("out.gz/", false, |_| ()), directory("out.gz/"));
    let link = |dir: &Path| {
        fs::write(dir.join("old"), "").unwrap();
        std::os::unix::fs::symlink("old", dir.join("link.gz")).unwrap();
    };
    assert_eq!(target("link.gz", true, link), Ok(Target::File("old".into(), Compression::Gzip)));
}

const REPLACED: &str =
    "it is the output.path of the spec: --force replaces it, -o names another file, -o - prints the result";

#[test]
fn what_exists_is_replaced_only_by_force() {
    let old = |dir: &Path| fs::write(dir.join("old"), "").unwrap();
    assert_eq!(target("old", false, old).unwrap_err(), format!("old: exists | {REPLACED}"));
    assert_eq!(target("old", true, old), Ok(Target::File("old".into(), Compression::None)));
    assert_eq!(target("old/", true, old).unwrap_err(), "old/: is a file, but the output is a directory");
    let link = |dir: &Path| {
        old(dir);
        std::os::unix::fs::symlink("old", dir.join("link")).unwrap();
    };
    assert_eq!(target("link", true, link), Ok(Target::File("old".into(), Compression::None)));
    let dangling = |dir: &Path| std::os::unix::fs::symlink("old", dir.join("link")).unwrap();
    assert_eq!(target("link", true, dangling).unwrap_err(), "link: is a link to a file that doesn't exist");
}

#[test]
fn a_directory_is_replaced_only_if_it_is_a_result() {
    let holding = |file: &'static str| {
        move |dir: &Path| {
            let path = dir.join("out").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    };
    for file in ["part-00000", "part-00000.csv", "_SUCCESS", "_REPORT.json"] {
        assert_eq!(target("out", false, holding(file)).unwrap_err(), format!("out: exists | {REPLACED}"));
        assert_eq!(target("out/", true, holding(file)), Ok(Target::Directory("out/".into())));
    }
    // A staging directory of another job, living or dead, is no obstacle.
    assert_eq!(target("out", false, holding("_temporary.x1y2z3")), Ok(Target::Directory("out".into())));
    for file in ["thesis.tex", "part-x", ".hidden", "part-00000/thesis.tex"] {
        let error = target("out", true, holding(file)).unwrap_err();
        let file = file.split('/').next().unwrap();
        assert!(error.starts_with(&format!("out: holds {file}, which doesn't belong to a result")), "{error}");
    }
}

#[test]
fn an_input_is_not_written_over() {
    let error = target("in.txt", true, |_| ()).unwrap_err();
    assert_eq!(error, "in.txt: is an INPUT as well as the output | write to another file, then rename it");
    let link = |dir: &Path| std::os::unix::fs::symlink("in.txt", dir.join("link")).unwrap();
    assert!(target("link", true, link).unwrap_err().starts_with("link: is an INPUT"));
    // The directory of the input holds more than a result.
    assert!(target("./", true, |_| ()).is_err());
}
