//! Adds a member of a JSON field that an earlier step made: `item.price`, where `explode` made `item`. (Paths into the
//! record itself are resolved by the reader of JSON lines.)

use super::rewrite::Rewritten;
use crate::data::{Batch, Column, Columns, Sink};
use crate::error::Result;
use crate::map::{Field, JobPart, Makes, Next, Stage, Step};
use crate::record::json;

/// Adds the member at `path` of the JSON field `input`. The member is null in a record that has none.
#[derive(Clone, Debug)]
pub struct Member {
    pub input: Field,
    pub path: Vec<String>,
}

impl Step for Member {
    fn reads(&self) -> Vec<Field> {
        vec![self.input]
    }

    fn makes(&self) -> Makes<'_> {
        Makes::One
    }

    fn part(&self) -> JobPart<'_> {
        JobPart::Prepares
    }

    fn stage(&self) -> Box<dyn Stage> {
        let member = json::Member::new(&self.path);
        Box::new(Finding { input: self.input, member, found: Rewritten::default() })
    }
}

#[derive(Debug)]
struct Finding {
    input: Field,
    member: json::Member,
    found: Rewritten,
}

impl Stage for Finding {
    fn run(&mut self, batch: &Batch<'_>, next: &mut Next<'_>) -> Result<()> {
        let Finding { input, member, found } = self;
        let Column::Json(objects) = batch.columns[*input] else { panic!("field {input} holds no JSON") };
        let members =
            found.each(objects, |object, out| member.find(object).map(|cell| out.extend_from_slice(cell)).is_some());
        let mut columns = Columns::from_slice(batch.columns);
        columns.push(Column::Json(members));
        next.take(&Batch { rows: batch.rows, columns: &columns })
    }
}
