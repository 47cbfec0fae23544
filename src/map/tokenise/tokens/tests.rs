//! Tests of the tokenisers, against plain implementations.

use proptest::prelude::*;
use unicode_properties::{GeneralCategoryGroup as Group, UnicodeGeneralCategory};

use super::scan::MOST_TOKENS;
use super::*;

/// The smallest window that leaves room for a block past half of it.
const SMALL: usize = 2 * BLOCK;

/// Words as [`Words`] defines them, found in the plainest way.
fn naive_words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    for chunk in text.utf8_chunks() {
        let chars: Vec<char> = chunk.valid().chars().collect();
        let is = |i: Option<usize>, groups: &[Group]| {
            i.and_then(|i| chars.get(i)).is_some_and(|c| groups.contains(&c.general_category_group()))
        };
        let mut word = String::new();
        for (i, &c) in chars.iter().enumerate() {
            let inside = is(Some(i), &[Group::Letter, Group::Mark, Group::Number])
                || (c == '\'' || c == '\u{2019}')
                    && is(i.checked_sub(1), &[Group::Letter, Group::Mark])
                    && is(Some(i + 1), &[Group::Letter]);
            if inside {
                word.extend(c.to_lowercase());
            } else {
                words.push(std::mem::take(&mut word));
            }
        }
        words.push(word);
    }
    words.into_iter().map(String::into_bytes).filter(|word| !word.is_empty()).collect()
}

fn naive_letters(text: &[u8]) -> Vec<Vec<u8>> {
    let pieces = text.split(|byte| !byte.is_ascii_alphabetic());
    pieces.filter(|piece| !piece.is_empty()).map(<[u8]>::to_ascii_lowercase).collect()
}

fn naive_whitespace(text: &[u8]) -> Vec<Vec<u8>> {
    let pieces = text.split(|byte| matches!(byte, 0x09..=0x0d | 0x20));
    pieces.filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec).collect()
}

fn collect(split: impl FnOnce(&mut dyn FnMut(Tokens<'_>))) -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    split(&mut |Tokens { data, spans, .. }| {
        assert!((1..=MOST_TOKENS).contains(&spans.len()));
        for span in spans {
            assert!(span.start < span.end);
            tokens.push(data[span.start as usize..span.end as usize].to_vec());
        }
    });
    tokens
}

/// Checks every tokeniser with every kernel, each with a small window and the usual one.
fn check(text: &[u8]) {
    for kernel in Kernel::available() {
        for window in [SMALL, WINDOW] {
            let words = collect(|emit| Words::with(kernel, window).split(text, emit));
            assert_eq!(words, naive_words(text), "words, {kernel:?}, {window}");
            let letters = collect(|emit| Letters::with(kernel, window).split(text, emit));
            assert_eq!(letters, naive_letters(text), "letters, {kernel:?}, {window}");
            let pieces = collect(|emit| Whitespace::with(kernel, window).split(text, emit));
            assert_eq!(pieces, naive_whitespace(text), "whitespace, {kernel:?}, {window}");
        }
    }
}

fn words(text: impl AsRef<[u8]>) -> Vec<String> {
    let text = text.as_ref();
    let tokens = collect(|emit| Words::new().split(text, emit));
    assert_eq!(tokens, naive_words(text));
    // The words don't depend on where in a block the text begins.
    for before in 0..70 {
        for filler in [" ", "x ", "é ", "'"] {
            let mut moved = filler.repeat(before).into_bytes();
            moved.extend_from_slice(b"! ");
            moved.extend_from_slice(text);
            check(&moved);
        }
    }
    tokens.into_iter().map(|word| String::from_utf8(word).expect("words are UTF-8")).collect()
}

#[test]
fn apostrophes_stay_between_letters() {
    assert_eq!(words("Don't rock'n'roll"), ["don't", "rock'n'roll"]);
    assert_eq!(words("'quoted' ''x'' dogs' 'tis"), ["quoted", "x", "dogs", "tis"]);
    assert_eq!(words("O’Neill l'été d'’x e\u{301}'a"), ["o’neill", "l'été", "d", "x", "e\u{301}'a"]);
    assert_eq!(words("x'1 1'x 1'1 x''x"), ["x", "1", "1", "x", "1", "1", "x", "x"]);
    assert_eq!(words("a'\u{301}b é' 'é ’ '"), ["a", "\u{301}b", "é", "é"]);
    assert_eq!(words(b"a'\xffb a\xff'b a\xe2\x80\x99b \xe2\x80"), ["a", "b", "a", "b", "a’b"]);
}

