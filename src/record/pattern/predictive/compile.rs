//! Compiles patterns to programs of the predictive matcher.
//!
//! Every choice must be decided by the next byte. So each part is compiled with what may follow it: the bytes that the rest of
//! the pattern may begin with, and whether the match may end there. A pattern that leaves a choice open is refused.

use regex_syntax::hir::{self, Capture, Hir, HirKind, Look, Repetition};

use super::{Class, Op, Predictive, Set};

/// The most instructions of a program. The body of a repetition that happens at least once is compiled twice, so nested
/// repetitions grow fast.
const MOST_INSTRUCTIONS: usize = 1000;

/// What a part of a pattern may begin with.
#[derive(Clone, Debug)]
struct First {
    bytes: Set,
    /// Whether the part also matches without any byte, whatever comes next.
    is_nullable: bool,
}

impl Predictive {
    /// Compiles a pattern whose groups are numbered from 1 in their order. Returns `None` if a match of it may begin elsewhere
    /// than at the start of the text, or if the next byte doesn't decide every choice.
    pub fn new(hir: &Hir) -> Option<Predictive> {
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let (HirKind::Look(Look::Start), parts) = parts.split_first().map(|(first, rest)| (first.kind(), rest))? else {
            return None;
        };
        let is_of_ascii = parts.iter().any(has_other_characters);
        let mut compiler = Compiler { program: Vec::new(), is_of_ascii };
        match parts.split_last() {
            Some((last, parts)) if matches!(last.kind(), HirKind::Look(Look::End)) => {
                // No byte follows, and the match can't end before the end of the text.
                compiler.concat(parts, &First { bytes: Set::default(), is_nullable: false })?;
                compiler.program.push(Op::End);
            }
            _ => compiler.concat(parts, &First::nothing())?,
        }
        Some(Predictive { program: compiler.program, is_of_ascii })
    }
}

impl First {
    /// What nothing begins with: the match may end here.
    fn nothing() -> First {
        First { bytes: Set::default(), is_nullable: true }
    }

    /// Returns what this part begins with if `next` follows it.
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
    /// Whether the program is right only for text in ASCII.
    is_of_ascii: bool,
}

impl Compiler {
    /// Appends the instructions that match `hir`, which `next` follows. If `next` is nullable, the match may end there.
    fn compile(&mut self, hir: &Hir, next: &First) -> Option<()> {
        if self.program.len() > MOST_INSTRUCTIONS {
            return None;
        }
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.program.push(match *literal.0 {
                [byte] => Op::Byte(byte),
                _ => Op::Literal(literal.0.clone()),
            }),
            HirKind::Class(class) => self.run(set(class), 1, 1),
            HirKind::Look(_) => return None,
            HirKind::Repetition(repetition) => self.repetition(repetition, next)?,
            HirKind::Capture(Capture { index, sub, .. }) => {
                // A repeated group keeps the span of its last turn, or of an earlier one if the last didn't reach it.
                let slot = 2 * *index as usize;
                self.program.push(Op::Save(slot));
                self.compile(sub, next)?;
                self.program.push(Op::Save(slot + 1));
            }
            HirKind::Concat(parts) => self.concat(parts, next)?,
            HirKind::Alternation(parts) => self.alternation(parts, next)?,
        }
        Some(())
    }

    fn concat(&mut self, parts: &[Hir], next: &First) -> Option<()> {
        let behind = firsts(parts, next.clone())?;
        parts.iter().zip(&behind[1..]).try_for_each(|(part, next)| self.compile(part, next))
    }

    fn repetition(&mut self, repetition: &Repetition, next: &First) -> Option<()> {
        let Repetition { min, max, greedy, sub } = repetition;
        let begins = first(sub)?;
        let is_a_choice = *max != Some(*min);
        if begins.is_nullable || is_a_choice && begins.bytes.meets(&next.bytes) {
            return None;
        }
        if let Some(set) = one_byte(sub) {
            // Where the match may end, a greedy run goes on for as long as it can, and a lazy one ends at once.
            if is_a_choice && next.is_nullable && !greedy {
                return None;
            }
            let (least, most) = (*min as usize, max.map_or(usize::MAX, |max| max as usize));
            self.run(set, least, most);
            return Some(());
        }
        if next.is_nullable {
            // A turn that was begun may fail, and then the match should have ended before it.
            return None;
        }
        match (*min, *max) {
            (0, Some(1)) => {
                let skip = self.program.len();
                self.program.push(Op::Unless { set: begins.bytes, to: 0 });
                self.compile(sub, next)?;
                self.land(skip);
            }
            (min @ (0 | 1), None) => {
                let mut again = begins.clone();
                again.bytes.add(&next.bytes);
                if min == 1 {
                    self.compile(sub, &again)?;
                }
                let start = self.program.len();
                let exit = self.turn(sub, begins, &again)?;
                self.program.push(Op::Jump(start));
                self.land(exit);
            }
            _ => return None,
        }
        Some(())
    }

    /// Appends one turn of the repetition of `sub`, which begins with `begins` and is followed by `again`. Returns the
    /// instruction that leaves the repetition. A turn matches as many single bytes as there are, if `sub` is an alternation
    /// that has them, and then one of the other parts.
    fn turn(&mut self, sub: &Hir, begins: First, again: &First) -> Option<usize> {
        let parts = match sub.kind() {
            HirKind::Alternation(parts) => parts.as_slice(),
            _ => std::slice::from_ref(sub),
        };
        let (mut single, mut others, mut bytes) = (Set::default(), Vec::new(), Set::default());
        for part in parts {
            if let Some(set) = one_byte(part) {
                single.add(&set);
            } else {
                bytes.add(&first(part)?.bytes);
                others.push(part.clone());
            }
        }
        if others.is_empty() {
            (others, bytes) = (vec![sub.clone()], begins.bytes);
        } else if single.meets(&bytes) {
            return None;
        } else if others.len() < parts.len() {
            self.run(single, 0, usize::MAX);
        }
        let exit = self.program.len();
        self.program.push(Op::Unless { set: bytes, to: 0 });
        self.compile(&Hir::alternation(others), again)?;
        Some(exit)
    }

    fn alternation(&mut self, parts: &[Hir], next: &First) -> Option<()> {
        let firsts = parts.iter().map(first).collect::<Option<Vec<_>>>()?;
        // The next byte doesn't decide between several nullable parts, nor for one if the match may end behind it.
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
        // The nullable part comes last: it is taken if the next byte begins none of the others.
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&part| firsts[part].0);
        let (last, others) = order.split_last()?;
        let mut ends = Vec::new();
        for &part in others {
            let skip = self.program.len();
            self.program.push(Op::Unless { set: firsts[part].1.clone(), to: 0 });
            self.compile(&parts[part], next)?;
            ends.push(self.program.len());
            self.program.push(Op::Jump(0));
            self.land(skip);
        }
        self.compile(&parts[*last], next)?;
        ends.into_iter().for_each(|end| self.land(end));
        Some(())
    }

    fn run(&mut self, set: Set, least: usize, most: usize) {
        self.program.push(Op::Run { class: Class::new(set, self.is_of_ascii), least, most });
    }

    /// Makes the jump at `op` lead to the instruction that is appended next.
    fn land(&mut self, op: usize) {
        let here = self.program.len();
        match &mut self.program[op] {
            Op::Unless { to, .. } | Op::Jump(to) => *to = here,
            op => unreachable!("{op:?} goes nowhere"),
        }
    }
}

