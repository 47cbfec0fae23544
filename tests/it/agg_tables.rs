//! One-liners over tables, and what they print.

use crate::harness::Dir;

const SALES: &str = "\
region,\"unit price\",qty,user-id,note
EU,1.50,2,007,\"a, b\"
US,2,3,08,
EU,2.50,,007,\"say \"\"hi\"\"\"
,4,1,x,two
New York,0.1,10,y,-
";

const READINGS: &str = "Hamburg;12.0\nBulawayo;8.9\nHamburg;-3.4\n";

fn dir() -> Dir {
    Dir::new()
        .file("sales.csv", SALES)
        .file("readings.txt", READINGS)
        .file("sales.tsv", "region\tqty\nE\\tU\t1\n\\N\t2\n\t3\n")
        .file("floats.csv", "k,f\na,0.1\na,0.2\nb,nan\nb,1e308\n")
}

/// Words of a command line, and what the command prints.
const LINES: &[(&[&str], &str)] = &[
    (&["count", "sales.csv"], "5\n"),
    (&["count(qty), count(region), count", "sales.csv"], "4\t4\t5\n"),
    (&["sum(qty), min(qty), max(qty), mean(qty)", "sales.csv"], "16\t1\t10\t4.0\n"),
    // A name is a name, even if it is the name of an op.
    (&["max(qty) as max, count(qty) as count", "sales.csv", "--format", "csv"], "max,count\n10,4\n"),
    (
        &["-g", "region", "sum(qty) as sum", "sales.csv", "--having", "sum > 2", "--sort", "sum"],
        "US\t3\nNew York\t10\n",
    ),
    (&["max(qty) as max_qty", "sales.csv", "--format", "csv"], "max_qty\n10\n"),
    // A number that is compared with a float is a float too, so 0.1 matches what is printed as 0.1.
    (&["mean(\"unit price\") as m", "sales.csv", "-g", "region", "--having", "m <= 0.1"], "New York\t0.1\n"),
    (&["count", "floats.csv", "--type", "f=float", "--where", "f in (0.1, 0.2)"], "2\n"),
    (&["count", "floats.csv", "--type", "f=float", "--where", "f = 1e308"], "1\n"),
    (&["count", "floats.csv", "--type", "f=float", "--where", "f = 'nan'"], "1\n"),
    (&["-g", "region", "sum(qty)", "sales.csv"], "\\N\t1\nEU\t2\nNew York\t10\nUS\t3\n"),
    (
        &["-g", "region", "sum(\"unit price\") as total, count", "sales.csv", "--sort=-total", "-n", "2"],
        "\\N\t4\t1\nEU\t4\t2\n",
    ),
    (&["-g", "region", "count", "sales.csv", "--sort=count,-region", "-n", "2"], "US\t1\nNew York\t1\n"),
    (&["-g", "region,\"user-id\"", "count", "sales.csv", "-n", "2"], "\\N\tx\t1\nEU\t007\t2\n"),
    (&["-g", "\"unit price\"", "count", "sales.csv", "-n", "2"], "0.1\t1\n1.50\t1\n"),
    (&["-g", "\"unit price\"", "count", "sales.csv", "-n", "2", "--type", "unit price=decimal"], "0.1\t1\n1.5\t1\n"),
    (
        &["-g", "region", "max(\"unit price\")", "sales.csv", "--format", "csv"],
        "region,\"max(\"\"unit price\"\")\"\n,4\nEU,2.5\nNew York,0.1\nUS,2\n",
    ),
    (
        &["-g", "region", "max(note) as m", "sales.csv", "--type", "note=string", "--format", "jsonl", "-n", "2"],
        "{\"region\":null,\"m\":\"two\"}\n{\"region\":\"EU\",\"m\":\"say \\\"hi\\\"\"}\n",
    ),
    // Predicates. Every one of these is false for null.
    (&["count", "sales.csv", "--where", "qty = 2"], "1\n"),
    (&["count", "sales.csv", "--where", "qty == 2.0"], "1\n"),
    (&["count", "sales.csv", "--where", "qty != 2"], "3\n"),
    (&["count", "sales.csv", "--where", "qty < 3"], "2\n"),
    (&["count", "sales.csv", "--where", "qty <= 3"], "3\n"),
    (&["count", "sales.csv", "--where", "qty > 2.5"], "2\n"),
    (&["count", "sales.csv", "--where", "qty >= 10"], "1\n"),
    (&["count", "sales.csv", "--where", "qty in (1, 3, 1e1)"], "3\n"),
    (&["count", "sales.csv", "--where", "region in (EU, 'New York')"], "3\n"),
    (&["count", "sales.csv", "--where", "region = 'New York'"], "1\n"),
    (&["count", "sales.csv", "--where", "region=EU"], "2\n"),
    (&["count", "sales.csv", "--where", "region ~ ^[EN]"], "3\n"),
    (&["count", "sales.csv", "--where", "note ~ 'say \"h'"], "1\n"),
    (&["count", "sales.csv", "--where", "note = 'say \"hi\"'"], "1\n"),
    (&["count", "sales.csv", "--where", "note = \"say \"\"hi\"\"\""], "1\n"),
    (&["count", "sales.csv", "--where", "\"user-id\" = 007"], "2\n"),
    (&["count", "sales.csv", "--where", "\"user-id\" = '08'"], "1\n"),
    (&["count", "sales.csv", "--where", "\"unit price\" > 1", "--where", "region != US"], "2\n"),
    (&["count", "sales.csv", "--where", "qty > '9'", "--type", "qty=string"], "0\n"),
    (&["count", "sales.csv", "--where", "qty > 9", "--where", "qty ~ ^1"], "1\n"),
    // Predicates on the result.
    (&["-g", "region", "sum(qty)", "sales.csv", "--having", "sum(qty) > 2"], "New York\t10\nUS\t3\n"),
    (
        &["-g", "region", "sum(qty) as s", "sales.csv", "--having", "s != 10", "--having", "region ~ U"],
        "EU\t2\nUS\t3\n",
    ),
    (&["-g", "region", "count", "sales.csv", "--having", "count in (2)"], "EU\t2\n"),
    (&["sum(qty)", "sales.csv", "--having", "sum(qty) > 100"], ""),
    // Tables without a header.
    (
        &["-g", "$1", "mean($2), min($2)", "readings.txt", "--no-header", "--delimiter", ";"],
        "Bulawayo\t8.9\t8.9\nHamburg\t4.3\t-3.4\n",
    ),
    (&["count", "readings.txt", "--no-header", "--delimiter", ";", "--where", "$2 < 0"], "1\n"),
    (&["count", "readings.txt", "--delimiter", ";", "--where", "Hamburg = Bulawayo"], "1\n"),
    // TSV, floats, and `--set`.
    (&["-g", "region", "sum(qty)", "sales.tsv"], "\\N\t2\n\t3\nE\\tU\t1\n"),
    (&["-g", "k", "sum(f)", "floats.csv", "--type", "f=float"], "a\t0.30000000000000004\nb\tnan\n"),
    (&["-g", "k", "sum(f)", "floats.csv", "--where", "k=a"], "a\t0.3\n"),
    (&["sum(f)", "floats.csv", "--set", "read.null=[\"nan\", \"1e308\"]"], "0.3\n"),
    (&["sum(x)", "sales.csv", "--set", "map=[{\"derive\": \"\\\"unit price\\\" * qty\", \"as\": \"x\"}]"], "14\n"),
];

