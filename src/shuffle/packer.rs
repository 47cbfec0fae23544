//! Decides for each page whether it is compressed, and by which codec.
//!
//! With `auto` every worker measures what compressing would cost and bring: from time to time it compresses and
//! decompresses a few pages by each codec, and it takes the time of all that it writes. For each byte of rows,
//!
//! ```text
//! plain       write                                        seconds per byte written
//! compressed  compress + ratio · write + decompress        the ratio is compressed to plain bytes
//! ```
//!
//! A page is compressed if that is less by a tenth at least. Where the page cache takes what is written, a byte costs
//! less to write than to compress, so pages stay plain. Where the process waits for the disk, pages are compressed.

use std::time::{Duration, Instant};

use super::codec::{self, Codec, Compressor, PageCompression};
use super::format::Compressed;

/// Longer pages aren't compressed: each holds a single row, and memory is limited for such rows.
const LONGEST: usize = 1 << 20;
/// Shorter pages say little about how long compressing takes.
const LEAST_SAMPLE: usize = 1 << 10;
/// Bytes of rows that a worker writes before its first samples, and between samples: samples are few beside what is
/// written, and small jobs take none.
const FIRST_AFTER: u64 = 8 << 20;
const EVERY: u64 = 64 << 20;
/// Pages that are sampled one after the other. The fastest counts, because a worker may be interrupted.
const SAMPLES: u32 = 4;

/// Packs the pages of one worker.
#[derive(Debug, Default)]
pub struct Packer {
    compressor: Compressor,
    gauge: Gauge,
    /// Where sampled pages are decompressed to.
    scratch: Vec<u8>,
}

impl Packer {
    /// Returns a page's payload as it is to be stored, and how it is stored.
    pub fn pack<'a>(&'a mut self, setting: PageCompression, payload: &'a [u8]) -> (Option<Compressed>, &'a [u8]) {
        if payload.len() > LONGEST {
            return (None, payload);
        }
        let codec = match setting {
            PageCompression::None => None,
            PageCompression::Lz4 => Some(Codec::Lz4),
            PageCompression::Zstd => Some(Codec::Zstd),
            PageCompression::Auto => {
                if self.gauge.wants_sample(payload.len()) {
                    self.sample(payload);
                }
                self.gauge.choice
            }
        };
        let packed = codec.and_then(|codec| Some((codec, self.compressor.compress(codec, payload)?)));
        match packed {
            Some((codec, stored)) => (Some(Compressed { codec, len: stored.len() as u32 }), stored),
            None => (None, payload),
        }
    }

    /// Notes how long it took to write bytes to a file.
    pub fn note_write(&mut self, bytes: usize, took: Duration) {
        self.gauge.note_write(bytes, took);
    }

    fn sample(&mut self, payload: &[u8]) {
        self.scratch.resize(payload.len(), 0);
        for codec in Codec::ALL {
            let begun = Instant::now();
            let stored = self.compressor.compress(codec, payload);
            let len = stored.map_or(payload.len(), |stored| {
                let whole = codec::decompress(codec, stored, &mut self.scratch);
                debug_assert!(whole.is_some_and(|()| self.scratch == payload));
                stored.len()
            });
            self.gauge.note_sample(codec, payload.len(), len, begun.elapsed());
        }
        self.gauge.end_sample();
        // A codec takes half a mebibyte, and the next samples are far away.
        self.compressor.keep(self.gauge.choice);
        self.scratch = Vec::new();
    }
}

/// What was measured, and what follows from it.
#[derive(Debug)]
struct Gauge {
    choice: Option<Codec>,
    /// Bytes of rows until the next samples.
    wait: u64,
    samples: u32,
    /// Indexed as [`Codec::ALL`].
    costs: [Cost; Codec::ALL.len()],
    written: f64,
    write_seconds: f64,
}

/// What a codec made of the pages sampled.
#[derive(Clone, Copy, Debug)]
struct Cost {
    plain: f64,
    stored: f64,
    /// Seconds for each byte of rows, to compress and to decompress it.
    seconds: f64,
}

const UNKNOWN: Cost = Cost { plain: 0.0, stored: 0.0, seconds: f64::INFINITY };

impl Default for Gauge {
    fn default() -> Self {
        let costs = [UNKNOWN; Codec::ALL.len()];
        Gauge { choice: None, wait: FIRST_AFTER, samples: 0, costs, written: 0.0, write_seconds: 0.0 }
    }
}

impl Gauge {
    fn wants_sample(&mut self, len: usize) -> bool {
        self.wait = self.wait.saturating_sub(len as u64);
        self.wait == 0 && len >= LEAST_SAMPLE
    }

