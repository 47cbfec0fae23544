//! A block in two AVX2 registers or one AVX-512 register.
//!
//! The methods are inlined into the two functions that have the processor features enabled. Only there do the
//! intrinsics become single instructions.

use std::arch::x86_64::*;

use super::{BLOCK, Class, Cursor, Kernel, Level, ScanEnd, TokenEdges, Vector, scan};
use crate::record::bits::put_places;

/// Returns the kernels of the levels that this processor has.
pub fn detect() -> [Option<Kernel>; 2] {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2");
    [avx2.then_some(Kernel(Level::Avx2)), avx512.then_some(Kernel(Level::Avx512))]
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub fn scan_avx2<C: Class>(
    text: &[u8],
    folded: &mut [u8],
    edges: &mut TokenEdges,
    limit: usize,
    cursor: &mut Cursor,
) -> ScanEnd {
    // SAFETY: this function has the features of `Avx2`.
    unsafe { scan::<Avx2, C>(text, folded, edges, limit, cursor) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub fn scan_avx512<C: Class>(
    text: &[u8],
    folded: &mut [u8],
    edges: &mut TokenEdges,
    limit: usize,
    cursor: &mut Cursor,
) -> ScanEnd {
    // SAFETY: this function has the features of `Avx512`.
    unsafe { scan::<Avx512, C>(text, folded, edges, limit, cursor) }
}

#[derive(Clone, Copy)]
struct Avx2([__m256i; 2]);

impl Avx2 {
    /// Makes a mask from the top bit of every byte that `test` returns for half a block.
    #[inline(always)]
    fn mask(self, test: impl Fn(__m256i) -> __m256i) -> u64 {
        let [low, high] = self.0;
        // SAFETY: a value of this type is proof of AVX2.
        let halves = unsafe { [_mm256_movemask_epi8(test(low)), _mm256_movemask_epi8(test(high))] };
        u64::from(halves[0] as u32) | u64::from(halves[1] as u32) << 32
    }
}

impl Vector for Avx2 {
    #[inline(always)]
    unsafe fn load(block: &[u8; BLOCK]) -> Self {
        let halves = block.as_ptr().cast::<__m256i>();
        // SAFETY: the caller vouches for AVX2; the block is 64 readable bytes
        // and the loads need no alignment.
        unsafe { Avx2([_mm256_loadu_si256(halves), _mm256_loadu_si256(halves.add(1))]) }
    }

    #[inline(always)]
    fn store(self, block: &mut [u8; BLOCK]) {
        let halves = block.as_mut_ptr().cast::<__m256i>();
        // SAFETY: a value of this type is proof of AVX2; the block is 64
        // writable bytes and the stores need no alignment.
        unsafe {
            _mm256_storeu_si256(halves, self.0[0]);
            _mm256_storeu_si256(halves.add(1), self.0[1]);
        }
    }

    #[inline(always)]
    fn lower(self) -> Self {
        // SAFETY: a value of this type is proof of AVX2.
        Avx2(self.0.map(|half| unsafe { _mm256_or_si256(half, _mm256_set1_epi8(0x20)) }))
    }

    #[inline(always)]
    fn lower_ascii(self) -> Self {
        // SAFETY: a value of this type is proof of AVX2.
        Avx2(self.0.map(|half| unsafe {
            let ascii = _mm256_andnot_si256(half, _mm256_set1_epi8(-0x80));
            _mm256_or_si256(half, _mm256_srli_epi16::<2>(ascii))
        }))
    }

    #[inline(always)]
    fn within(self, first: u8, last: u8) -> u64 {
        // The comparisons are signed: bytes that are not ASCII are below any `first`, and `last` is never 0x7f, whose
        // successor would wrap.
        // SAFETY: a value of this type is proof of AVX2.
        self.mask(|half| unsafe {
            _mm256_and_si256(
                _mm256_cmpgt_epi8(half, _mm256_set1_epi8(first as i8 - 1)),
                _mm256_cmpgt_epi8(_mm256_set1_epi8(last as i8 + 1), half),
            )
        })
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        // SAFETY: a value of this type is proof of AVX2.
        self.mask(|half| unsafe { _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte as i8)) })
    }

    #[inline(always)]
    fn high(self) -> u64 {
        self.mask(|half| half)
    }

    #[inline(always)]
    fn leads(self) -> u64 {
        // SAFETY: a value of this type is proof of AVX2.
        self.mask(|half| unsafe { _mm256_and_si256(half, _mm256_slli_epi16::<1>(half)) })
    }

    #[inline(always)]
    fn places(self, bits: u64, base: u32, out: &mut [u32; BLOCK]) {
        // SAFETY: a value of this type is proof of AVX2.
        unsafe { put_places(bits, base, out) }
    }
}

#[derive(Clone, Copy)]
struct Avx512(__m512i);

/// The places in a block, which are compressed to those of the set bits.
static PLACES: [u8; BLOCK] = {
    let mut places = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        places[i] = i as u8;
        i += 1;
    }
    places
};

