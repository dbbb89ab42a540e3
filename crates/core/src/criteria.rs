//! Filters and sorters of the lists other than that of PATs: public identities (contract section 2) and audit
//! events (section 11).
//!
//! The grammar is that of every filter, over comparisons of the fields that a list has:
//!
//! ```text
//! comparison = field "eq" text / field "sw" text / field "in" "(" text *( "," text ) ")"
//!            / time-field ( "eq" / "ge" / "gt" / "le" / "lt" ) date-time
//! text       = '"' *( character / '\"' / '\\' ) '"' / word
//! ```
//!
//! A word has no blanks, parentheses, commas or quotes. Texts are compared exactly, case included. Unlike a
//! [`Filter`](crate::filter::Filter), which a database can carry out as it is, criteria are put to each row
//! ([`Criteria::matches`]); [`Criteria::pinned`] and [`Criteria::bounds`] say which rows to read at all.

use std::ops::RangeInclusive;

use crate::error::{Detail, Error, Result, shorten};
use crate::expression::{Cursor, Expression, Named, listed_are};
use crate::limits::IN_TEXTS;
use crate::time::Timestamp;

/// What `/public-identities` can be filtered by.
pub const PUBLIC_IDENTITIES: &[Field] = &[
    Field::text("id", &[TextOperator::Eq, TextOperator::In]),
    Field::text("alias", &[TextOperator::Eq, TextOperator::Sw]),
    Field::text("email", &[TextOperator::Eq, TextOperator::Sw]),
    Field::text("firstname", &[TextOperator::Eq, TextOperator::Sw]),
    Field::text("lastname", &[TextOperator::Eq, TextOperator::Sw]),
];

/// What `/public-identities` can be sorted by.
pub const PUBLIC_IDENTITY_SORTERS: &[&str] = &["name"];

/// What `/audit-events` can be filtered by.
pub const AUDIT_EVENTS: &[Field] = &[
    Field::text("technicalName", &[TextOperator::Eq, TextOperator::In, TextOperator::Sw]),
    Field::time("created"),
    Field::text("actor.id", &[TextOperator::Eq, TextOperator::In]),
    Field::text("target.id", &[TextOperator::Eq, TextOperator::In]),
];

/// A field that a list can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// How filters name it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds, and so how it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text, with the operators that its list has for it.
    Text(&'static [TextOperator]),
    /// A point in time, with `eq`, `ge`, `gt`, `le` and `lt`.
    Time,
}

/// How a text can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOperator {
    /// `eq "a"`: it is this.
    Eq,
    /// `in ("a", "b")`: it is one of these, 1 to [`IN_TEXTS`].
    In,
    /// `sw "a"`: it starts with this.
    Sw,
}

/// What a row holds in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand<'a> {
    /// A text.
    Text(&'a str),
    /// A point in time.
    Time(Timestamp),
    /// Nothing; no comparison holds for it.
    Null,
}

/// Which rows a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria(Expression<Comparison>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    field: &'static str,
    asks: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// At least one text.
    OneOf(Vec<String>),
    StartsWith(String),
    /// In milliseconds since 1970; empty for `gt` the last moment there is and `lt` the first.
    Within(RangeInclusive<i64>),
}

impl Field {
    const fn text(name: &'static str, operators: &'static [TextOperator]) -> Self {
        Self { name, kind: Kind::Text(operators) }
    }

    const fn time(name: &'static str) -> Self {
        Self { name, kind: Kind::Time }
    }
}

impl Criteria {
    /// Reads a filter over these fields as it stands in the query, percent-decoded. Empty or blank is
    /// everything.
    ///
    /// Keywords are lowercase. A date-time may stand in double quotes, and a blank may stand where the `+` of
    /// its offset was. Refuses, as [`Detail::Value`] and naming the field, operator or column (in characters,
    /// from 1), everything else, also texts with control characters, more than
    /// [`FILTER_CHARS`](crate::limits::FILTER_CHARS) characters and more than
    /// [`FILTER_LEVELS`](crate::limits::FILTER_LEVELS) parentheses and `not`s in one another.
    pub fn parse(text: &str, fields: &'static [Field]) -> Result<Self> {
        Expression::parse(text, |cursor| Comparison::read(cursor, fields)).map(Self)
    }

    /// Whether this says nothing at all, and so leaves nothing out.
    pub fn is_empty(&self) -> bool {
        self.0 == Expression::All(Vec::new())
    }