    fn note_write(&mut self, bytes: usize, took: Duration) {
        self.written += bytes as f64;
        self.write_seconds += took.as_secs_f64();
    }

    fn note_sample(&mut self, codec: Codec, plain: usize, stored: usize, took: Duration) {
        let cost = &mut self.costs[codec as usize - 1];
        cost.plain += plain as f64;
        cost.stored += stored as f64;
        cost.seconds = cost.seconds.min(took.as_secs_f64() / plain as f64);
    }

    fn end_sample(&mut self) {
        self.samples += 1;
        if self.samples < SAMPLES || self.written == 0.0 {
            return;
        }
        let write = self.write_seconds / self.written;
        let of = |codec: Codec| {
            let Cost { plain, stored, seconds } = self.costs[codec as usize - 1];
            seconds + stored / plain * write
        };
        let best = Codec::ALL.into_iter().min_by(|a, b| of(*a).total_cmp(&of(*b)));
        self.choice = best.filter(|codec| of(*codec) < 0.9 * write);
        // What was written long ago says less about the disk than what was written last.
        self.written /= 2.0;
        self.write_seconds /= 2.0;
        (self.wait, self.samples, self.costs) = (EVERY, 0, [UNKNOWN; Codec::ALL.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is chosen if a byte takes these nanoseconds to write, and codecs do what LZ4 and zstd do to text.
    fn chosen(gauge: &mut Gauge, write: f64) -> Option<Codec> {
        let nanoseconds = |of: f64, bytes: usize| Duration::from_secs_f64(of * 1e-9 * bytes as f64);
        gauge.note_write(100 << 20, nanoseconds(write, 100 << 20));
        for _ in 0..SAMPLES {
            gauge.note_sample(Codec::Lz4, 16_000, 8_000, nanoseconds(3.0, 16_000));
            gauge.note_sample(Codec::Zstd, 16_000, 5_000, nanoseconds(7.0, 16_000));
            gauge.end_sample();
        }
        gauge.choice
    }

    #[test]
    fn pages_are_compressed_where_writing_takes_longer() {
        let fresh = |write| chosen(&mut Gauge::default(), write);
        assert_eq!([0.1, 0.5, 2.0, 6.0].map(fresh), [None; 4]);
        assert_eq!([10.0, 15.0].map(fresh), [Some(Codec::Lz4); 2]);
        assert_eq!([50.0, 500.0].map(fresh), [Some(Codec::Zstd); 2]);
    }

    /// The disk becomes slow, and fast again.
    #[test]
    fn a_choice_is_made_anew() {
        let mut gauge = Gauge::default();
        assert_eq!([0.5, 0.5].map(|write| chosen(&mut gauge, write)), [None; 2]);
        assert_eq!(chosen(&mut gauge, 200.0), Some(Codec::Zstd));
        let last = (0..12).map(|_| chosen(&mut gauge, 0.5)).last().unwrap();
        assert_eq!(last, None);
    }

    #[test]
    fn samples_are_taken_now_and_then() {
        let mut packer = Packer::default();
        let page = b"some words and more words ".repeat(600);
        let mut sampled = Vec::new();
        for number in 0..(FIRST_AFTER + 3 * EVERY) / page.len() as u64 {
            let before = (packer.gauge.samples, packer.gauge.wait);
            packer.note_write(page.len(), Duration::from_nanos(1));
            let (compressed, stored) = packer.pack(PageCompression::Auto, &page);
            assert!(compressed.is_none() && stored == page);
            if packer.gauge.samples > before.0 || packer.gauge.wait > before.1 {
                sampled.push(number * page.len() as u64);
            }
        }
        // Four pages one after the other, each time.
        assert_eq!(sampled.len(), 3 * SAMPLES as usize, "{sampled:?}");
        assert!(sampled[0] + 2 * page.len() as u64 >= FIRST_AFTER, "{sampled:?}");
        assert!(sampled[4] >= FIRST_AFTER + EVERY, "{sampled:?}");
    }

    #[test]
    fn what_is_packed() {
        let mut packer = Packer::default();
        let page = b"some words and more words ".repeat(600);
        for (setting, codec) in [(PageCompression::Lz4, Codec::Lz4), (PageCompression::Zstd, Codec::Zstd)] {
            let (compressed, stored) = packer.pack(setting, &page);
            assert_eq!(compressed, Some(Compressed { codec, len: stored.len() as u32 }));
            assert!(stored.len() * 10 < page.len());
            let long = vec![0; LONGEST + 1];
            assert_eq!(packer.pack(setting, &long), (None, &long[..]));
            assert_eq!(packer.pack(setting, b"short"), (None, &b"short"[..]));
        }
        assert_eq!(packer.pack(PageCompression::None, &page), (None, &page[..]));
    }
}
