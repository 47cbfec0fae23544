//! Memory of decoders. A decoder of zstd data holds a window, whose size the data says: up to 128 MiB. So the heads of
//! compressed files are looked at when a job is planned, and memory for all decoders that may be open at a time is set
//! aside before the rest is divided among the threads.
//!
//! ```text
//! memory = least of the job + least of each decoder + spare + the rest
//! spare    ⅛ of spare and rest if a source may turn out to be compressed when it is read, or if a later frame of a file
//!          may have a larger window than the first
//! ```
//!
//! The spare memory is divided equally. A frame that takes more than its decoder has is an error, which names the
//! memory that is enough.

use super::Source;
use super::zstd::Frame;
use crate::error::{Error, Result, shown};
use crate::units::{argument, size};

/// Bytes that any decoder takes: its tables, the compressed bytes that are read at once, and the stack of its thread.
const ANY: u64 = 224 << 10;

/// Bytes of a decoder for which the least memory of a job suffices: gzip data, and zstd data with a small window.
const SMALL: u64 = 512 << 10;

/// The largest window of zstd data that is decompressed, in bytes.
const LARGEST_WINDOW: u64 = 1 << 27;

/// The memory that the decoder of a source may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderMemory {
    /// Bytes that are known to be needed; 0 if the source isn't known to be compressed.
    least: u64,
    /// Bytes that are set aside.
    aside: u64,
    /// The most bytes.
    most: u64,
    /// The memory of the job that leaves no spare memory, and how many times the bytes that a decoder takes of the spare
    /// memory a job must have beside.
    job: u64,
    parts: u64,
}

impl Default for DecoderMemory {
    /// Memory without a limit, for a source that isn't part of a job.
    fn default() -> Self {
        DecoderMemory { least: 0, aside: 0, most: u64::MAX, job: 0, parts: 1 }
    }
}

impl DecoderMemory {
    /// For gzip data; or for zstd data that begins with `frame`. A window that is too large for any memory is an error
    /// when it is read.
    pub fn of(frame: Option<Frame>) -> Self {
        let least = frame.filter(|frame| frame.window <= LARGEST_WINDOW).map_or(ANY, of_frame);
        DecoderMemory { least, aside: least, ..DecoderMemory::default() }
    }

    /// Returns the memory with which a job decompresses the frame, if the memory of this job doesn't suffice.
    pub fn lacks(self, frame: Frame) -> Option<u64> {
        let bytes = of_frame(frame);
        let more = bytes.saturating_sub(self.least);
        (bytes > self.most && frame.window <= LARGEST_WINDOW).then(|| self.job + self.parts * more)
    }
}

/// Bytes that a decoder takes for a frame: a block as it is read, and a ring of the window and two blocks, or all of the
/// content if that is less.
fn of_frame(Frame { window, content }: Frame) -> u64 {
    const BLOCK: u64 = 128 << 10;
    let block = window.min(BLOCK);
    ANY + block + (window + 2 * block + 64).min(content.unwrap_or(u64::MAX))
}

/// The decoders that may be open at a time.
#[derive(Debug, Default)]
struct Open {
    /// Bytes of all, and the bytes for which the least memory of a job doesn't suffice.
    bytes: u64,
    beyond: u64,
    /// How many of them may meet frames with larger windows than are known.
    unsure: u64,
}

/// Whether the source may be decompressed, though nothing is known of that before it is read.
fn is_unknown(source: &Source) -> bool {
    matches!(source, Source::Stream { .. } | Source::Stdin { .. } | Source::Command { .. })
}

/// Takes together what `of` says of the decoders that may be open at a time: those of all sources that have a reader to
/// themselves, and of the others the largest, as many as `threads` have readers.
fn open(sources: &[Source], threads: usize, of: impl Fn(DecoderMemory) -> u64) -> Open {
    let mut open = Open::default();
    let mut add = |source: &Source| {
        let memory = source.decoder();
        let bytes = of(memory);
        open.bytes += bytes;
        open.beyond += bytes.saturating_sub(SMALL);
        open.unsure += u64::from(is_unknown(source) || memory.least > ANY);
    };
    let mut in_turn: Vec<&Source> = Vec::new();
    for source in sources.iter().filter(|source| is_unknown(source) || source.decoder().least > 0) {
        if source.may_wait() { add(source) } else { in_turn.push(source) }
    }
    in_turn.sort_by_key(|source| std::cmp::Reverse(of(source.decoder())));
    in_turn.into_iter().take(threads + 1).for_each(add);
    open
}

/// Memory that is set aside for decoders.
#[derive(Clone, Copy, Debug)]
pub struct SetAside {
    pub bytes: u64,
}

impl SetAside {
    pub fn of(sources: &[Source], threads: usize) -> SetAside {
        SetAside { bytes: open(sources, threads, |memory| memory.aside).bytes }
    }

    /// Returns memory of which at least so many bytes aren't set aside.
    pub fn leaves(self, bytes: u64) -> u64 {
        self.for_further(bytes.saturating_add(self.bytes))
    }

    /// Returns how many bytes of further memory leave so many.
    pub fn for_further(self, bytes: u64) -> u64 {
        match self.bytes {
            0 => bytes,
            _ => bytes.saturating_mul(PARTS).div_ceil(PARTS - 1),
        }
    }
}

/// Of this many parts of the memory beyond what is needed, one is spare, at most.
const PARTS: u64 = 8;

/// Returns the memory that a job needs for its decoders besides the least memory of any job.
pub fn least(sources: &[Source], threads: usize) -> u64 {
    open(sources, threads, |memory| memory.least).beyond
}

