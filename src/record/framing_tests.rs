use proptest::prelude::*;

use super::*;

/// Takes a step of the machine as its table says, for one byte.
fn step(state: QuoteState, byte: u8) -> QuoteState {
    match (state, byte) {
        (QuoteState::FieldStart, b'"') => QuoteState::Quoted,
        (QuoteState::Quoted, b'"') => QuoteState::FieldStart,
        (QuoteState::Quoted, _) => QuoteState::Quoted,
        (_, b',' | b'\n') => QuoteState::FieldStart,
        _ => QuoteState::Unquoted,
    }
}

/// Returns the ends of the records of `bytes`, and the state behind `bytes`.
fn ends(mut state: QuoteState, bytes: &[u8]) -> (Vec<usize>, QuoteState) {
    let mut ends = vec![];
    for (i, &byte) in bytes.iter().enumerate() {
        if byte == b'\n' && state != QuoteState::Quoted {
            ends.push(i + 1);
        }
        state = step(state, byte);
    }
    (ends, state)
}

/// Counts the odd quotes of `bytes`.
fn odd_quotes(mut state: QuoteState, bytes: &[u8]) -> u32 {
    let mut odd = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        odd += u32::from(match state {
            _ if byte != b'"' => false,
            QuoteState::FieldStart => false,
            QuoteState::Unquoted => true,
            QuoteState::Quoted if i % BLOCK == BLOCK - 1 => false,
            QuoteState::Quoted => bytes.get(i + 1).is_some_and(|next| !b",\n\"\r".contains(next)),
        });
        state = step(state, byte);
    }
    odd
}

const CSV: Framing = Framing::Quoted { delimiter: b',' };
const LINES: Framing = Framing::Terminator(b'\n');

/// Bytes that matter to the machine, some of them rarely, in stretches in which blocks end.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"\""[..],
        b"\"",
        b"\"\"",
        b",",
        b"\n",
        b"\r\n",
        b"a",
        b",\"",
        b"\",\"",
        b"\"\n\"",
        b"\"\"\"",
        b"plain text,12\n",
        b"\0",
        b"\"a quoted field, with a\nnewline and a \"\"quote\"\" in it\",",
    ]);
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn ends_are_those_of_the_machine(bytes in bytes(), start in prop::sample::select(QuoteState::ALL.to_vec())) {
        let (want, last) = ends(start, &bytes);
        for level in Level::available() {
            let mut found = vec![];
            let each = |at: usize, ends: u64| {
                found.extend((0..BLOCK).filter(|i| ends >> i & 1 == 1).map(|i| at + i + 1));
                ControlFlow::Continue(())
            };
            let state = level.run(Walk { bytes: &bytes, delimiter: b',', state: start, each });
            prop_assert_eq!((&found, state), (&want, last), "{:?}", level);
        }
        prop_assert_eq!(first_record_start(start, &bytes, b','), want.first().copied());
    }

    #[test]
    fn odd_quotes_are_those_of_the_machine(bytes in bytes(), state in prop::sample::select(QuoteState::ALL.to_vec())) {
        let want = odd_quotes(state, &bytes);
        for level in Level::available() {
            prop_assert_eq!(level.run(OddQuotes { bytes: &bytes, delimiter: b',', state }), want, "{:?}", level);
        }
    }

    #[test]
    fn records_are_found_from_their_ends(bytes in bytes(), size in 0usize..200, longest in 0usize..200, most in 0u64..30) {
        let (ends, _) = ends(QuoteState::FieldStart, &bytes);
        prop_assert_eq!(CSV.first_end(&bytes), ends.first().copied());
        prop_assert_eq!(CSV.last_end(&bytes), ends.last().copied());
        let unterminated = ends.last().copied().unwrap_or(0) < bytes.len();
        prop_assert_eq!(CSV.count(&bytes), ends.len() as u64 + u64::from(unterminated));

        let enough = bytes.len().min(size.max(longest));
        let up_to = |most: usize| ends.iter().copied().take_while(move |&end| end <= most);
        let want = match bytes.len() <= size {
            true => bytes.len(),
            false => up_to(size).last().or_else(|| up_to(enough).next()).unwrap_or(enough),
        };
        prop_assert_eq!(CSV.window(&bytes, size, longest), want);

        let mut begin = 0;
        let mut too_long = None;
        for end in ends.into_iter().chain(unterminated.then_some(bytes.len())) {
            let record = &bytes[begin..end];
            // A newline behind a quote that is still open ends no record.
            let line = record.strip_suffix(b"\n").filter(|_| !(unterminated && end == bytes.len()));
            let line = line.map_or(record, |line| line.strip_suffix(b"\r").unwrap_or(line));
            if line.len() as u64 > most {
                too_long = too_long.or(Some(begin));
            }
            begin = end;
        }
        prop_assert_eq!(CSV.too_long(&bytes, most), too_long);
    }

    /// The bytes are often long enough that `last_end_by_tail` finds the end.
    #[test]
    fn the_last_end_of_much(pieces in prop::collection::vec((bytes(), 1usize..40), 1..6)) {
        let bytes = pieces.into_iter().map(|(bytes, times)| bytes.repeat(times)).collect::<Vec<_>>().concat();
        let (ends, state) = ends(QuoteState::FieldStart, &bytes);
        prop_assert_eq!(last_end(&bytes, b','), (ends.last().copied(), state));
    }

    #[test]
    fn transitions_compose(bytes in bytes(), at in any::<prop::sample::Index>()) {
        let whole = Transition::of(&bytes, b',');
        for level in Level::available() {
            prop_assert_eq!(Transition::by(level, &bytes, b','), whole);
        }
        for state in QuoteState::ALL {
            prop_assert_eq!(whole.from(state), ends(state, &bytes).1);
            prop_assert_eq!(Transition::IDENTITY.from(state), state);
            prop_assert_eq!(whole.same().unwrap_or(ends(state, &bytes).1), ends(state, &bytes).1);
        }
        let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
        prop_assert_eq!(Transition::of(head, b',').then(Transition::of(tail, b',')), whole);
    }

    /// Parts of any size own each record once, though each part knows only the transitions of the parts before it.
    #[test]
    fn every_record_has_one_owner(bytes in bytes(), size in 1usize..150) {
        let mut before = Transition::IDENTITY;
        let mut starts = vec![0];
        for (i, part) in bytes.chunks(size).enumerate() {
            // A part also looks behind its end, because a record that ends there is followed by one that begins there.
            let state = before.from(QuoteState::FieldStart);
            let first = first_record_start(state, &bytes[i * size..], b',').map(|at| i * size + at);
            let mut next = first;
            while let Some(start) = next.filter(|&start| start <= i * size + part.len()) {
                starts.push(start);
                next = CSV.first_end(&bytes[start..]).map(|end| start + end);
            }
            before = before.then(Transition::of(part, b','));
        }
        prop_assert_eq!(&starts[1..], ends(QuoteState::FieldStart, &bytes).0);
    }

    #[test]
    fn lines_are_records_without_quotes(text in bytes(), size in 0usize..100, longest in 0usize..100, most in 0u64..20) {
        let plain: Vec<u8> = text.iter().map(|&byte| if byte == b'"' { b'q' } else { byte }).collect();
        prop_assert_eq!(LINES.window(&text, size, longest), CSV.window(&plain, size, longest));
        prop_assert_eq!(LINES.too_long(&text, most), CSV.too_long(&plain, most));
        prop_assert_eq!(LINES.count(&text), CSV.count(&plain));
        prop_assert_eq!(LINES.first_end(&text), CSV.first_end(&plain));
        prop_assert_eq!(LINES.last_end(&text), CSV.last_end(&plain));
    }
}

