//! Tests that no stream waits for another, that each ends, and that what was read of each is known. The streams keep
//! their readers waiting.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use rustix::fs::{CWD, FileType, mknodat};
use tempfile::TempDir;

use super::*;
use crate::input::Covered;
use crate::input::sources::{self, Stdin};
use crate::input::written::Input;
use crate::input::{Latency, Patience};

const LINES: Blocks = Blocks {
    bytes: 64 << 10,
    files: None,
    end_of: RecordEnd { framing: Framing::Terminator(b'\n'), longest: 1 << 20 },
    eager: false,
    counted: Counted::ReadOnce,
    readers: 2,
};

/// Reads each source once, without second attempts.
fn read_once(sources: &[Source], cut: Blocks, in_order: bool) -> Result<(VecDeque<(usize, Queue)>, Readers)> {
    read(sources, cut, in_order, &Hedging::new(1, &[], sources))
}

fn fifo(dir: &TempDir, name: &str) -> PathBuf {
    let path = dir.path().join(name);
    mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
    path
}

fn resolved(path: PathBuf, timeout: Option<&str>) -> Vec<Source> {
    let timeout = timeout.map(|text| text.parse().unwrap());
    sources::resolve(&[Input::Path { path, timeout }], Stdin::default(), &Patience::ENDLESS).unwrap()
}

fn writer(fifo: PathBuf) -> fs::File {
    fs::File::options().write(true).open(fifo).unwrap()
}

/// A number below `most` that looks random.
fn shuffled(seed: u64, most: u64) -> u64 {
    (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) % most
}

/// Each writer writes a byte or a few at a time, and the writers take turns in no order.
#[test]
fn three_hundred_fifos_at_once() {
    const FIFOS: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..FIFOS).map(|i| fifo(&dir, &format!("{i:03}"))).collect();
    let sources: Vec<_> = paths.iter().flat_map(|path| resolved(path.clone(), None)).collect();
    let (mut queues, readers) = read_once(&sources, LINES, false).unwrap();
    let text = |i: usize| format!("first of {i}\nsecond of {i}\nlast of {i}");
    let dribble = move || {
        // All FIFOs are opened to be read before any has a writer.
        let mut writers: Vec<_> =
            paths.into_iter().enumerate().map(|(i, path)| (text(i), Some(writer(path)))).collect();
        let (mut seed, mut open) = (1, FIFOS);
        while open > 0 {
            seed = shuffled(seed, u64::MAX) + 1;
            let (text, file) = &mut writers[seed as usize % FIFOS];
            let Some(to) = file else { continue };
            let some = text.len().min(1 + shuffled(seed, 20) as usize);
            to.write_all(text.drain(..some).as_str().as_bytes()).unwrap();
            if text.is_empty() {
                *file = None;
                open -= 1;
            }
        }
    };
    let dribbling = thread::spawn(dribble);
    let mut seen: Vec<String> = vec![String::new(); FIFOS];
    for block in queues.pop_front().unwrap().1 {
        let block = block.unwrap();
        seen[block.place().source].push_str(std::str::from_utf8(block.stretch().bytes).unwrap());
    }
    dribbling.join().unwrap();
    assert!(seen.iter().enumerate().all(|(i, seen)| *seen == text(i)));
    let whole = |(i, covered): (usize, &Covered)| {
        *covered == Covered { source: i, bytes: text(i).len() as u64, end: Some(SourceEnd::Whole) }
    };
    assert!(readers.watch().covered().iter().enumerate().all(whole));
}

/// A writer that opens a FIFO and closes it has written all that there is. A writer that hasn't opened it yet has not.
#[test]
fn a_fifo_has_ended_once_its_writer_came_and_went() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir, "fifo");
    let (queues, readers) = read_once(&resolved(path.clone(), None), LINES, true).unwrap();
    let (_, queue) = &queues[0];
    queue.recv_timeout(Duration::from_millis(100)).unwrap_err();
    assert_eq!(readers.watch().covered()[0].end, None);
    drop(writer(path));
    assert!(queue.recv_timeout(Duration::from_secs(5)).unwrap_err().is_disconnected());
    assert_eq!(readers.watch().covered()[0].end, Some(SourceEnd::Whole));
}

