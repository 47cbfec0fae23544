//! The fields that a step may name. A [`Scope`] begins with the fields of the reader. While a job's steps are resolved
//! one after the other, it collects the steps and the fields that they add.
//!
//! ```text
//! field   0     1       2         3            4
//!         id    amount  (record)  amount as    total
//!                                 decimal
//!         └─ the reader's ─┘      └ converted  └ added by a step
//! ```
//!
//! A field is bytes as read, or JSON if the reader tells strings from numbers. When a step wants a number, a step that
//! converts the field is put before it, and the result is a new field without a name. So a field is converted once, and
//! only in records that get that far.

mod source;
mod types;
mod written;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;

use super::steps::Filter;
use super::steps::convert::{Conversion, Convert};
use super::steps::locate::{Locate, PlaceField};
use super::steps::member::Member;
use super::steps::null_unless::NullUnless;
use super::{Field, Step};
use crate::data::{Kind, Zone};
use crate::error::{Error, Result};
use crate::predicate::{self, Predicate, written as predicates};
use crate::record::json;
use crate::schema::Blame;
pub use source::{OwnBytes, ReaderField, RecordSource};
pub use types::Type;
pub use written::Written;

/// The fields that steps may name so far, and the steps pushed so far.
#[derive(Debug)]
pub struct Scope<'a> {
    pub blame: Blame<'a>,
    types: &'a BTreeMap<String, Type>,
    /// The zone of timestamps that are read.
    zone: Zone,
    /// Indexed by field number.
    fields: Vec<ScopeField>,
    /// The number of each field that has a name. If several fields have the same name, the first of them.
    by_name: AHashMap<String, Field>,
    /// The fields that something named, if a record may have fields of any name.
    named_fields: Option<Vec<String>>,
    /// The field that holds a record's bytes as they were read, if there is one.
    record: Option<Field>,
    wants_record: Cell<bool>,
    /// The field that holds a record's position in the input, if there is one.
    position: Option<Field>,
    steps: Vec<Box<dyn Step>>,
    /// One entry per step: the path of the part of the spec that the step was pushed for.
    origins: Vec<String>,
    /// The path of the part of the spec that steps are pushed for.
    at: String,
    /// Names of fields that something can take only as numbers.
    numbers: BTreeSet<String>,
    /// Names of fields that a step took as timestamps although their type wasn't declared.
    timestamps: BTreeSet<String>,
    /// Conversions that are waiting for the next step. They are pushed as one step before it.
    converts: Vec<Conversion>,
}

#[derive(Debug)]
struct ScopeField {
    /// `None` if no step may name the field.
    name: Option<String>,
    kind: Kind,
    may_be_null: bool,
    /// The field that this one was converted from, and the type it was converted to.
    from: Option<(Field, Type)>,
    origin: Origin,
    /// Whether anything names the field.
    is_used: Cell<bool>,
    /// Whether anything needs the field's strings told from its numbers.
    is_typed: Cell<bool>,
}

/// Where a field comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The reader made it.
    Reader,
    /// A step of the spec made it.
    Step,
    /// It was taken out of an object that a step made, because something named it.
    Member,
    /// It says where a record is from: `@file`, `@line` or `@offset`.
    Place,
}

impl ScopeField {
    fn new(name: Option<String>, kind: Kind, may_be_null: bool, origin: Origin) -> Self {
        let is_used = Cell::new(name.is_none());
        ScopeField { name, kind, may_be_null, from: None, origin, is_used, is_typed: Cell::new(false) }
    }
}

