//! Tests rows and runs: they are read as they were written, and damaged ones are refused.

use std::path::Path;

use proptest::prelude::*;

use super::codec::Codec;
use super::ranges::by_hash;
use super::row::{Values, get_row, get_varint, put_varint, value_row_len, varint_len};
use super::*;
use crate::aggregate::{Aggregate, Count, laws::Longest};
use crate::data::buffer::Buffer;
use crate::data::{Bytes, Column, Kind, Span, Value};
use crate::error::{Error, Result};
use crate::table::{HomeBits, KeyBatch, Table, hash};

const COUNT: Count = Count { column: None };

proptest! {
    #[test]
    fn varints(value in prop_oneof![0usize..300, 0usize..1 << 32]) {
        let mut out = Buffer::default();
        put_varint(&mut out, value);
        prop_assert_eq!(out.len(), varint_len(value));
        let mut at = 0;
        prop_assert_eq!(get_varint(out.as_slice(), &mut at), Some(value));
        prop_assert_eq!(at, out.len());
        prop_assert_eq!(get_varint(&out.as_slice()[..out.len() - 1], &mut 0), None);
    }

    #[test]
    fn value_rows(keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let shape = RowShape::new([&Longest { column: 0 } as &dyn Aggregate].into_iter(), &[Kind::Bytes]);
        let mut out = Buffer::default();
        for key in &keys {
            let span = [Span { start: 0, end: key.len() as u32 }];
            // The key is its own value.
            let keys = Bytes { data: key, spans: &span };
            let values = [Column::Bytes(keys)];
            let before = out.len();
            shape.put_value(&mut out, key, &values, 0);
            prop_assert_eq!(shape.value_rows_len(keys, &values), (out.len() - before) as u64);
        }
        let (data, mut at) = (out.as_slice(), 0);
        for key in &keys {
            let row = get_row(data, &mut at).unwrap();
            prop_assert!(!row.is_state);
            prop_assert_eq!(&data[row.key.start as usize..row.key.end as usize], &key[..]);
            let mut values = Values::new(&shape.observed);
            values.push(data, &row).unwrap();
            prop_assert_eq!(values.columns(data)[0].value(0), Value::Bytes(key));
        }
        prop_assert_eq!(at, data.len());
    }

    /// Writes groups of every key length, with fixed and variable states, to rows and reads them back.
    #[test]
    fn state_rows(keys in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..40), (0u64..3, "[ab]{0,150}"), 1..20)) {
        let shape = RowShape::new([&COUNT as &dyn Aggregate, &Longest { column: 0 }].into_iter(), &[Kind::Bytes]);
        let mut table = Table::new(64, HomeBits::Top, &shape.identity);
        for (key, (count, tail)) in &keys {
            let slot = find(&mut table, key);
            *table.states(0, 1).word(slot) = *count;
            table.states(1, 1).set_tail(slot, 0, tail.as_bytes());
        }
        let mut out = Buffer::default();
        for group in table.groups() {
            let before = out.len();
            let len = shape.put_group(&mut out, &group, table.arena());
            prop_assert_eq!(len, out.len() - before);
        }
        let (data, mut at, mut seen) = (out.as_slice(), 0, 0);
        while at < data.len() {
            let row = get_row(data, &mut at).unwrap();
            let key = &data[row.key.start as usize..row.key.end as usize];
            let (count, tail) = &keys[key];
            prop_assert!(row.is_state);
            let words = shape.aggregates[0].words_at(row.payload) as usize;
            prop_assert_eq!(&data[words..words + 8], &count.to_le_bytes());
            let mut tails = vec![];
            shape.tails(data, &row, |tail| tails.push(tail)).unwrap();
            prop_assert_eq!(&data[tails[0].start as usize..tails[0].end as usize], tail.as_bytes());
            seen += 1;
        }
        prop_assert_eq!(seen, keys.len());
    }
}

fn find(table: &mut Table, key: &[u8]) -> u32 {
    let (mut keys, mut slots) = (Box::<KeyBatch>::default(), [0; crate::data::BATCH]);
    keys.hash(Bytes { data: key, spans: &[Span { start: 0, end: key.len() as u32 }] }, !0);
    table.probe(&keys, key, &mut slots);
    slots[0]
}