#[test]
fn a_fifo_that_takes_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let late = |queues: &VecDeque<(usize, Queue)>| loop {
        if let Err(error) = queues[0].1.recv_timeout(Duration::from_secs(5)).unwrap() {
            return error.to_string();
        }
    };
    // Nobody opens the FIFO.
    let path = fifo(&dir, "fifo");
    let (queues, _readers) = read_once(&resolved(path.clone(), Some("50ms")), LINES, true).unwrap();
    assert_eq!(late(&queues), format!("{}: timed out after 50ms, 0 B read", path.display()));
    // A writer opens it, and stops writing.
    let (queues, readers) = read_once(&resolved(path.clone(), Some("1s")), LINES, true).unwrap();
    let mut writer = writer(path.clone());
    writer.write_all(b"a\nha").unwrap();
    assert_eq!(late(&queues), format!("{}: timed out after 1s, 4 B read", path.display()));
    // The record that was whole by then was handed over first.
    assert_eq!(readers.watch().covered(), [Covered { source: 0, bytes: 2, end: Some(SourceEnd::TimedOut) }]);
}

/// While nobody takes the blocks, their source's clock stands still.
#[test]
fn a_source_is_not_late_because_the_job_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir, "fifo");
    let (queues, _readers) =
        read_once(&resolved(path.clone(), Some("1s")), Blocks { bytes: 10, ..LINES }, true).unwrap();
    let mut writer = writer(path);
    writer.write_all(&b"0123456\n".repeat(10)).unwrap();
    drop(writer);
    thread::sleep(Duration::from_millis(1500));
    let bytes: Vec<u8> = queues[0].1.iter().flat_map(|block| block.unwrap().stretch().bytes.to_vec()).collect();
    assert_eq!(bytes, b"0123456\n".repeat(10));
}

#[test]
fn a_stop_takes_the_whole_records_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| fifo(&dir, name));
    let mut sources: Vec<_> = paths.iter().flat_map(|path| resolved(path.clone(), None)).collect();
    fs::write(dir.path().join("d"), "whole").unwrap();
    sources.extend(resolved(dir.path().join("d"), Some("1h")));
    let (queues, readers) = read_once(&sources, LINES, true).unwrap();
    let mut writers: Vec<_> = paths[..2].iter().cloned().map(writer).collect();
    writers[0].write_all(b"one\ntwo\nthr").unwrap();
    writers[1].write_all(b"not a record").unwrap();
    // When the pipes are empty, all of it was read.
    let empty = |file: &fs::File| rustix::io::ioctl_fionread(file).unwrap() == 0;
    while !writers.iter().all(empty) || readers.watch().covered()[3].end.is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    let begun = Instant::now();
    readers.stop().now();
    let blocks: Vec<_> = queues
        .iter()
        .map(|(_, queue)| {
            queue.iter().map(|block| block.unwrap().stretch().bytes.to_vec()).collect::<Vec<_>>().concat()
        })
        .collect();
    assert_eq!(blocks, [&b"one\ntwo\n"[..], b"", b"", b"whole"]);
    assert!(begun.elapsed() < Duration::from_secs(1));
    let covered = |source, bytes, end| Covered { source, bytes, end };
    let expected = [
        covered(0, 8, Some(SourceEnd::Stopped)),
        covered(1, 0, Some(SourceEnd::Stopped)),
        covered(2, 0, Some(SourceEnd::Stopped)),
        covered(3, 5, Some(SourceEnd::Whole)),
    ];
    assert_eq!(readers.watch().covered(), expected);
}

/// Quoted records are cut correctly, too: a newline in quotes ends no record. So is compressed data.
#[test]
fn a_stop_among_quotes_and_in_packed_data() {
    let dir = tempfile::tempdir().unwrap();
    let end_of = RecordEnd { framing: Framing::Quoted { delimiter: b',' }, longest: 1 << 20 };
    let path = fifo(&dir, "fifo");
    let (queues, readers) = read_once(&resolved(path.clone(), None), Blocks { end_of, ..LINES }, true).unwrap();
    let mut packed = flate2::write::GzEncoder::new(writer(path), flate2::Compression::fast());
    packed.write_all(b"a,\"b\nc\"\nd,\"e\nf").unwrap();
    packed.flush().unwrap();
    while rustix::io::ioctl_fionread(packed.get_ref()).unwrap() > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    readers.stop().now();
    let blocks: Vec<_> = queues[0].1.iter().map(|block| block.unwrap().stretch().bytes.to_vec()).collect();
    assert_eq!(blocks, [b"a,\"b\nc\"\n"]);
    assert_eq!(readers.watch().covered(), [Covered { source: 0, bytes: 8, end: Some(SourceEnd::Stopped) }]);
}

