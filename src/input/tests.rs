//! Tests that each byte of an input is read once and keeps its place. Whole inputs are read through the feed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::iter;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::thread;

use crossbeam_channel::select;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, FileType, mknodat};
use tempfile::TempDir;

use super::block::{self, FileBlock, FileBuffer};
use super::edges::Edges;
use super::feed::{Cutting, Feed, MapWork, Numbering};
use super::hedging::Retry;
use super::reading::Reading;
use super::sources::{self, Stdin};
use super::unpack::Filled;
use super::wait::Stop;
use super::written::Input;
use super::*;
use crate::error::Result;

const LINES: RecordEnd = RecordEnd { framing: Framing::Terminator(b'\n'), longest: 1 << 20 };
const CSV: RecordEnd = RecordEnd { framing: Framing::Quoted { delimiter: b',' }, longest: 1 << 20 };

const CUTTING: Cutting<'_> = Cutting {
    numbering: Numbering::Input,
    end_of: LINES,
    edges: Edges::Found,
    ahead: false,
    split: 1 << 20,
    block: 1 << 20,
    block_files: None,
    threads: 2,
    counted: Counted::ReadOnce,
};

/// What a map task would have read.
#[derive(Debug, PartialEq)]
struct Seen {
    place: Place,
    bytes: Vec<u8>,
    is_first: bool,
    lines_before: Option<u64>,
    stored_len: u64,
}

impl Seen {
    fn of(stretch: Stretch<'_>) -> Option<Self> {
        let Stretch { bytes, is_first, lines_before, stored_len, .. } = stretch;
        let place = (!bytes.is_empty()).then(|| stretch.place(0))?;
        Some(Seen { place, bytes: bytes.to_vec(), is_first, lines_before, stored_len })
    }
}

/// Waits for the next work.
fn next(feed: &mut Feed) -> Result<Option<MapWork>> {
    loop {
        match feed.poll() {
            Poll::Ready(work) => return work.transpose(),
            Poll::Pending => select! {
                recv(feed.blocks()) -> block => feed.arrived(block)?,
                recv(feed.ready()) -> _ => {}
            },
        }
    }
}

/// Everything that a job would read, in the order in which it is given out.
fn all(sources: &[Source], cut: Cutting<'_>) -> Result<Vec<Seen>> {
    let mut feed = Feed::new(sources, cut, &Hedging::new(1, &[], sources), &|| Ok(()))?;
    let seed = feed.seed();
    let (mut seen, mut memory) = (Vec::new(), FileBuffer::default());
    for work in seed.into_iter().map(Ok).chain(iter::from_fn(|| next(&mut feed).transpose())) {
        match work? {
            MapWork::Split(split) => {
                let mut pieces = &split.pieces[..];
                while !pieces.is_empty() {
                    let cut = block::Bounds { end_of: cut.end_of, edges: cut.edges, joins: false, resident: Some(1) };
                    let block = FileBlock::open(sources, &mut pieces, cut, &mut memory)?;
                    seen.extend(Seen::of(block.stretch()));
                }
            }
            MapWork::Block(block, _permit) => seen.extend(Seen::of(block.stretch())),
        }
    }
    Ok(seen)
}

/// What is read of files if all edges are found first. Checks that the same is read if they are found on the way.
fn all_ways(sources: &[Source], cut: Cutting<'_>) -> Vec<Seen> {
    let seen = all(sources, cut).unwrap();
    for numbering in [Numbering::Input, Numbering::FilesFirst] {
        assert_eq!(all(sources, Cutting { ahead: true, numbering, ..cut }).unwrap(), seen);
    }
    seen
}

fn joined(seen: &[Seen]) -> Vec<u8> {
    seen.iter().flat_map(|seen| &seen.bytes).copied().collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::default());
    to.write_all(text).unwrap();
    to.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut to = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
    to.include_checksum(true).unwrap();
    to.write_all(text).unwrap();
    to.finish().unwrap()
}

struct Dir(TempDir);

