//! The types of fields: what a spec declares them to be, and the conversions that a step needs if it wants another
//! type. Extends [`Scope`] by methods that return a named field as text, as a number, as a timestamp or as declared,
//! and that push the conversion first if there is none yet.

use super::{Origin, Scope, ScopeField};
use crate::data::{Kind, Zone};
use crate::error::{Result, suggestion};
use crate::map::Field;
use crate::map::steps::convert::Conversion;
use crate::map::steps::unquote::Unquote;
use crate::predicate::Predicate;
use crate::predicate::resolve::{Names, Wanted};
use crate::schema::choices;

choices! {
    /// What a field's bytes are read as.
    pub enum Type {
        String = "string",
        Int = "int",
        Float = "float",
        Decimal = "decimal",
        Timestamp = "timestamp",
    }
}

impl Type {
    /// `zone` is the zone of timestamps.
    fn kind(self, zone: Zone) -> Kind {
        match self {
            Type::String => Kind::Bytes,
            Type::Int | Type::Decimal => Kind::Decimal,
            Type::Float => Kind::Float,
            Type::Timestamp => Kind::Timestamp(zone),
        }
    }
}

impl Scope<'_> {
    /// Returns the field of this name as text.
    ///
    /// # Errors
    /// If a step made the field as a number or a timestamp.
    pub fn text(&mut self, path: &str, name: &str) -> Result<Field> {
        let field = self.raw(path, name)?;
        match self.kind(field) {
            Kind::Bytes | Kind::Json => Ok(self.convert(field, name, Type::String)),
            kind @ (Kind::Decimal | Kind::Float | Kind::Timestamp(_)) => {
                let what = format!("{name:?} is {} that a step made, but text is needed", kind.noun());
                Err(self.blame.error(path, &what, None))
            }
        }
    }

    /// Returns the field of this name, converted to its declared type if it has one.
    pub fn field(&mut self, path: &str, name: &str) -> Result<Field> {
        let field = self.raw(path, name)?;
        Ok(match self.declared(name) {
            Some(to) if self.is_as_read(field) => self.convert(field, name, to),
            _ => {
                self.fields[field].is_typed.set(true);
                field
            }
        })
    }

    /// Returns the declared type of the field. A field that a step took as a timestamp counts as declared for all later
    /// steps.
    fn declared(&self, name: &str) -> Option<Type> {
        let taken = || self.timestamps.contains(name).then_some(Type::Timestamp);
        self.types.get(name).copied().or_else(taken)
    }

    /// Whether the field is still as it was read, and not yet converted to its declared type.
    fn is_as_read(&self, field: Field) -> bool {
        matches!(self.kind(field), Kind::Bytes | Kind::Json)
    }

    /// Returns the field of this name as a number. A field without a declared type becomes a decimal.
    pub fn number(&mut self, path: &str, name: &str) -> Result<Field> {
        self.wants_number(name);
        let field = self.as_number(path, name)?;
        if let Kind::Timestamp(_) = self.kind(field) {
            let hint = "timestamps can be counted, and have a least and a greatest; the step time makes hours, days or months of them";
            return Err(self.blame.error(
                path,
                &format!("{name:?} is a timestamp, but a number is needed"),
                Some(hint.into()),
            ));
        }
        Ok(field)
    }

    /// Notes that something can't take the field of this name as text.
    pub fn wants_number(&mut self, name: &str) {
        self.numbers.insert(name.to_owned());
    }

    fn as_number(&mut self, path: &str, name: &str) -> Result<Field> {
        let field = self.raw(path, name)?;
        match self.declared(name) {
            _ if !self.is_as_read(field) => Ok(field),
            Some(Type::String) => {
                let hint = r#"declare it in read.types: "int", "float" or "decimal""#;
                Err(self.blame.error(path, &format!("{name:?} is text, but a number is needed"), Some(hint.into())))
            }
            Some(to) => Ok(self.convert(field, name, to)),
            None => Ok(self.convert(field, name, Type::Decimal)),
        }
    }

    /// Whether the type of the field of this name is declared.
    pub fn is_declared(&self, name: &str) -> bool {
        self.declared(name).is_some()
    }

    /// Returns the field of this name as a timestamp. A field without a declared type becomes one.
    pub fn timestamp(&mut self, path: &str, name: &str) -> Result<Field> {
        let field = match self.types.get(name) {
            Some(_) => self.field(path, name)?,
            None => self.raw(path, name)?,
        };
        match self.kind(field) {
            Kind::Timestamp(_) => Ok(field),
            Kind::Bytes | Kind::Json if !self.types.contains_key(name) => {
                self.timestamps.insert(name.to_owned());
                Ok(self.convert(field, name, Type::Timestamp))
            }
            kind @ (Kind::Bytes | Kind::Json | Kind::Decimal | Kind::Float) => {
                let what = format!("{name:?} is {}, but a timestamp is needed", kind.noun());
                let hint = self.types.contains_key(name).then(|| r#"declare it in read.types: "timestamp""#.into());
                Err(self.blame.error(path, &what, hint))
            }
        }
    }

    /// Returns the field as [`number`](Self::number) does, but leaves it text or a timestamp if it was declared or made
    /// so.
    pub fn number_or_text(&mut self, path: &str, name: &str) -> Result<Field> {
        match self.declared(name) {
            Some(Type::String) => self.text(path, name),
            _ => self.as_number(path, name),
        }
    }

    /// Returns the conversion that [`number`](Self::number) and [`number_or_text`](Self::number_or_text) would still
    /// have to push: the field as it was read, and the type it becomes. `None` if nothing is left to convert.
    pub fn unconverted(&mut self, path: &str, name: &str) -> Result<Option<(Field, Type)>> {
        let field = self.raw(path, name)?;
        let to = self.declared(name).unwrap_or(Type::Decimal);
        let is_as_read = self.is_as_read(field);
        Ok((is_as_read && to != Type::String && !self.is_converted(field, to)).then_some((field, to)))
    }

    fn is_converted(&self, field: Field, to: Type) -> bool {
        self.fields.iter().any(|known| known.from == Some((field, to)))
    }

    /// Returns the field `from`, which is still as it was read, converted to `to`. Messages call the field `name`.
    pub fn convert(&mut self, from: Field, name: &str, to: Type) -> Field {
        if to == Type::String && self.kind(from) == Kind::Bytes {
            return from;
        }
        if let Some(field) = self.fields.iter().position(|field| field.from == Some((from, to))) {
            return field;
        }
        if to == Type::String {
            self.push(Unquote { input: from });
        } else {
            self.converts.push(Conversion { input: from, to, name: name.to_owned() });
            self.record();
        }
        let known = ScopeField::new(None, to.kind(self.zone), self.may_be_null(from), Origin::Step);
        self.add_known(ScopeField { from: Some((from, to)), ..known })
    }

    /// Checks that every field with a declared type exists, and that it isn't one that says where a record is from.
    pub fn check_types(&self) -> Result<()> {
        for name in self.types.keys() {
            match self.by_name.get(name) {
                Some(&field) if self.fields[field].origin == Origin::Place => {
                    let what = format!("{name:?} says where a record is from, and has a type of its own");
                    return Err(self.blame.error("read.types", &what, None));
                }
                None if !self.is_open() => {
                    let hint = suggestion(name, "fields", &self.names());
                    return Err(self.blame.error("read.types", &format!("no field {name:?}"), Some(hint)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Names for Scope<'_> {
    fn find(&mut self, path: &str, name: &str, wanted: Wanted, reached: &[Predicate]) -> Result<(usize, Kind)> {
        let raw = self.raw(path, name)?;
        if wanted == Wanted::Number {
            self.wants_number(name);
        }
        let to = match (wanted, self.declared(name)) {
            (Wanted::Presence, _) => None,
            (_, Some(declared)) => Some(declared),
            (Wanted::Number, None) => Some(Type::Decimal),
            (Wanted::Declared, None) => Some(Type::String),
        };
        let to = to.filter(|to| match self.kind(raw) {
            Kind::Bytes => *to != Type::String,
            Kind::Json => true,
            Kind::Decimal | Kind::Float | Kind::Timestamp(_) => false,
        });
        let field = match to {
            None => raw,
            // The predicate looks at the field only where all of `reached` hold. In other records the field is made
            // null, so it isn't converted there.
            Some(to) if !reached.is_empty() && !self.is_converted(raw, to) => {
                let only = self.null_unless(Some(raw), Predicate::And(reached.to_vec()));
                self.convert(only, name, to)
            }
            Some(to) => self.convert(raw, name, to),
        };
        Ok((field, self.kind(field)))
    }
}
