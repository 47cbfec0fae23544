//! Compares the predictive matcher with the regex engine.

use proptest::prelude::*;
use regex_automata::PatternID;
use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;

use super::*;

fn compiled(pattern: &str) -> (Regex, Option<Predictive>) {
    let hir = syntax::parse_with(pattern, &syntax::Config::new().utf8(false)).unwrap();
    let config = meta::Config::new().utf8_empty(false);
    (meta::Builder::new().configure(config).build_from_hir(&hir).unwrap(), Predictive::new(&hir))
}

/// Checks that both find the same in `text`.
#[track_caller]
fn agree(pattern: &str, regex: &Regex, predictive: &Predictive, text: &[u8]) {
    if !predictive.covers(text) {
        return;
    }
    let mut captures = regex.create_captures();
    regex.captures(text, &mut captures);
    let groups = regex.group_info().group_len(PatternID::ZERO);
    let mut slots = vec![NonMaxUsize::new(1); 2 * groups];
    let found = predictive.find(text, &mut slots);
    assert_eq!(found, captures.is_match(), "{pattern} {text:?}");
    for group in 1..groups {
        let expected = captures.get_group(group).map(|span| span.range());
        let range = slots[2 * group].zip(slots[2 * group + 1]).map(|(start, end)| start.get()..end.get());
        assert_eq!(range.filter(|_| found), expected, "{pattern} {text:?}");
    }
}

#[test]
fn choices_that_the_next_byte_decides() {
    let texts =
        ["", "a", "ab", "abc", "aab", "abab", "abx", "b", "c", "ac", "a c", "aa c", "ab ab", "a\\\" \"", "é", "aé"];
    let decided = [
        "^",
        "^a",
        "^a*b",
        "^a+",
        "^(a*)(b*)(c*)$",
        "^(?:(a)b)?(c)",
        "^(a|b|)c",
        "^(?:a|bc)*x",
        "^([^ ]+) ([^ ]*)$",
        "^a{2}",
        "^(a{1,2})b",
        "^(a*?)b",
        "^((?:[^\"\\\\]|\\\\.)*)\"",
        "^(?:ab)+x",
        "^(?i)A(b)",
        "^(\\S+)$",
        "^(?-u)([^a]*)a",
        "^([^x]*)x?$",
        "^(?:(a))*b",
        "^(?:(a)|b)*c",
        "^(?:(?:(a))?b)*c",
    ];
    let undecided = [
        "a",
        "a|^b",
        "^(a|ab)c",
        "^a*ab",
        "^(?:ab)*",
        "^(?:ab)?",
        "^(a*?)",
        "^(?:a*)*b",
        "^(a|)",
        "^a\\b",
        "^(?m:$)b",
        "^(.*) (.*)",
        "^a$b",
        "^(?:ab){2}c",
        "^(?:[^ ]+|-)",
        "^(?:a*|())$",
        "^(?:ab|a)* ",
    ];
    for pattern in decided {
        let (regex, predictive) = compiled(pattern);
        let predictive = predictive.unwrap_or_else(|| panic!("{pattern}"));
        texts.iter().for_each(|text| agree(pattern, &regex, &predictive, text.as_bytes()));
    }
    for pattern in undecided {
        assert!(compiled(pattern).1.is_none(), "{pattern}");
    }
    let nested = |depth| format!("^{}a{}b", "(?:".repeat(depth), "x)+".repeat(depth));
    assert!(compiled(&nested(3)).1.is_some());
    assert!(compiled(&nested(40)).1.is_none());
}

/// Patterns of Unicode classes find the ends of runs by a search too.
#[test]
fn runs_are_searched() {
    for (pattern, is_of_ascii) in [("^([^ ]+) ", true), ("(?-u)^([^ ]+) ", false), ("^([^é]*)$", true)] {
        let predictive = compiled(pattern).1.unwrap();
        assert_eq!(predictive.is_of_ascii, is_of_ascii);
        let is_searched = |op: &Op| matches!(op, Op::Run { class: Class::But1(b' '), .. });
        assert_eq!(predictive.program.iter().any(is_searched), !pattern.contains('é'), "{pattern}");
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "ab",
        "bc",
        "[ab]",
        "[^a]",
        "[^ab]",
        "[^abc]",
        "[b-c]",
        " ",
        "x*",
        "[^c]+",
        "a{2}",
        "[^b ]{1,2}",
        ".",
        "\\S*",
        "é",
        "",
    ]);
    let tree = atom.prop_map(str::to_owned).prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            3 => inner.clone().prop_map(|part| format!("({part})")),
            3 => (inner, prop::sample::select(vec!["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}"]))
                .prop_map(|(part, times)| format!("(?:{part}){times}")),
        ]
    });
    (any::<bool>(), tree, prop::sample::select(vec!["", "$", "c", " "]))
        .prop_map(|(unicode, tree, end)| format!("{}^{tree}{end}", if unicode { "" } else { "(?-u)" }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn the_same_as_the_regex_engine(
        pattern in pattern(),
        texts in prop::collection::vec(
            prop::collection::vec(prop::sample::select(b"aaabbbccx  \xc3\xa9\xff".to_vec()), 0..9), 20),
    ) {
        // A character that isn't ASCII can't be written byte by byte in a class.
        prop_assume!(syntax::parse_with(&pattern, &syntax::Config::new().utf8(false)).is_ok());
        let (regex, predictive) = compiled(&pattern);
        if let Some(predictive) = predictive {
            texts.iter().for_each(|text| agree(&pattern, &regex, &predictive, text));
        }
    }
}
