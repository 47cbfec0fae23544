use crate::column::Span;
macro_rules! tok { ($n:ident, $is:expr, $fold:expr) => {
#[derive(Debug)] pub struct $n(Vec<u8>, Vec<Span>);
impl $n { pub fn new() -> Self { $n(vec![], vec![]) }
pub fn split(&mut self, text: &[u8], mut emit: impl FnMut(&[u8], &[Span])) {
    self.0.clear(); self.0.extend_from_slice(text); if $fold { self.0.make_ascii_lowercase(); }
    self.1.clear(); let mut start = None;
    for i in 0..=text.len() { let t = i < text.len() && $is(text[i]);
        if t && start.is_none() { start = Some(i) } else if !t && let Some(s) = start.take() { self.1.push(Span{start: s as u32, end: i as u32}); } }
    emit(&self.0, &self.1);
}}}}
tok!(Words, |b: u8| b.is_ascii_alphanumeric() || b >= 128, true);
tok!(Letters, |b: u8| b.is_ascii_alphabetic(), true);
tok!(Whitespace, |b: u8| !(b == 32 || (9..=13).contains(&b)), false);
