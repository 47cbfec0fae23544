//! A matcher for patterns that can be matched without going back, as those of logs mostly can: wherever the pattern leaves a
//! choice, the next byte decides it. Parsers of such grammars are called predictive, or LL(1).
//!
//! ```text
//! ^(?P<host>[^ ]+) \[(?P<time>[^\]]+)\](?: (?P<user>[a-z]+))?
//!
//! save 0 · bytes up to ' ' · save 1 · " [" · save 2 · bytes up to ']' · save 3 · "]" · unless ' ' comes next: end · " " · …
//! ```
//!
//! A run of bytes that ends at one of three bytes or fewer is passed by `memchr`. So a field costs a few nanoseconds, where a
//! DFA that keeps track of groups takes about three for each byte. Patterns that need more than this, and lines that a pattern
//! of Unicode classes meets outside of ASCII, are left to the regex engine, which the tests compare this matcher with.

use regex_syntax::hir::{self, Capture, Hir, HirKind, Look, Repetition};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Predictive {
    program: Vec<Op>,
    /// Whether the program is right only for text in ASCII.
    is_of_ascii: bool,
}

/// Instructions of the longest program. What is repeated once or more is compiled twice, and so nested repetitions grow fast.
const LONGEST: usize = 1000;

/// Marks a slot of a group that took no part.
pub const UNSET: usize = usize::MAX;

#[derive(Clone, Debug)]
enum Op {
    Byte(u8),
    /// These bytes come next.
    Literal(Box<[u8]>),
    /// Bytes of a class come next: as many as there are, but at most `most`. There are at least `least`.
    Run {
        class: Class,
        least: usize,
        most: usize,
    },
    /// The slot becomes the present offset.
    Save(usize),
    /// Goes on at `to` unless the next byte is in the set. There may be no next byte.
    Unless {
        set: Set,
        to: usize,
    },
    Jump(usize),
    /// The text ends here.
    End,
}

/// A set of bytes, prepared for finding the end of a run of them.
#[derive(Clone, Debug)]
enum Class {
    /// All bytes but these.
    But1(u8),
    But2(u8, u8),
    But3(u8, u8, u8),
    Other(Set),
}

/// A set of bytes.
#[derive(Clone, Debug, PartialEq)]
struct Set(Box<[bool; 256]>);

/// What a part of a pattern, or what follows it, may begin with.
#[derive(Clone, Debug)]
struct First {
    bytes: Set,
    /// Whether it also matches without any byte, whatever comes next.
    is_nullable: bool,
}

impl Predictive {
    /// Compiles a pattern whose groups are numbered from 1 in their order. `None` if matching it may need to go back, or if it
    /// may begin elsewhere than at the start of the text.
    pub fn new(hir: &Hir) -> Option<Predictive> {
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let (HirKind::Look(Look::Start), parts) = parts.split_first().map(|(first, rest)| (first.kind(), rest))? else {
            return None;
        };
        let mut compiler = Compiler { program: Vec::new(), is_of_ascii: false };
        match parts.split_last() {
            Some((last, parts)) if matches!(last.kind(), HirKind::Look(Look::End)) => {
                // Behind a choice there is only the end, which no byte is.
                compiler.concat(parts, &First { bytes: Set::default(), is_nullable: false }, false)?;
                compiler.program.push(Op::End);
            }
            _ => compiler.concat(parts, &First::nothing(), false)?,
        }
        Some(Predictive { program: compiler.program, is_of_ascii: compiler.is_of_ascii })
    }

    /// Whether it can tell about `text`.
    #[inline]
    pub fn covers(&self, text: &[u8]) -> bool {
        !self.is_of_ascii || text.is_ascii()
    }

