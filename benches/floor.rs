//! A floor for the map phase: a loop that only tokenises, hashes, and probes a table sized for the answer.
//!
//! The job counts runs of letters in `linux.txt` or, if that is missing, in made-up prose. Each of two threads takes
//! half of the splits that the engine would cut, mapped as the engine maps them. The floors have no bound on memory, no
//! runs and no progress, and their tables exist before the clock starts. All floors take turns with the engine's own
//! map phase, so that the ratios within a round hold on a machine that does a little other work too. Where the range of
//! a ratio is wide, the machine did too much other work, and the figures say nothing. Prints a table in Markdown for
//! `benches/RESULTS.md`.

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, hint, thread};

use mapfold::aggregate::{Aggregate, Count};
use mapfold::data::{BATCH, Bytes};
use mapfold::engine::{self, Control};
use mapfold::input::block::{Bounds, FileBlock, FileBuffer};
use mapfold::input::edges::Edges;
use mapfold::input::sources::Stdin;
use mapfold::input::splits::{self, Split};
use mapfold::input::{RecordEnd, Source};
use mapfold::map::tokenise::Tokens;
use mapfold::map::tokenise::tokens::Letters;
use mapfold::plan::{self, Invocation, Plan};
use mapfold::record::{self, Framing, TERMINATOR};
use mapfold::shuffle::ranges::by_hash;
use mapfold::shuffle::row::get_row;
use mapfold::shuffle::{PageCompression, PartitionBuffers, RowShape, Run, RunPlace, RunWriter};
use mapfold::spec::Document;
use mapfold::table::keys::LONG;
use mapfold::table::{HomeBits, KeyBatch, Table};

const THREADS: usize = 2;
const COUNT: Count = Count { column: None };

struct Text {
    source: Source,
    splits: Vec<Split>,
}

impl Text {
    fn new(path: &Path) -> Text {
        let source = Source::file(path).expect("the text");
        let sources = std::slice::from_ref(&source);
        let splits = splits::cut(sources, splits::choose_size(sources, THREADS, u64::MAX));
        Text { source, splits }
    }

    fn blocks(&self, splits: &[Split], mut each: impl FnMut(&[u8])) {
        let end_of = RecordEnd { framing: Framing::Terminator(TERMINATOR), longest: 1 << 20 };
        let cut = Bounds { end_of, edges: Edges::Found, joins: true, resident: None };
        let (sources, mut memory) = (std::slice::from_ref(&self.source), FileBuffer::default());
        for mut pieces in splits.iter().map(|split| &split.pieces[..]) {
            while !pieces.is_empty() {
                each(FileBlock::open(sources, &mut pieces, cut, &mut memory).expect("a block").stretch().bytes);
            }
        }
    }

    /// Returns the seconds that the threads need for their halves. Each thread has a value of its own in `own`.
    fn time<T: Send>(&self, own: &mut [T; THREADS], work: impl Fn(&[Split], &mut T) + Sync) -> f64 {
        let half = self.splits.len().div_ceil(THREADS);
        let start = Instant::now();
        thread::scope(|scope| {
            for (splits, own) in self.splits.chunks(half).zip(own) {
                let work = &work;
                scope.spawn(move || work(splits, own));
            }
        });
        start.elapsed().as_secs_f64()
    }

    fn read(&self) -> f64 {
        self.time(&mut [(); THREADS], |splits, ()| {
            self.blocks(splits, |block| {
                hint::black_box(block.iter().fold(0u8, |all, byte| all ^ byte));
            });
        })
    }

    fn tokenise(&self) -> f64 {
        self.time(&mut [(); THREADS], |splits, ()| {
            let (mut letters, mut tokens) = (Letters::new(), 0);
            self.blocks(splits, |block| letters.split(block, |found| tokens += found.spans.len()));
            hint::black_box(tokens);
        })
    }

    fn probe(&self, tables: &mut [Table; THREADS]) -> f64 {
        tables.iter_mut().for_each(Table::clear);
        self.time(tables, |splits, table| self.count(splits, table))
    }

    fn count(&self, splits: &[Split], table: &mut Table) {
        let (mut letters, mut batch, mut slots) = (Letters::new(), Box::<KeyBatch>::default(), [0; BATCH]);
        self.blocks(splits, |block| {
            letters.split(block, |Tokens { data, spans, .. }| {
                for spans in spans.chunks(BATCH) {
                    batch.hash(Bytes { data, spans }, u64::MAX);
                    table.reserve(spans.len()); // does nothing for a table sized for the answer
                    table.probe(&batch, data, &mut slots);
                    COUNT.observe(&mut table.states(0, 1), &slots[..spans.len()], &[]);
                }
            });
        });
    }

    /// A table for each thread, sized for the whole answer.
    fn tables(&self) -> [Table; THREADS] {
        let mut all = Table::new(0, HomeBits::Bottom, &[0]);
        self.count(&self.splits, &mut all);
        let mut slots = 8;
        while slots / 8 * 5 < all.len() + BATCH {
            slots *= 2;
        }
        [(); THREADS].map(|()| Table::new(slots, HomeBits::Bottom, &[0]))
    }

