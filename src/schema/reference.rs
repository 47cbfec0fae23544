//! A table of keys as a page in Markdown for readers. Each kind of object gets a section, and each key a row.

use super::{Key, SPLITTERS, Shape, Variant, without_article};

/// Returns the page. `title` is the title of its first section.
pub fn of(title: &str, root: &'static Shape) -> String {
    let mut page = Page { sections: Vec::new() };
    if let Shape::Object(keys) = root {
        page.object(title, keys, "");
    }
    page.sections.iter().map(|section| format!("\n## {}\n\n{}", section.title, section.text)).collect()
}

struct Page {
    /// In the order in which the walk through the table meets them.
    sections: Vec<Section>,
}

struct Section {
    title: String,
    text: String,
}

impl Page {
    /// Returns a link to the section of this title. The section is written first if it isn't there yet.
    fn section(&mut self, title: &str, link: &str, write: impl FnOnce(&mut Page) -> String) -> String {
        if !self.sections.iter().any(|section| section.title == title) {
            let at = self.sections.len();
            self.sections.push(Section { title: title.into(), text: String::new() });
            self.sections[at].text = write(self);
        }
        format!("[{link}](#{})", anchor(title))
    }

    fn object(&mut self, title: &str, keys: &'static [Key], path: &str) -> String {
        self.section(title, "an object", |page| {
            let mut table = Table::new(&["key", "value", "default", "meaning"]);
            for key in keys.iter().filter(|key| key.is_built()) {
                let default = if key.required { "required".into() } else { default(key) };
                let value = page.value(&key.shape, &join(path, key.name));
                table.row([code(key.name), value, default, key.about.into()]);
            }
            table.text
        })
    }

    /// Describes the values that a shape allows.
    fn value(&mut self, shape: &'static Shape, path: &str) -> String {
        match shape {
            Shape::Text | Shape::Name => "text".into(),
            Shape::Splitter => format!("{} or other text", codes(SPLITTERS.built).join(", ")),
            Shape::SplitterOr(keys) => {
                format!(
                    "{}, other text, or {}",
                    codes(SPLITTERS.built).join(", "),
                    self.object(&code(path), keys, path)
                )
            }
            Shape::Delimiter => "an ASCII character, or `\\t`".into(),
            Shape::Separator => "an ASCII character, or `\\0`, `\\n`, `\\t`".into(),
            Shape::Size => "bytes, or a size such as `512M`".into(),
            Shape::Span => "a time such as `1.5s`".into(),
            Shape::Whole { least, most: u64::MAX } => format!("a whole number from {least}"),
            Shape::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Shape::Share => "a number from 0 to 1".into(),
            Shape::Flag => "`true` or `false`".into(),
            Shape::Choice(choice) => either(choice.built),
            Shape::WordOr(choice, keys) => {
                format!("{}, or {}", codes(choice.built).join(", "), self.object(&code(path), keys, path))
            }
            Shape::NameOr(variants) => {
                let object = self.variants(variants.what, variants.all, None, variants.example);
                format!("text, which means its `{}`, or {object}", variants.all[0].name)
            }
            Shape::Words => "a list of words".into(),
            Shape::List(Shape::Text | Shape::Name) => "a list of text".into(),
            Shape::List(item) => format!("a list, each {}", self.value(item, &join(path, "N"))),
            Shape::OneOrMore(item) => format!("{}; or a list of them", self.value(item, &join(path, "N"))),
            Shape::Literal => "text or a number".into(),
            Shape::Pattern => "a regular expression".into(),
            Shape::Group => "a number or a name".into(),
            Shape::Any => "any".into(),
            Shape::Object(keys) => self.object(&code(path), keys, path),
            Shape::Map(item) => format!("`{{NAME: …}}`, each {}", self.value(item, &join(path, "NAME"))),
            Shape::Variants(variants) => self.variants(variants.what, variants.all, None, variants.example),
            Shape::Tagged(tagged) => self.variants(tagged.what, tagged.all, Some(tagged.tag), ""),
            Shape::Later | Shape::Elsewhere(..) => String::new(),
        }
    }

    fn variants(&mut self, what: &str, all: &'static [Variant], tag: Option<&str>, example: &str) -> String {
        self.section(&capitalised(what), what, |page| {
            let mut text = match tag {
                Some(tag) => {
                    format!("The key `{tag}` says which kind of {noun} it is.\n\n", noun = without_article(what))
                }
                None => format!(
                    "One of these keys says which kind of {noun} it is. Example: `{example}`.\n\n",
                    noun = without_article(what)
                ),
            };
            let noun = tag.unwrap_or(without_article(what));
            let mut own = match tag {
                Some(_) => Table::new(&[noun, "meaning", "other keys"]),
                None => Table::new(&[noun, "value", "meaning", "other keys"]),
            };
            let mut others = Others::default();
            let all: Vec<_> = all.iter().filter(|variant| variant.is_built()).collect();
            for variant in &all {
                let Some(key) = variant.own(tag) else { continue };
                let beside = || variant.keys.iter().filter(|other| other.name != key.name && other.is_built());
                let with: Vec<_> = beside().map(with).collect();
                let name = std::iter::once(code(variant.name));
                let value = tag.is_none().then(|| page.value(&key.shape, variant.name));
                own.row(name.chain(value).chain([key.about.into(), with.join(", ")]));
                for key in beside() {
                    let value = page.value(&key.shape, &join(variant.name, key.name));
                    others.add(variant, [code(key.name), value, default(key), key.about.into()]);
                }
            }
            text += &own.text;
            text + &others.text(&all)
        })
    }
}

/// Keys that variants have besides their own keys. Each is listed once, with the variants that have it.
#[derive(Default)]
struct Others(Vec<([String; 4], Vec<&'static str>)>);

impl Others {
    fn add(&mut self, variant: &'static Variant, row: [String; 4]) {
        match self.0.iter_mut().find(|(known, _)| *known == row) {
            Some((_, names)) => names.push(variant.name),
            None => self.0.push((row, vec![variant.name])),
        }
    }

    /// Returns the keys as a table; nothing if there are none.
    fn text(self, all: &[&Variant]) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["other key", "of", "value", "default", "meaning"]);
        for ([name, value, default, about], of) in self.0 {
            let others: Vec<_> = all.iter().map(|variant| variant.name).filter(|name| !of.contains(name)).collect();
            let of = match others.as_slice() {
                [] => "all".into(),
                [other] if of.len() > 2 => format!("all but `{other}`"),
                _ => codes(&of).join(", "),
            };
            table.row([name, of, value, default, about]);
        }
        format!("\n{}", table.text)
    }
}

struct Table {
    text: String,
}

impl Table {
    fn new(heads: &[&str]) -> Self {
        Table { text: format!("| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len())) }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<_> = cells.into_iter().map(|cell| cell.replace('|', "\\|")).collect();
        self.text += &format!("| {} |\n", cells.join(" | "));
    }
}

fn default(key: &Key) -> String {
    key.default.map(code).unwrap_or_default()
}

/// Shows a key that a variant has besides its own, in brackets if it may be left out.
fn with(key: &Key) -> String {
    if key.required { code(key.name) } else { format!("[{}]", code(key.name)) }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| code(word)).collect()
}

fn either(words: &[&str]) -> String {
    match codes(words).split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// Returns the anchor that forges give a title.
fn anchor(title: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    title.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}
