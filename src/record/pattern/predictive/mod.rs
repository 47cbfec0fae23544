//! Matches lines without backtracking, for patterns in which the next byte always decides which way the match goes on. Most
//! patterns of logs are such. (Parsers of such grammars are called predictive, or LL(1).)
//!
//! ```text
//! ^(?P<host>[^ ]+) \[(?P<time>[^\]]+)\](?: (?P<user>[a-z]+)\.)?$
//!
//! save 0 · bytes up to ' ' · save 1 · " [" · save 2 · bytes up to ']' · save 3 · "]" ·
//! unless ' ' comes next go to the end · " " · save 4 · bytes a to z · save 5 · "." · the end
//! ```
//!
//! The end of a run is found by `memchr` if three bytes or fewer end it. So the time depends on the number of fields more
//! than on their length. On lines of `common-log` this takes 0.4 of the time that the regex engine takes with three groups,
//! whose DFA takes about 3 ns a byte (`benches/pattern.rs`).
//!
//! Other patterns are left to the regex engine. So are lines that are not ASCII, if the pattern has classes of Unicode
//! characters. The tests compare both matchers.

mod compile;

use regex_automata::util::primitives::NonMaxUsize;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Predictive {
    program: Vec<Op>,
    /// Whether the program is right only for text in ASCII.
    is_of_ascii: bool,
}

#[derive(Clone, Debug)]
enum Op {
    /// This byte comes next.
    Byte(u8),
    /// These bytes come next.
    Literal(Box<[u8]>),
    /// A run of bytes of a class comes next. The program takes as many as there are, at least `least` and at most `most`.
    Run {
        class: Class,
        least: usize,
        most: usize,
    },
    /// Stores the present offset in the slot.
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
    /// All bytes except one, two or three.
    But1(u8),
    But2(u8, u8),
    But3(u8, u8, u8),
    Other(Set),
}

/// A set of bytes.
#[derive(Clone, Debug)]
struct Set(Box<[bool; 256]>);

impl Predictive {
    /// Whether the program is right for `text`.
    #[inline]
    pub fn covers(&self, text: &[u8]) -> bool {
        !self.is_of_ascii || text.is_ascii()
    }

    /// Whether `text` matches. If it does, group `i` begins at offset `slots[2 * i]` and ends before `slots[2 * i + 1]`, as
    /// the regex engine has it; but nothing is said of group 0, the match. Both are `None` if the group took no part.
    pub fn find(&self, text: &[u8], slots: &mut [Option<NonMaxUsize>]) -> bool {
        slots.fill(None);
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
                Op::Save(slot) => slots[*slot] = NonMaxUsize::new(at),
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
    /// Prepares a set. In text that is ASCII it makes no difference whether other bytes are in the set.
    fn new(set: Set, is_of_ascii: bool) -> Class {
        let most = if is_of_ascii { 0x7f } else { 0xff };
        let out: Vec<u8> = (0..=most).filter(|&byte| !set.has(byte)).take(4).collect();
        match *out {
            [a] => Class::But1(a),
            [a, b] => Class::But2(a, b),
            [a, b, c] => Class::But3(a, b, c),
            _ => Class::Other(set),
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

/// Returns the offset of the first byte for which `is_end` holds, or the length of the text. `search` does the same for the
/// bytes after the first few. Many fields, such as `-`, are so short that a search doesn't pay.
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

#[cfg(test)]
mod tests;
