//! Rows of the output, as CSV, TSV, text and JSON lines.

use super::Value;
use super::number::ZERO;

/// Writes the rows under a header, in the format of this name.
pub fn write(format: &str, header: bool, names: &[String], rows: &[Vec<Value>]) -> Vec<u8> {
    let mut out = Vec::new();
    if header && format != "jsonl" {
        let names = names.iter().map(|name| Value::Bytes(name.clone().into()));
        put_row(format, &[], &names.collect::<Vec<_>>(), &mut out);
    }
    rows.iter().for_each(|row| put_row(format, names, row, &mut out));
    out
}

fn put_row(format: &str, names: &[String], row: &[Value], out: &mut Vec<u8>) {
    let cells = row.iter().enumerate().map(|(i, value)| match (format, value) {
        ("csv", Value::Bytes(text)) => csv(text, i == 0),
        ("tsv", Value::Bytes(text)) => tsv(text),
        ("text", Value::Bytes(text)) => text.clone(),
        ("tsv", Value::Null) => br"\N".to_vec(),
        ("csv" | "text", Value::Null) => Vec::new(),
        ("jsonl", value) => json(&names[i], value),
        (_, value) => number(value).into_bytes(),
    });
    let cells: Vec<_> = cells.collect();
    match format {
        "csv" => out.extend(cells.join(&b',')),
        "jsonl" => out.extend([b"{", &cells.join(&b',')[..], b"}"].concat()),
        _ => out.extend(cells.join(&b'\t')),
    }
    out.push(b'\n');
}

fn csv(text: &[u8], is_first: bool) -> Vec<u8> {
    let is_special = |byte: &u8| b",\"\r\n".contains(byte);
    let is_marked = is_first && text.starts_with(b"\xef\xbb\xbf");
    if !text.is_empty() && !text.iter().any(is_special) && !is_marked {
        return text.to_vec();
    }
    let quotes = text.split(|&byte| byte == b'"').collect::<Vec<_>>().join(&b"\"\""[..]);
    [b"\"", &quotes[..], b"\""].concat()
}

fn tsv(text: &[u8]) -> Vec<u8> {
    let escaped = |byte: &u8| match byte {
        b'\t' => br"\t".to_vec(),
        b'\n' => br"\n".to_vec(),
        b'\r' => br"\r".to_vec(),
        b'\\' => br"\\".to_vec(),
        byte => vec![*byte],
    };
    text.iter().flat_map(escaped).collect()
}

fn json(name: &str, value: &Value) -> Vec<u8> {
    let value = match value {
        Value::Bytes(text) => serde_json::to_string(&String::from_utf8_lossy(text)).unwrap(),
        Value::Null => "null".into(),
        Value::Float(value) if !value.is_finite() => "null".into(),
        value => number(value),
    };
    format!("{}:{value}", serde_json::to_string(name).unwrap()).into_bytes()
}

fn number(value: &Value) -> String {
    match value {
        Value::Decimal(number) => {
            let digits = format!("{:0>39}", number.magnitude().to_string());
            let (whole, fraction) = digits.split_at(digits.len() - 38);
            let sign = if *number < ZERO { "-" } else { "" };
            format!("{sign}{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::Float(value) if value.is_nan() => "nan".into(),
        Value::Float(value) => match value.abs() {
            f64::INFINITY => value.to_string(),
            0.0 | 1e-5..1e16 if value.fract() == 0.0 => format!("{value}.0"),
            0.0 | 1e-5..1e16 => {
                let text = value.to_string();
                nearest(*value, format!("{value:.*}", decimals(&text)), text)
            }
            size => {
                let text = format!("{value:e}");
                let text = nearest(*value, format!("{value:.*e}", decimals(&text)), text);
                if size < 1.0 { text } else { text.replace('e', "e+") }
            }
        },
        value => panic!("{value:?} is no number"),
    }
}

/// Counts the digits behind the point.
fn decimals(text: &str) -> usize {
    let mantissa = text.split('e').next().unwrap();
    mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// Chooses between two equally short texts that are read back as the value: the one that is rounded half to even. The
/// shortest text that Rust writes may be rounded up.
fn nearest(value: f64, rounded: String, shortest: String) -> String {
    if rounded.parse() == Ok(value) { rounded } else { shortest }
}

#[test]
fn of_two_texts_as_near_the_even_one_is_written() {
    let value = 160.5 * 2f64.powi(-20);
    assert_eq!(number(&Value::Float(value)), "0.00015306472778320312");
    assert_eq!(number(&Value::Float(1e23)), "1e+23");
    assert_eq!(number(&Value::Float(0.1 + 0.2)), "0.30000000000000004");
}