#[test]
fn words_are_letters_marks_and_numbers() {
    assert_eq!(words("naïve e\u{301}tude \u{301}"), ["naïve", "e\u{301}tude", "\u{301}"]);
    assert_eq!(words("a_b-c.d½Ⅷ x²"), ["a", "b", "c", "d½ⅷ", "x²"]);
    assert_eq!(words("漢字かな、カナ。한국어"), ["漢字かな", "カナ", "한국어"]);
    assert_eq!(words("Ⓐ ⓐ 🦀 हिन्दी"), ["हिन्दी"]);
}

#[test]
fn case_is_folded_code_point_by_code_point() {
    assert_eq!(words("İstanbul ȺȾ ΣΑΣ ẞ STRASSE"), ["i\u{307}stanbul", "ⱥⱦ", "σασ", "ß", "strasse"]);
    assert_eq!(words("ПРИВЕТ K Å 𐐀"), ["привет", "k", "å", "𐐨"]);
}

#[test]
fn every_code_point_has_its_category_and_lower_case() {
    let text: String = ('\0'..=char::MAX).flat_map(|c| ['a', c, '\'', 'b', ' ']).collect();
    let found = collect(|emit| Words::new().split(text.as_bytes(), emit));
    assert!(found == naive_words(text.as_bytes()));
}

#[test]
fn bytes_that_are_not_utf8_separate() {
    assert_eq!(words(b"a\xffb\xc3 c\xe4\xb8d"), ["a", "b", "c", "d"]);
    assert_eq!(words(b"x\xc1\x81y \xe0\x81\x81z \xf0\x80\x81\x81"), ["x", "y", "z"]);
    assert_eq!(words(b"x\xed\xa0\x80y\xf4\x90\x80\x80z\xf5\x80\x80\x80\xc3"), ["x", "y", "z"]);
    assert_eq!(words(b"a\0b\0\0"), ["a", "b"]);
    assert_eq!(words(b"\xf0\xc3\xa9 \xe2\x80\xc3\xa9\xa9"), ["é", "é"]);
}

#[test]
fn nothing_comes_of_nothing() {
    for text in [&b""[..], b" ", b"'", b"\xff", b"\n\n\t"] {
        check(text);
        assert_eq!(words(text), [""; 0]);
    }
}

#[test]
fn tokens_may_be_longer_than_any_window() {
    for length in [SMALL - 1, SMALL, SMALL + 1, WINDOW - 1, WINDOW, WINDOW + 1, 5 * WINDOW + 7] {
        for piece in ["X", "É", "Ⱥ", "İ", "a'", "é’", "漢", "xxxxxxxxxxxxxxxxxxÉ", " ", "'", "x "] {
            check(format!("one {} two", piece.repeat(length / piece.len())).as_bytes());
        }
    }
}

#[test]
fn scratch_can_be_used_again() {
    let mut tokeniser = Words::new();
    let long = "Y".repeat(3 * WINDOW);
    for text in ["a b", "c", &long, "d e"] {
        let expected = naive_words(text.as_bytes());
        assert_eq!(collect(|emit| tokeniser.split(text.as_bytes(), emit)), expected);
    }
    assert_eq!(tokeniser.0.folded.len(), WINDOW + BLOCK);
}

#[test]
fn folded_data_can_be_read_past_its_tokens() {
    let text = "É wörd ".repeat(20_000);
    Words::new().split(text.as_bytes(), |Tokens { data, spans, .. }| {
        let last = spans.last().expect("no batch is empty");
        assert!(last.end as usize + BLOCK <= data.len());
    });
}

#[test]
fn versions_are_those_documented() {
    assert_eq!(CATEGORIES_VERSION, (17, 0, 0));
    assert_eq!(LOWERCASE_VERSION, (17, 0, 0));
}

/// Text in which everything that matters is frequent and close together.
fn messy() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[a-zA-Z]{1,9}".prop_map(String::into_bytes),
        2 => "[a-zA-Z0-9' .\n]{1,80}".prop_map(String::into_bytes),
        4 => "[ \t\r\n.,_-]{1,3}".prop_map(String::into_bytes),
        4 => "['’]{1,2}".prop_map(String::into_bytes),
        2 => "[0-9]{1,4}".prop_map(String::into_bytes),
        2 => "[\u{300}-\u{304}]{1,2}".prop_map(String::into_bytes),
        3 => "[éÉßİȺΣжЖ漢½Ⅷ\u{a0}]{1,3}".prop_map(String::into_bytes),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => prop::collection::vec(0x80..=0xffu8, 1..4),
        1 => "x{60,200}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn messy_text(text in messy()) {
        check(&text);
    }

    #[test]
    fn random_unicode(text in any::<String>()) {
        check(text.as_bytes());
    }

    #[test]
    fn random_bytes(text in prop::collection::vec(any::<u8>(), 0..1000)) {
        check(&text);
    }
}
