//! A position in a text of the command line. It moves on as parts of the text are taken, and over white space.

use crate::error::{Error, Result};

/// A text, and the position up to which it was parsed.
#[derive(Debug)]
pub struct Cursor<'a> {
    /// The name of the text in messages: `agg`, `--where`.
    name: &'a str,
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(name: &'a str, text: &'a str) -> Self {
        let mut cursor = Cursor { name, text, at: 0 };
        cursor.skip_space();
        cursor
    }

    /// Returns the rest of the text, without white space before it.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub fn whole(&self) -> &'a str {
        self.text
    }

    /// Returns the position as a byte of the whole text.
    pub fn mark(&self) -> usize {
        self.at
    }

    /// Returns the text that was taken since `mark`, as it was written.
    pub fn since(&self, mark: usize) -> &'a str {
        self.text[mark..self.at].trim_end()
    }

    /// Takes `sign` if it is next. Returns whether it was.
    pub fn eat(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.advance(sign.len());
        }
        found
    }

    /// Takes the word `word`, in any case, if it is next. Returns whether it was.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let next = self.rest().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let found = next.eq_ignore_ascii_case(word);
        if found {
            self.advance(next.len());
        }
        found
    }

    /// Takes characters while `is_part` holds for them.
    pub fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.advance(taken.len());
        taken
    }

    /// Takes a text in quotes, if `quote` is next. A quote in the text is written twice.
    pub fn quoted(&mut self, quote: char) -> Result<Option<String>> {
        let Some(inside) = self.rest().strip_prefix(quote) else { return Ok(None) };
        let mut text = String::new();
        let mut chars = inside.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != quote {
                text.push(c);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
            } else {
                self.advance(2 * quote.len_utf8() + at);
                return Ok(Some(text));
            }
        }
        Err(self.wrong(&format!("the quote {quote} is not closed"), None))
    }

    /// Takes the text up to the `)` that belongs to a `(` just taken, and the `)`. Returns the text without the `)`.
    pub fn closing(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let mut depth = 1;
        for (at, c) in rest.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.advance(at + 1);
                return Some(&rest[..at]);
            }
        }
        None
    }

    /// Returns an error about what is next.
    pub fn wrong(&self, what: &str, hint: Option<String>) -> Error {
        const SHOWN: usize = 30;
        let rest = self.rest().trim_end();
        let shown: String = rest.chars().take(SHOWN).collect();
        let more = if shown.len() < rest.len() { "…" } else { "" };
        let at = if rest.is_empty() { "the end".to_owned() } else { format!("\"{shown}{more}\"") };
        Error::Usage { message: format!("{}: at {at}: {what}", self.name), hint }
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.skip_space();
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }
}