impl Dir {
    fn new() -> Self {
        Dir(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    fn source(&self, name: &str, contents: impl AsRef<[u8]>) -> Source {
        resolved(&[self.file(name, contents)]).remove(0)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
        path
    }
}

fn resolved(paths: &[PathBuf]) -> Vec<Source> {
    let inputs: Vec<Input> = paths.iter().cloned().map(Input::Name).collect();
    sources::resolve(&inputs, Stdin::default(), &Patience::ENDLESS).unwrap()
}

fn head(source: &Source, end_of: RecordEnd) -> Vec<u8> {
    source.head(end_of, Retry::never(), &Stop::new().unwrap()).unwrap().unwrap()
}

/// Writes on a thread of its own, because opening a FIFO waits for its reader.
fn write(fifo: &Path, contents: Vec<u8>) -> thread::JoinHandle<()> {
    let fifo = fifo.to_owned();
    thread::spawn(move || OpenOptions::new().write(true).open(fifo).unwrap().write_all(&contents).unwrap())
}

/// Lines of several lengths, all of them different.
fn text(lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|i| format!("{i} {}\n", "x".repeat(i * i % 97)).into_bytes()).collect()
}

#[test]
fn members_and_frames_one_after_the_other() {
    let dir = Dir::new();
    let text = text(3000);
    // The first part ends inside a record.
    let (a, b) = text.split_at(50_001);
    let skippable = b"\x53\x2a\x4d\x18\x03\0\0\0abc";
    for (name, packed) in [
        ("gzip", [gzip(a), gzip(b""), gzip(b)].concat()),
        ("padded", [gzip(a), gzip(b), vec![0; 100_000]].concat()),
        ("zstd", [zstd(a), zstd(b""), zstd(b)].concat()),
        ("skipped", [&skippable[..], &zstd(a), skippable, &zstd(b)].concat()),
    ] {
        let sources = [dir.source(name, &packed)];
        for block in [1, 100, 5000, 1 << 20] {
            let seen = all(&sources, Cutting { block, ..CUTTING }).unwrap();
            assert!(joined(&seen) == text, "{name} {block}");
            assert!(seen.iter().all(|seen| seen.bytes.ends_with(b"\n")));
            let stored_len: u64 = seen.iter().map(|seen| seen.stored_len).sum();
            assert!(stored_len <= packed.len() as u64 && (block < 5000 || stored_len == packed.len() as u64));
        }
    }
}

/// A header has every field that it may have, and a checksum.
#[test]
fn a_gzip_header_with_all_there_is() {
    let dir = Dir::new();
    let plain = gzip(b"a\nb\n");
    let mut header = b"\x1f\x8b\x08\x1f\0\0\0\0\0\xff\x03\0abcname\0comment\0".to_vec();
    header.extend((crc32fast::hash(&header) as u16).to_le_bytes());
    let packed = [&header[..], &plain[10..]].concat();
    assert_eq!(joined(&all(&[dir.source("f", &packed)], CUTTING).unwrap()), b"a\nb\n");
    for at in 10..header.len() {
        let mut packed = packed.clone();
        packed[at] ^= 1;
        all(&[dir.source("f", &packed)], CUTTING).unwrap_err();
    }
}

#[test]
fn packed_data_that_ends_early() {
    let dir = Dir::new();
    let text = text(50);
    for (packed, message) in [
        ([gzip(&text), gzip(b"more\n")].concat(), "the gzip data ends early"),
        ([zstd(&text), zstd(b"more\n")].concat(), "the zstd data ends early"),
    ] {
        for len in 4..packed.len() {
            match all(&[dir.source("f", &packed[..len])], CUTTING) {
                Err(error) => assert!(error.to_string().ends_with(message), "{error}"),
                // It was cut between the two.
                Ok(seen) => assert!(joined(&seen) == text),
            }
        }
    }
}

#[test]
fn packed_data_with_a_wrong_bit() {
    let dir = Dir::new();
    let text = text(50);
    for (name, packed) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
        let mut refused = 0;
        for at in 4..packed.len() {
            let mut packed = packed.clone();
            packed[at] ^= 0x10;
            match all(&[dir.source("f", &packed)], CUTTING) {
                Err(error) => {
                    let error = error.to_string();
                    assert!(
                        error.contains(&format!("the {name} data ")) && error.contains("f: cannot read at byte"),
                        "{error}"
                    );
                    refused += 1;
                }
                // The bit was part of a time or the like.
                Ok(seen) => assert!(joined(&seen) == text, "{name} {at}"),
            }
        }
        assert!(refused > packed.len() - 20, "{name}: {refused}");
    }
}