/// If one record alone leaves a group's state, the group's row takes no more room than the record's.
#[test]
fn a_count_of_one_is_a_value_row() {
    let shape = RowShape::new([&COUNT as &dyn Aggregate].into_iter(), &[]);
    for key in [&b"short"[..], b"", b"longer than sixteen bytes"] {
        let mut table = Table::new(8, HomeBits::Bottom, &shape.identity);
        let slot = find(&mut table, key);
        let mut rows = |count| {
            *table.states(0, 1).word(slot) = count;
            let mut out = Buffer::default();
            let len = shape.put_group(&mut out, &table.groups().next().unwrap(), table.arena());
            (len, get_row(out.as_slice(), &mut 0).unwrap().is_state)
        };
        assert_eq!(rows(1), (value_row_len(key.len(), 0), false));
        assert_eq!(rows(2), (value_row_len(key.len(), 0) + 8, true));
    }
}

#[test]
fn the_empty_tail_is_zero() {
    assert_eq!(crate::table::Arena::default().get(crate::table::Tail(0)), b"");
}

const PARTITIONS: usize = 5;

/// Every way in which pages are stored. Pages that don't shrink are plain in any case.
const STORED: [PageCompression; 3] = [PageCompression::None, PageCompression::Lz4, PageCompression::Zstd];

/// Writes a run. The pages of the last rows don't shrink.
fn write_run(path: &Path, compression: PageCompression, rows: u32) -> WrittenRun {
    let place = RunPlace::alone(path, compression);
    let mut writer = RunWriter::create(&place, PARTITIONS, 300, PartitionBuffers::default()).unwrap();
    for i in 0..rows {
        let mut key = format!("key {i} {}", "x".repeat(i as usize % 40)).into_bytes();
        if i >= rows * 2 / 3 {
            key = (0..5).flat_map(|n| hash::hash(format!("{i} {n}").as_bytes()).to_le_bytes()).collect();
        }
        let hash = hash::hash(&key);
        let shape = RowShape::new([&COUNT as &dyn Aggregate].into_iter(), &[]);
        writer.add(by_hash(hash, PARTITIONS), |out| shape.put_value(out, &key, &[], 0)).unwrap();
    }
    writer.finish().unwrap().0
}

/// Returns the codec of each page, in the order of the index.
fn codecs(run: &Run) -> Vec<Option<Codec>> {
    run.pages(0..PARTITIONS).unwrap().iter().map(|page| page.compressed.map(|compressed| compressed.codec)).collect()
}

/// Returns all rows of a run, by partition.
fn read_run(written: &WrittenRun) -> Result<Vec<Vec<u8>>> {
    // The copy is deleted with the run that opens it.
    let copy = written.file.path().with_extension("copy");
    let (_, file) = RunPlace::alone(&copy, PageCompression::None).create().unwrap();
    std::fs::copy(written.file.path(), &copy).unwrap();
    read_all(&Run::open(WrittenRun { file, ..*written }, false)?)
}

fn read_all(run: &Run) -> Result<Vec<Vec<u8>>> {
    let reader = run.reader()?;
    let mut page = Vec::new();
    (0..PARTITIONS)
        .map(|partition| {
            let mut rows = Vec::new();
            for entry in &*run.pages(partition..partition + 1)? {
                rows.extend_from_slice(reader.read(entry, &mut page)?);
            }
            Ok(rows)
        })
        .collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(read: Result<T>, what: &str) {
    let error = read.expect_err(what);
    assert!(matches!(error, Error::Corrupt { .. }), "{what}: {error}");
    assert!(error.to_string().contains("/run"), "{what}: {error} doesn't name the file");
}

/// A byte that changes after a run was opened is found out with the page that it tells of.
#[test]
fn a_stored_index_that_changes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let mut run = Run::open(write_run(&path, PageCompression::Lz4, 60), false).unwrap();
    run.store_index();
    let whole = std::fs::read(&path).unwrap();
    let pages = run.pages(0..PARTITIONS).unwrap().len();
    let entries = whole.len() - format::FOOTER - pages * format::ENTRY;
    let read = read_all(&run).unwrap();
    for at in entries..entries + pages * format::ENTRY {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        refused(read_all(&run), &format!("byte {at}"));
    }
    std::fs::write(&path, &whole[..entries + 5]).unwrap();
    refused(read_all(&run), "an index that is cut");
    std::fs::write(&path, whole).unwrap();
    assert_eq!(read_all(&run).unwrap(), read);
}