#[test]
fn what_they_print() {
    let dir = dir();
    for (words, expected) in LINES {
        let ran = dir.command([&["agg"], *words].concat()).run();
        assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), (*expected, ""), "{words:?}");
        assert_eq!(ran.code(), Some(0));
    }
}

/// The printed spec gives the same result when it is run, and is the spec that `agg` runs.
#[test]
fn the_spec_they_stand_for() {
    let dir = dir();
    for (words, expected) in LINES {
        let spec = dir.command([&["agg"], *words, &["--print-spec"]].concat()).run().stdout();
        let ran = dir.command(["run", "-"]).stdin(spec.as_str()).run();
        assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), (*expected, ""), "{spec}");
    }
}

#[test]
fn what_is_wrong_with_them() {
    let dir = dir();
    let refused = |words: &[&str], error: &str, hint: &str| {
        dir.command([&["agg"], words].concat()).run().refused(error, hint);
    };
    refused(&["sum(qyt)", "sales.csv"], "agg: aggregate.0.field: no field \"qyt\"", "did you mean \"qty\"?");
    refused(
        &["count", "sales.csv", "-g", "$1"],
        "-g: $1 means a field by its position, but the first row names the fields",
        "give --no-header if it doesn't; if a field has this name, put it in quotes: \"$1\"",
    );
    refused(
        &["sum(qty)", "sales.csv", "--type", "qty=string"],
        "agg: aggregate.0.field: \"qty\" is text, but a number is needed",
        "declare it in read.types: \"int\", \"float\" or \"decimal\"",
    );
    refused(&["count", "sales.csv", "--type", "qyt=int"], "agg: read.types: no field \"qyt\"", "did you mean \"qty\"?");
    refused(
        &["count", "sales.csv", "--where", "qty > few", "--type", "qty=int"],
        "agg: where.gt: \"qty\" is a number, but \"few\" is not",
        "",
    );
    refused(
        &["count", "sales.csv", "--delimiter", "||"],
        "--delimiter: must be one ASCII character, is \"||\"",
        "such as \",\", \";\" or \"\\t\"",
    );
    refused(
        &["count", "readings.txt", "--no-header"],
        "agg: read.header: is only for csv and tsv, but the inputs are read as text",
        "to read them in this format: --set read.format=csv",
    );
}