#[test]
fn packed_data_with_something_behind_it() {
    let dir = Dir::new();
    let error = |packed: Vec<u8>| all(&[dir.source("f", packed)], CUTTING).unwrap_err().to_string();
    for garbage in [&b"garbage"[..], b"\0\0garbage"] {
        let error = error([&gzip(b"a\n")[..], garbage].concat());
        let at = gzip(b"a\n").len();
        assert!(
            error.ends_with(&format!("f: cannot read at byte {at}: the gzip data is followed by other data")),
            "{error}"
        );
    }
    let zstd = error([&zstd(b"a\n")[..], b"garbage"].concat());
    assert!(zstd.ends_with("the zstd data is corrupt: unknown frame descriptor"), "{zstd}");
}

/// A record doesn't span sources, and a byte order mark isn't part of a record. The order is that of the input, however
/// fast each source is read.
#[test]
fn sources_of_every_kind_in_order() {
    let dir = Dir::new();
    let fifo = dir.fifo("fifo");
    let paths = [
        dir.file("1", "1\nplain"),
        dir.file("2.gz", gzip(b"\xef\xbb\xbf2\nhalf")),
        fifo.clone(),
        dir.file("4.zst", zstd(&text(500))),
        dir.file("5", "\u{feff}5\n"),
        dir.file("6.zst", zstd(b"")),
        dir.file("7.gz", gzip(b"7")),
    ];
    let sources = resolved(&paths);
    for (block, end_of, ahead) in [(3, LINES, false), (1000, CSV, false), (1000, CSV, true), (1 << 20, LINES, true)] {
        for split in [1, 1 << 20] {
            let cut = Cutting { block, split, end_of, ahead, ..CUTTING };
            let writer = write(&fifo, gzip(b"3\nfifo"));
            let seen = all(&sources, cut).unwrap();
            writer.join().unwrap();
            let expected = [&b"1\nplain2\nhalf3\nfifo"[..], &text(500), b"5\n7"].concat();
            assert!(joined(&seen) == expected, "{block} {split}");
            assert!(seen.windows(2).all(|two| two[0].place.source <= two[1].place.source));
            let firsts: Vec<_> = seen.iter().filter(|seen| seen.is_first).map(|seen| seen.place).collect();
            let place = |source, offset| Place { source, offset };
            assert_eq!(firsts, [place(0, 0), place(1, 3), place(2, 0), place(3, 0), place(4, 3), place(6, 0)]);
            // Without an order, the same bytes come.
            let writer = write(&fifo, b"3\nfifo".to_vec());
            let mut seen = all(&sources, Cutting { numbering: Numbering::FilesFirst, ..cut }).unwrap();
            writer.join().unwrap();
            seen.sort_by_key(|seen| (seen.place.source, seen.place.offset));
            assert!(joined(&seen) == expected, "{block} {split}");
        }
    }
}

#[test]
fn more_packed_files_than_readers() {
    let dir = Dir::new();
    let paths: Vec<_> = (0..200).map(|i| dir.file(&format!("{i:03}"), gzip(format!("{i}\n").as_bytes()))).collect();
    let expected: String = (0..200).map(|i| format!("{i}\n")).collect();
    let seen = all(&resolved(&paths), Cutting { block: 10, ..CUTTING }).unwrap();
    assert_eq!(String::from_utf8(joined(&seen)).unwrap(), expected);
}

#[test]
fn of_several_packed_files_that_are_corrupt_the_first_is_named() {
    let dir = Dir::new();
    let mut good = gzip(&text(3000));
    let cut = good.split_off(good.len() - 1);
    let paths = [
        dir.file("good", [&good[..], &cut].concat()),
        dir.file("long", &good),
        dir.file("short", b"\x1f\x8b\x08"),
        dir.file("shorter", b"\x1f\x8b\x08"),
    ];
    let sources = resolved(&paths);
    for numbering in [Numbering::Input, Numbering::FilesFirst] {
        let error = all(&sources, Cutting { numbering, block: 1000, ..CUTTING }).unwrap_err().to_string();
        assert!(error.contains("long: "), "{error}");
    }
}

/// The first FIFO has no writer until the second FIFO was read.
#[test]
fn no_stream_waits_for_another() {
    let dir = Dir::new();
    let fifos = [dir.fifo("a"), dir.fifo("b")];
    let sources = resolved(&fifos);
    let mut feed = Feed::new(
        &sources,
        Cutting { numbering: Numbering::FilesFirst, ..CUTTING },
        &Hedging::new(1, &[], &sources),
        &|| Ok(()),
    )
    .unwrap();
    let mut next = || match next(&mut feed).unwrap() {
        Some(MapWork::Block(block, _)) => Seen::of(block.stretch()).unwrap(),
        other => panic!("{other:?}"),
    };
    write(&fifos[1], b"second\n".to_vec()).join().unwrap();
    assert_eq!(next().bytes, b"second\n");
    write(&fifos[0], b"first\n".to_vec()).join().unwrap();
    assert_eq!(next().place, Place { source: 0, offset: 0 });
}

