//! The files of `testdata/corpus`, which are hard to read, and random files: every way of reading them gives what the
//! reference gives. `fuzz/` finds more such files.

use std::fs;

use proptest::prelude::*;

use crate::replay_lines;
use crate::tables::replay::check;

#[test]
fn every_file_of_the_corpus() {
    for (target, check, least) in [("tables", check as fn(&[u8]), 20), ("lines", replay_lines::check, 12)] {
        let files = fs::read_dir(format!("{}/testdata/corpus/{target}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= least);
        files.iter().for_each(|file| check(&fs::read(file).unwrap()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn random_files(bytes in prop::collection::vec(prop::sample::select(b"ab,;\t\"\"\n\r\\NAtn \0\xff".to_vec()), 0..150)) {
        check(&bytes);
    }

    #[test]
    fn random_lines(
        lines in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"c\"", "\"a\":", "{\"a\":", "{\"b\":", "1", "-0.5e1", "01", "true", "null",
            "\"\\u0061\"", "\"\\ud800\"", "\"é\"", "\u{7f}", " ", "\t", "\r", "x 1", "-", "\\\"", "\u{1}",
        ]), 0..12), 0..12),
    ) {
        let lines: Vec<_> = lines.iter().map(|parts| parts.concat()).collect();
        replay_lines::check(lines.join("\n").as_bytes());
    }
}