    /// The job whose map phase is compared with the floors.
    fn plan(&self, output: PathBuf) -> Plan {
        let spec = fs::read(common::root().join("benches/specs/letters.json")).expect("the spec");
        let mut spec = Document::parse("letters.json", &spec).and_then(Document::finish).expect("a spec");
        spec.input = vec![self.source.path().to_owned().into()];
        spec.output.path = Some(output);
        spec.run.threads = Some(THREADS);
        let stdin = Stdin { is_terminal: false, is_closed: false, held_spec: false };
        let call =
            Invocation { origin: "letters.json".into(), unordered: true, force: true, stdin, ..Invocation::default() };
        plan::resolve(&spec, &call).expect("a plan")
    }
}

/// The least work for `uniq` of nearly distinct lines: each line is hashed and written to a run, and the runs are read
/// back row by row. Returns the seconds of both.
fn write_and_read(text: &Text, dir: &Path) -> [f64; 2] {
    let mut runs = [0, 1].map(|n| (dir.join(format!("floor-{n}.run")), None));
    let written = text.time(&mut runs, |splits, (path, written)| {
        let shape = RowShape::new(std::iter::empty(), &[]);
        let mut batch = Box::<KeyBatch>::default();
        let place = RunPlace::alone(path, PageCompression::None);
        let mut run = RunWriter::create(&place, RUN_PARTITIONS, RUN_PAGE, PartitionBuffers::default()).expect("a run");
        text.blocks(splits, |block| {
            record::lines(block, |lines| {
                batch.hash(lines, u64::MAX);
                for i in 0..lines.spans.len() {
                    let partition = by_hash(batch.meta[i] & !LONG, RUN_PARTITIONS);
                    run.add(partition, |out| shape.put_value(out, lines.get(i), &[], i)).expect("a row written");
                }
            });
        });
        *written = Some(run.finish().expect("a run finished").0);
    });
    let read = text.time(&mut runs, |_, (_, written)| {
        let run = Run::open(written.take().expect("a run written"), true).expect("a run");
        let (reader, mut page, mut rows) = (run.reader().expect("its reader"), Vec::new(), 0);
        for known in &*run.pages(0..RUN_PARTITIONS).expect("pages") {
            let payload = reader.read(known, &mut page).expect("a page");
            let mut at = 0;
            while at < payload.len() {
                hint::black_box(get_row(payload, &mut at).expect("a row"));
                rows += 1;
            }
        }
        hint::black_box(rows);
    });
    [written, read]
}

/// Partitions and page size that the engine has for an input of this size.
const RUN_PARTITIONS: usize = 1024;
const RUN_PAGE: usize = 16 << 10;

/// Prints the floor of `lines.txt` if that file exists.
fn runs(rounds: usize, dir: &Path) {
    let Some(path) = common::data("lines.txt").filter(|_| !common::is_test()) else { return };
    let text = Text::new(&path);
    let seconds: Vec<_> = (0..rounds).map(|_| write_and_read(&text, dir)).collect();
    println!("\n| runs of lines.txt, {THREADS} threads, median of {rounds} | seconds |");
    println!("| --- | --- |");
    for (i, what) in ["lines hashed, written to runs", "runs read, row by row"].into_iter().enumerate() {
        println!("| {what} | {:.3} |", sorted(seconds.iter().map(|s| s[i]))[rounds / 2]);
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn main() {
    let rounds = if common::is_test() { 1 } else { 7 };
    let dir = tempfile::tempdir().expect("a directory");
    let path = common::linux().filter(|_| !common::is_test()).unwrap_or_else(|| {
        let path = dir.path().join("prose.txt");
        fs::write(&path, common::prose(common::scaled(256 << 20))).expect("prose written");
        path
    });
    let text = Text::new(&path);
    let mut tables = text.tables();
    let plan = text.plan(dir.path().join("out.txt"));
    let seconds: Vec<[f64; 4]> = (0..rounds)
        .map(|_| {
            let floors = [text.read(), text.tokenise(), text.probe(&mut tables)];
            let report = engine::run(&plan, &Control::default()).expect("a run");
            [floors[0], floors[1], floors[2], report.phase_seconds.map]
        })
        .collect();

    let name = text.source.path().file_name().unwrap_or_default().to_string_lossy();
    println!(
        "| letters of {name}, {THREADS} threads, median of {rounds} in turn | seconds | GB/s | to the floor | range |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (i, what) in ["reading", "and tokenising", "and hashing, probing, counting: the floor", "mapfold's map phase"]
        .into_iter()
        .enumerate()
    {
        let own = sorted(seconds.iter().map(|s| s[i]));
        let ratios = sorted(seconds.iter().map(|s| s[i] / s[2]));
        let (own, ratio) = (own[rounds / 2], ratios[rounds / 2]);
        let (least, most) = (ratios[0], ratios[rounds - 1]);
        let rate = text.source.bytes() as f64 / own / 1e9;
        println!("| {what} | {own:.3} | {rate:.2} | {ratio:.2} | {least:.2} to {most:.2} |");
    }
    runs(rounds, dir.path());
}