/// A file that is carried is read as it was planned, byte for byte. A compressed file is decompressed as well.
#[test]
fn a_file_with_a_timeout_is_read_as_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..100_000).map(|i| format!("line {i}\n")).collect();
    let packed = {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(text.as_bytes()).unwrap();
        to.finish().unwrap()
    };
    for (name, contents) in [("plain", text.as_bytes()), ("packed", &packed)] {
        let path = dir.path().join(name);
        fs::write(&path, contents).unwrap();
        let sources = resolved(path.clone(), Some("1h"));
        assert!(sources[0].is_stream() && sources[0].is_file() && sources[0].may_wait());
        let all = || {
            let (queues, _readers) = read_once(&sources, LINES, true).unwrap();
            let (mut bytes, mut stored_len) = (Vec::new(), 0);
            for block in &queues[0].1 {
                let block = block?;
                let before = memchr::memchr_iter(b'\n', &bytes).count() as u64;
                assert_eq!(block.stretch().lines_before, Some(before));
                stored_len += block.stretch().stored_len;
                bytes.extend_from_slice(block.stretch().bytes);
            }
            assert_eq!(stored_len, contents.len() as u64);
            Ok::<_, Error>(bytes)
        };
        assert!(all().unwrap() == text.as_bytes());
        // Appended bytes aren't the job's. Bytes that were cut off are missing.
        fs::File::options().append(true).open(&path).unwrap().write_all(b"more\n").unwrap();
        assert!(all().unwrap() == text.as_bytes());
        fs::File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        let error = all().unwrap_err().to_string();
        assert!(error.ends_with(": the file became shorter while the job ran"), "{error}");
    }
}

fn packed(dir: &TempDir, name: &str, text: &str) -> Source {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(text.as_bytes()).unwrap();
    let path = dir.path().join(name);
    fs::write(&path, to.finish().unwrap()).unwrap();
    let found = sources::resolve(&[Input::Name(path)], Stdin::default(), &Patience::ENDLESS);
    found.unwrap().pop().unwrap()
}

/// Slow files are begun first if the order doesn't matter. If it does, nothing waits for ever.
#[test]
fn slow_files_are_begun_first() {
    let dir = tempfile::tempdir().unwrap();
    let sources: Vec<_> = (0..6).map(|i| packed(&dir, &i.to_string(), &format!("{i}\n"))).collect();
    let slow = Latency { is_consistently_slow: true, ..Latency::default() };
    let mut latencies = [Latency::default(); 6];
    (latencies[3], latencies[5]) = (slow, slow);
    let order = |in_order: bool| {
        let hedging = Hedging::new(4, &latencies, &sources);
        let (queues, _readers) = read(&sources, Blocks { readers: 1, ..LINES }, in_order, &hedging).unwrap();
        let blocks = queues.iter().flat_map(|(_, queue)| queue.iter());
        blocks.map(|block| block.unwrap().place().source).collect::<Vec<_>>()
    };
    assert_eq!((order(false), order(true)), (vec![3, 5, 0, 1, 2, 4], vec![0, 1, 2, 3, 4, 5]));
    // Of several files that fail, the first in the input is named, whichever is begun first.
    for source in [&sources[2], &sources[4], &sources[5]] {
        fs::File::options().write(true).open(source.path()).unwrap().set_len(12).unwrap();
    }
    for readers in [1, 2, 5] {
        let hedging = Hedging::new(1, &latencies, &sources);
        let (queues, _readers) = read(&sources, Blocks { readers, ..LINES }, false, &hedging).unwrap();
        let error = queues[0].1.iter().find_map(Result::err).unwrap().to_string();
        assert!(error.starts_with(&format!("{}: ", sources[2].path().display())), "{readers}: {error}");
    }
}