/// The threads of a job, and the most that it may have if it gets more memory.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    pub now: usize,
    pub most: usize,
}

/// Limits the memory of decoders to what a job with so much `memory` has for them. `least_of` returns the least memory
/// of a job with so many threads.
pub fn limit(sources: &mut [Source], threads: Threads, memory: u64, least_of: impl Fn(usize) -> u64) -> Result<()> {
    let needs = |threads| {
        let open = open(sources, threads, |memory| memory.least);
        (least_of(threads) + open.beyond, PARTS * open.unsure.max(1))
    };
    let (job, parts) = needs(threads.now);
    let (job_at_most, parts_at_most) = needs(threads.most);
    if memory < job {
        let largest = sources.iter().max_by_key(|source| source.decoder().least).expect("a decoder takes memory");
        let bytes = size(largest.decoder().least);
        let fewer = if threads.now > 1 { ", or fewer --threads" } else { "" };
        return Err(Error::usage_hint(
            format!("{}: takes {bytes} to decompress, but memory is {}", shown(largest.path()), size(memory)),
            format!("use --memory {}{fewer}", argument(job_at_most)),
        ));
    }
    let spare = (memory - job) / parts;
    let enough = of_frame(Frame { window: LARGEST_WINDOW, content: None });
    for source in sources {
        let least = source.decoder().least;
        let is_unsure = is_unknown(source) || least > ANY;
        let aside = if is_unsure { (least + spare).min(enough) } else { least };
        let most = aside.max(SMALL);
        source.limit_decoder(DecoderMemory { least, aside, most, job: job_at_most, parts: parts_at_most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::input::{Codec, FileId, ReadLimits};

    const MIB: u64 = 1 << 20;

    fn zstd(window: u64) -> Source {
        let decoder = DecoderMemory::of(Some(Frame { window, content: None }));
        let (id, codec) = (FileId { device: 0, inode: 0, changed_ns: 0 }, Some(Codec::Zstd));
        let path = Path::new("f.zst").to_owned();
        Source::File { path, len: 1, id, codec, reach: ReadLimits { decoder, ..ReadLimits::default() } }
    }

    fn limited(mut sources: Vec<Source>, threads: usize, memory: u64) -> Result<Vec<Source>> {
        let of_job = |threads| (12 + 2 * threads as u64) * MIB;
        limit(&mut sources, Threads { now: threads, most: threads }, memory, of_job).map(|()| sources)
    }

    /// The memory that an error names is enough, and a little less isn't.
    #[test]
    fn what_is_named_is_enough() {
        let frame = |window| Frame { window, content: None };
        for threads in [1, 2, 5] {
            for sources in [
                vec![Source::stdin()],
                vec![zstd(MIB), Source::stdin(), Source::stream(Path::new("fifo"))],
                vec![zstd(MIB); 20],
            ] {
                let of_files = least(&sources, threads);
                let job = (12 + 2 * threads as u64) * MIB + of_files;
                let at_least = limited(sources.clone(), threads, job).unwrap();
                assert!(limited(sources.clone(), threads, job - 1).is_err() || of_files == 0);
                for window in [4 * MIB, 10 * MIB, LARGEST_WINDOW] {
                    let needs = at_least[0].decoder().lacks(frame(window)).unwrap();
                    let more = limited(sources.clone(), threads, needs).unwrap();
                    assert_eq!(more[0].decoder().lacks(frame(window)), None);
                    assert!(SetAside::of(&more, threads).bytes < needs - job + of_files + 8 * MIB);
                    let less = limited(sources.clone(), threads, needs - 1).unwrap();
                    assert!(less[0].decoder().lacks(frame(window)).is_some());
                }
            }
        }
    }

    #[test]
    fn where_memory_is_plenty_any_window_fits() {
        for source in [Source::stdin(), zstd(1024), zstd(LARGEST_WINDOW)] {
            let limited = limited(vec![source], 2, 2048 * MIB).unwrap();
            assert_eq!(limited[0].decoder().lacks(Frame { window: LARGEST_WINDOW, content: None }), None);
            let aside = SetAside::of(&limited, 2);
            assert!(aside.bytes < 130 * MIB);
            assert!(aside.leaves(500 * MIB) - aside.bytes >= 500 * MIB);
        }
    }

    #[test]
    fn as_many_files_count_as_are_read_at_a_time() {
        let one = least(&[zstd(MIB)], 1);
        assert_eq!(least(&vec![zstd(MIB); 20], 3), 4 * one);
        let mixed = [vec![zstd(1024); 9], vec![zstd(MIB)], vec![zstd(1024); 9]].concat();
        assert_eq!(least(&mixed, 3), one);
        let error = limited(vec![zstd(1024), zstd(8 * MIB)], 2, 20 * MIB).unwrap_err();
        assert_eq!(error.to_string(), "f.zst: takes 8.6 MiB to decompress, but memory is 20 MiB");
        assert_eq!((error.hint().unwrap().as_str(), error.exit_code()), ("use --memory 25M, or fewer --threads", 2));
    }

    #[test]
    fn a_small_content_takes_less_than_its_window() {
        let bytes = |content| of_frame(Frame { window: 8 * MIB, content });
        assert_eq!(bytes(Some(0)), ANY + (128 << 10));
        assert!(bytes(Some(100_000)) - bytes(Some(0)) == 100_000);
        assert_eq!(bytes(Some(1 << 40)), bytes(None));
    }
}