#[test]
fn a_run_reads_as_written() {
    let dir = tempfile::tempdir().unwrap();
    for rows in [0, 1, 200] {
        let mut plain = None;
        for compression in STORED {
            let path = dir.path().join(format!("{rows} {}", compression.name()));
            let written = write_run(&path, compression, rows);
            let partitions = read_run(&written).unwrap();
            assert_eq!(written.size.rows, u64::from(rows));
            assert_eq!(written.size.row_bytes, partitions.iter().map(|rows| rows.len() as u64).sum::<u64>());
            assert_eq!(written.size.file_bytes, path.metadata().unwrap().len());
            let mut seen = 0;
            for (partition, data) in partitions.iter().enumerate() {
                let mut at = 0;
                while at < data.len() {
                    let row = get_row(data, &mut at).unwrap();
                    let key = &data[row.key.start as usize..row.key.end as usize];
                    assert_eq!(by_hash(hash::hash(key), PARTITIONS), partition);
                    seen += 1;
                }
            }
            assert_eq!(seen, rows);
            // Only the bytes of the file depend on the codec.
            let (file_bytes, row_bytes) = (written.size.file_bytes, written.size.row_bytes);
            let (of_plain, rows_of_plain, partitions_of_plain) =
                plain.get_or_insert((file_bytes, row_bytes, partitions.clone()));
            assert_eq!((row_bytes, &partitions), (*rows_of_plain, &*partitions_of_plain));
            let smaller = rows == 200 && compression != PageCompression::None;
            assert_eq!(file_bytes < *of_plain, smaller, "{compression:?}: {file_bytes} of {of_plain}");
            let mut run = Run::open(written, true).unwrap();
            let pages = run.pages(0..PARTITIONS).unwrap().len();
            run.store_index();
            assert!(run.index_bytes() <= 8 * pages.div_ceil(64) && read_all(&run).unwrap() == partitions);
            let mut sums = [0; PARTITIONS];
            run.add_bytes(&mut sums).unwrap();
            assert!(sums.iter().zip(&partitions).all(|(sum, rows)| *sum == rows.len() as u64));
        }
    }
}

/// Every byte of a run is covered: damage to any byte is an error, never a wrong answer.
#[test]
fn damage_is_refused() {
    STORED.into_iter().for_each(damage_is_refused_in);
}

fn damage_is_refused_in(compression: PageCompression) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let written = write_run(&path, compression, 60);
    let whole = std::fs::read(&path).unwrap();
    assert!(read_run(&written).is_ok());
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        refused(read_run(&written), what);
    };
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            refused(&damaged, &format!("byte {at} of {} changed", whole.len()));
        }
    }
    for len in (0..whole.len()).step_by(7) {
        refused(&whole[..len], &format!("cut to {len}"));
    }
    refused(&[&whole[..], b"x"].concat(), "one byte more");
}

/// Writes a run of pages that fill up in turn, and releases its partitions one after the other.
#[test]
fn released_partitions_give_their_space_back() {
    for (limit, is_much_free) in [(Some(u64::MAX), false), (None, false), (None, true)] {
        released_partitions_give_their_space_back_in(limit, is_much_free);
    }
}

fn released_partitions_give_their_space_back_in(limit: Option<u64>, is_much_free: bool) {
    use std::os::unix::fs::MetadataExt;
    const PAGE: usize = 16 << 10;
    let dir = tempfile::tempdir().unwrap();
    let space = SpillSpace::new(vec![dir.path().into()], limit, PageCompression::None);
    if is_much_free {
        space.note_much_free();
    }
    let mut writer =
        RunWriter::create(&space.place(0, "run".into()), PARTITIONS, PAGE, PartitionBuffers::default()).unwrap();
    for i in 0..100 * PARTITIONS {
        writer.add(i % PARTITIONS, |out| out.extend(&[(i % PARTITIONS) as u8; PAGE / 2])).unwrap();
    }
    let written = writer.finish().unwrap().0;
    let (path, bytes) = (written.file.path().to_owned(), written.size.file_bytes);
    let blocks = || std::fs::metadata(&path).unwrap().blocks() * 512;
    let run = Run::open(written, false).unwrap();
    assert!(space.taken() == bytes && blocks() >= bytes);
    let (reader, mut buffer) = (run.reader().unwrap(), Vec::new());
    for released in 0..PARTITIONS {
        run.release(released..released + 1);
        if space.taken() == bytes && released == PARTITIONS - 1 {
            eprintln!("not tested: holes can't be punched here");
            return;
        }
        for partition in released + 1..PARTITIONS {
            for page in &*run.pages(partition..partition + 1).unwrap() {
                let rows = reader.read(page, &mut buffer).unwrap();
                assert!(rows.iter().all(|&byte| usize::from(byte) == partition));
            }
        }
    }
    // Only the index, the header and a block at either end are left.
    assert!(space.taken() < bytes / 20 && blocks() < bytes / 20, "{} and {} of {bytes}", space.taken(), blocks());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes);
    for page in &*run.pages(1..2).unwrap() {
        refused(reader.read(page, &mut buffer).map(<[u8]>::to_vec), "a released page");
    }
    run.release(0..PARTITIONS);
    drop(run);
    assert_eq!(space.taken(), 0);
}

