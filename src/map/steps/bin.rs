//! `bin`: the lower edge of the bin that a number is in, which is the greatest multiple of the bin's width that isn't
//! above the number. The result is exact for decimals. For floats it is computed in floats.

use serde_json::Value;

use super::AS;
use super::derive::{self, Expression};
use crate::data::Decimal;
use crate::error::Result;
use crate::map::Scope;
use crate::map::scope::Written;
use crate::schema::{Key, Shape};

pub const KEYS: &[Key] = &[
    Key::required("bin", Shape::Name).about("The number in this field, rounded down to a multiple of step"),
    Key::required("step", Shape::Literal).about("The width of a bin: a number above 0"),
    AS,
];

pub fn resolve(written: Written<'_>, scope: &mut Scope<'_>) -> Result<()> {
    let text = match written.get("step") {
        Some(Value::String(text)) => text.clone(),
        step => step.map(Value::to_string).unwrap_or_default(),
    };
    let step = Decimal::parse(text.as_bytes()).ok().filter(|step| step.mantissa > 0);
    let step = step.ok_or_else(|| {
        let hint = Some("the width of a bin, such as 100 or \"0.1\"".into());
        scope.blame.error(&written.at("step"), &format!("must be a number above 0, is {text:?}"), hint)
    })?;
    let number = Expression::Name(written.text("bin").to_owned());
    derive::push(Expression::Floor(Box::new(number), step), &written.at("bin"), written, scope)
}