#[test]
fn the_head_of_a_source_is_its_first_record_and_is_not_lost() {
    let dir = Dir::new();
    let long = [b"\"a\nb\",".to_vec(), vec![b'x'; 100_000], b"\nsecond\n".to_vec()].concat();
    for text in [&b"\xef\xbb\xbfone\ntwo\n"[..], b"only", b"\xef\xbb\xbf", b"", b"\n\n", &long] {
        let plain = &text[mark_len(text)..];
        for end_of in [LINES, CSV] {
            let first = &plain[..end_of.framing.first_end(plain).unwrap_or(plain.len())];
            for packed in [text.to_vec(), gzip(text), zstd(text)] {
                let file = dir.source("file", &packed);
                assert!(head(&file, end_of) == first);
                let fifo = dir.fifo("fifo");
                let source = resolved(std::slice::from_ref(&fifo)).remove(0);
                let writer = write(&fifo, packed);
                for _ in 0..2 {
                    assert!(head(&source, end_of) == first);
                }
                let seen = all(&[file, source], Cutting { end_of, ..CUTTING }).unwrap();
                writer.join().unwrap();
                assert!(joined(&seen) == [plain, plain].concat());
                fs::remove_file(fifo).unwrap();
            }
        }
    }
}

#[test]
fn a_head_is_no_longer_than_a_record_may_be() {
    let dir = Dir::new();
    let source = dir.source("f", vec![b'x'; 100_000]);
    let head = head(&source, RecordEnd { longest: 10, ..LINES });
    assert!((10..=4096).contains(&head.len()));
}

/// Quoted newlines, doubled and stray quotes, empty lines, and texts without a last newline.
const QUOTED: [&str; 7] = [
    "a,\"b\nc\",d\ne,\"f\n\"\"\ng\"\n\nh,i\"j\nk\n\"l\"",
    "\"\n\n\n\n\n\n\n\n\",x\ny\n",
    "\u{feff}\"a\n\",b\nc\n",
    "\u{feff}\n\"\n\"\n",
    "a\n\"never closed\n\n\nb,c\n",
    "\"a\"b\n\"c\"\"\"\n,\n\",\n\",\"\n\"\n",
    "x",
];

/// Where the records of a text begin, counting its byte order mark.
fn starts(text: &[u8], framing: Framing) -> Vec<u64> {
    let mut at = mark_len(text);
    let mut starts = vec![at as u64];
    while let Some(end) = framing.first_end(&text[at..]) {
        at += end;
        starts.push(at as u64);
    }
    starts
}

#[test]
fn quoted_files_are_cut_at_records_whatever_the_size() {
    let dir = Dir::new();
    for text in QUOTED.map(str::as_bytes) {
        let starts = starts(text, CSV.framing);
        let sources = [dir.source("a", "x\n"), dir.source("b", text), dir.source("c", text)];
        for split in 1..=text.len() as u64 + 3 {
            let seen = all_ways(&sources, Cutting { split, end_of: CSV, ..CUTTING });
            let plain = &text[mark_len(text)..];
            assert_eq!(String::from_utf8(joined(&seen)), String::from_utf8([b"x\n", plain, plain].concat()));
            for Seen { place, is_first, .. } in seen {
                let is_start = place.source == 0 || starts.contains(&place.offset);
                assert!(
                    is_start && is_first == (place.offset == mark_len(text) as u64 || place.source == 0),
                    "{place:?}"
                );
            }
        }
    }
}

/// A file of many chunks, so that it is mapped and not read.
#[test]
fn a_large_quoted_file() {
    let dir = Dir::new();
    let record = |i: usize| format!("{i},\"{}\n,\"\"{}\",x\n", "\n".repeat(i % 50), "y".repeat(i % 70_001));
    let text: String = (0..4000).step_by(7).map(record).collect::<String>() + &record(700_000);
    let starts = starts(text.as_bytes(), CSV.framing);
    let sources = [dir.source("f", &text)];
    for split in [90_000, 1 << 20, 3_000_000] {
        let seen = all_ways(&sources, Cutting { split, end_of: CSV, ..CUTTING });
        assert!(joined(&seen) == text.as_bytes());
        assert!(seen.len() as u64 > text.len() as u64 / split / 2);
        assert!(seen.iter().all(|seen| starts.binary_search(&seen.place.offset).is_ok()));
    }
}