/// Returns what `hir` may begin with, or `None` if it has an assertion.
fn first(hir: &Hir) -> Option<First> {
    Some(match hir.kind() {
        HirKind::Empty => First::nothing(),
        HirKind::Literal(literal) => First { bytes: Set::of(literal.0.first().copied()), is_nullable: false },
        HirKind::Class(class) => First { bytes: set(class), is_nullable: false },
        HirKind::Look(_) => return None,
        HirKind::Repetition(Repetition { min, sub, .. }) => {
            let begins = first(sub)?;
            First { is_nullable: begins.is_nullable || *min == 0, ..begins }
        }
        HirKind::Capture(Capture { sub, .. }) => first(sub)?,
        HirKind::Concat(parts) => firsts(parts, First::nothing())?.swap_remove(0),
        HirKind::Alternation(parts) => {
            let mut all = First { bytes: Set::default(), is_nullable: false };
            for part in parts {
                let begins = first(part)?;
                all.bytes.add(&begins.bytes);
                all.is_nullable |= begins.is_nullable;
            }
            all
        }
    })
}

/// Returns, for each part and for the end, what the rest of the parts begins with if `next` follows them.
fn firsts(parts: &[Hir], next: First) -> Option<Vec<First>> {
    let mut behind = vec![next];
    for part in parts.iter().rev() {
        let begins = first(part)?.then(&behind[behind.len() - 1]);
        behind.push(begins);
    }
    behind.reverse();
    Some(behind)
}

/// Returns the bytes of a class. Of a class of Unicode characters these are the ones in ASCII.
fn set(class: &hir::Class) -> Set {
    match class {
        hir::Class::Bytes(class) => Set::of(class.ranges().iter().flat_map(|range| range.start()..=range.end())),
        hir::Class::Unicode(class) => {
            let ranges = class.ranges().iter().filter(|range| range.start().is_ascii());
            Set::of(ranges.flat_map(|range| range.start() as u8..=range.end().min('\x7f') as u8))
        }
    }
}

/// If `hir` matches exactly one byte, returns the bytes that it matches.
fn one_byte(hir: &Hir) -> Option<Set> {
    match hir.kind() {
        HirKind::Class(class) => Some(set(class)),
        HirKind::Literal(literal) => match *literal.0 {
            [byte] => Some(Set::of([byte])),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a class of the pattern has characters that are not ASCII.
fn has_other_characters(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(hir::Class::Unicode(class)) => !class.is_ascii(),
        _ => hir.kind().subs().iter().any(has_other_characters),
    }
}
