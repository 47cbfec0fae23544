//! The codecs by which a page of a run may be compressed: LZ4 (block format) and zstd (frames of level 1). Each page is
//! compressed by itself, so that any page can be read alone.

use std::cell::RefCell;
use std::fmt;

use lz4_flex::block::{self as lz4, CompressTable};
use zstd::bulk::{Compressor as ZstdCompressor, Decompressor as ZstdDecompressor};

use crate::schema::choices;

choices! {
    /// Whether the pages of runs are compressed, and how.
    #[derive(Default)]
    pub enum PageCompression {
        /// By the codec that saves time as measured, if one does.
        #[default]
        Auto = "auto",
        None = "none",
        Lz4 = "lz4",
        Zstd = "zstd",
    }
}

/// A codec. Its number says in a file how a page is stored; 0 stands for a page that isn't compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Lz4 = 1,
    Zstd = 2,
}

impl Codec {
    pub const ALL: [Codec; 2] = [Codec::Lz4, Codec::Zstd];

    pub fn of_number(number: u32) -> Option<Codec> {
        Codec::ALL.into_iter().find(|&codec| codec as u32 == number)
    }
}

const ZSTD_LEVEL: i32 = 1;

/// The memory of the codecs, reused from page to page. It is allocated at the first page.
#[derive(Default)]
pub struct Compressor {
    lz4: Option<CompressTable>,
    zstd: Option<ZstdCompressor<'static>>,
    out: Vec<u8>,
}

impl Compressor {
    /// Frees the memory of all codecs but this one.
    pub fn keep(&mut self, codec: Option<Codec>) {
        let Compressor { lz4, zstd, out } = std::mem::take(self);
        match codec {
            Some(Codec::Lz4) => *self = Compressor { lz4, out, zstd: None },
            Some(Codec::Zstd) => *self = Compressor { zstd, out, lz4: None },
            None => {}
        }
    }

    /// Returns the compressed bytes. `None` if they aren't fewer than `bytes`.
    pub fn compress(&mut self, codec: Codec, bytes: &[u8]) -> Option<&[u8]> {
        let Compressor { lz4, zstd, out } = self;
        let most = match codec {
            Codec::Lz4 => lz4::get_maximum_output_size(bytes.len()),
            Codec::Zstd => zstd::zstd_safe::compress_bound(bytes.len()),
        };
        if out.len() < most {
            out.resize(most, 0);
        }
        let len = match codec {
            Codec::Lz4 => {
                let table = lz4.get_or_insert_with(CompressTable::small);
                lz4::compress_into_with_table(bytes, out, table).ok()
            }
            Codec::Zstd => {
                let context = match zstd {
                    Some(context) => context,
                    none => none.insert(ZstdCompressor::new(ZSTD_LEVEL).ok()?),
                };
                context.compress_to_buffer(bytes, &mut out[..]).ok()
            }
        };
        len.filter(|&len| len < bytes.len()).map(|len| &out[..len])
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// Decompresses `stored` into `out`. `None` unless that makes exactly as many bytes as `out` has.
pub fn decompress(codec: Codec, stored: &[u8], out: &mut [u8]) -> Option<()> {
    thread_local! {
        /// Reused from page to page: a context takes more time to make than a page to decompress.
        static ZSTD: RefCell<ZstdDecompressor<'static>> = RefCell::default();
    }
    let len = match codec {
        Codec::Lz4 => lz4::decompress_into(stored, out).ok(),
        Codec::Zstd => ZSTD.with_borrow_mut(|zstd| zstd.decompress_to_buffer(stored, out).ok()),
    };
    (len? == out.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::hash::hash;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            pages in prop::collection::vec(prop::collection::vec(0u8..5, 0..5_000), 1..5),
            long in 0usize..200_000,
        ) {
            let mut compressor = Compressor::default();
            for page in pages.into_iter().chain([vec![7; long]]) {
                for codec in Codec::ALL {
                    let Some(stored) = compressor.compress(codec, &page) else {
                        prop_assert!(page.len() < 200, "{codec:?}: {} bytes don't shrink", page.len());
                        continue;
                    };
                    prop_assert!(stored.len() < page.len());
                    let mut out = vec![0; page.len()];
                    prop_assert_eq!(decompress(codec, stored, &mut out), Some(()));
                    prop_assert_eq!(&out, &page);
                    for len in [page.len() - 1, page.len() + 1] {
                        prop_assert_eq!(decompress(codec, stored, &mut vec![0; len]), None);
                    }
                    prop_assert_eq!(decompress(codec, &stored[..stored.len() - 1], &mut out), None);
                }
            }
        }

        /// Bytes that no codec made are refused, or give the same rows each time. Nothing panics.
        #[test]
        fn any_bytes(stored in prop::collection::vec(any::<u8>(), 1..300), len in 1usize..1_000) {
            let decompressed = |codec| {
                let mut out = vec![0; len];
                decompress(codec, &stored, &mut out).map(|()| out)
            };
            // A frame of zstd begins with four bytes of its own.
            prop_assert_eq!(decompressed(Codec::Zstd), None);
            prop_assert_eq!(decompressed(Codec::Lz4), decompressed(Codec::Lz4));
        }
    }

    #[test]
    fn what_does_not_shrink() {
        let noise: Vec<u8> = (0..40u64).flat_map(|i| hash(&i.to_le_bytes()).to_le_bytes()).collect();
        for codec in Codec::ALL {
            assert_eq!(Compressor::default().compress(codec, b""), None);
            assert_eq!(Compressor::default().compress(codec, b"abc"), None);
            assert_eq!(Compressor::default().compress(codec, &noise), None);
        }
    }

    #[test]
    fn numbers() {
        assert_eq!([0, 1, 2, 3].map(Codec::of_number), [None, Some(Codec::Lz4), Some(Codec::Zstd), None]);
    }
}
