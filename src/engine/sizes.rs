//! Sizes: how the memory that a job may take is divided among its workers, and what follows from that.
//!
//! ```text
//! memory = process + decoders + threads · share
//! share    map      ½ buffers of partitions · ⅛ table · arena, window, block
//!          reduce   ½ table of a fold · ¼ pages of runs that are merged · ⅛ rows that are divided · lines
//!                   ¼ table of a fold · ¼ buffers of ranges · the rest alike                if rows are sorted later
//!          output   ½ rows that are sorted · ¼ pages of runs that are merged · lines
//! ```

use rustix::process::{Resource, getrlimit};

use super::read::WINDOW;
use crate::data::buffer;
use crate::input::decoders::SetAside;
use crate::input::splits;
use crate::plan::machine::least_memory;
use crate::plan::{Plan, Rows};
use crate::shuffle::RowLimit;
use crate::shuffle::merge::FanIn;

/// Sizes that follow from the plan, its inputs and the machine. No size changes the output.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub split: u64,
    pub partitions: usize,
    /// The most partitions whose buffers fit the memory.
    pub most_partitions: usize,
    /// Memory for the decoders of the sources.
    pub decoders: SetAside,
    /// Bytes of a map task's table.
    pub table: usize,
    /// The most groups that a map task can meet.
    pub groups: usize,
    /// Bytes of input, or of rows, for each partition.
    pub partition_bytes: u64,
    /// Bytes that the buffers of all partitions may take.
    buffers: usize,
    /// Bytes that the buffers of all ranges of rows with sort keys may take.
    row_buffers: usize,
    /// Bytes of neighbouring partitions that are folded, or sorted, at a time.
    pub fold: u64,
    /// Bytes that rows may take while they are divided before they are folded.
    pub divided: u64,
    /// Bytes of groups that a table is best filled with.
    pub cache: usize,
    /// Bytes that the table of a fold may take.
    pub fold_memory: usize,
    /// Bytes that rows with sort keys may take while they are sorted.
    pub sort_memory: usize,
    /// How many runs may be merged at once.
    pub fan_in: FanIn,
    /// Bytes of rows that an attempt holds in memory because they may be among the first of the result.
    pub first: usize,
    /// Payload bytes of a page of lines.
    pub lines: usize,
    /// Bytes of the keys that a look at the input, or at rows, collects.
    pub look_memory: usize,
    /// Bytes of lines that a task holds in memory.
    pub held_lines: usize,
    /// Bytes of a stream that a reader holds in memory.
    pub fill: usize,
    /// Bytes of a stream's block. If they are more than a reader holds in memory, the block is kept in a file.
    pub block: usize,
    /// Bytes of records that a mapper gets at once.
    pub window: usize,
    /// The longest record that fits the memory of a thread.
    pub longest_record: u64,
    /// Bytes of texts of a batch of rows.
    pub batch: usize,
    /// The most bytes that a buffer keeps when it is cleared.
    pub kept: usize,
    /// The longest row that a map task may write.
    pub longest_row: RowLimit,
    /// How often a row that a map task writes may have a text of its record: as a key of the order, too, if records are
    /// sorted.
    texts_of_row: u64,
    /// How many runs may be kept open.
    pub open_runs: i64,
    /// Bytes that the indexes of all runs may take in memory.
    pub index_memory: i64,
}

/// Largest payload of a page in bytes. At this size the buffers of 1024 partitions take 16 MiB, which fits a
/// third-level cache. With pages of 64 KiB, mapping nearly distinct lines took a tenth longer.
const LARGEST_PAGE: usize = 16 << 10;

/// Returns the bytes of memory that the process has besides the shares of its threads: the pages of the executable that
/// are in use, the system's libraries, the plan, and for each thread a stack, what the allocator keeps for it, and small
/// things. The first two threads are included in what a process takes.
pub fn process(threads: usize) -> u64 {
    (13 << 20) + (1 << 19) * threads.saturating_sub(2) as u64
}

/// The least share of a worker, however many sources have decoders.
const LEAST_SHARE: u64 = 512 << 10;

