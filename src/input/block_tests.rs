use super::*;
use crate::input::edges::{PieceRead, Records};
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;

const LINES: RecordEnd = RecordEnd { framing: Framing::Terminator(b'\n'), longest: 100 };
const BOUNDS: Bounds = Bounds { end_of: LINES, edges: Edges::Found, joins: true, resident: None };

fn with(text: &[u8]) -> (tempfile::NamedTempFile, Source) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let source = Source::file(file.path()).unwrap();
    (file, source)
}

fn block<'b>(source: &'b Source, piece: Piece, memory: &'b mut FileBuffer) -> Result<FileBlock<'b>> {
    FileBlock::open(std::slice::from_ref(source), &mut &[piece][..], BOUNDS, memory)
}

fn whole(source: &Source) -> Piece {
    Piece { source: 0, offset: 0, len: source.bytes() }
}

/// Each piece is a whole file here. Files that are read together give the same bytes as files that are read apart, and
/// each byte is known to be from its file.
#[test]
fn small_files_are_read_together() {
    let texts: [&[u8]; 7] = [b"a\n", b"\xef\xbb\xbfb\n", b"no end", b"c\n", b"\xef\xbb\xbf", b"d\r", b"e"];
    let (_files, sources): (Vec<_>, Vec<_>) = texts.iter().map(|text| with(text)).unzip();
    let pieces: Vec<_> = (0..texts.len()).map(|i| Piece { source: i, ..whole(&sources[i]) }).collect();
    for (joins, expected) in
        [(true, &["a\nb\nno end", "c\nd\r", "e"][..]), (false, &["a\n", "b\n", "no end", "c\n", "", "d\r", "e"])]
    {
        let (mut left, mut memory, mut blocks) = (&pieces[..], FileBuffer::default(), Vec::new());
        let mut seen = texts.map(|_| Vec::new());
        while !left.is_empty() {
            let block = FileBlock::open(&sources, &mut left, Bounds { joins, ..BOUNDS }, &mut memory).unwrap();
            let stretch = block.stretch();
            for (at, &byte) in stretch.bytes.iter().enumerate() {
                let Place { source, offset } = stretch.place(at);
                assert_eq!(texts[source][offset as usize], byte);
                seen[source].push(byte);
            }
            assert!(stretch.is_first);
            blocks.push(String::from_utf8(stretch.bytes.to_vec()).unwrap());
        }
        assert_eq!(blocks, expected);
        let without_mark = |text: &[u8]| text[mark_len(text)..].to_vec();
        assert_eq!(seen.to_vec(), texts.map(without_mark));
    }
}

#[test]
fn of_joined_files_one_that_cannot_be_read_is_met_when_it_is_first() {
    let (_files, sources): (Vec<_>, Vec<_>) = (0..3).map(|_| with(b"a\n")).unzip();
    _files[1].as_file().set_len(1).unwrap();
    let pieces: Vec<_> = (0..3).map(|i| Piece { source: i, ..whole(&sources[i]) }).collect();
    let (mut left, mut memory) = (&pieces[..], FileBuffer::default());
    let first = FileBlock::open(&sources, &mut left, BOUNDS, &mut memory).unwrap();
    assert_eq!((first.stretch().bytes, left.len()), (&b"a\n"[..], 2));
    let error = FileBlock::open(&sources, &mut left, BOUNDS, &mut memory).unwrap_err().to_string();
    assert!(error.starts_with(&*sources[1].name()), "{error}");
}

