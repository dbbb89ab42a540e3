//! The list filter (contract section 5 "filters", section 11): `lastUsed le <date-time>` and `lastUsed
//! isnull`, joined by `not`, `and`, `or` and parentheses as all filters are.
//!
//! A filter asks about one field, so whatever it says boils down to a set of moments and whether null belongs
//! to it. It is kept as that set, which is all that a query needs: no tree, and never more parts than `le`s.

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::expression::{Cursor, Expression, Named};
use crate::time::Timestamp;

const LAST_USED: &str = "lastUsed";

/// Which values of `lastUsed` a list shows.
///
/// Two filters that say the same are equal: `not (a or b)` and `not a and not b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    null: bool,
    /// Ascending, disjoint, with a gap between any two, within [`first`] and [`last`].
    ranges: Vec<RangeInclusive<i64>>,
}

impl Filter {
    /// Reads a filter as it stands in the query, percent-decoded. Empty or blank is no filter.
    ///
    /// A date may stand in double quotes, and a blank may stand where the `+` of its offset was. Keywords are
    /// lowercase. `not` negates what matches, so `not lastUsed le x` matches null. Refuses, as
    /// [`Detail::Value`](crate::error::Detail::Value) and naming the field, operator or column (in
    /// characters, from 1), everything else, also more than [`FILTER_CHARS`](crate::limits::FILTER_CHARS)
    /// characters and more than [`FILTER_LEVELS`](crate::limits::FILTER_LEVELS) parentheses and `not`s in one
    /// another.
    pub fn parse(text: &str) -> Result<Self> {
        Expression::parse(text, comparison).map(Self::of)
    }

    fn of(expression: Expression<Self>) -> Self {
        match expression {
            Expression::Comparison(filter) => filter,
            Expression::Not(inner) => Self::of(*inner).complement(),
            Expression::All(parts) => {
                parts.into_iter().map(Self::of).fold(Self::everything(), Self::intersection)
            }
            Expression::Any(parts) => parts.into_iter().map(Self::of).fold(Self::nothing(), Self::union),
        }
    }

    /// No filter: every moment, and null.
    pub fn everything() -> Self {
        Self { null: true, ranges: vec![first()..=last()] }
    }

    /// Whether a PAT that was never used is in.
    pub fn includes_null(&self) -> bool {
        self.null
    }

    /// The moments that are in, in milliseconds since 1970 and between [`Timestamp::MIN`] and
    /// [`Timestamp::MAX`]: ascending, disjoint, and with at least a millisecond left out between two of them.
    pub fn ranges(&self) -> &[RangeInclusive<i64>] {
        &self.ranges
    }

    /// Whether a PAT last used at this moment is in.
    pub fn matches(&self, last_used: Option<Timestamp>) -> bool {
        last_used.map_or(self.null, |at| self.ranges.iter().any(|range| range.contains(&at.millis())))
    }

    fn nothing() -> Self {
        Self { null: false, ranges: Vec::new() }
    }

    fn is_null() -> Self {
        Self { null: true, ranges: Vec::new() }
    }

    /// Null never matches `le`.
    fn at_most(moment: Timestamp) -> Self {
        Self { null: false, ranges: vec![first()..=moment.millis()] }
    }

    fn complement(self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut from = first();
        for range in self.ranges {
            if from < *range.start() {
                ranges.push(from..=range.start() - 1);
            }
            from = range.end() + 1;
        }
        if from <= last() {
            ranges.push(from..=last());
        }
        Self { null: !self.null, ranges }
    }

    fn union(self, other: Self) -> Self {
        let mut all = self.ranges;
        all.extend(other.ranges);
        all.sort_unstable_by_key(|range| *range.start());
        let mut ranges: Vec<RangeInclusive<i64>> = Vec::with_capacity(all.len());
        for range in all {
            match ranges.last_mut() {
                Some(before) if *range.start() <= before.end() + 1 => {
                    *before = *before.start()..=*before.end().max(range.end());
                }
                _ => ranges.push(range),
            }
        }
        Self { null: self.null || other.null, ranges }
    }

    fn intersection(self, other: Self) -> Self {
        self.complement().union(other.complement()).complement()
    }
}

/// The lowest millisecond that a `lastUsed` can be.
fn first() -> i64 {
    Timestamp::MIN.millis()
}