impl Sizes {
    pub fn choose(plan: &Plan) -> Sizes {
        let settings = &plan.settings;
        let input: u64 = plan.sources.iter().map(|source| source.bytes()).sum();
        // Each worker's share of the budget is divided: half goes to partition buffers, an eighth to the table, and the
        // rest to the table's arena, to blocks and to the rows that are being written.
        // Tests give less than a job accepts.
        let is_accepted = settings.memory >= least_memory(settings.threads);
        let shared = if is_accepted { settings.memory - process(settings.threads) } else { settings.memory / 4 };
        let decoders = SetAside::of(&plan.sources, settings.threads);
        // Decoders for which the least memory of a job suffices may be many.
        let shared = shared.saturating_sub(decoders.bytes).max(shared.min(LEAST_SHARE * settings.threads as u64));
        let share = shared / settings.threads as u64;
        let has_deadline = plan.timeout.is_some() && plan.may_be_partial();
        let streams = plan.sources.iter().any(|source| source.is_stream());
        // Where groups are sorted later, an attempt writes their rows while it folds.
        let is_sorted_later = matches!(&plan.rows, Rows::Groups(groups) if groups.are_sorted_later());
        let sorts_records = matches!(&plan.rows, Rows::Records { sort: Some(_) });
        // An attempt that writes rows while it folds has the copies of both. A finished group has its key twice if its row
        // is sorted by it.
        let row_copies = if is_sorted_later { 3 * ROW_COPIES } else { ROW_COPIES };
        let fold_memory = if is_sorted_later { share / 4 } else { share / 2 };
        let partition_bytes = (fold_memory / 4).clamp(64 << 10, PARTITION_BYTES);
        let most_partitions = (share / 2 / 4096).clamp(1, MOST_PARTITIONS) as usize;
        let partitions = match settings.partitions {
            // As many as were asked for, if a small page of each fits the memory.
            Some(asked) => asked.min((share as usize / 2 / SMALLEST_BUFFER).max(1)),
            None => {
                let wanted = match streams {
                    true => 256,
                    false => (input / partition_bytes).next_power_of_two().clamp(64, MOST_PARTITIONS),
                };
                wanted.min(most_partitions as u64) as usize
            }
        };
        let most_of_block = if has_deadline { SOON } else { BLOCK };
        let fill = (share as usize / 16).clamp(4 << 10, most_of_block);
        // Tests with less memory want many blocks.
        let is_in_file = is_accepted && fill < SMALL_BLOCK;
        let block = if is_in_file { BLOCK_IN_FILE.min(most_of_block) } else { fill };
        Sizes {
            split: settings
                .split_size
                .unwrap_or_else(|| splits::choose_size(&plan.sources, settings.threads, share))
                .max(1),
            partitions,
            most_partitions,
            decoders,
            table: (share / 8) as usize,
            // A group takes at least one byte of input.
            groups: if streams { usize::MAX } else { input as usize },
            partition_bytes,
            buffers: share as usize / 2,
            row_buffers: if is_sorted_later { share as usize / 4 } else { share as usize / 2 },
            fold: (share / 32).clamp(4 << 10, 1 << 20),
            divided: share / 8,
            cache: settings.table_slots.map_or(CACHE, |slots| slots * TEST_CACHE_A_SLOT),
            fold_memory: settings.table_slots.map_or(fold_memory as usize, |slots| slots * TEST_BYTES_A_SLOT),
            sort_memory: (share / 2).min(1 << 30) as usize,
            fan_in: FanIn { memory: share as usize / 4, files: most_readers(settings.threads) },
            first: (share as usize / 16).clamp(4 << 10, 16 << 20),
            lines: (share as usize / 16).clamp(4 << 10, 256 << 10),
            look_memory: share as usize / 4,
            held_lines: (share as usize / 16).clamp(4 << 10, 64 << 20),
            fill,
            block,
            window: (share as usize / 32).clamp(64 << 10, WINDOW),
            longest_record: share,
            longest_row: RowLimit {
                bytes: if is_accepted { share / row_copies } else { TEST_ROW },
                copies: decoders.for_further(row_copies * settings.threads as u64),
                beside: process(settings.threads) + decoders.leaves(0),
            },
            texts_of_row: if sorts_records { 2 } else { 1 },
            batch: (share as usize / 32).clamp(16 << 10, 128 << 10),
            kept: (share as usize / 64).clamp(32 << 10, buffer::LARGE),
            open_runs: spare_files(settings.threads) / 2,
            index_memory: i64::try_from(settings.memory / 32).unwrap_or(i64::MAX),
        }
    }

