//! Small files that are hard to read, of `testdata/corpus`, and random ones: read in every way, as the reference reads them.
//! `fuzz/` finds more of them.

use std::fs;

use proptest::prelude::*;

use crate::tables::replay::check;

#[test]
fn every_file_of_the_corpus() {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/corpus")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 20);
    files.iter().for_each(|file| check(&fs::read(file).unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn random_files(bytes in prop::collection::vec(prop::sample::select(b"ab,;\t\"\"\n\r\\NAtn \0\xff".to_vec()), 0..150)) {
        check(&bytes);
    }
}
