//! Which ranks of a partial result are certain, whatever the missing bytes hold. [`Certainty`] notes the first rows of
//! the result and judges their ranks from the missing parts of the input.
//!
//! Rows are ordered by a count, greatest first. Each record of a group takes some bytes of the input that no other
//! record shares, so the missing bytes hold only a limited number of records:
//!
//! ```text
//! rank   group   count   may grow by
//! 1      the     900     missing / 4    certain if 900 > 500 + missing / 3, and 900 > what any other row may come to
//! 2      of      500     missing / 3
//!        any     0       missing / 2    groups that haven't been seen yet
//! ```
//!
//! Row *a* stays before row *b* if *a*'s count is greater than *b*'s count can become. A rank is certain if all rows
//! before it stay before it, and if its row stays before all rows after it, seen or not.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::data::Value;
use crate::map::tokenise::Splitter;
use crate::map::{Field, Makes};
use crate::output::sort_key::take_sort_key;
use crate::output::{Order, SortKey, SortKeys};
use crate::panics::lock;
use crate::plan::{Groups, Plan, Read, Rows};
use crate::report::{CertainRanks, Missing};

/// The most ranks that are judged, as each takes memory.
const MOST: usize = 10_000;

/// The first rows of the result, whose ranks are judged at the end.
#[derive(Debug)]
pub struct Certainty<'p> {
    ranked: Result<Ranked<'p>, Unknown>,
    /// Rows of each range of the output, by range number.
    rows: Mutex<BTreeMap<usize, Vec<Row>>>,
}

/// Groups ranked by a count, with what is needed to read a row's count and size from its sort key.
#[derive(Debug)]
struct Ranked<'p> {
    groups: &'p Groups,
    /// The sort keys. The first one is the count.
    order: &'p SortKeys,
    limit: usize,
    least_bytes: LeastBytes<'p>,
}

/// The least number of input bytes that each mapped record has for itself.
#[derive(Debug)]
enum LeastBytes<'p> {
    /// One mapped record for each record read. It takes the bytes of the fields whose numbers are below `read`, and
    /// `between` bytes that follow the fields.
    Record { read: Field, between: u64 },
    /// One mapped record for each piece of a field that was split.
    Piece { field: Field, on: &'p Splitter },
}

#[derive(Clone, Copy, Debug)]
struct Row {
    count: u64,
    /// The least number of input bytes that each of the row's records has for itself.
    least_bytes: u64,
}

/// The reason why no rank is certain.
type Unknown = &'static str;

const NOT_KNOWN: Unknown = "how often a group may be in the missing bytes isn't known";

impl<'p> Certainty<'p> {
    /// Returns a judge if the plan has ranks and its result may be partial.
    pub fn of(plan: &'p Plan) -> Option<Self> {
        let limit = plan.limit.filter(|_| plan.is_ranked && plan.may_be_partial())?;
        let ranked = match &plan.rows {
            Rows::Records { sort: Some(_) } => Err("records may be missing at any rank"),
            Rows::Groups(groups) if !groups.key.is_empty() => match &groups.order {
                Order::By(order) => Ranked::of(plan, groups, order, limit.min(MOST as u64) as usize),
                Order::Free => return None,
            },
            Rows::Records { sort: None } | Rows::Groups(_) => return None,
        };
        Some(Certainty { ranked, rows: Mutex::default() })
    }

