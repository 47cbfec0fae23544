//! The parser of the shorthand of `mapfold agg`: turns texts into [`Agg`]s and [`Predicate`]s, by recursive descent.
//!
//! ```text
//! aggs  = agg *("," agg)                agg  = call ["as" name]
//! call  = op ["(" ["distinct"] field *("," value) ")"]
//! p     = field ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") value | field "in" "(" value *("," value) ")"
//! field = name | "quoted name" | $1     value = number | word | 'text' | "text"
//! ```

use serde_json::{Number, Value};

use super::cursor::Cursor;
use crate::aggregate::{OPS, WRITTEN};
use crate::error::{Result, meant};

/// One aggregate, such as `sum(amount) as total`.
#[derive(Debug, PartialEq)]
pub struct Agg {
    pub op: Op,
    pub distinct: bool,
    pub field: Option<Field>,
    /// The arguments after the field: numbers and text.
    pub args: Vec<Value>,
    /// The name after `as`, or the call as it was written.
    pub column: String,
}

/// The op of an [`Agg`].
#[derive(Debug, PartialEq)]
pub enum Op {
    /// An aggregate by its name in the schema.
    Named(String),
    /// A quantile, from 0 to 1, which is written as a percentile: `p99.9`.
    Quantile(Number),
}

/// A field as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    Name(String),
    /// A position, where no header row names the fields: `$1` is the first field.
    Position(String),
}

/// A test of one field.
#[derive(Debug, PartialEq)]
pub struct Predicate {
    pub field: Field,
    pub test: Test,
}

/// What a predicate tests in its field.
#[derive(Debug, PartialEq)]
pub enum Test {
    /// A comparison with a value. The comparison has its name in a spec.
    Compare(&'static str, Value),
    NotEqual(Value),
    In(Vec<Value>),
    Matches(String),
}

/// What the names in a predicate stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Fields,
    /// Columns of the result, in which `sum(amount)` is a name.
    Columns,
}

/// Parses what is between the quotes of `mapfold agg '…'`.
pub fn aggs(text: &str) -> Result<Vec<Agg>> {
    let mut at = Cursor::new("agg", text);
    let mut aggs = vec![agg(&mut at)?];
    while at.eat(",") {
        aggs.push(agg(&mut at)?);
    }
    if at.is_at_end() {
        return Ok(aggs);
    }
    Err(match at.next() {
        Some('+' | '-' | '*' | '/' | '%') => at.wrong(
            "arithmetic with aggregates is not supported",
            Some("make each aggregate a column of its own, and compute with the columns in the program that reads the result".into()),
        ),
        Some('(') => at.wrong("expected \",\"", None),
        _ => at.wrong("expected \",\" or \"as\"", Some("an example: 'sum(amount) as total, count'".into())),
    })
}

fn agg(at: &mut Cursor<'_>) -> Result<Agg> {
    let mark = at.mark();
    let op = op(at)?;
    let (mut distinct, mut field, mut args) = (false, None, Vec::new());
    if at.eat("(") {
        let begun = at.mark();
        let is_first = at.eat_word("distinct");
        // `distinct` alone in the parentheses is a field of that name.
        let is_alone = is_first && matches!(at.next(), Some(')' | ','));
        distinct = is_first && !is_alone;
        field = Some(match is_alone {
            true => Field::Name(at.since(begun).to_owned()),
            false => self::field(at, Over::Fields)?,
        });
        refuse_arithmetic(at, begun)?;
        while at.eat(",") {
            args.push(value(at, |c| c.is_whitespace() || ",)".contains(c))?);
        }
        if !at.eat(")") {
            return Err(at.wrong("expected \")\"", None));
        }
    }
    let written = at.since(mark).to_owned();
    let column = if at.eat_word("as") { name(at)? } else { written };
    Ok(Agg { op, distinct, field, args, column })
}