/// However a file is cut, the blocks of its pieces make up the file.
#[test]
fn every_record_once() {
    for text in ["", "a", "a\n", "\n\n\n", "one\ntwo\nthree", "a\n\nb\r\nccccccccccccc\n\n", "x\ny"] {
        let (_file, source) = with(text.as_bytes());
        let len = text.len() as u64;
        let mut memory = FileBuffer::default();
        for size in 1..=len {
            let mut joined = Vec::new();
            for offset in (0..len).step_by(size as usize) {
                let piece = Piece { source: 0, offset, len: size.min(len - offset) };
                let block = block(&source, piece, &mut memory).unwrap();
                let bytes = block.stretch().bytes;
                let end = joined.len() + bytes.len();
                assert!(bytes.is_empty() || bytes.ends_with(b"\n") || end == text.len());
                assert_eq!(block.stretch().is_first, offset == 0);
                if !bytes.is_empty() {
                    assert_eq!(block.stretch().place(0).offset, joined.len() as u64);
                }
                joined.extend_from_slice(bytes);
            }
            assert_eq!(joined, text.as_bytes(), "{text:?} by {size}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_record() {
    let (_file, source) = with(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n");
    for size in 1..=10 {
        let mut joined = Vec::new();
        for offset in (0..10).step_by(size) {
            let piece = Piece { source: 0, offset, len: (size as u64).min(10 - offset) };
            let mut memory = FileBuffer::default();
            let block = block(&source, piece, &mut memory).unwrap();
            assert!(offset > 0 || block.stretch().bytes.is_empty() || block.stretch().place(0).offset == 3, "{size}");
            joined.extend_from_slice(block.stretch().bytes);
        }
        assert_eq!(joined, b"a\n\xef\xbb\xbfb\n", "{size}");
    }
}

/// A small file is read, and a large one is mapped.
#[test]
fn a_file_that_is_not_as_planned() {
    for len in [100_000, 2 * SMALL] {
        let error = |path: &Path, change: &dyn Fn(&Path)| {
            let source = Source::file(path).unwrap();
            change(path);
            let mut memory = FileBuffer::default();
            block(&source, whole(&source), &mut memory).unwrap_err().to_string()
        };
        let (file, _) = with(&vec![b'a'; len as usize]);
        let cut = error(file.path(), &|_| file.as_file().set_len(5_000).unwrap());
        assert!(cut.ends_with("read at byte 0: the file became shorter while the job ran"), "{cut}");
        let other = error(file.path(), &|path| {
            let (other, _) = with(&vec![b'b'; 3 * len as usize]);
            other.persist(path).unwrap();
        });
        assert!(other.ends_with("read at byte 0: another file took its name while the job ran"), "{other}");
        let grown = Source::file(file.path()).unwrap();
        std::fs::OpenOptions::new().append(true).open(file.path()).unwrap().write_all(b"more\n").unwrap();
        let mut memory = FileBuffer::default();
        let block = block(&grown, whole(&grown), &mut memory).unwrap();
        assert_eq!(block.stretch().bytes.len() as u64, grown.bytes());
        block.verify().unwrap();
    }
}

#[test]
fn a_file_cut_shorter_while_it_is_read_is_an_error() {
    let len = 2 * SMALL;
    let (file, source) = with(&vec![b'a'; len as usize]);
    let mut memory = FileBuffer::default();
    let block = block(&source, whole(&source), &mut memory).unwrap();
    block.verify().unwrap();
    file.as_file().set_len(5_000).unwrap();
    assert_eq!(block.stretch().bytes.iter().filter(|&&byte| byte == b'a').count(), 5_000);
    let error = block.verify().unwrap_err();
    assert!(error.to_string().ends_with("the file became shorter while the job ran"), "{error}");
}

/// The length stays the same and the bytes change. Some bytes may have been read before the change, some after it.
#[test]
fn a_file_changed_in_place_while_it_is_read_is_an_error() {
    let (file, _) = with(&vec![b'a'; 2 * SMALL as usize]);
    file.as_file().set_modified(std::time::UNIX_EPOCH).unwrap();
    let source = Source::file(file.path()).unwrap();
    let mut memory = FileBuffer::default();
    let block = block(&source, whole(&source), &mut memory).unwrap();
    block.verify().unwrap();
    file.as_file().write_all_at(b"b", SMALL).unwrap();
    let error = block.verify().unwrap_err().to_string();
    assert_eq!(error, format!("{}: was changed while the job ran", file.path().display()));
}

#[test]
fn a_record_without_end_is_not_looked_for_to_its_end() {
    let (file, _) = with(b"");
    file.as_file().set_len(1 << 40).unwrap();
    let source = Source::file(file.path()).unwrap();
    let mut memory = FileBuffer::default();
    let piece = Piece { source: 0, offset: 0, len: 10 };
    let block = block(&source, piece, &mut memory).unwrap();
    assert_eq!(block.stretch().bytes.len() as u64, 10 + LINES.longest);
}

/// Reads the records of a file in pieces of `size` bytes, with their edges assumed. Also returns whether these edges
/// hold.
fn assumed(source: &Source, size: u64) -> (Vec<u8>, bool) {
    let csv = RecordEnd { framing: Framing::Quoted { delimiter: b',' }, longest: 1 << 20 };
    let cut = Bounds { end_of: csv, edges: Edges::Assumed, ..BOUNDS };
    let (mut read, mut seen) = (Vec::new(), Vec::new());
    for offset in (0..source.bytes()).step_by(size as usize) {
        let piece = Piece { source: 0, offset, len: size.min(source.bytes() - offset) };
        let mut memory = FileBuffer::default();
        let block = FileBlock::open(std::slice::from_ref(source), &mut &[piece][..], cut, &mut memory).unwrap();
        let (stretch, mut end) = (block.stretch(), 0);
        while end < stretch.owned {
            end += csv.framing.window(&stretch.bytes[end..], 7.min(stretch.owned - end), 1 << 20);
        }
        read.extend_from_slice(&stretch.bytes[..end]);
        let records = if stretch.owned > 0 {
            let begin = stretch.place(0).offset;
            Records::All(begin..begin + end as u64)
        } else {
            Records::None
        };
        seen.push(PieceRead { piece, records });
    }
    (read, edges::hold(&seen))
}

proptest! {
    /// If assumed edges hold, each byte was read once, in pieces that are whole records.
    #[test]
    fn assumed_edges_that_hold_are_right(
        mark in any::<bool>(),
        pieces in prop::collection::vec(prop::sample::select(vec!["\"", "\"\"", ",", "\n", "a", ",\"", "\",\"", "\"\n\"", "\n\n\"\n"]), 0..30),
    ) {
        let text = pieces.concat();
        let (_file, source) = with(&[if mark { &b"\xef\xbb\xbf"[..] } else { b"" }, text.as_bytes()].concat());
        for size in 1..=source.bytes() {
            let (read, hold) = assumed(&source, size);
            prop_assert!(!hold || read == text.as_bytes(), "{:?} by {}", text, size);
            // Only a file of several pieces can have edges that don't hold.
            prop_assert!(hold || size < source.bytes());
        }
    }

    /// In a well-formed file, assumed edges hold whatever the split size.
    #[test]
    fn edges_are_assumed_rightly(rows in prop::collection::vec(("[a-c]{1,4}", "[a-c]{1,4}([\n,][a-c]{1,4})?"), 1..30)) {
        let text: String = rows.iter().map(|(plain, quoted)| format!("{plain},\"{quoted}\"\n")).collect();
        let (_file, source) = with(text.as_bytes());
        for size in 1..=source.bytes() {
            let (read, hold) = assumed(&source, size);
            prop_assert!(hold && read == text.as_bytes(), "{:?} by {}", text, size);
        }
    }
}

/// A mapping of which little may be resident is in parts, but not in too many.
#[test]
fn mappings_are_in_parts() {
    let text = b"a line of 16 b.\n".repeat(1 << 20);
    let (file, source) = with(&text);
    let parts = |resident| {
        let bounds = Bounds { resident, ..BOUNDS };
        let mut memory = FileBuffer::default();
        let sources = std::slice::from_ref(&source);
        let block = FileBlock::open(sources, &mut &[whole(&source)][..], bounds, &mut memory).unwrap();
        assert!(block.stretch().bytes == text);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.ends_with(file.path().to_str().unwrap())).count()
    };
    assert_eq!([None, Some(4 << 20), Some(1 << 20), Some(1)].map(parts), [1, 4, 16, 128]);
}
