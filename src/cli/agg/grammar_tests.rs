use serde_json::json;

use super::*;

fn agg(op: &str, field: Option<&str>, column: &str) -> Agg {
    let field = field.map(|name| Field::Name(name.into()));
    Agg { op: Op::Named(op.into()), distinct: false, field, args: vec![], column: column.into() }
}

#[track_caller]
fn refused(text: &str, message: &str, hint: &str) {
    let error = aggs(text).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default().as_str()), (message, hint));
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn aggregates() {
    assert_eq!(aggs("count").unwrap(), [agg("count", None, "count")]);
    assert_eq!(
        aggs(" sum(amount) as total,mean( ms ), count ").unwrap(),
        [agg("sum", Some("amount"), "total"), agg("mean", Some("ms"), "mean( ms )"), agg("count", None, "count")]
    );
    assert_eq!(
        aggs(r#"min("first, ""last""") AS "a b", max(größe.x)"#).unwrap(),
        [agg("min", Some(r#"first, "last""#), "a b"), agg("max", Some("größe.x"), "max(größe.x)")]
    );
    let position = Agg { field: Some(Field::Position("$12".into())), ..agg("sum", None, "sum($12)") };
    assert_eq!(aggs("sum($12)").unwrap(), [position]);
    assert_eq!(aggs("sum(\"$1\")").unwrap(), [agg("sum", Some("$1"), "sum(\"$1\")")]);
    let distinct = Agg { distinct: true, ..agg("count", Some("x"), "count(distinct x)") };
    assert_eq!(aggs("count(distinct x)").unwrap(), [distinct]);
    assert_eq!(aggs("count(distinct)").unwrap(), [agg("count", Some("distinct"), "count(distinct)")]);
    let args = Agg { args: vec![json!("score")], ..agg("argmax", Some("name"), "argmax(name, score)") };
    assert_eq!(aggs("argmax(name, score)").unwrap(), [args]);
}

#[test]
fn percentiles() {
    let quantile = |text: &str| match &aggs(text).unwrap()[0].op {
        Op::Quantile(q) => q.to_string(),
        op => panic!("{op:?}"),
    };
    for (text, q) in [("p50(x)", "0.5"), ("p99.9(x)", "0.999"), ("p5(x)", "0.05"), ("p0(x)", "0.0"), ("p100(x)", "1.0")]
    {
        assert_eq!(quantile(text), q, "{text}");
    }
    for text in ["p101(x)", "p100.5(x)"] {
        refused(text, &format!("agg: at \"{text}\": a percentile is from p0 to p100"), "");
    }
}

#[test]
fn what_is_no_aggregate_says_where() {
    let example = "an example: 'sum(amount) as total, count'";
    refused("", "agg: at the end: expected an aggregate", "such as count, sum(amount) or mean(ms)");
    refused("count,", "agg: at the end: expected an aggregate", "such as count, sum(amount) or mean(ms)");
    refused("count, summ(x)", "agg: at \"summ(x)\": unknown aggregate \"summ\"", "did you mean sum?");
    refused("COUNT", "agg: at \"COUNT\": unknown aggregate \"COUNT\"", "did you mean count?");
    refused("avg(x)", "agg: at \"avg(x)\": unknown aggregate \"avg\"", "did you mean mean?");
    refused("Average(x)", "agg: at \"Average(x)\": unknown aggregate \"Average\"", "did you mean mean?");
    refused("stdev(x)", "agg: at \"stdev(x)\": unknown aggregate \"stdev\"", "did you mean stddev?");
    refused("sum(x", "agg: at the end: expected \")\"", "");
    refused("sum(x y)", "agg: at \"y)\": expected \")\"", "");
    refused("sum(a) sum(b)", "agg: at \"sum(b)\": expected \",\" or \"as\"", example);
    refused("sum(a) as", "agg: at the end: expected a name", "an example: sum(amount) as total");
    refused("count as n as m", "agg: at \"as m\": expected \",\" or \"as\"", example);
    refused("sum(\"x)", "agg: at \"\"x)\": the quote \" is not closed", "");
    refused("sum(\"\")", "agg: at \")\": a name is empty", "");
    refused("sum()", "agg: at \")\": expected a field", "give a name, such as amount or \"user-id\"");
    refused("sum('x')", "agg: at \"'x')\": expected a field", "put a name in double quotes: \"user-id\"");
    let hint = "count counts records; count(x) counts the records in which x is not null";
    refused("count(*)", "agg: at \"*)\": expected a field", hint);
    for text in ["sum($)", "sum($0)", "sum($x)"] {
        assert!(aggs(text).unwrap_err().to_string().ends_with("expected a number from 1 after $"), "{text}");
    }
    let long = aggs(&format!("sum(x) {}", "é".repeat(99))).unwrap_err().to_string();
    assert_eq!(long, format!("agg: at \"{}…\": expected \",\" or \"as\"", "é".repeat(30)));
}

#[test]
fn arithmetic_points_to_derive() {
    let message = |at: &str| format!("agg: at \"{at}\": arithmetic inside an aggregate is not supported");
    let derive = |expression: &str| format!("--set 'map=[{{\"derive\": \"{expression}\", \"as\": \"x\"}}]'");
    let name = |expression: &str| format!("derive a field and aggregate it: {}", derive(expression));
    refused("sum(price * qty), count", &message("* qty), count"), &name("price * qty"));
    refused("mean((a+b)/2)", "agg: at \"(a+b)/2)\": expected a field", "give a name, such as amount or \"user-id\"");
    refused("mean(a/(b+1))", &message("/(b+1))"), &name("a/(b+1)"));
    let quotes =
        format!("if a field has this name, put it in quotes: \"user-id\"; to compute it: {}", derive("user-id"));
    refused("sum(user-id)", &message("-id)"), &quotes);
    refused(
        "sum(a) / count",
        "agg: at \"/ count\": arithmetic with aggregates is not supported",
        "make each aggregate a column of its own, and compute with the columns in the program that reads the result",
    );
}

#[test]
fn predicates() {
    let over = |text: &str, over| predicate("--where", text, over).unwrap();
    let test = |text: &str| over(text, Over::Fields).test;
    for (text, key, value) in [
        ("status>=500", "gte", json!(500)),
        ("x <= -1.5e3", "lte", json!(-1500.0)),
        ("x > .5", "gt", json!(0.5)),
        ("x < 5.", "lt", json!(5)),
        ("region = EU", "equal", json!("EU")),
        ("region == 'New ''York'''", "equal", json!("New 'York'")),
        ("region=\"5\"", "equal", json!("5")),
        ("zip = 01234", "equal", json!("01234")),
        ("day>=2024-01-01", "gte", json!("2024-01-01")),
        ("n = 18446744073709551615", "equal", json!(18446744073709551615_u64)),
        ("n = ''", "equal", json!("")),
    ] {
        assert_eq!(test(text), Test::Compare(key, value), "{text}");
    }
    assert_eq!(test("a != b"), Test::NotEqual(json!("b")));
    assert_eq!(test("a ~ ^/x(y|z),"), Test::Matches("^/x(y|z),".into()));
    assert_eq!(test("a ~ 'b c'"), Test::Matches("b c".into()));
    assert_eq!(test("a ~ 1.50"), Test::Matches("1.50".into()));
    assert_eq!(test("a ~=1,0;"), Test::Matches("=1,0;".into()));
    assert_eq!(test("a ~ null"), Test::Matches("null".into()));
    assert_eq!(test("a in (EU,'a b', 5)"), Test::In(vec![json!("EU"), json!("a b"), json!(5)]));
    assert_eq!(over("\"user-id\" = 5", Over::Fields).field, Field::Name("user-id".into()));
    assert_eq!(over("$2 = 5", Over::Fields).field, Field::Position("$2".into()));
    assert_eq!(over("p99(ms) > 5", Over::Columns).field, Field::Name("p99(ms)".into()));
    assert_eq!(over("inn = 5", Over::Fields).field, Field::Name("inn".into()));
}

#[test]
fn what_is_no_predicate_says_where() {
    let refused = |text: &str, message: &str, hint: &str| {
        let error = predicate("--where", text, Over::Fields).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default().as_str()), (message, hint));
    };
    let signs = "an example: 'status >= 500', 'region in (EU, US)'";
    refused("x", "--where: at the end: expected = != < <= > >= ~ or in", signs);
    refused("x like y", "--where: at \"like y\": expected = != < <= > >= ~ or in", signs);
    refused("x =", "--where: at the end: expected a number, a word or 'text'", "");
    refused(
        "x = New York",
        "--where: at \"York\": expected the end",
        "put text with white space in quotes: 'New York'",
    );
    refused("x=1 and y=2", "--where: at \"y=2\": expected the end", "to require both, give --where twice");
    let or = "\"or\" works only in a spec; --print-spec prints one to start from";
    refused("x=1 or y=2", "--where: at \"y=2\": expected the end", or);
    let hint = "put a name with other characters in double quotes: \"user-id\"";
    refused("user-id = 1", "--where: at \"-id = 1\": expected = != < <= > >= ~ or in", hint);
    refused("x in EU", "--where: at \"EU\": expected \"(\"", "an example: region in (EU, US)");
    refused("x in (EU", "--where: at the end: expected \",\" or \")\"", "");
    refused("x in ()", "--where: at \")\": expected a number, a word or 'text'", "");
    refused("x = 'y", "--where: at \"'y\": the quote ' is not closed", "");
    let message = "--where: at \"0.1234567890123456\": the number has too many digits";
    refused("x = 0.1234567890123456", message, "put text in quotes: '0.1234567890123456'");
    refused("= 5", "--where: at \"= 5\": expected a field", "give a name, such as amount or \"user-id\"");
}

#[test]
fn what_can_only_be_a_slip_is_no_text() {
    let refused = |text: &str, message: &str, hint: &str| {
        let error = predicate("--where", text, Over::Fields).unwrap_err();
        let message = format!("--where: at {message}");
        assert_eq!((error.to_string(), error.hint().unwrap_or_default().as_str()), (message, hint));
    };
    refused("id=>1", "\"=>1\": unknown comparison \"=>\"", "did you mean >=?");
    refused("id <> 1", "\"<> 1\": unknown comparison \"<>\"", "did you mean !=?");
    refused("id =~ ^a", "\"=~ ^a\": unknown comparison \"=~\"", "did you mean ~?");
    refused("id=!!", "\"=!!\": unknown comparison \"=!!\"", "put text that begins with such a character in quotes");
    refused("id = >1", "\">1\": a word can't begin with \">\"", "put text in quotes: '>1'");
    refused("id = 1;", "\"1;\": a word can't have \";\" in it", "put text in quotes: '1;'");
    refused("id = it's,", "\"it's,\": a word can't have \",\" in it", "put text in quotes: 'it''s,'");
    refused("x >= 1,000.5", "\"1,000.5\": a number can't have commas", "put text in quotes: '1,000.5'");
    refused("x > 1K", "\"1K\": a number can't have a unit", "put text in quotes: '1K'");
    refused("x in (EU, 1.5m)", "\"1.5m)\": a number can't have a unit", "put text in quotes: '1.5m'");
    refused("x = 1e400", "\"1e400\": the number is out of range", "put text in quotes: '1e400'");
    for word in ["EU", "2024-01-01", "10:30", "1e", "12ef", "1a", "1KB", "007", "01K", "-", "a=b", "nullable", "$5"] {
        assert_eq!(
            predicate("--where", &format!("x = {word}"), Over::Fields).unwrap().test,
            Test::Compare("equal", json!(word))
        );
    }
}

#[test]
fn null_is_asked_for_in_a_spec() {
    let refused = |text: &str, message: &str, hint: &str| {
        let error = predicate("--where", text, Over::Fields).unwrap_err();
        let hint = format!("only a spec can test for null, and --print-spec prints one to start from: {hint}");
        assert_eq!((error.to_string(), error.hint().unwrap_or_default()), (format!("--where: at {message}"), hint));
    };
    let (null, valid) = (r#"{"field": "x", "valid": false}"#, r#"{"field": "x", "valid": true}"#);
    let text = |test: &str| format!("{test}; for the text null write 'null'");
    refused("x = null", "\"null\": no comparison with null is ever true", &text(null));
    refused("x != NULL", "\"NULL\": no comparison with null is ever true", &text(valid));
    refused("x in (EU, null)", "\"null)\": no comparison with null is ever true", &text(null));
    refused("x is null", "\"is null\": expected = != < <= > >= ~ or in", null);
    refused("x IS NOT NULL", "\"IS NOT NULL\": expected = != < <= > >= ~ or in", valid);
    assert_eq!(predicate("--where", "x = 'null'", Over::Fields).unwrap().test, Test::Compare("equal", json!("null")));
}