impl Vector for Avx512 {
    #[inline(always)]
    unsafe fn load(block: &[u8; BLOCK]) -> Self {
        // SAFETY: the caller vouches for AVX-512; the block is 64 readable
        // bytes and the load needs no alignment.
        unsafe { Avx512(_mm512_loadu_si512(block.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, block: &mut [u8; BLOCK]) {
        // SAFETY: a value of this type is proof of AVX-512; the block is 64
        // writable bytes and the store needs no alignment.
        unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn lower(self) -> Self {
        // SAFETY: a value of this type is proof of AVX-512.
        unsafe { Avx512(_mm512_or_si512(self.0, _mm512_set1_epi8(0x20))) }
    }

    #[inline(always)]
    fn lower_ascii(self) -> Self {
        // SAFETY: a value of this type is proof of AVX-512.
        unsafe {
            let ascii = _mm512_andnot_si512(self.0, _mm512_set1_epi8(-0x80));
            Avx512(_mm512_or_si512(self.0, _mm512_srli_epi16::<2>(ascii)))
        }
    }

    #[inline(always)]
    fn within(self, first: u8, last: u8) -> u64 {
        // Unsigned, so that a byte below `first` wraps to far above the width.
        // SAFETY: a value of this type is proof of AVX-512.
        unsafe {
            let offset = _mm512_sub_epi8(self.0, _mm512_set1_epi8(first as i8));
            _mm512_cmple_epu8_mask(offset, _mm512_set1_epi8((last - first) as i8))
        }
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        // SAFETY: a value of this type is proof of AVX-512.
        unsafe { _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    fn high(self) -> u64 {
        // SAFETY: a value of this type is proof of AVX-512.
        unsafe { _mm512_movepi8_mask(self.0) }
    }

    #[inline(always)]
    fn leads(self) -> u64 {
        // SAFETY: a value of this type is proof of AVX-512.
        unsafe { _mm512_cmpge_epu8_mask(self.0, _mm512_set1_epi8(-0x40)) }
    }

    #[inline(always)]
    fn places(self, bits: u64, base: u32, out: &mut [u32; BLOCK]) {
        let sixteens = out.as_chunks_mut::<16>().0;
        // SAFETY: a value of this type is proof of AVX-512; the load is of 64
        // bytes and each store of sixteen `u32`, and neither needs alignment.
        unsafe {
            let places = _mm512_loadu_si512(PLACES.as_ptr().cast());
            let packed = _mm512_maskz_compress_epi8(bits, places);
            let base = _mm512_set1_epi32(base as i32);
            let write = |out: &mut [u32; 16], bytes: __m128i| {
                let wide = _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), base);
                _mm512_storeu_si512(out.as_mut_ptr().cast(), wide);
            };
            write(&mut sixteens[0], _mm512_extracti32x4_epi32::<0>(packed));
            write(&mut sixteens[1], _mm512_extracti32x4_epi32::<1>(packed));
            if bits.count_ones() > 32 {
                write(&mut sixteens[2], _mm512_extracti32x4_epi32::<2>(packed));
                write(&mut sixteens[3], _mm512_extracti32x4_epi32::<3>(packed));
            }
        }
    }
}