fn op(at: &mut Cursor<'_>) -> Result<Op> {
    let start = at.rest();
    let mut ahead = Cursor::new("agg", start);
    let word = ahead.take_while(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let names = || WRITTEN.all.iter().map(|variant| variant.name);
    let found = match word {
        "" => return Err(at.wrong("expected an aggregate", Some("such as count, sum(amount) or mean(ms)".into()))),
        word if names().any(|name| name == word) => Op::Named(word.to_owned()),
        word => match percentile(word) {
            Some(Ok(quantile)) => Op::Quantile(quantile),
            Some(Err(())) => return Err(at.wrong("a percentile is from p0 to p100", None)),
            None => {
                let built: Vec<_> = OPS.iter().map(|op| op.name).collect();
                let hint = match meant(word, built.iter().copied()) {
                    Some(right) => format!("did you mean {right}?"),
                    None => format!("aggregates: {}", built.join(", ")),
                };
                return Err(at.wrong(&format!("unknown aggregate {word:?}"), Some(hint)));
            }
        },
    };
    at.eat(word);
    Ok(found)
}

/// Returns the quantile of a percentile, exactly as written: in `p99.9` the point moves two places, to 0.999. None if
/// `word` isn't a percentile, and an error if it is above p100.
fn percentile(word: &str) -> Option<Result<Number, ()>> {
    let (whole, fraction) = word.strip_prefix('p')?.split_once('.').unwrap_or((&word[1..], ""));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || word.ends_with('.') {
        return None;
    }
    let padded = format!("{whole:0>3}");
    let (ones, hundredths) = padded.split_at(padded.len() - 2);
    let number: Option<f64> = format!("{ones}.{hundredths}{fraction}").parse().ok();
    let number = number.filter(|number| (0.0..=1.0).contains(number)).and_then(Number::from_f64);
    Some(number.ok_or(()))
}

/// Refuses arithmetic after a field. `begun` is where the field began.
fn refuse_arithmetic(at: &Cursor<'_>, begun: usize) -> Result<()> {
    let Some(sign) = at.next().filter(|c| "+-*/%(".contains(*c)) else { return Ok(()) };
    let Some(end) = Cursor::new("agg", at.rest()).closing() else { return Err(at.wrong("expected \")\"", None)) };
    let expression = &at.whole()[begun..at.mark() + end.len()];
    let derive = format!(r#"--set 'map=[{{"derive": {}, "as": "x"}}]'"#, Value::from(expression));
    let hint = match sign {
        '-' => format!("if a field has this name, put it in quotes: \"{expression}\"; to compute it: {derive}"),
        _ => format!("derive a field and aggregate it: {derive}"),
    };
    Err(at.wrong("arithmetic inside an aggregate is not supported", Some(hint)))
}

/// Parses a predicate of the flag `flag`.
pub fn predicate(flag: &str, text: &str, over: Over) -> Result<Predicate> {
    let mut at = Cursor::new(flag, text);
    let field = field(&mut at, over)?;
    let test = test(&mut at, &field)?;
    if at.is_at_end() {
        return Ok(Predicate { field, test });
    }
    Err(if at.eat_word("and") {
        at.wrong("expected the end", Some(format!("to require both, give {flag} twice")))
    } else if at.eat_word("or") {
        at.wrong("expected the end", Some("\"or\" works only in a spec; --print-spec prints one to start from".into()))
    } else {
        at.wrong("expected the end", Some("put text with white space in quotes: 'New York'".into()))
    })
}

/// Parses the test of a predicate about `field`.
fn test(at: &mut Cursor<'_>, field: &Field) -> Result<Test> {
    if at.eat_word("in") {
        if !at.eat("(") {
            return Err(at.wrong("expected \"(\"", Some("an example: region in (EU, US)".into())));
        }
        let mut values = Vec::new();
        loop {
            refuse_null(at, field, true)?;
            values.push(value(at, |c| c.is_whitespace() || ",()".contains(c))?);
            match () {
                () if at.eat(",") => {}
                () if at.eat(")") => return Ok(Test::In(values)),
                () => return Err(at.wrong("expected \",\" or \")\"", None)),
            }
        }
    }
    match comparison(at, field)? {
        "matches" => pattern(at).map(Test::Matches),
        key => {
            refuse_null(at, field, !key.is_empty())?;
            let value = value(at, char::is_whitespace)?;
            Ok(if key.is_empty() { Test::NotEqual(value) } else { Test::Compare(key, value) })
        }
    }
}

/// Takes the comparison that is next, and returns its name in a spec. The name of `!=` is empty.
fn comparison(at: &mut Cursor<'_>, field: &Field) -> Result<&'static str> {
    const SIGNS: &[(&str, &str)] = &[
        ("!=", ""),
        ("<=", "lte"),
        (">=", "gte"),
        ("==", "equal"),
        ("=", "equal"),
        ("<", "lt"),
        (">", "gt"),
        ("~", "matches"),
    ];
    const SLIPS: &[(&str, &str)] = &[("<>", "!="), ("=>", ">="), ("=<", "<="), ("=!", "!="), ("=~", "~"), ("===", "=")];
    let written = match Cursor::new("", at.rest()).take_while(|c| "=!<>~".contains(c)) {
        // A pattern follows, which may begin with any sign.
        signs if signs.starts_with('~') => "~",
        signs => signs,
    };
    if let Some((sign, key)) = SIGNS.iter().find(|(sign, _)| *sign == written) {
        at.eat(sign);
        return Ok(key);
    }
    if written.is_empty() {
        let mut ahead = Cursor::new("", at.rest());
        let hint = match at.next() {
            _ if ahead.eat_word("is") => asked_for_null(field, !ahead.eat_word("not")),
            Some('-' | '+' | '*' | '/') => "put a name with other characters in double quotes: \"user-id\"".into(),
            _ => "an example: 'status >= 500', 'region in (EU, US)'".into(),
        };
        return Err(at.wrong("expected = != < <= > >= ~ or in", Some(hint)));
    }
    let hint = match SLIPS.iter().find(|(slip, _)| *slip == written) {
        Some((_, right)) => format!("did you mean {right}?"),
        None => "put text that begins with such a character in quotes".to_owned(),
    };
    Err(at.wrong(&format!("unknown comparison {written:?}"), Some(hint)))
}

/// Refuses a comparison with null. `wants_null` says whether the test asks for null; otherwise it excludes null.
fn refuse_null(at: &Cursor<'_>, field: &Field, wants_null: bool) -> Result<()> {
    if !bare(at, |c| c.is_whitespace() || ",)".contains(c)).eq_ignore_ascii_case("null") {
        return Ok(());
    }
    let hint = format!("{}; for the text null write 'null'", asked_for_null(field, wants_null));
    Err(at.wrong("no comparison with null is ever true", Some(hint)))
}

fn asked_for_null(field: &Field, wants_null: bool) -> String {
    let (Field::Name(field) | Field::Position(field)) = field;
    let test = format!("{{\"field\": {}, \"valid\": {}}}", Value::from(field.as_str()), !wants_null);
    format!("only a spec can test for null, and --print-spec prints one to start from: {test}")
}

/// Takes a regular expression, as it was written.
fn pattern(at: &mut Cursor<'_>) -> Result<String> {
    if let Some(text) = text(at)? {
        return Ok(text);
    }
    match at.take_while(|c| !c.is_whitespace()) {
        "" => Err(at.wrong("expected a regular expression", Some("an example: path ~ '^/api/'".into()))),
        word => Ok(word.to_owned()),
    }
}

fn field(at: &mut Cursor<'_>, over: Over) -> Result<Field> {
    if let Some(name) = at.quoted('"')? {
        return match name.is_empty() {
            true => Err(at.wrong("a name is empty", None)),
            false => Ok(Field::Name(name)),
        };
    }
    let mark = at.mark();
    if at.eat("$") {
        let digits = at.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() || digits.starts_with('0') {
            return Err(at.wrong("expected a number from 1 after $", None));
        }
        return Ok(Field::Position(format!("${digits}")));
    }
    let word = at.take_while(|c| c.is_alphanumeric() || "_.@\\".contains(c));
    if word.is_empty() {
        let hint = match at.next() {
            Some('*') => "count counts records; count(x) counts the records in which x is not null",
            Some('\'') => "put a name in double quotes: \"user-id\"",
            _ => "give a name, such as amount or \"user-id\"",
        };
        return Err(at.wrong("expected a field", Some(hint.into())));
    }
    if over == Over::Columns && at.eat("(") && at.closing().is_none() {
        return Err(at.wrong("expected \")\"", None));
    }
    Ok(Field::Name(at.since(mark).to_owned()))
}

/// Takes the name after `as`.
fn name(at: &mut Cursor<'_>) -> Result<String> {
    let name = match at.quoted('"')? {
        Some(name) => name,
        None => at.take_while(|c| c.is_alphanumeric() || "_.-%".contains(c)).to_owned(),
    };
    match name.is_empty() {
        true => Err(at.wrong("expected a name", Some("an example: sum(amount) as total".into()))),
        false => Ok(name),
    }
}

/// Takes a number or a text. Without quotes the value ends where `is_end` holds.
fn value(at: &mut Cursor<'_>, is_end: impl Fn(char) -> bool) -> Result<Value> {
    if let Some(text) = text(at)? {
        return Ok(text.into());
    }
    let word = bare(at, is_end);
    if word.is_empty() {
        return Err(at.wrong("expected a number, a word or 'text'", None));
    }
    let value = match number(word) {
        Some(number) => number.map(Value::from),
        None => slip(word).map_or_else(|| Ok(word.into()), Err),
    };
    let value =
        value.map_err(|what| at.wrong(&what, Some(format!("put text in quotes: '{}'", word.replace('\'', "''")))))?;
    at.eat(word);
    Ok(value)
}

/// Takes a text in quotes of either kind, if one is next.
fn text(at: &mut Cursor<'_>) -> Result<Option<String>> {
    match at.next() {
        Some(quote @ ('\'' | '"')) => at.quoted(quote),
        _ => Ok(None),
    }
}

/// Returns the word that is next, and doesn't take it.
fn bare<'a>(at: &Cursor<'a>, is_end: impl Fn(char) -> bool) -> &'a str {
    Cursor::new("", at.rest()).take_while(|c| !is_end(c))
}

/// Returns what is wrong with a word that is hardly meant as text. A word that only begins with a digit, such as
/// 2024-01-01, is meant as text.
fn slip(word: &str) -> Option<String> {
    let is_number = |text: &str| number(text).is_some();
    if let Some(sign) = word.chars().next().filter(|c| "=<>!".contains(*c)) {
        return Some(format!("a word can't begin with \"{sign}\""));
    }
    if word.contains(',') && is_number(&word.replace(',', "")) {
        return Some("a number can't have commas".into());
    }
    if let Some(sign) = word.chars().find(|c| ";,".contains(*c)) {
        return Some(format!("a word can't have \"{sign}\" in it"));
    }
    let size = word.strip_suffix(['K', 'M', 'G', 'k', 'm']);
    size.is_some_and(is_number).then(|| "a number can't have a unit".into())
}

/// Returns the number that a word is, or why JSON can't hold the number. None if the word isn't a number. Digits with a
/// zero before them are text, such as a postcode.
fn number(word: &str) -> Option<Result<Number, String>> {
    let (sign, size) = match word.strip_prefix('-') {
        Some(size) => ("-", size),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let (mantissa, exponent) = match size.find(['e', 'E']) {
        Some(at) => size.split_at(at),
        None => (size, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) || has_leading_zero {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    let power = exponent.get(1..).unwrap_or("0").trim_start_matches(['+', '-']);
    if power.is_empty() || !power.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let Ok(number) = serde_json::from_str::<Number>(&format!("{sign}{whole}{fraction}{exponent}")) else {
        return Some(Err("the number is out of range".into()));
    };
    /// Significant digits that any double gives back.
    const EXACT: usize = 15;
    let is_exact = number.is_u64() || number.is_i64() || digits.trim_start_matches('0').len() <= EXACT;
    Some(if is_exact { Ok(number) } else { Err("the number has too many digits".into()) })
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
