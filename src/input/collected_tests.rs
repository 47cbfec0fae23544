//! Tests that blocks in files hold what blocks in memory would, and are handed over when those would be.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, mknodat};
use tempfile::TempDir;

use super::*;
use crate::input::sources::{self, Stdin};
use crate::input::stream::{self, Blocks, Queue, Readers, StreamBlock};
use crate::input::written::Input;
use crate::input::{Counted, Hedging, Patience, RecordEnd, Source};
use crate::record::Framing;

const LINES: RecordEnd = RecordEnd { framing: Framing::Terminator(b'\n'), longest: 1000 };
const CSV: RecordEnd = RecordEnd { framing: Framing::Quoted { delimiter: b',' }, longest: 100_000 };

fn files(dir: &TempDir, bytes: usize) -> BlockFiles {
    BlockFiles { directory: dir.path().into(), bytes, resident: Some(1) }
}

fn blocks(bytes: usize, files: Option<BlockFiles>, end_of: RecordEnd) -> Blocks {
    Blocks { bytes, files, end_of, eager: false, counted: Counted::All, readers: 2 }
}

fn resolved(path: PathBuf, timeout: Option<&str>) -> Vec<Source> {
    let timeout = timeout.map(|text| text.parse().unwrap());
    sources::resolve(&[Input::Path { path, timeout }], Stdin::default(), &Patience::ENDLESS).unwrap()
}

fn packed(dir: &TempDir, text: &[u8]) -> Vec<Source> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(text).unwrap();
    let path = dir.path().join("packed");
    fs::write(&path, to.finish().unwrap()).unwrap();
    resolved(path, None)
}

fn begin(sources: &[Source], cut: Blocks) -> (Queue, Readers) {
    let (mut queues, readers) = stream::read(sources, cut, true, &Hedging::new(1, &[], sources)).unwrap();
    (queues.pop_front().unwrap().1, readers)
}

fn all(sources: &[Source], cut: Blocks) -> Vec<StreamBlock> {
    let (queue, _readers) = begin(sources, cut);
    queue.iter().map(Result::unwrap).collect()
}

fn joined(blocks: &[StreamBlock]) -> Vec<u8> {
    blocks.iter().flat_map(|block| block.stretch().bytes.to_vec()).collect()
}

fn is_in_file(block: &StreamBlock) -> bool {
    block.memory() == 0
}

fn fifo(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
    path
}

fn writer(fifo: PathBuf) -> fs::File {
    fs::File::options().write(true).open(fifo).unwrap()
}