    /// Returns the memory with which a record of so many bytes is allowed, and a row that has all of it.
    pub fn needs_of_record(&self, bytes: u64) -> u64 {
        /// What a row has beside its texts, at most, unless it has very many fields.
        const BESIDE: u64 = 1 << 10;
        self.longest_row.needs(self.texts_of_row * bytes + BESIDE)
    }

    /// Returns about how many bytes of a file may be resident at a time, if they are few.
    pub fn resident(&self) -> Option<usize> {
        (self.window < WINDOW).then_some(self.window)
    }

    /// Payload bytes at which the buffer of one of so many partitions is written as a page.
    pub fn page(&self, partitions: usize) -> usize {
        page(self.buffers, partitions)
    }

    /// Does the same for ranges of rows with sort keys.
    pub fn row_page(&self, ranges: usize) -> usize {
        page(self.row_buffers, ranges)
    }
}

fn page(buffers: usize, partitions: usize) -> usize {
    (buffers / partitions).clamp(256, LARGEST_PAGE)
}

/// The most partitions. Rows are added to the buffers of all of them in turn, and more don't stay in the caches.
const MOST_PARTITIONS: u64 = 1024;

/// Bytes of the smallest buffer of a partition, with what is kept for it.
const SMALLEST_BUFFER: usize = 1 << 10;

/// Bytes that a fold may take for each slot of a table whose slots a test has chosen.
const TEST_BYTES_A_SLOT: usize = 1 << 10;

/// The longest row if a test gives less memory than a job accepts.
const TEST_ROW: u64 = 1 << 20;

/// Bytes of the cache for each such slot, so that tests divide rows, too.
const TEST_CACHE_A_SLOT: usize = 16;

/// Bytes of groups that fit a second-level cache of 512 KiB, beside the rows that are read and written.
const CACHE: usize = 256 << 10;

/// Copies of one row that are live while it is sorted and written, in buffers that may be larger than the row: its key
/// and its line as they are read, as they are held, and as they are written.
const ROW_COPIES: u64 = 7;

/// Largest block of a stream in bytes. On a compressed table with 200,000 groups, blocks of half this size took 1.09
/// times the CPU time, because each block is mapped to a run of its own. Smaller blocks at the beginning and the end,
/// meant to keep all workers busy, cost more time than they saved.
const BLOCK: usize = 64 << 20;

/// Bytes of a block in a job with a deadline. A worker maps it in milliseconds.
const SOON: usize = 4 << 20;

/// A block of fewer bytes isn't worth a run of its own. If memory has no room for more, blocks are kept in files.
const SMALL_BLOCK: usize = 4 << 20;

/// Bytes of a block in a file.
const BLOCK_IN_FILE: usize = 16 << 20;

/// Bytes of input, or of rows, for each partition, if memory isn't short. The groups of so much input fit a third-level
/// cache when the partition is reduced; if they are more than fit the second-level cache, they are divided first.
/// Reducing nearly distinct lines took 1.2 times as long with twice as much.
const PARTITION_BYTES: u64 = 1 << 20;

/// Returns the most runs that each thread may read at once, in the half of the files that isn't kept open.
fn most_readers(threads: usize) -> usize {
    usize::try_from(spare_files(threads) / 2 / threads as i64).unwrap_or(0).max(2)
}

/// Returns how many files the process may open beyond those it needs for other things.
fn spare_files(threads: usize) -> i64 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    i64::try_from(files).unwrap_or(i64::MAX) - 32 - 4 * threads as i64
}