#[test]
fn windows_end_with_records() {
    let text = b"ab\ncd\nefghij\nk";
    let ends = |size, longest| LINES.window(text, size, longest);
    assert_eq!((ends(4, 100), ends(6, 100), ends(100, 1)), (3, 6, 14));
    let long = &text[6..];
    let window = |size, longest| LINES.window(long, size, longest);
    assert_eq!((window(2, 100), window(2, 7), window(2, 6), window(2, 3)), (7, 7, 6, 3));
    assert_eq!(LINES.window(b"abcdef", 2, 4), 4);
}

#[test]
fn records_longer_than_they_may_be() {
    let text = b"ab\nabc\r\nabcd";
    let first = |most| LINES.too_long(text, most);
    assert_eq!((first(1), first(2), first(3), first(4)), (Some(0), Some(3), Some(8), None));
    // A carriage return at the end of the text ends no line.
    let too_long = |text, most| LINES.too_long(text, most);
    assert_eq!((too_long(b"ab\r", 2), too_long(b"ab\r\n", 2), too_long(b"ab\n", 2)), (Some(0), None, None));
    assert_eq!((too_long(b"\n\n\n", 0), too_long(b"a", 0), too_long(b"", 0)), (None, Some(0), None));
}

#[test]
fn any_byte_may_end_records() {
    let list = Framing::Terminator(0);
    assert_eq!((list.count(b"a\nb\0c\r\0"), list.first_end(b"a\nb\0c"), list.last_end(b"a\0b")), (2, Some(4), Some(2)));
    // Only before a newline does a carriage return belong to the end.
    assert_eq!((list.too_long(b"ab\r\0", 2), list.too_long(b"ab\r\0", 3)), (Some(0), None));
}

/// The end of a record of several mebibytes is found wherever it lies, whatever the bytes before it are.
#[test]
fn the_length_of_a_long_record() {
    const STEP: usize = 1 << 20;
    for (framing, open, close) in [(LINES, "", ""), (CSV, "", ""), (CSV, "\"\n", "\n\""), (CSV, "\"\"\"", "\"\n,\"")] {
        for len in [STEP - 9, STEP - 1, STEP, STEP + 1, 3 * STEP - 2, 3 * STEP + 5] {
            let mut bytes = [open.as_bytes(), &vec![b'x'; len - open.len()], close.as_bytes(), b"\nnext\n"].concat();
            let mut seen = Vec::new();
            let found = framing.long_record(&bytes, |searched| seen.push(searched));
            assert_eq!(Some(found), framing.first_end(&bytes), "{open:?} {len}");
            assert!(found > len && seen.iter().all(|at| *at < found), "{open:?} {len} {seen:?}");
            bytes.truncate(len);
            assert_eq!(framing.long_record(&bytes, |_| {}), len, "{open:?} {len}");
        }
    }
}
