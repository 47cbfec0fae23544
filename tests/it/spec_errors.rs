//! Wrong specs: exit code 2, the place of the error, and what would be right.

use crate::harness::Dir;

fn spec(text: &str) -> Dir {
    Dir::new().file("spec.json", text).file("in.txt", "a\n")
}

#[test]
fn a_misspelt_key() {
    spec(r#"{"map": [{"splitt": "line", "on": "words", "as": "word"}]}"#)
        .run("run spec.json in.txt")
        .refused("spec.json: map.0: unknown key \"splitt\"", "did you mean \"split\"?");
}

#[test]
fn not_json_not_an_object_cut_off_or_empty() {
    let example = "an example of a spec: mapfold jobs show wordcount";
    spec("hello").run("run spec.json in.txt").refused("spec.json:1:1: not JSON: expected value", example);
    let example = "an example: mapfold jobs show wordcount";
    spec("[]").run("run spec.json in.txt").refused("spec.json: a spec must be a JSON object, this is a list", example);
    spec("{\"map\": [").run("run ./spec.json in.txt").refused(
        "./spec.json:1:9: the JSON ends too early (EOF while parsing a list)",
        "a bracket, brace or quote is not closed, or the file is cut off",
    );
    let example = "a spec is a JSON object: mapfold jobs show wordcount";
    spec("").run("run spec.json in.txt").refused("spec.json: is empty", example);
    Dir::new().run("run -").refused("stdin: is empty", example);
    spec("{\0}").run("run spec.json in.txt").refused(
        "spec.json:1:2: a NUL byte, which JSON can't have",
        "a spec is UTF-8 text; is this another file, or UTF-16?",
    );
}

#[test]
fn a_text_file_in_the_place_of_the_job() {
    let dir = Dir::new().file("book.txt", "It was");
    dir.run("run ./book.txt").refused(
        "./book.txt:1:1: not JSON: expected value",
        "the JOB comes first, then each INPUT: mapfold run wordcount ./book.txt",
    );
    dir.run("run book.txt").refused(
        "no built-in job \"book.txt\"",
        "if it is a spec file, write ./book.txt; an INPUT comes after the JOB",
    );
}

#[test]
fn a_spec_that_is_not_there() {
    let dir = Dir::new().file("dir/x", "");
    dir.run("run none.json").refused("none.json: no such file or directory", "");
    dir.run("run ./wordcont")
        .refused("./wordcont: no such file or directory", "did you mean the built-in job wordcount?");
    dir.run("run ./dir")
        .refused("./dir: is a directory", "the JOB comes first, then each INPUT: mapfold run wordcount ./dir");
    dir.command(["run", "un\u{202e}iq"]).run().refused(
        "no built-in job \"un\\u{202e}iq\"",
        "did you mean \"uniq\"? mapfold jobs lists them; the name of a spec file has a / or ends with .json",
    );
    dir.run("run wordcont").refused(
        "no built-in job \"wordcont\"",
        "did you mean \"wordcount\"? mapfold jobs lists them; the name of a spec file has a / or ends with .json",
    );
}

#[test]
fn names_that_do_not_resolve() {
    spec(r#"{"group_by": ["lin"]}"#)
        .run("run spec.json in.txt")
        .refused("spec.json: group_by.0: no field \"lin\"", "did you mean \"line\"?");
    spec(r#"{"having": {"field": "count", "gt": 1}}"#)
        .run("run spec.json in.txt")
        .refused("spec.json: having: is for groups, but this job has none", "for records use \"where\"");
    let declared = r#"{"read": {"types": {"line": "string"}}, "where": {"field": "line", "gt": 5}}"#;
    spec(declared).run("run spec.json in.txt").refused(
        "spec.json: where.gt: \"line\" is text, but 5 is a number",
        "put it in quotes to compare it as text: \"5\"",
    );
}

#[test]
fn a_spec_on_stdin_is_checked_like_any() {
    Dir::new()
        .command(["run", "-", "in.txt"])
        .stdin(r#"{"limit": "5"}"#)
        .run()
        .refused("stdin: limit: must be a whole number, is \"5\"", "");
}

#[test]
fn set_is_checked() {
    let dir = Dir::new().file("in.txt", "a\n");
    dir.run("run wordcount in.txt --set limt=5").refused("--set: unknown key \"limt\"", "did you mean limit?");
    dir.run("run wordcount in.txt --set map.0.on=").refused(
        "--set: map.0.on: must not be empty",
        "a tokeniser (words, whitespace, letters, chars) or the text between pieces, such as \",\"",
    );
    dir.run("run wordcount in.txt --set sort=[\"-cuont\"]")
        .refused("wordcount: sort.0: no column \"cuont\"", "did you mean \"count\"?");
}

#[test]
fn params_are_checked() {
    let dir = Dir::new().file("in.txt", "a b\n");
    dir.run("run grep in.txt")
        .refused("grep: needs the param \"pattern\" (a regular expression)", "--param pattern=VALUE");
    dir.run("run grep in.txt --param patern=a")
        .refused("--param patern: grep has no such param", "did you mean \"pattern\"?");
    dir.run("run wordcount in.txt --param n=2")
        .refused("--param n: wordcount has no such param", "the job takes no params");
    dir.run("run ngrams in.txt --param n=two").refused("--param n: map.0.n: must be a whole number, is \"two\"", "");
    dir.run("run ngrams in.txt --param n").refused("--param n: no \"=\"", "--param NAME=VALUE, such as --param n=3");
    dir.run("run uniq in.txt --set having.field=count --set having.gt=0").printed("a b\t1\n");
    dir.run("run grep in.txt --param pattern=(a{1000}){1000}").refused(
        "grep: where.matches: \"(a{1000}){1000}\" is too large a pattern",
        r"a repetition such as {1000} takes as much memory as writing it out; in ASCII, (?-u:\w) takes less than \w",
    );
    dir.run("run match-count in.txt --param pattern=(a").refused(
        "match-count: map.0.pattern: \"(a\" is not a regular expression: unclosed group",
        r"to match the character itself, put a backslash before it: \( \[ \{ \* \+ \? (in JSON two)",
    );
}

/// Compared with a number, digits in quotes are a number. Compared with text, a number is refused, since it could be
/// written in many ways.
#[test]
fn what_is_compared_is_of_one_type() {
    let dir = Dir::new().file("in.csv", "k,n\na,10\nb,9\na,12345678901234567890123\n");
    let run = |types: &str, predicate: &str| {
        let spec = format!(
            r#"{{"read": {{"types": {{{types}}}}}, "group_by": ["k"], "aggregate": [{{"op": "max", "field": "n", "as": "n"}}],
                "having": {predicate}}}"#
        );
        dir.command(["run", "-", "in.csv"]).stdin(spec).run()
    };
    for value in ["10", "\"10\"", "\"1e1\""] {
        run("", &format!(r#"{{"field": "n", "gte": {value}}}"#)).printed("a\t12345678901234567890123\n");
    }
    // A JSON number has no more digits than a double holds, so more digits need quotes.
    run("", r#"{"field": "n", "equal": "12345678901234567890123"}"#).printed("a\t12345678901234567890123\n");
    run("", r#"{"field": "n", "equal": "ten"}"#)
        .refused("stdin: having.equal: \"n\" is a number, but \"ten\" is not", "");
    let number = |text: &str| format!("put it in quotes to compare it as text: {text:?}");
    run(r#""n": "string""#, r#"{"field": "n", "equal": 9}"#)
        .refused("stdin: having.equal: \"n\" is text, but 9 is a number", &number("9"));
    run(r#""n": "string""#, r#"{"field": "n", "equal": "9"}"#).printed("b\t9\n");
}