proptest! {
    /// Records of any length, some longer than the fill; quoted or not; with a mark.
    #[test]
    fn the_same_records_as_in_memory(
        lengths in vec(prop_oneof![8 => 0..40_usize, 1 => 0..400_usize], 0..60),
        (is_quoted, is_marked, is_ended) in any::<(bool, bool, bool)>(),
        fill in 1..200_usize,
        times in 2..20_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let spill = tempfile::tempdir().unwrap();
        let mut text = if is_marked { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        for (i, &length) in lengths.iter().enumerate() {
            let record = vec![b'a' + (i % 26) as u8; length];
            match (is_quoted, i % 3) {
                (true, 0) => text.extend([b"\"", &record[..], b"\n\"\n"].concat()),
                _ => text.extend([&record[..], b"\n"].concat()),
            }
        }
        if !is_ended {
            text.extend(b"end");
        }
        let end_of = if is_quoted { CSV } else { LINES };
        let sources = packed(&dir, &text);
        let files = files(&spill, times * fill);
        let in_memory = all(&sources, blocks(fill, None, end_of));
        let found = all(&sources, blocks(fill, Some(files.clone()), end_of));
        let bytes = joined(&found);
        prop_assert_eq!(&bytes, &joined(&in_memory));
        let stored = |blocks: &[StreamBlock]| blocks.iter().map(|block| block.stretch().stored_len).sum::<u64>();
        // The trailer isn't read for a block if the last record was handed over before.
        prop_assert!(stored(&found).abs_diff(stored(&in_memory)) <= 8);
        let (mut at, mark) = (0, if is_marked { 3 } else { 0 });
        for (i, block) in found.iter().enumerate() {
            let stretch = block.stretch();
            prop_assert_eq!(block.place().offset, (mark + at) as u64);
            prop_assert_eq!(stretch.is_first, i == 0);
            prop_assert_eq!(stretch.lines_before, Some(memchr::memchr_iter(b'\n', &bytes[..at]).count() as u64));
            // Blocks of either kind end where a record does.
            at += stretch.bytes.len();
            let is_last = i + 1 == found.len();
            prop_assert!(is_last || end_of.framing.last_end(stretch.bytes) == Some(stretch.bytes.len()));
            prop_assert!(is_last || is_in_file(block) && stretch.bytes.len() >= files.bytes);
            block.verify().unwrap();
            let anew = block.extent().read(&sources, Some(&files)).unwrap();
            prop_assert_eq!(anew.stretch().bytes, stretch.bytes);
            prop_assert_eq!(is_in_file(&anew), is_in_file(block));
            // Bytes are there again after they were released.
            stretch.release(0..stretch.bytes.len());
            prop_assert_eq!(anew.stretch().bytes, stretch.bytes);
        }
        prop_assert_eq!(fs::read_dir(spill.path()).unwrap().count(), 0);
    }
}

/// Records that are waited for are handed over when the stream has no more yet, though they wouldn't fill a block.
#[test]
fn an_eager_job_gets_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir);
    let cut = Blocks { eager: true, ..blocks(4, Some(files(&dir, 1 << 20)), LINES) };
    let (queue, _readers) = begin(&resolved(path.clone(), None), cut);
    let mut writer = writer(path);
    for text in ["1\n2\n3\n4\n5\n6\n", "7\n", "8\n9\n0\n1\n2\n"] {
        writer.write_all(text.as_bytes()).unwrap();
        let mut seen = Vec::new();
        while seen.len() < text.len() {
            let block = queue.recv_timeout(Duration::from_secs(5)).unwrap().unwrap();
            seen.extend_from_slice(block.stretch().bytes);
        }
        assert_eq!(seen, text.as_bytes());
    }
    // What isn't a whole record waits.
    writer.write_all(b"1\n2\n3\n4\nhalf").unwrap();
    let mut seen = Vec::new();
    while seen.len() < 8 {
        seen.extend_from_slice(queue.recv_timeout(Duration::from_secs(5)).unwrap().unwrap().stretch().bytes);
    }
    assert_eq!(seen, b"1\n2\n3\n4\n");
    queue.recv_timeout(Duration::from_millis(50)).unwrap_err();
}

#[test]
fn whole_records_are_handed_over_if_the_stream_is_stopped_or_late() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir);
    for timeout in [None, Some("1s")] {
        let cut = blocks(4, Some(files(&dir, 1 << 20)), LINES);
        let (queue, readers) = begin(&resolved(path.clone(), timeout), cut);
        let mut writer = writer(path.clone());
        writer.write_all(b"1\n2\n3\n4\n5\nhalf").unwrap();
        while rustix::io::ioctl_fionread(&writer).unwrap() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        if timeout.is_none() {
            readers.stop().now();
        }
        let block = queue.recv_timeout(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(block.stretch().bytes, b"1\n2\n3\n4\n5\n");
        assert!(is_in_file(&block));
        let rest: Vec<_> = queue.iter().map(|block| block.unwrap_err()).collect();
        assert_eq!(rest.len(), usize::from(timeout.is_some()), "{rest:?}");
    }
}

/// A short stream needs no file.
#[test]
fn what_fits_the_memory_stays_there() {
    let dir = tempfile::tempdir().unwrap();
    let sources = packed(&dir, b"one\ntwo\n");
    let missing = BlockFiles { directory: Path::new("/missing").into(), bytes: 1 << 20, resident: None };
    let found = all(&sources, blocks(100, Some(missing.clone()), LINES));
    assert_eq!((found.len(), found[0].memory()), (1, 8));
    let (queue, readers) = begin(&sources, blocks(2, Some(missing), LINES));
    let error = queue.recv().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Spill { path, .. } if path == Path::new("/missing")), "{error}");
    // The disk failed, not the source.
    drop(queue);
    assert_eq!(readers.watch().covered()[0].end, Some(crate::report::event::SourceEnd::Stopped));
}

#[test]
fn bytes_that_the_disk_loses_are_missed() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(&dir, 1 << 20);
    let mut file = files.create().unwrap();
    file.append(&[b'a'; 200_000]).unwrap();
    let disk = file.file.try_clone().unwrap();
    let bytes = file.finish().unwrap();
    assert_eq!(bytes[199_999], b'a');
    bytes.verify().unwrap();
    disk.set_len(0).unwrap();
    assert_eq!(bytes[150_000], 0);
    let error = bytes.verify().unwrap_err();
    assert!(matches!(&error, Error::Spill { path, .. } if path == dir.path()), "{error}");
}