    /// Notes the rows of a range of the output, given by their sort keys.
    pub fn note<'k>(&self, range: usize, keys: impl Iterator<Item = &'k [u8]>) {
        let Ok(ranked) = &self.ranked else { return };
        let rows = keys.take(ranked.limit + 1).map(|key| ranked.row(key).expect("a sort key is whole")).collect();
        lock(&self.rows).insert(range, rows);
    }

    pub fn ranks(&self, missing: &[Missing]) -> CertainRanks {
        let ranked = match &self.ranked {
            Ok(ranked) => ranked,
            Err(why) => return unknown(why),
        };
        let gaps = missing.iter().map(|Missing { from, to, .. }| Some((*to)? - from));
        let Some(gaps) = gaps.collect::<Option<Vec<u64>>>() else {
            return unknown("how many bytes are missing isn't known");
        };
        // The last record of a gap may lack its terminator, hence one byte more.
        let growth = |least_bytes: u64| gaps.iter().map(|gap| (gap + 1) / least_bytes).sum::<u64>();
        let noted = lock(&self.rows);
        // Once enough rows are written, ranges may be given up: one range may be missing although a later one is there.
        let in_order = noted.iter().zip(0..).take_while(|((range, _), next)| *range == next);
        let rows: Vec<Row> = in_order.flat_map(|((_, rows), _)| rows).copied().collect();
        let (rows, behind) = rows.split_at(rows.len().min(ranked.limit));
        // No later row has a greater count than the next row, or, if that wasn't looked at, than the last one.
        let greatest = behind.first().or(rows.last().filter(|_| rows.len() == ranked.limit));
        let others = greatest.map_or(0, |row| row.count) + growth(ranked.least_bytes.least());
        CertainRanks { ranges: ranges(&certain(rows, others, growth)), unknown: None }
    }
}

fn unknown(why: &str) -> CertainRanks {
    CertainRanks { ranges: Vec::new(), unknown: Some(why.into()) }
}

/// Returns for each row whether its rank is certain, if any row after all of these can come to at most `others`.
fn certain(rows: &[Row], others: u64, growth: impl Fn(u64) -> u64) -> Vec<bool> {
    let most: Vec<u64> = rows.iter().map(|row| row.count + growth(row.least_bytes)).collect();
    // The greatest count that any later row may come to.
    let mut behind = others;
    let mut certain = vec![false; rows.len()];
    for (rank, row) in rows.iter().enumerate().rev() {
        let stays_behind = rank == 0 || rows[rank - 1].count > most[rank];
        certain[rank] = stays_behind && row.count > behind;
        behind = behind.max(most[rank]);
    }
    certain
}

/// Returns the first and last rank of each sequence of certain ranks, counted from 1.
fn ranges(certain: &[bool]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for rank in (1..).zip(certain).filter(|(_, certain)| **certain).map(|(rank, _)| rank) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == rank => *last = rank,
            _ => ranges.push((rank, rank)),
        }
    }
    ranges
}

impl<'p> Ranked<'p> {
    fn of(plan: &'p Plan, groups: &'p Groups, order: &'p SortKeys, limit: usize) -> Result<Self, Unknown> {
        let counts = |key: &SortKey| {
            let column = key.index.checked_sub(groups.key.len()).map(|column| &groups.results[column]);
            key.descending && column.is_some_and(|column| groups.aggregates[column.aggregate].is_count())
        };
        if order.per_group.is_some() {
            return Err("limit_per_group ranks the rows of each group, not all rows");
        }
        if !order.keys.first().is_some_and(counts) {
            return Err("ranks are known only for rows sorted by a count, greatest first");
        }
        if groups.having.is_some() {
            return Err("having may drop a group when its values change");
        }
        Ok(Ranked { groups, order, limit, least_bytes: LeastBytes::of(plan)? })
    }

    fn row(&self, mut key: &[u8]) -> Option<Row> {
        let Groups { key: fields, results, aggregates, .. } = self.groups;
        let mut row = Row { count: 0, least_bytes: self.least_bytes.least() };
        let mut text = Vec::new();
        for (i, SortKey { index, descending }) in self.order.keys.iter().enumerate() {
            let (field, kind) = match index.checked_sub(fields.len()).map(|column| &results[column]) {
                Some(column) => (None, aggregates[column.aggregate].kind(column.number)),
                None => fields.get(*index).map(|(field, kind)| (Some(field), kind))?,
            };
            let is_last = i + 1 == self.order.keys.len();
            match (take_sort_key(&mut key, kind, *descending, is_last, &mut text)?, field) {
                (Value::Decimal(count), _) if i == 0 => row.count = u64::try_from(count.mantissa).ok()?,
                (Value::Bytes(bytes), Some(field)) => {
                    row.least_bytes = self.least_bytes.with(row.least_bytes, field, bytes)
                }
                _ => {}
            }
        }
        Some(row)
    }
}