    /// Whether `text` matches. If it does, group `i` is from `slots[2 * i - 2]` to `slots[2 * i - 1]`, both [`UNSET`] if it took
    /// no part.
    pub fn find(&self, text: &[u8], slots: &mut [usize]) -> bool {
        slots.fill(UNSET);
        let (mut op, mut at) = (0, 0);
        while let Some(next) = self.program.get(op) {
            op += 1;
            let rest = &text[at..];
            match next {
                Op::Byte(byte) => {
                    if rest.first() != Some(byte) {
                        return false;
                    }
                    at += 1;
                }
                Op::Literal(literal) => {
                    if !rest.starts_with(literal) {
                        return false;
                    }
                    at += literal.len();
                }
                Op::Run { class, least, most } => {
                    let run = class.run(&rest[..rest.len().min(*most)]);
                    if run < *least {
                        return false;
                    }
                    at += run;
                }
                Op::Save(slot) => slots[*slot] = at,
                Op::Unless { set, to } => {
                    if !rest.first().is_some_and(|&byte| set.has(byte)) {
                        op = *to;
                    }
                }
                Op::Jump(to) => op = *to,
                Op::End => {
                    if !rest.is_empty() {
                        return false;
                    }
                }
            }
        }
        true
    }
}

impl Class {
    fn new(set: &Set) -> Class {
        let out: Vec<u8> = (0..=255).filter(|&byte| !set.has(byte)).take(4).collect();
        match *out {
            [a] => Class::But1(a),
            [a, b] => Class::But2(a, b),
            [a, b, c] => Class::But3(a, b, c),
            _ => Class::Other(set.clone()),
        }
    }

    /// Returns how many bytes at the beginning of `text` are of the class.
    #[inline]
    fn run(&self, text: &[u8]) -> usize {
        match *self {
            Class::But1(a) => find(text, |byte| byte == a, |text| memchr::memchr(a, text)),
            Class::But2(a, b) => find(text, |byte| byte == a || byte == b, |text| memchr::memchr2(a, b, text)),
            Class::But3(a, b, c) => {
                find(text, |byte| byte == a || byte == b || byte == c, |text| memchr::memchr3(a, b, c, text))
            }
            Class::Other(ref set) => text.iter().position(|&byte| !set.has(byte)).unwrap_or(text.len()),
        }
    }
}

/// Returns the offset of the first byte that `is_end` says ends a run, or the text's length. `search` finds it behind the first
/// few bytes: many fields, such as `-`, are too short for a search to pay.
#[inline(always)]
fn find(text: &[u8], is_end: impl Fn(u8) -> bool, search: impl Fn(&[u8]) -> Option<usize>) -> usize {
    const FEW: usize = 4;
    let (few, rest) = text.split_at(text.len().min(FEW));
    let near = few.iter().position(|&byte| is_end(byte));
    near.unwrap_or_else(|| few.len() + search(rest).unwrap_or(rest.len()))
}

impl Default for Set {
    fn default() -> Self {
        Set(Box::new([false; 256]))
    }
}

impl Set {
    fn of(bytes: impl IntoIterator<Item = u8>) -> Set {
        let mut set = Set::default();
        bytes.into_iter().for_each(|byte| set.0[byte as usize] = true);
        set
    }

    fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    fn add(&mut self, other: &Set) {
        self.0.iter_mut().zip(&*other.0).for_each(|(own, other)| *own |= other);
    }

    fn meets(&self, other: &Set) -> bool {
        self.0.iter().zip(&*other.0).any(|(own, other)| *own && *other)
    }
}

impl First {
    /// Nothing follows: the match may end anywhere.
    fn nothing() -> First {
        First { bytes: Set::default(), is_nullable: true }
    }

    /// This, and behind it `next`.
    fn then(mut self, next: &First) -> First {
        if self.is_nullable {
            self.bytes.add(&next.bytes);
            self.is_nullable = next.is_nullable;
        }
        self
    }
}

struct Compiler {
    program: Vec<Op>,
    is_of_ascii: bool,
}

impl Compiler {
    /// What `hir` may begin with. `None` for what isn't matched here.
    fn first(&mut self, hir: &Hir) -> Option<First> {
        Some(match hir.kind() {
            HirKind::Empty => First::nothing(),
            HirKind::Literal(literal) => First { bytes: Set::of(literal.0.first().copied()), is_nullable: false },
            HirKind::Class(class) => First { bytes: self.set(class), is_nullable: false },
            HirKind::Look(_) => return None,
            HirKind::Repetition(Repetition { min, sub, .. }) => {
                let first = self.first(sub)?;
                First { is_nullable: first.is_nullable || *min == 0, ..first }
            }
            HirKind::Capture(Capture { sub, .. }) => self.first(sub)?,
            HirKind::Concat(parts) => self.first_of(parts, First::nothing())?,
            HirKind::Alternation(parts) => {
                let mut all = First { bytes: Set::default(), is_nullable: false };
                for part in parts {
                    let first = self.first(part)?;
                    all.bytes.add(&first.bytes);
                    all.is_nullable |= first.is_nullable;
                }
                all
            }
        })
    }

