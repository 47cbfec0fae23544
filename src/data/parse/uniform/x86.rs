//! The AVX2 version of `read_8`: the same steps for four values of up to eight bytes at a time.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::Form;
use crate::data::Span;

/// Reads the values of the spans to `mantissas`, except for up to three at the end. Returns how many it read: 0 if the
/// processor has no AVX2. Returns `None` if a value doesn't have the form, or if a word would lie outside the data.
pub fn read(data: &[u8], spans: &[Span], mantissas: &mut [i64], form: Form) -> Option<usize> {
    if !is_x86_feature_detected!("avx2") {
        return Some(0);
    }
    // Checks that every word that is read lies in the data.
    let (first, last) =
        spans.iter().fold((u32::MAX, 0), |(first, last), span| (first.min(span.end), last.max(span.end)));
    let lies_inside = first >= 8 && last as usize <= data.len() && mantissas.len() >= spans.len();
    if !lies_inside {
        return None;
    }
    // SAFETY: the processor has AVX2. For each span, `end - 8 .. end` is inside the data and there is a mantissa.
    unsafe { read_avx2(data, spans, mantissas, form) }
}

/// # Safety
/// The processor has AVX2; `end` of each span is at least 8 and at most the length of `data`; `mantissas` is as long as
/// `spans`.
#[target_feature(enable = "avx2")]
unsafe fn read_avx2(data: &[u8], spans: &[Span], mantissas: &mut [i64], form: Form) -> Option<usize> {
    let each = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let words = |word: u64| _mm256_set1_epi64x(word.cast_signed());
    let (before, behind, point) = (words(form.before), words(form.behind), words(u64::from(form.point)));
    let up = _mm_cvtsi32_si128(8 * form.point.cast_signed());
    let (point_mask, point_sign) = match form.point {
        0 => (words(0), words(0)),
        _ => (words(0xff << form.to_point), words(u64::from(b'.' ^ 0x30) << form.to_point)),
    };
    let (tens, hundreds) = (_mm256_set1_epi16(0x010a), _mm256_set1_epi32(0x0001_0064));
    let ten_thousand = words(10_000);
    let mut wrong = _mm256_setzero_si256();
    let (fours, _) = spans.as_chunks::<4>();
    for (four, to) in fours.iter().zip(mantissas.as_chunks_mut::<4>().0) {
        let word = |i: usize| {
            // SAFETY: the 8 bytes before `end` are inside the data, as the caller saw to.
            unsafe { data.as_ptr().add(four[i].end as usize - 8).cast::<i64>().read_unaligned() }
        };
        let word = _mm256_set_epi64x(word(3), word(2), word(1), word(0));
        // SAFETY: four spans are 32 bytes, `start` in the lower half of each 8.
        let span = unsafe { _mm256_loadu_si256(four.as_ptr().cast()) };
        let len = _mm256_sub_epi64(_mm256_srli_epi64(span, 32), _mm256_and_si256(span, words(0xffff_ffff)));
        let bits_left = |len| _mm256_sub_epi64(words(64), _mm256_slli_epi64(len, 3));
        // All ones if the first byte is a sign.
        let first = _mm256_and_si256(_mm256_srlv_epi64(word, bits_left(len)), words(0xff));
        let negative = _mm256_cmpeq_epi64(first, words(u64::from(b'-')));
        let digits = _mm256_add_epi64(len, negative);
        let mask = _mm256_sllv_epi64(each(0xff), bits_left(digits));
        let values = _mm256_and_si256(_mm256_xor_si256(word, each(0x30)), mask);
        let moved = _mm256_sll_epi64(_mm256_and_si256(values, before), up);
        let number = _mm256_or_si256(moved, _mm256_and_si256(values, behind));

        let not_point = _mm256_and_si256(_mm256_xor_si256(values, point_sign), point_mask);
        let high = _mm256_and_si256(_mm256_or_si256(_mm256_add_epi8(number, each(0x76)), number), each(0x80));
        let too_few = _mm256_xor_si256(_mm256_cmpgt_epi64(digits, point), each(0xff));
        wrong = _mm256_or_si256(wrong, _mm256_or_si256(_mm256_or_si256(not_point, high), too_few));

        let pairs = _mm256_maddubs_epi16(number, tens);
        let fours = _mm256_madd_epi16(pairs, hundreds);
        let eights = _mm256_add_epi64(_mm256_mul_epu32(fours, ten_thousand), _mm256_srli_epi64(fours, 32));
        let signed = _mm256_sub_epi64(_mm256_xor_si256(eights, negative), negative);
        // SAFETY: four mantissas are 32 bytes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), signed) };
    }
    (_mm256_testz_si256(wrong, wrong) == 1).then_some(4 * fours.len())
}

#[cfg(test)]
mod tests {
    use super::super::{read_8, tests::columns};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        /// Reads the same numbers as the scalar version does, whatever the values are.
        #[test]
        fn reads_what_one_at_a_time_does((data, spans) in columns(), scale in 0u32..8) {
            let spans: Vec<_> = spans.into_iter().filter(|span| span.len() <= 8 && span.end >= 8).collect();
            let whole = spans.len() / 4 * 4;
            let form = Form::new(scale);
            let (mut slowly, mut fast) = (vec![0; whole], vec![0; whole]);
            let is_right = read_8(&data, &spans[..whole], &mut slowly, scale);
            if let Some(0) = read(&data, &spans[..whole], &mut fast, form).filter(|_| whole > 0) {
                return Ok(());
            }
            prop_assert_eq!(read(&data, &spans[..whole], &mut fast, form), is_right.then_some(whole));
            if is_right {
                prop_assert_eq!(fast, slowly);
            }
        }
    }
}