impl<'p> LeastBytes<'p> {
    fn of(plan: &'p Plan) -> Result<Self, Unknown> {
        let (read, between) = match &plan.read {
            Read::Text { .. } => (1, 1),
            Read::Delimited { layouts, .. } => {
                let fields = layouts.iter().map(|layout| layout.fields).min().unwrap_or(1);
                (layouts.first().map_or(0, |layout| layout.wanted.len()), fields as u64)
            }
            // The values of two wanted fields may share bytes.
            Read::Json { .. } | Read::Matching { .. } => return Err(NOT_KNOWN),
        };
        let mut least_bytes = LeastBytes::Record { read, between };
        for step in &plan.steps {
            least_bytes = match (step.makes(), least_bytes) {
                (Makes::One, least_bytes) => least_bytes,
                (Makes::Pieces { field, of, on }, LeastBytes::Record { read, .. }) if of < read => {
                    LeastBytes::Piece { field, on }
                }
                _ => return Err(NOT_KNOWN),
            };
        }
        Ok(least_bytes)
    }

    /// The least number of bytes of a record of any group.
    fn least(&self) -> u64 {
        match self {
            LeastBytes::Record { between, .. } => *between,
            LeastBytes::Piece { on, .. } => on.takes_least(),
        }
    }

    /// Returns the bytes that a record takes once the value of `field` is known, given the bytes `least_bytes` without
    /// it.
    fn with(&self, least_bytes: u64, field: Field, value: &[u8]) -> u64 {
        match self {
            LeastBytes::Record { read, .. } if field < *read => least_bytes + value.len() as u64,
            LeastBytes::Piece { field: piece, on } if field == *piece => on.takes(value),
            _ => least_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::data::buffer::Buffer;
    use crate::plan::{self, Invocation};
    use crate::run::Control;
    use crate::spec::Document;

    fn row(count: u64, least_bytes: u64) -> Row {
        Row { count, least_bytes }
    }

    #[test]
    fn a_rank_is_certain_if_no_row_can_pass_another() {
        let judged =
            |rows: &[Row], others, missing: u64| ranges(&certain(rows, others, |least_bytes| missing / least_bytes));
        let rows = [row(900, 4), row(500, 3), row(490, 10), row(10, 100)];
        assert_eq!(judged(&rows, 3, 0), [(1, 4)]);
        // The third row may come to 510. The second would need 1200 bytes to pass 900.
        assert_eq!(judged(&rows, 103, 200), [(1, 1)]);
        assert_eq!(judged(&rows, 5, 90), [(1, 4)]);
        // Any other row may come to as many as the last row has.
        assert_eq!(judged(&rows, 10, 90), [(1, 3)]);
        assert_eq!(judged(&rows, 10, 100), [(1, 1)]);
        // The first two may change places, but no other row may pass them.
        assert_eq!(judged(&[row(900, 4), row(899, 4), row(500, 4), row(400, 4)], 0, 100), [(3, 4)]);
        assert_eq!(judged(&[row(5, 1), row(5, 1)], 0, 0), []);
        assert_eq!(judged(&[], 0, 10), []);
    }

    /// Plans a job over `text` that asks for the greatest counts.
    fn plan(dir: &Path, job: &str, text: &[u8], limit: Option<u64>) -> Plan {
        let (from, to) = (dir.join("in"), dir.join("out"));
        std::fs::write(&from, text).unwrap();
        let spec = format!(
            r#"{{"input": [{from:?}], "output": {{"path": {to:?}, "format": "tsv"}}, "aggregate": [{{"op": "count"}}],
            "sort": ["-count"], "limit": {}, "deadline": {{"timeout": "1h", "on_timeout": "partial"}}, {job}}}"#,
            limit.unwrap_or(1 << 40),
        );
        let spec = Document::parse("spec", spec.as_bytes()).unwrap().finish().unwrap();
        plan::resolve(&spec, &Invocation { force: true, ..Invocation::default() }).unwrap()
    }