    /// What these parts, one behind the other, and behind them `next` may begin with.
    fn first_of(&mut self, parts: &[Hir], next: First) -> Option<First> {
        parts.iter().rev().try_fold(next, |next, part| Some(self.first(part)?.then(&next)))
    }

    /// The bytes of a class: of one of characters those in ASCII.
    fn set(&mut self, class: &hir::Class) -> Set {
        match class {
            hir::Class::Bytes(class) => Set::of(class.ranges().iter().flat_map(|range| range.start()..=range.end())),
            hir::Class::Unicode(class) => {
                self.is_of_ascii |= !class.is_ascii();
                let ranges = class.ranges().iter().filter(|range| range.start().is_ascii());
                Set::of(ranges.flat_map(|range| range.start() as u8..=range.end().min('\x7f') as u8))
            }
        }
    }

    /// Appends what matches `hir`. Behind it comes `next`; if that may be nothing, the match may end there.
    fn compile(&mut self, hir: &Hir, next: &First, is_repeated: bool) -> Option<()> {
        if self.program.len() > LONGEST {
            return None;
        }
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.program.push(match *literal.0 {
                [byte] => Op::Byte(byte),
                _ => Op::Literal(literal.0.clone()),
            }),
            HirKind::Class(class) => {
                let class = Class::new(&self.set(class));
                self.program.push(Op::Run { class, least: 1, most: 1 });
            }
            HirKind::Look(_) => return None,
            HirKind::Repetition(repetition) => self.repetition(repetition, next)?,
            // Of a group that is repeated the last time counts, and an earlier one if that had it not.
            HirKind::Capture(_) if is_repeated => return None,
            HirKind::Capture(Capture { index, sub, .. }) => {
                let slot = 2 * (*index as usize - 1);
                self.program.push(Op::Save(slot));
                self.compile(sub, next, is_repeated)?;
                self.program.push(Op::Save(slot + 1));
            }
            HirKind::Concat(parts) => self.concat(parts, next, is_repeated)?,
            HirKind::Alternation(parts) => self.alternation(parts, next, is_repeated)?,
        }
        Some(())
    }

    fn concat(&mut self, parts: &[Hir], next: &First, is_repeated: bool) -> Option<()> {
        for (i, part) in parts.iter().enumerate() {
            let behind = self.first_of(&parts[i + 1..], next.clone())?;
            self.compile(part, &behind, is_repeated)?;
        }
        Some(())
    }

    fn repetition(&mut self, repetition: &Repetition, next: &First) -> Option<()> {
        let Repetition { min, max, greedy, sub } = repetition;
        let first = self.first(sub)?;
        let is_a_choice = *max != Some(*min);
        if first.is_nullable || is_a_choice && first.bytes.meets(&next.bytes) {
            return None;
        }
        if let Some(set) = self.one_byte(sub) {
            // Where the match may end, it goes on for as long as it can, or ends at once.
            if is_a_choice && next.is_nullable && !greedy {
                return None;
            }
            let (least, most) = (*min as usize, max.map_or(usize::MAX, |max| max as usize));
            self.program.push(Op::Run { class: Class::new(&set), least, most });
            return Some(());
        }
        if next.is_nullable {
            // What was begun may turn out not to match, and the match would have ended before it.
            return None;
        }
        match (*min, *max) {
            (0, Some(1)) => {
                let skip = self.program.len();
                self.program.push(Op::Unless { set: first.bytes, to: 0 });
                self.compile(sub, next, false)?;
                self.land(skip);
            }
            (min @ (0 | 1), None) => {
                let mut again = first.clone();
                again.bytes.add(&next.bytes);
                if min == 1 {
                    self.compile(sub, &again, true)?;
                }
                let start = self.program.len();
                let exit = self.turn(sub, first, &again)?;
                self.program.push(Op::Jump(start));
                self.land(exit);
            }
            _ => return None,
        }
        Some(())
    }

    /// Appends one turn of the repetition of `sub`, which begins with `first` and is followed by `again`. Returns the
    /// instruction that leaves the repetition. A turn matches as many single bytes as there are, if `sub` is an alternation
    /// that has them, and then one of the other parts.
    fn turn(&mut self, sub: &Hir, first: First, again: &First) -> Option<usize> {
        let parts = match sub.kind() {
            HirKind::Alternation(parts) => parts.as_slice(),
            _ => std::slice::from_ref(sub),
        };
        let (mut single, mut others, mut bytes) = (Set::default(), Vec::new(), Set::default());
        for part in parts {
            if let Some(set) = self.one_byte(part) {
                single.add(&set);
            } else {
                bytes.add(&self.first(part)?.bytes);
                others.push(part.clone());
            }
        }
        if others.is_empty() {
            (others, bytes) = (vec![sub.clone()], first.bytes);
        } else if single.meets(&bytes) {
            return None;
        } else if others.len() < parts.len() {
            self.program.push(Op::Run { class: Class::new(&single), least: 0, most: usize::MAX });
        }
        let exit = self.program.len();
        self.program.push(Op::Unless { set: bytes, to: 0 });
        self.compile(&Hir::alternation(others), again, true)?;
        Some(exit)
    }

    fn alternation(&mut self, parts: &[Hir], next: &First, is_repeated: bool) -> Option<()> {
        let firsts = parts.iter().map(|part| self.first(part)).collect::<Option<Vec<_>>>()?;
        // Of several that match without a byte, or of one where the match may end, the next byte doesn't tell.
        let nullable = firsts.iter().filter(|first| first.is_nullable).count();
        if nullable > 1 || nullable == 1 && next.is_nullable {
            return None;
        }
        let mut seen = Set::default();
        let firsts: Vec<_> = firsts.into_iter().map(|first| (first.is_nullable, first.then(next).bytes)).collect();
        for (_, bytes) in &firsts {
            if seen.meets(bytes) {
                return None;
            }
            seen.add(bytes);
        }
        // What matches without a byte comes last: it is what is left.
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&part| firsts[part].0);
        let (last, others) = order.split_last()?;
        let mut ends = Vec::new();
        for &part in others {
            let skip = self.program.len();
            self.program.push(Op::Unless { set: firsts[part].1.clone(), to: 0 });
            self.compile(&parts[part], next, is_repeated)?;
            ends.push(self.program.len());
            self.program.push(Op::Jump(0));
            self.land(skip);
        }
        self.compile(&parts[*last], next, is_repeated)?;
        ends.into_iter().for_each(|end| self.land(end));
        Some(())
    }

    /// The bytes that `hir` matches, if it matches one byte and nothing else.
    fn one_byte(&mut self, hir: &Hir) -> Option<Set> {
        match hir.kind() {
            HirKind::Class(class) => Some(self.set(class)),
            HirKind::Literal(literal) => match *literal.0 {
                [byte] => Some(Set::of([byte])),
                _ => None,
            },
            _ => None,
        }
    }

    /// The jump at `op` goes to what is appended next.
    fn land(&mut self, op: usize) {
        let here = self.program.len();
        match &mut self.program[op] {
            Op::Unless { to, .. } | Op::Jump(to) => *to = here,
            op => unreachable!("{op:?} goes nowhere"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::PatternID;
    use regex_automata::meta::{self, Regex};
    use regex_automata::util::syntax;

    use super::*;

    fn compiled(pattern: &str) -> (Regex, Option<Predictive>) {
        let hir = syntax::parse_with(pattern, &syntax::Config::new().utf8(false)).unwrap();
        let config = meta::Config::new().utf8_empty(false);
        (meta::Builder::new().configure(config).build_from_hir(&hir).unwrap(), Predictive::new(&hir))
    }

    /// That both find the same in `text`.
    #[track_caller]
    fn agree(pattern: &str, regex: &Regex, predictive: &Predictive, text: &[u8]) {
        if !predictive.covers(text) {
            return;
        }
        let mut captures = regex.create_captures();
        regex.captures(text, &mut captures);
        let groups = regex.group_info().group_len(PatternID::ZERO) - 1;
        let mut slots = vec![0; 2 * groups];
        let found = predictive.find(text, &mut slots);
        assert_eq!(found, captures.is_match(), "{pattern} {text:?}");
        for group in 1..=groups {
            let expected = captures.get_group(group).map(|span| span.range());
            let range = slots[2 * group - 2]..slots[2 * group - 1];
            assert_eq!(found.then_some(range).filter(|range| range.start != UNSET), expected, "{pattern} {text:?}");
        }
    }

    /// Whether each is matched here, and that it is matched right.
    #[test]
    fn choices_that_the_next_byte_decides() {
        let texts =
            ["", "a", "ab", "abc", "aab", "abab", "abx", "b", "c", "ac", "a c", "aa c", "ab ab", "a\\\" \"", "é", "aé"];
        let decided = [
            "^",
            "^a",
            "^a*b",
            "^a+",
            "^(a*)(b*)(c*)$",
            "^(?:(a)b)?(c)",
            "^(a|b|)c",
            "^(?:a|bc)*x",
            "^([^ ]+) ([^ ]*)$",
            "^a{2}",
            "^(a{1,2})b",
            "^(a*?)b",
            "^((?:[^\"\\\\]|\\\\.)*)\"",
            "^(?:ab)+x",
            "^(?i)A(b)",
            "^(\\S+)$",
            "^(?-u)([^a]*)a",
            "^([^x]*)x?$",
        ];
        let undecided = [
            "a",
            "a|^b",
            "^(a|ab)c",
            "^a*ab",
            "^(?:ab)*",
            "^(?:ab)?",
            "^(a*?)",
            "^(?:(a))*b",
            "^(?:a*)*b",
            "^(a|)",
            "^a\\b",
            "^(?m:$)b",
            "^(.*) (.*)",
            "^a$b",
            "^(?:ab){2}c",
            "^(?:[^ ]+|-)",
            "^(?:a*|())$",
            "^(?:ab|a)* ",
        ];
        for pattern in decided {
            let (regex, predictive) = compiled(pattern);
            let predictive = predictive.unwrap_or_else(|| panic!("{pattern}"));
            texts.iter().for_each(|text| agree(pattern, &regex, &predictive, text.as_bytes()));
        }
        for pattern in undecided {
            assert!(compiled(pattern).1.is_none(), "{pattern}");
        }
        let nested = |depth| format!("^{}a{}b", "(?:".repeat(depth), "x)+".repeat(depth));
        assert!(compiled(&nested(3)).1.is_some());
        assert!(compiled(&nested(40)).1.is_none());
    }

    fn pattern() -> impl Strategy<Value = String> {
        let atom = prop::sample::select(vec![
            "a",
            "b",
            "c",
            "ab",
            "bc",
            "[ab]",
            "[^a]",
            "[^ab]",
            "[^abc]",
            "[b-c]",
            " ",
            "x*",
            "[^c]+",
            "a{2}",
            "[^b ]{1,2}",
            ".",
            "\\S*",
            "é",
            "",
        ]);
        let tree = atom.prop_map(str::to_owned).prop_recursive(4, 12, 3, |inner| {
            prop_oneof![
                4 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.concat()),
                2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
                3 => inner.clone().prop_map(|part| format!("({part})")),
                3 => (inner, prop::sample::select(vec!["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}"]))
                    .prop_map(|(part, times)| format!("(?:{part}){times}")),
            ]
        });
        (any::<bool>(), tree, prop::sample::select(vec!["", "$", "c", " "]))
            .prop_map(|(unicode, tree, end)| format!("{}^{tree}{end}", if unicode { "" } else { "(?-u)" }))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

        #[test]
        fn the_same_as_the_regex_engine(
            pattern in pattern(),
            texts in prop::collection::vec(
                prop::collection::vec(prop::sample::select(b"aaabbbccx  \xc3\xa9\xff".to_vec()), 0..9), 20),
        ) {
            // A character that isn't ASCII can't be written byte by byte in a class.
            prop_assume!(syntax::parse_with(&pattern, &syntax::Config::new().utf8(false)).is_ok());
            let (regex, predictive) = compiled(&pattern);
            if let Some(predictive) = predictive {
                texts.iter().for_each(|text| agree(&pattern, &regex, &predictive, text));
            }
        }
    }
}
