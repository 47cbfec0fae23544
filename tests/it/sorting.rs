//! Jobs that sort records: the built-in `sort`, and columns that are sorted by as numbers or that aren't written.

use std::cmp::Reverse;

use crate::harness::Dir;

#[test]
fn records_sorted_by_numbers() {
    let dir = Dir::new().file("c.csv", "city,people\nBonn,3\nLyon,5\nKöln,10\nNice,\n");
    let sorted = "Nice\t\\N\nBonn\t3\nLyon\t5\nKöln\t10\n";
    let command = "run sort c.csv --set read.format=csv --format tsv --set";
    dir.run(&format!("{command} sort=[{{\"ascending\":\"people\",\"number\":true}}]")).printed(sorted);
    let reversed = sorted.lines().rev().map(|line| format!("{line}\n")).collect::<String>();
    dir.run(&format!("{command} sort=[{{\"descending\":\"people\",\"number\":true}}]")).printed(&reversed);
    let dir = Dir::new().file("n.txt", "10\n9\n-1\n1e1\n");
    dir.run("run sort n.txt").printed("-1\n10\n1e1\n9\n");
    dir.run("run sort n.txt --set sort.0.number=true").printed("-1\n9\n10\n1e1\n");
    let ran = Dir::new().file("n.txt", "10\nx\n").run("run sort n.txt --set sort.0.number=true");
    assert_eq!(ran.code(), Some(1));
    assert!(ran.stderr().contains("n.txt:2: ") && ran.stderr().contains("not a number"), "{}", ran.stderr());
}

/// A column that rows are sorted by need not be written.
#[test]
fn a_sort_column_need_not_be_written() {
    let spec = r#"{"map": [{"split": "line", "on": "words", "as": "word"}], "select": ["line", "word"], "sort": ["-line"],
        "output": {"columns": ["word"]}}"#;
    let dir = Dir::new().file("f.txt", "a b\nc d\n").file("job.json", spec);
    dir.run("run ./job.json f.txt").printed("c\nd\na\nb\n");
}

#[test]
fn lines_are_sorted_as_by_their_bytes() {
    let mut lines: Vec<_> = (0..5000u32).map(|i| format!("{} é", i.wrapping_mul(2_654_435_761) % 1000)).collect();
    let dir = Dir::new().file("big.txt", lines.join("\n"));
    lines.sort();
    let sorted = lines.join("\n") + "\n";
    for flags in ["", " --memory 14M --threads 1", " --split-size 1K --threads 4 --scheduler static"] {
        dir.run(&format!("run sort big.txt -o sorted.txt --force{flags}")).printed("");
        assert!(std::fs::read_to_string(dir.join("sorted.txt")).unwrap() == sorted, "{flags}");
    }
    lines.sort_by_key(|line| Reverse(line.clone()));
    dir.run("run sort big.txt --sort=-line").printed(&(lines.join("\n") + "\n"));
}