    /// Returns all groups in order, with their counts.
    fn ranking(dir: &Path, job: &str, text: &[u8]) -> Vec<(String, u64)> {
        crate::engine::run(&plan(dir, job, text, None), &Control::default()).unwrap();
        let rows = String::from_utf8_lossy(&std::fs::read(dir.join("out")).unwrap()).into_owned();
        let row = |row: &str| row.rsplit_once('\t').map(|(key, count)| (key.to_owned(), count.parse().unwrap()));
        rows.lines().map(|line| row(line).unwrap()).collect()
    }

    const LIMIT: usize = 3;

    /// Returns the certain ranks of `rows`, the ranking of a text from which `gap` bytes were cut.
    fn certain_of(dir: &Path, job: &str, rows: &[(String, u64)], gap: u64) -> CertainRanks {
        let plan = plan(dir, job, b"", Some(LIMIT as u64));
        let certainty = Certainty::of(&plan).unwrap();
        let Rows::Groups(Groups { order: Order::By(order), .. }) = &plan.rows else { panic!("groups have an order") };
        let keys: Vec<_> = rows
            .iter()
            .map(|(key, count)| {
                let mut out = Buffer::default();
                let cells = [Value::Bytes(key.as_bytes()), Value::Decimal((*count).into())];
                order.put(&mut out, |index| cells[index]);
                out
            })
            .collect();
        certainty.note(0, keys.iter().map(Buffer::as_slice));
        certainty.ranks(&[Missing { source: "in".into(), from: 0, to: Some(gap), cause: "cut".into() }])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The groups at certain ranks stay there, whatever the gap holds.
        #[test]
        fn nothing_in_a_gap_moves_a_certain_rank(
            counts in prop::collection::vec(0usize..60, 6),
            gap in 1usize..40,
            job in 0usize..7,
            fill in "[abÖİKß\u{23a} ,\n]{0,40}",
        ) {
            let dir = tempfile::tempdir().unwrap();
            let words = ["a", "bb", "ccc", "İi", "ⱥⱥ", "long-word"];
            let split = |on| format!(r#""map": [{{"split": "line", "on": "{on}", "as": "w"}}], "group_by": ["w"]"#);
            let table = r#""read": {"format": "csv", "fields": ["x", "k"]}, "group_by": ["k"]"#.to_owned();
            let lines = r#""group_by": ["line"]"#.to_owned();
            let jobs = [split("words"), split("whitespace"), split("letters"), split("chars"), split(","), lines, table];
            let job = &jobs[job];
            let (before_key, between): (_, &[_]) =
                if job.contains("csv") { (",", &["\n"]) } else { ("", &[",", " ", "\n", ""]) };
            let record = |(word, count): (&&str, &usize)| format!("{before_key}{word}\n").repeat(*count);
            let kept: String = words.iter().zip(&counts).map(record).collect();
            let before = ranking(dir.path(), job, kept.as_bytes());
            let CertainRanks { ranges, unknown } = certain_of(dir.path(), job, &before, gap as u64);
            prop_assert_eq!(unknown, None);
            if ranges.is_empty() {
                return Ok(());
            }
            // As many records of one group as fit the gap, each written in the shortest way.
            let repeated = ["a", "bb", "ccc", "İ", "ȺȺ", "K", "long-word", "z", ""];
            let repeat = |word| between.iter().map(move |between| format!("{before_key}{word}{between}").repeat(gap));
            let fills = repeated.into_iter().flat_map(repeat).chain((between.len() > 1).then_some(fill));
            for mut fill in fills.map(String::into_bytes) {
                fill.truncate(gap);
                // Records of a table are kept whole, with all their fields.
                if between.len() == 1 {
                    fill.truncate(fill.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
                }
                let after = ranking(dir.path(), job, &[kept.as_bytes(), &fill].concat());
                for rank in ranges.iter().flat_map(|(first, last)| *first as usize - 1..*last as usize) {
                    prop_assert_eq!(&before[rank].0, &after[rank].0, "{} {:?} {:?}", job, fill, before);
                }
            }
        }
    }
}