    /// Whether a row is in, of which `value_of` tells what it holds in a field, by the field's name.
    ///
    /// `not` negates what matches, so `not alias eq "a"` matches [`Operand::Null`].
    pub fn matches<'v>(&self, value_of: &impl Fn(&str) -> Operand<'v>) -> bool {
        self.0.holds(&|comparison| comparison.asks.is_met(value_of(comparison.field)))
    }

    /// The only texts that the field of a row that matches can hold, each once: what every `eq` and `in`
    /// joined by the outermost `and`s allows. `None` when there is none of them; of no length when nothing
    /// can match.
    ///
    /// Tells which rows to read by an index; whether they match, [`Self::matches`] says.
    pub fn pinned(&self, field: &str) -> Option<Vec<&str>> {
        let mut lists = self.conjuncts(field).into_iter().filter_map(|test| match test {
            Test::OneOf(texts) => Some(texts),
            Test::StartsWith(_) | Test::Within(_) => None,
        });
        let mut pinned: Vec<&str> = Vec::new();
        for text in lists.next()? {
            if !pinned.contains(&text.as_str()) {
                pinned.push(text);
            }
        }
        for list in lists {
            pinned.retain(|&text| list.iter().any(|other| other == text));
        }
        Some(pinned)
    }

    /// The earliest and the latest moment, in milliseconds since 1970, that the field of a row that matches
    /// can hold: what the comparisons joined by the outermost `and`s allow. From [`Timestamp::MIN`] to
    /// [`Timestamp::MAX`] when there is none of them (then it may also hold nothing); empty when nothing can
    /// match.
    ///
    /// Tells which rows to read by an index; whether they match, [`Self::matches`] says.
    pub fn bounds(&self, field: &str) -> RangeInclusive<i64> {
        self.conjuncts(field).into_iter().fold(first()..=last(), |bounds, test| match test {
            Test::Within(range) => *bounds.start().max(range.start())..=*bounds.end().min(range.end()),
            Test::OneOf(_) | Test::StartsWith(_) => bounds,
        })
    }

    fn conjuncts(&self, field: &str) -> Vec<&Test> {
        let all = self.0.conjuncts().into_iter();
        all.filter(|comparison| comparison.field == field).map(|comparison| &comparison.asks).collect()
    }
}

/// The lowest millisecond that a field can hold.
fn first() -> i64 {
    Timestamp::MIN.millis()
}

/// The highest one.
fn last() -> i64 {
    Timestamp::MAX.millis()
}

#[derive(Clone, Copy)]
enum TimeOperator {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

impl TimeOperator {
    const ALL: [Self; 5] = [Self::Eq, Self::Ge, Self::Gt, Self::Le, Self::Lt];

    /// The moments that compare so to this one.
    fn range(self, moment: Timestamp) -> RangeInclusive<i64> {
        let at = moment.millis();
        match self {
            Self::Eq => at..=at,
            Self::Ge => at..=last(),
            Self::Gt => at + 1..=last(),
            Self::Le => first()..=at,
            Self::Lt => first()..=at - 1,
        }
    }
}

impl Named for TimeOperator {
    fn name(&self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Le => "le",
            Self::Lt => "lt",
        }
    }
}

impl Named for TextOperator {
    fn name(&self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::In => "in",
            Self::Sw => "sw",
        }
    }
}

impl Named for Field {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Comparison {
    fn read(cursor: &mut Cursor<'_>, fields: &'static [Field]) -> Result<Self> {
        let Field { name: field, kind } = *cursor.field(fields)?;
        let asks = match kind {
            Kind::Text(operators) => match cursor.operator(field, operators)? {
                TextOperator::Eq => Test::OneOf(vec![cursor.text()?]),
                TextOperator::In => Test::OneOf(cursor.texts(IN_TEXTS)?),
                TextOperator::Sw => Test::StartsWith(cursor.text()?),
            },
            Kind::Time => {
                let operator = *cursor.operator(field, &TimeOperator::ALL)?;
                Test::Within(operator.range(cursor.date()?))
            }
        };
        Ok(Self { field, asks })
    }
}

impl Test {
    fn is_met(&self, value: Operand<'_>) -> bool {
        match (self, value) {
            (Self::OneOf(texts), Operand::Text(value)) => texts.iter().any(|text| text == value),
            (Self::StartsWith(text), Operand::Text(value)) => value.starts_with(text.as_str()),
            (Self::Within(range), Operand::Time(at)) => range.contains(&at.millis()),
            _ => false,
        }
    }
}

/// One of the fields that a list is sorted by; those before it come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorter {
    /// The field's name.
    pub field: &'static str,
    /// From the highest to the lowest.
    pub descending: bool,
}

/// Reads sorters as they stand in the query, percent-decoded: fields with commas between them, each with a
/// `-` before it to turn its order round. Empty or blank is none; blanks around a field are ignored.
///
/// Refuses, as [`Detail::Value`], a field that is missing, twice there, or none of those `allowed`.
pub fn parse_sorters(text: &str, allowed: &'static [&'static str]) -> Result<Vec<Sorter>> {
    let refuse = |why: String| Err(Error::invalid(Detail::Value, format!("Sorters: {why}.")));
    let mut sorters: Vec<Sorter> = Vec::new();
    if text.trim_ascii().is_empty() {
        return Ok(sorters);
    }
    for given in text.split(',') {
        let given = given.trim_ascii();
        let name = given.strip_prefix('-').unwrap_or(given);
        let Some(&field) = allowed.iter().find(|&&field| field == name) else {
            let (name, can) = (shorten(name), listed_are(allowed));
            return refuse(format!("field '{name}' is not sortable; {can}"));
        };
        // Also what keeps the list short.
        if sorters.iter().any(|before| before.field == field) {
            return refuse(format!("field '{field}' is there twice"));
        }
        sorters.push(Sorter { field, descending: given != name });
    }
    Ok(sorters)
}

#[cfg(test)]
mod tests;
