use std::fs;

use proptest::prelude::*;

use super::*;

const ALL: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

/// Returns what a file holds after `pieces` were written to it.
fn written(compression: Compression, pieces: &[&[u8]]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let mut stream = Stream::new(File::create(&path).unwrap(), compression).unwrap();
    pieces.iter().for_each(|piece| stream.write_all(piece).unwrap());
    stream.finish().unwrap();
    fs::read(path).unwrap()
}

fn read(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match compression {
        Compression::None => text.extend_from_slice(bytes),
        Compression::Gzip => {
            let _ = flate2::bufread::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        }
        Compression::Zstd => text = zstd::decode_all(bytes).unwrap(),
    }
    text
}

/// Lines that compress neither too well nor too badly.
fn lines(count: u32) -> Vec<u8> {
    (0..count).flat_map(|i| format!("{}\t{}\n", i.wrapping_mul(2_654_435_761) % 100_000, i / 7).into_bytes()).collect()
}

#[test]
fn names_say_how() {
    for (name, compression) in [
        ("x.gz", Compression::Gzip),
        ("d.zst/x.csv.gz", Compression::Gzip),
        ("x.csv.zst", Compression::Zstd),
        ("x.zst.csv", Compression::None),
        (".gz", Compression::None),
        ("gz", Compression::None),
    ] {
        assert_eq!(Compression::of(Path::new(name)), compression, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Pieces shorter and longer than blocks, and no piece.
    #[test]
    fn how_it_was_cut_does_not_matter(count in 0u32..40_000, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        let text = lines(count);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect();
        for compression in ALL {
            let whole = written(compression, &[&text]);
            prop_assert_eq!(&read(compression, &whole), &text);
            prop_assert!(written(compression, &pieces) == whole, "{:?}", compression);
        }
    }
}

/// The end of a block isn't the end of the file.
#[test]
fn of_whole_blocks_and_nothing_else() {
    let text = lines(120_000);
    for compression in ALL {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK] {
            let text = &text[..len];
            assert!(read(compression, &written(compression, &[text])) == text, "{compression:?} {len}");
        }
    }
}

/// The header has no time, name or system: magic, deflate, no flags, no time, no hint at the level, unknown system.
#[test]
fn a_gzip_file_begins_the_same_everywhere() {
    assert_eq!(written(Compression::Gzip, &[b"a"])[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn a_copied_file_is_as_a_written_one() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
    let text = lines(20_000);
    fs::write(&from, &text).unwrap();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut stream = Stream::new(File::create(&to).unwrap(), compression).unwrap();
        let mut from = File::open(&from).unwrap();
        while stream.copy(&mut from, 1 << 16).unwrap() > 0 {}
        stream.finish().unwrap();
        assert!(fs::read(&to).unwrap() == written(compression, &[&text]), "{compression:?}");
    }
}

#[test]
fn an_error_is_told_while_more_is_written_and_at_the_end() {
    for compression in ALL {
        let full = || Stream::new(File::options().write(true).open("/dev/full").unwrap(), compression).unwrap();
        let mut stream = full();
        let text = lines(1000);
        let error = (0..10_000).find_map(|_| stream.write_all(&text).err()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let mut stream = full();
        stream.write_all(b"little").unwrap();
        assert_eq!(stream.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

/// A failed job's output on a device can't be read as a complete file.
#[test]
fn unfinished_it_ends_early() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    for compression in ALL {
        let mut stream = Stream::new(File::create(&path).unwrap(), compression).unwrap();
        stream.write_all(&lines(30_000)).unwrap();
        let Stream::Compressed(Compressor { blocks, thread, .. }) = stream else { panic!("not compressed") };
        drop(blocks);
        thread.join().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.is_empty());
        let read = match compression {
            Compression::Zstd => zstd::decode_all(&bytes[..]).map(|_| ()),
            _ => flate2::bufread::GzDecoder::new(&bytes[..]).read_to_end(&mut Vec::new()).map(|_| ()),
        };
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{compression:?}");
    }
}