/// A page or a run that is whole, but in the place of another, is refused.
#[test]
fn what_belongs_elsewhere_is_refused() {
    STORED.into_iter().for_each(what_belongs_elsewhere_is_refused_in);
}

fn what_belongs_elsewhere_is_refused_in(compression: PageCompression) {
    let dir = tempfile::tempdir().unwrap();
    let [path, twin] = ["run", "twin"].map(|name| dir.path().join(name));
    let written = write_run(&path, compression, 400);
    let _twin = write_run(&twin, compression, 400);
    let [whole, other] = [&path, &twin].map(|path| std::fs::read(path).unwrap());
    assert_eq!(whole.len(), other.len());
    std::fs::write(&path, &other).unwrap();
    refused(read_run(&written), "another run before it is opened");
    std::fs::write(&path, &whole).unwrap();

    // The run is opened, and then its file is changed in place.
    let run = Run::open(written, true).unwrap();
    let kinds = codecs(&run);
    let codec = match compression {
        PageCompression::Lz4 => Some(Codec::Lz4),
        PageCompression::Zstd => Some(Codec::Zstd),
        PageCompression::None | PageCompression::Auto => None,
    };
    assert!(kinds.contains(&None) && kinds.contains(&codec) && kinds.iter().all(|kind| [None, codec].contains(kind)));
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        refused(read_all(&run), what);
    };
    refused(&other, "another run");
    let at = |page: &format::Page| page.offset as usize..page.offset as usize + page.stored();
    let (mut of_twin, mut within) = (0, 0);
    for partition in 0..PARTITIONS {
        for page in &*run.pages(partition..partition + 1).unwrap() {
            let mut replaced = whole.clone();
            replaced[at(page)].copy_from_slice(&other[at(page)]);
            refused(&replaced, "a page of another run, in its own place");
            of_twin += 1;
            let alike =
                |other: &&format::Page| other.rows == page.rows && other.stored() == page.stored() && *other != page;
            for alike in run.pages(partition..partition + 1).unwrap().iter().filter(alike) {
                let mut replaced = whole.clone();
                replaced.copy_within(at(alike), page.offset as usize);
                refused(&replaced, "another page of the same partition");
                within += 1;
            }
        }
    }
    assert!(of_twin > PARTITIONS && within > 0, "{of_twin} {within} {compression:?}");
    std::fs::write(&path, &whole).unwrap();
    assert!(read_all(&run).is_ok());
}

/// An index that lies about its pages, under a checksum that is right, is refused before memory is taken for the rows
/// that it claims.
#[test]
fn an_index_that_lies_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    for compression in STORED {
        let written = write_run(&path, compression, 60);
        let whole = std::fs::read(&path).unwrap();
        let footer_at = whole.len() - format::FOOTER;
        let index_at = u64::from_le_bytes(*whole[footer_at..].first_chunk().unwrap()) as usize;
        let header: &[u8; format::HEADER] = whole.first_chunk().unwrap();
        for (field, wrong) in [(0, u32::MAX), (1, 1), (2, u32::MAX), (3, u32::MAX), (4, u32::MAX), (5, 1), (6, 3)] {
            for entry in (index_at..footer_at).step_by(format::ENTRY) {
                let mut lying = whole.clone();
                let at = entry + 4 * field;
                let was = format::u32_at(&lying, at);
                lying[at..at + 4].copy_from_slice(&wrong.to_le_bytes());
                let index = &lying[index_at..footer_at];
                let entries = (index.len() / format::ENTRY) as u32;
                let footer = format::footer(index_at as u64, entries, header, index);
                lying[footer_at..].copy_from_slice(&footer);
                std::fs::write(&path, &lying).unwrap();
                if was != wrong {
                    refused(read_run(&written), &format!("field {field} of the entry at {entry}: {wrong}"));
                }
            }
        }
    }
}

#[test]
fn as_many_rows_are_read_as_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::open(write_run(&dir.path().join("run"), PageCompression::Auto, 60), true).unwrap();
    run.check_rows(60).unwrap();
    for rows in [59, 61] {
        let error = run.check_rows(rows).unwrap_err().to_string();
        assert!(error.ends_with("/run: it has other rows than were written"), "{error}");
    }
}