#[test]
fn quoted_streams_are_cut_at_records() {
    let dir = Dir::new();
    for text in QUOTED.map(str::as_bytes) {
        let starts = starts(text, CSV.framing);
        let sources = [dir.source("f", gzip(text))];
        for block in 1..=text.len() + 1 {
            let seen = all(&sources, Cutting { block, end_of: CSV, ..CUTTING }).unwrap();
            assert_eq!(joined(&seen), &text[mark_len(text)..]);
            assert!(seen.iter().all(|seen| starts.contains(&seen.place.offset)));
        }
    }
}

#[test]
fn lines_before_a_place() {
    let dir = Dir::new();
    let text = text(2000);
    let fifo = dir.fifo("fifo");
    let expected = |place: Place| memchr::memchr_iter(b'\n', &text[..place.offset as usize]).count() as u64;
    let paths = [dir.file("a", &text), dir.file("b", gzip(&text)), fifo.clone()];
    let sources = resolved(&paths);
    let writer = write(&fifo, zstd(&text));
    let seen = all(&sources, Cutting { split: 10_000, block: 10_000, ..CUTTING }).unwrap();
    writer.join().unwrap();
    assert!(seen.len() > 10);
    for Seen { place, lines_before, .. } in seen {
        let found = sources[place.source].lines_before(place.offset).unwrap();
        assert_eq!(found.or(lines_before), Some(expected(place)));
        assert_eq!((found.is_none(), lines_before.is_some()), (place.source == 2, place.source == 2));
    }
    let packed = [sources[1].clone()];
    let cutting = Cutting { split: 10_000, block: 10_000, counted: Counted::All, ..CUTTING };
    for Seen { place, lines_before, .. } in all(&packed, cutting).unwrap() {
        assert_eq!(lines_before, Some(expected(place)));
    }
}

/// If a record has no end, about as much of it is read as a record may have.
#[test]
fn a_record_that_is_too_long_is_cut() {
    let dir = Dir::new();
    for end_of in [LINES, CSV].map(|end_of| RecordEnd { longest: 5000, ..end_of }) {
        let text = [b"a\n".to_vec(), vec![b'x'; 1 << 20], b"\nb\n".to_vec()].concat();
        let seen = all(&[dir.source("f", zstd(&text))], Cutting { end_of, block: 100, ..CUTTING }).unwrap();
        let last = seen.last().unwrap();
        assert!(last.place.offset == 2 && (5000..20_000).contains(&last.bytes.len()), "{}", last.bytes.len());
    }
}

#[test]
fn a_packed_file_that_is_cut_shorter_while_it_is_read() {
    let dir = Dir::new();
    let packed = gzip(&text(10_000));
    let source = dir.source("f", &packed);
    fs::write(source.path(), &packed[..1000]).unwrap();
    let error = all(std::slice::from_ref(&source), CUTTING).unwrap_err().to_string();
    assert!(error.ends_with("the file became shorter while the job ran"), "{error}");
    // Appended bytes aren't the job's.
    fs::write(source.path(), [&packed[..], b"garbage"].concat()).unwrap();
    assert!(joined(&all(&[source], CUTTING).unwrap()) == text(10_000));
}

/// The change is found whether or not the new contents can be decompressed.
#[test]
fn a_packed_file_that_is_changed_in_place_while_it_is_read() {
    let dir = Dir::new();
    let [old, new] = ["a\n", "b\n"].map(|text| gzip(text.repeat(1000).as_bytes()));
    let spoilt = [&old[..12], b"spoilt", &old[18..]].concat();
    assert_eq!(old.len(), new.len());
    for changed in [new, spoilt] {
        let source = dir.source("f", &old);
        fs::File::options().write(true).open(source.path()).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let source = resolved(&[source.path().to_owned()]).remove(0);
        let mut reading = Reading::go_on(&source, Retry::never(), |_| {}).unwrap();
        fs::write(source.path(), &changed).unwrap();
        let error = loop {
            match reading.fill(&source, 1, |_| false, &Stop::new().unwrap()) {
                Ok(Filled::End) => panic!("read to its end"),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.ends_with("/f: was changed while the job ran"), "{error}");
    }
}