impl<'a> Scope<'a> {
    pub fn new(source: &RecordSource<'_>, types: &'a BTreeMap<String, Type>, zone: Zone, blame: Blame<'a>) -> Self {
        let known = |field: &ReaderField<'_>| {
            ScopeField::new(Some(field.name.to_owned()), field.kind, source.may_be_null, Origin::Reader)
        };
        let mut fields: Vec<_> = source.fields.iter().map(known).collect();
        let record = match source.record {
            OwnBytes::Field(field) => Some(field),
            OwnBytes::Behind => {
                fields.push(ScopeField::new(None, Kind::Bytes, false, Origin::Reader));
                Some(fields.len() - 1)
            }
            OwnBytes::Nowhere => None,
        };
        let mut by_name = AHashMap::new();
        for (field, ReaderField { name, .. }) in source.fields.iter().enumerate() {
            by_name.entry((*name).to_owned()).or_insert(field);
        }
        Scope {
            blame,
            types,
            zone,
            fields,
            by_name,
            named_fields: source.is_open.then(Vec::new),
            record,
            wants_record: Cell::new(false),
            position: None,
            steps: Vec::new(),
            origins: Vec::new(),
            at: String::new(),
            numbers: BTreeSet::new(),
            timestamps: BTreeSet::new(),
            converts: Vec::new(),
        }
    }

    /// Returns the names of the fields that the reader and the steps of the spec make, in order.
    pub fn names(&self) -> Vec<&str> {
        let fields = self.fields.iter().filter(|field| matches!(field.origin, Origin::Reader | Origin::Step));
        fields.filter_map(|field| field.name.as_deref()).collect()
    }

    pub fn kind(&self, field: Field) -> Kind {
        self.fields[field].kind
    }

    pub fn may_be_null(&self, field: Field) -> bool {
        self.fields[field].may_be_null
    }

    /// Returns the field that holds a record's bytes as they were read, for a step that may find a record bad.
    ///
    /// # Panics
    /// If the source said that no step needs the record.
    pub fn record(&self) -> Field {
        self.wants_record.set(true);
        self.record.expect("whoever makes a scope without records knows that no step asks for them")
    }

    /// Whether any step may find a record bad.
    pub fn wants_record(&self) -> bool {
        self.wants_record.get()
    }

    /// Whether anything names the field.
    pub fn is_used(&self, field: Field) -> bool {
        self.fields[field].is_used.get()
    }

    /// If a record may have fields of any name, returns the fields that were named, and for each whether its strings
    /// are told from its numbers.
    pub fn named_fields(&self) -> Option<Vec<(String, bool)>> {
        let typed = |name: &String| (name.clone(), self.fields[self.by_name[name]].is_typed.get());
        Some(self.named_fields.as_ref()?.iter().map(typed).collect())
    }

    /// Whether a record may have fields of any name.
    pub fn is_open(&self) -> bool {
        self.named_fields.is_some()
    }

    /// The error that no field has this name.
    fn unknown_name(&self, path: &str, name: &str) -> Error {
        let mut names = self.names();
        if name.starts_with('@') {
            names.extend(PlaceField::NAMED.map(|(name, _)| name));
        }
        if let [only] = names.as_slice()
            && let Some(sign) = [";", "\t", "|"].into_iter().find(|sign| only.contains(sign))
        {
            let sign = sign.escape_default();
            let how = match self.blame.is_a_line() {
                true => format!("--delimiter '{sign}'"),
                false => format!("--set 'read.delimiter={sign}'"),
            };
            let hint = format!("the only field is {only:?}; to say what separates fields: {how}");
            return self.blame.error(path, &format!("no field {name:?}"), Some(hint));
        }
        match (names.as_slice(), self.blame.unknown_name(path, "field", name, &names)) {
            // A table that is read as text has its column names in its first line.
            (["line"], Error::Usage { message, hint: Some(hint) }) if hint == "fields: line" => {
                let how = if self.blame.is_a_line() { "--read csv" } else { "--set read.format=csv" };
                Error::usage_hint(message, format!("{hint}; to read columns: {how}, or tsv"))
            }
            (_, error) => error,
        }
    }

    /// Returns the field of this name as it was read or made, whatever its declared type.
    pub fn raw(&mut self, path: &str, name: &str) -> Result<Field> {
        let field = if let Some(&field) = self.by_name.get(name) {
            field
        } else if let Some((object, inner)) = self.made_around(name) {
            self.member(path, name, object, inner)?
        } else if let Some(what) = PlaceField::named(name) {
            self.locate(what);
            self.add_named(name, what.kind(), false, Origin::Place)
        } else if let Some(named_fields) = &mut self.named_fields {
            named_fields.push(name.to_owned());
            self.add_named(name, Kind::Json, true, Origin::Reader)
        } else {
            return Err(self.unknown_name(path, name));
        };
        self.fields[field].is_used.set(true);
        Ok(field)
    }

    /// If `name` is a path into a field that a step made, returns that field's name and the rest of the path.
    fn made_around<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        let is_made = |outer: &str| match self.by_name.get(outer) {
            Some(&field) => matches!(self.fields[field].origin, Origin::Step | Origin::Member),
            None => false,
        };
        let mut paths = name.rmatch_indices('.').map(|(at, _)| (&name[..at], &name[at + 1..]));
        paths.find(|(outer, _)| is_made(outer))
    }

    /// Returns the field that holds the member at the path `inner` of the field `object`, which a step made.
    fn member(&mut self, path: &str, name: &str, object: &str, inner: &str) -> Result<Field> {
        let input = self.by_name[object];
        if self.kind(input) != Kind::Json {
            let what =
                format!("{object:?} is {} that a step made: it has no {inner:?} inside", self.kind(input).noun());
            return Err(self.blame.error(path, &what, None));
        }
        self.fields[input].is_used.set(true);
        self.push(Member { input, path: json::path(inner) });
        Ok(self.add_named(name, Kind::Json, true, Origin::Member))
    }

    /// Returns the field that holds a record's position in the input, which is greater for later records. Call it after
    /// the job's steps are resolved.
    pub fn position(&mut self) -> Field {
        let field = self.position.unwrap_or_else(|| {
            self.locate(PlaceField::Position);
            self.add_unnamed(PlaceField::Position.kind(), false)
        });
        self.position = Some(field);
        field
    }

    /// Pushes a step that tells where a record is from.
    fn locate(&mut self, what: PlaceField) {
        let record = self.record();
        self.push(Locate { what, record });
    }

    /// Adds a field that is `input`, or 1 if there is none, in records for which the predicate holds. In the others the
    /// field is null.
    pub fn null_unless(&mut self, input: Option<Field>, predicate: Predicate) -> Field {
        let kind = input.map_or(Kind::Decimal, |input| self.kind(input));
        self.push(NullUnless { input, predicate });
        self.add_unnamed(kind, true)
    }

    fn add_known(&mut self, field: ScopeField) -> Field {
        self.fields.push(field);
        self.fields.len() - 1
    }

    /// Adds the field that the step just pushed makes. The name stands at `path` in the spec.
    pub fn add(&mut self, path: &str, name: &str, kind: Kind, may_be_null: bool) -> Result<Field> {
        if self.by_name.contains_key(name) {
            let hint = Some("choose another name".into());
            return Err(self.blame.error(path, &format!("there is already a field {name:?}"), hint));
        }
        // A path that was named before is the record's own, and would seem to lead into the new field.
        let inside = |field: &ScopeField| {
            let inner = field.name.as_deref().and_then(|field| field.strip_prefix(name));
            self.is_open() && field.origin == Origin::Reader && inner.is_some_and(|inner| inner.starts_with('.'))
        };
        if let Some(ScopeField { name: Some(read), .. }) = self.fields.iter().find(|field| inside(field)) {
            let hint = Some("choose another name".into());
            return Err(self.blame.error(path, &format!("the record's own field {read:?} is named already"), hint));
        }
        Ok(self.add_named(name, kind, may_be_null, Origin::Step))
    }

    fn add_named(&mut self, name: &str, kind: Kind, may_be_null: bool, origin: Origin) -> Field {
        self.by_name.insert(name.to_owned(), self.fields.len());
        self.add_known(ScopeField::new(Some(name.to_owned()), kind, may_be_null, origin))
    }

    /// Adds a field without a name that the step just pushed makes.
    pub fn add_unnamed(&mut self, kind: Kind, may_be_null: bool) -> Field {
        self.add_known(ScopeField::new(None, kind, may_be_null, Origin::Step))
    }

    /// Returns the number of the field that is added next.
    pub fn next_field(&self) -> Field {
        self.fields.len()
    }

    /// Sets the path of the part of the spec that the next steps are pushed for.
    pub fn at(&mut self, path: &str) {
        path.clone_into(&mut self.at);
    }

    pub fn push(&mut self, step: impl Step + 'static) {
        self.push_converts();
        self.steps.push(Box::new(step));
        self.origins.push(self.at.clone());
    }

    fn push_converts(&mut self) {
        if !self.converts.is_empty() {
            let fields = std::mem::take(&mut self.converts);
            self.steps.push(Box::new(Convert { fields, record: self.record(), zone: self.zone }));
            self.origins.push(self.at.clone());
        }
    }

    /// Pushes a filter by the predicate at `path`. Each part of an `and` becomes a filter of its own, so the fields
    /// that a part needs are converted only in the records that the parts before it keep.
    pub fn filter(&mut self, written: &predicates::Predicate, path: &str) -> Result<()> {
        if let predicates::Predicate::And { and } = written {
            let mut parts = and.iter().enumerate();
            return parts.try_for_each(|(i, part)| self.filter(part, &format!("{path}.and.{i}")));
        }
        self.at(path);
        let predicate = self.predicate(written, path)?;
        self.push(Filter(predicate));
        Ok(())
    }

    /// Resolves the predicate at `path`, and converts the fields that it needs.
    pub fn predicate(&mut self, written: &predicates::Predicate, path: &str) -> Result<Predicate> {
        let blame = self.blame;
        predicate::resolve(written, path, self, &blame)
    }

    /// Returns the steps in order; for each step the path of the part of the spec that it is for; and the names of
    /// fields that something can take only as numbers.
    pub fn into_steps(mut self) -> (Vec<Box<dyn Step>>, Vec<String>, BTreeSet<String>) {
        self.push_converts();
        (self.steps, self.origins, self.numbers)
    }
}