/// The highest one.
fn last() -> i64 {
    Timestamp::MAX.millis()
}

#[derive(Clone, Copy)]
enum Operator {
    Le,
    IsNull,
}

impl Named for Operator {
    fn name(&self) -> &'static str {
        match self {
            Self::Le => "le",
            Self::IsNull => "isnull",
        }
    }
}

fn comparison(cursor: &mut Cursor<'_>) -> Result<Filter> {
    cursor.field(&[LAST_USED])?;
    match cursor.operator(LAST_USED, &[Operator::Le, Operator::IsNull])? {
        Operator::Le => cursor.date().map(Filter::at_most),
        Operator::IsNull => Ok(Filter::is_null()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::{Detail, Error};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn parsed(text: &str) -> Filter {
        Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refusal(text: &str) -> String {
        match Filter::parse(text) {
            Err(Error::Invalid { detail: Detail::Value, text, .. }) => text,
            other => panic!("{text} gave {other:?}"),
        }
    }

    #[test]
    fn nothing_is_no_filter() {
        for text in ["", " ", " \t\r\n  "] {
            let filter = parsed(text);
            assert_eq!(filter, Filter::everything());
            assert!(
                filter.matches(None)
                    && filter.matches(Some(Timestamp::MIN))
                    && filter.matches(Some(Timestamp::MAX))
            );
        }
        assert_eq!(parsed("lastUsed isnull or not lastUsed isnull"), Filter::everything());
        assert_ne!(parsed("lastUsed isnull"), Filter::everything());
    }

    #[test]
    fn le_is_at_most_and_never_null() {
        let filter = parsed("lastUsed le 2023-02-05T10:59:27.214Z");
        assert!(filter.matches(Some(at("2023-02-05T10:59:27.213Z"))));
        assert!(filter.matches(Some(at("2023-02-05T10:59:27.214Z"))));
        assert!(!filter.matches(Some(at("2023-02-05T10:59:27.215Z"))));
        assert!(!filter.matches(None) && !filter.includes_null());
        assert_eq!(filter.ranges(), [first()..=at("2023-02-05T10:59:27.214Z").millis()]);
        assert_eq!(parsed("lastUsed le 9999-12-31T23:59:59.999Z"), parsed("not lastUsed isnull"));
        assert_eq!(parsed("lastUsed le 0000-01-01T00:00:00Z").ranges(), [first()..=first()]);
    }

    #[test]
    fn isnull_is_null_alone() {
        let filter = parsed("lastUsed isnull");
        assert!(filter.includes_null() && filter.matches(None) && filter.ranges().is_empty());
        assert!(!filter.matches(Some(Timestamp::MIN)));
    }

    #[test]
    fn not_le_matches_null() {
        let filter = parsed("not lastUsed le 2023-02-05T10:59:27.214Z");
        assert!(filter.matches(None) && filter.matches(Some(at("2023-02-05T10:59:27.215Z"))));
        assert!(!filter.matches(Some(at("2023-02-05T10:59:27.214Z"))));
    }

    #[test]
    fn not_binds_before_and_before_or() {
        const A: &str = "lastUsed le 2020-01-01T00:00:00Z";
        const B: &str = "lastUsed le 2021-01-01T00:00:00Z";
        const N: &str = "lastUsed isnull";
        for (bare, explicit) in [
            (format!("{N} or {A} and {B}"), format!("{N} or ({A} and {B})")),
            (format!("{A} and {B} or {N}"), format!("({A} and {B}) or {N}")),
            (format!("not {N} or {A}"), format!("(not {N}) or {A}")),
            (format!("not {A} and {B}"), format!("(not {A}) and {B}")),
            (format!("{N} and not {A} or {B}"), format!("({N} and (not {A})) or {B}")),
            (format!("not not {A}"), A.to_owned()),
            (format!("not ({A} or {N})"), format!("not {A} and not {N}")),
        ] {
            assert_eq!(parsed(&bare), parsed(&explicit), "{bare}");
        }
        // The other readings differ, so the ones above tell something.
        assert_ne!(parsed(&format!("({N} or {A}) and {B}")), parsed(&format!("{N} or {A} and {B}")));
        assert_ne!(parsed(&format!("not ({N} or {A})")), parsed(&format!("not {N} or {A}")));
        assert_ne!(parsed(&format!("not ({A} and {B})")), parsed(&format!("not {A} and {B}")));
        let between = parsed(&format!("{B} and not {A}"));
        assert!(!between.includes_null());
        assert_eq!(
            between.ranges(),
            [at("2020-01-01T00:00:00.001Z").millis()..=at("2021-01-01T00:00:00Z").millis()]
        );
    }

    #[test]
    fn dates_bare_quoted_and_with_a_lost_plus() {
        let filter = parsed("lastUsed le 2023-02-05T08:59:27.214Z");
        for date in [
            "2023-02-05T10:59:27.214+02:00",
            "2023-02-05T10:59:27.214 02:00",
            "\"2023-02-05T10:59:27.214+02:00\"",
            "\"2023-02-05T10:59:27.214 02:00\"",
            "\"2023-02-05T08:59:27.214Z\"",
            "2023-02-05T08:59:27.214",
            "2023-02-05T06:59:27.214-02:00",
            "2023-02-05t08:59:27.2145z",
        ] {
            assert_eq!(parsed(&format!("lastUsed le {date}")), filter, "{date}");
            assert_eq!(parsed(&format!("(lastUsed le {date})")), filter, "{date}");
            assert_eq!(parsed(&format!("lastUsed le {date} and lastUsed le {date}")), filter, "{date}");
        }
        for date in [
            "2023-02-05",
            "2023-02-05 10:59:27",
            "\"2023-02-05 10:59:27Z\"",
            "\"\"",
            "\" 2023-02-05T08:59:27Z\"",
            "null",
            "2023-02-30T00:00:00Z",
            "1675593567214",
            "2023-02-05T10:59:27+0200",
            "\"2023-02-05T10:59:27  02:00\"",
            "and",
        ] {
            let text = refusal(&format!("lastUsed le {date}"));
            assert!(
                text.starts_with("Filter: expected a date-time such as 2027-12-31T23:59:59.999Z at column "),
                "{text}"
            );
        }
        // One blank is a lost plus; two, or another kind, are none.
        for date in [
            "2023-02-05T10:59:27.214  02:00",
            "2023-02-05T10:59:27.214\t02:00",
            "2023-02-05T10:59:27.214Z 02:00",
        ] {
            assert!(
                refusal(&format!("lastUsed le {date}"))
                    .starts_with("Filter: expected 'and', 'or' or the end")
            );
        }
    }

    #[test]
    fn parentheses_and_quotes_need_no_blanks() {
        assert_eq!(
            parsed("not(lastUsed le\"2023-02-05T10:59:27.214Z\")and(lastUsed isnull)"),
            parsed("\t lastUsed   isnull\n")
        );
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (given, says) in [
            ("name eq 1", "Filter: field 'name' is not filterable; lastUsed is."),
            ("lastused isnull", "Filter: field 'lastused' is not filterable; lastUsed is."),
            ("NOT lastUsed isnull", "Filter: field 'NOT' is not filterable; lastUsed is."),
            ("isnull lastUsed", "Filter: field 'isnull' is not filterable; lastUsed is."),
            (
                "lastUsed gt 2023-02-05T10:59:27.214Z",
                "Filter: operator 'gt' is not supported for lastUsed; le and isnull are.",
            ),
            ("lastUsed LE x", "Filter: operator 'LE' is not supported for lastUsed; le and isnull are."),
            ("lastUsed", "Filter: expected le or isnull at column 9, where it ends."),
            ("lastUsed (", "Filter: expected le or isnull at column 10, where '(' stands."),
            (
                "lastUsed le",
                "Filter: expected a date-time such as 2027-12-31T23:59:59.999Z at column 12, where it ends.",
            ),
            (
                "lastUsed le 2023",
                "Filter: expected a date-time such as 2027-12-31T23:59:59.999Z at column 13, where '2023' stands.",
            ),
            (
                "lastUsed isnull AND",
                "Filter: expected 'and', 'or' or the end at column 17, where 'AND' stands.",
            ),
            ("lastUsed isnull)", "Filter: expected 'and', 'or' or the end at column 16, where ')' stands."),
            ("lastUsed isnull and", "Filter: expected a field, 'not' or '(' at column 20, where it ends."),
            ("or lastUsed isnull", "Filter: expected a field, 'not' or '(' at column 1, where 'or' stands."),
            ("not", "Filter: expected a field, 'not' or '(' at column 4, where it ends."),
            ("()", "Filter: expected a field, 'not' or '(' at column 2, where ')' stands."),
            (
                " (lastUsed isnull",
                "Filter: expected 'and', 'or' or the ')' for the '(' of column 2 at column 18, where it ends.",
            ),
            ("(\u{e9}\u{1f600}) \"", "Filter: the quote opened at column 6 is never closed."),
            ("\u{a0}", "Filter: field '\u{a0}' is not filterable; lastUsed is."),
            (
                "\"lastUsed\" isnull",
                "Filter: expected a field, 'not' or '(' at column 2, where 'lastUsed' stands.",
            ),
        ] {
            assert_eq!(refusal(given), says);
        }
        let long = refusal(&format!("{} isnull", "\u{1}x".repeat(50)));
        assert!(long.contains('\u{fffd}') && !long.contains('\u{1}') && long.chars().count() < 120, "{long}");
    }

    #[test]
    fn at_most_2000_characters() {
        let filter = "lastUsed isnull";
        assert!(parsed(&format!("{filter}{}", " ".repeat(2_000 - filter.len()))).includes_null());
        assert_eq!(
            refusal(&format!("{filter}{}", " ".repeat(2_001 - filter.len()))),
            "Filter: it is longer than 2000 characters."
        );
        // Characters, not bytes.
        assert!(refusal(&"\u{1f600}".repeat(2_000)).starts_with("Filter: field "));
    }

    #[test]
    fn at_most_32_levels() {
        let nested = |open: &str, levels: usize, close: &str| {
            format!("{}lastUsed isnull{}", open.repeat(levels), close.repeat(levels))
        };
        assert_eq!(parsed(&nested("(", 32, ")")), parsed("lastUsed isnull"));
        assert_eq!(parsed(&nested("not ", 32, "")), parsed("lastUsed isnull"));
        assert_eq!(parsed(&nested("not (", 16, ")")), parsed("lastUsed isnull"));
        assert_eq!(refusal(&nested("(", 33, ")")), "Filter: nested deeper than 32 levels at column 33.");
        assert_eq!(refusal(&nested("not ", 33, "")), "Filter: nested deeper than 32 levels at column 129.");
        assert_eq!(refusal(&nested("not (", 17, ")")), "Filter: nested deeper than 32 levels at column 81.");
        assert!(refusal(&"(".repeat(2_000)).contains("nested deeper"));
        // Side by side is not in one another.
        assert!(Filter::parse(&["(lastUsed isnull)"; 80].join(" or ")).is_ok());
    }

    #[derive(Debug, Clone)]
    enum Tree {
        Le(i64),
        Null,
        Not(Box<Tree>),
        And(Box<Tree>, Box<Tree>),
        Or(Box<Tree>, Box<Tree>),
    }

    impl Tree {
        fn holds(&self, value: Option<i64>) -> bool {
            match self {
                Self::Le(bound) => value.is_some_and(|value| value <= *bound),
                Self::Null => value.is_none(),
                Self::Not(tree) => !tree.holds(value),
                Self::And(a, b) => a.holds(value) && b.holds(value),
                Self::Or(a, b) => a.holds(value) || b.holds(value),
            }
        }

        fn bounds(&self, into: &mut Vec<i64>) {
            match self {
                Self::Le(bound) => into.push(*bound),
                Self::Null => {}
                Self::Not(tree) => tree.bounds(into),
                Self::And(a, b) | Self::Or(a, b) => {
                    a.bounds(into);
                    b.bounds(into);
                }
            }
        }

        /// Writes this where a part of this much binding power is due, with the parentheses and blanks it
        /// needs and some that it does not.
        fn write(&self, power: u8, whims: &mut impl Iterator<Item = u8>, out: &mut String) {
            let own = match self {
                Self::Or(..) => 0,
                Self::And(..) => 1,
                _ => 2,
            };
            let whim = whims.next().unwrap();
            let in_parentheses = own < power || whim.is_multiple_of(5);
            if in_parentheses {
                out.push_str(["(", "( "][usize::from(whim % 2)]);
            }
            let blank = |whims: &mut dyn Iterator<Item = u8>| {
                [" ", "  ", "\t", " \n "][usize::from(whims.next().unwrap() % 4)]
            };
            match self {
                Self::Null => {
                    out.push_str("lastUsed");
                    out.push_str(blank(whims));
                    out.push_str("isnull");
                }
                Self::Le(bound) => {
                    out.push_str("lastUsed");
                    out.push_str(blank(whims));
                    out.push_str("le");
                    out.push_str(blank(whims));
                    out.push_str(&written(*bound, whims.next().unwrap()));
                }
                Self::Not(tree) => {
                    out.push_str("not");
                    out.push_str(blank(whims));
                    tree.write(2, whims, out);
                }
                Self::And(a, b) | Self::Or(a, b) => {
                    a.write(own, whims, out);
                    out.push_str(blank(whims));
                    out.push_str(if own == 1 { "and" } else { "or" });
                    out.push_str(blank(whims));
                    b.write(own, whims, out);
                }
            }
            if in_parentheses {
                out.push_str([")", " )"][usize::from(whim / 2 % 2)]);
            }
        }
    }

    /// A moment in one of the forms a date may have.
    fn written(millis: i64, form: u8) -> String {
        let utc = Timestamp::from_millis(millis).to_string();
        let ahead = millis + 7_200_000;
        let there = Timestamp::from_millis(ahead).to_string().replace('Z', "");
        match form % 6 {
            1 => format!("\"{utc}\""),
            2 => utc.replace('Z', ""),
            3 if ahead <= last() => format!("{there}+02:00"),
            4 if ahead <= last() => format!("{there} 02:00"),
            5 if ahead <= last() => format!("\"{there} 02:00\""),
            _ => utc,
        }
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        let bound = prop_oneof![
            4 => (0..8_i64).prop_map(|n| 1_700_000_000_000 + n),
            2 => first()..=last(),
            1 => prop::sample::select(vec![first(), first() + 1, last() - 1, last()]),
        ];
        let leaf = prop_oneof![3 => bound.prop_map(Tree::Le), 1 => Just(Tree::Null)];
        leaf.prop_recursive(4, 16, 2, |inner| {
            let two = (inner.clone().prop_map(Box::new), inner.clone().prop_map(Box::new));
            prop_oneof![
                inner.prop_map(|tree| Tree::Not(Box::new(tree))),
                two.clone().prop_map(|(a, b)| Tree::And(a, b)),
                two.prop_map(|(a, b)| Tree::Or(a, b)),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_filter_holds_what_its_expression_says(
            tree in any_tree(),
            whims in prop::collection::vec(any::<u8>(), 1..64),
            others in prop::collection::vec(first()..=last(), 8),
        ) {
            let mut text = String::new();
            tree.write(0, &mut whims.into_iter().cycle(), &mut text);
            let filter = parsed(&text);

            let mut values = others;
            tree.bounds(&mut values);
            values.extend([first(), last()]);
            let around = values.iter().flat_map(|at| [at - 1, *at, at + 1]);
            let around = around.filter(|at| (first()..=last()).contains(at));
            for value in around.map(Some).chain([None]) {
                let matches = filter.matches(value.map(Timestamp::from_millis));
                prop_assert_eq!(matches, tree.holds(value), "{} {:?}", text, value);
            }
            let ranges = filter.ranges();
            prop_assert!(ranges.iter().all(|range| first() <= *range.start() && *range.end() <= last()));
            prop_assert!(ranges.iter().all(|range| !range.is_empty()), "{ranges:?}");
            prop_assert!(ranges.windows(2).all(|two| two[0].end() + 1 < *two[1].start()), "{ranges:?}");
        }

        #[test]
        fn no_text_breaks_it(
            text in "\\PC{0,60}",
            words in prop::collection::vec(
                "lastUsed|le|isnull|not|and|or|[()\" \téZ]|2023-02-05T10:59:27|02:00",
                0..20,
            ),
        ) {
            for text in [text, words.concat(), words.join(" ")] {
                if let Err(error) = Filter::parse(&text) {
                    prop_assert!(error.to_string().starts_with("Filter: "));
                }
            }
        }
    }
}
