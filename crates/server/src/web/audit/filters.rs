//! What the trail is filtered by, as the form has it: it becomes the filter that the API would be sent.

use patron_core::Result;
use patron_core::criteria::{AUDIT_EVENTS, Criteria};
use patron_core::name::could_be_name;
use patron_core::time::Timestamp;

use crate::web::frame::Problems;
use crate::web::moment::Zone;
use crate::web::{Form, pager};

/// The fields of the form, as they were typed.
#[derive(Default)]
pub(super) struct Filters {
    /// `technicalName`.
    pub(super) name: String,
    /// `actor.id`.
    pub(super) actor: String,
    /// `target.id`.
    pub(super) target: String,
    /// The first day, `2027-01-31`.
    pub(super) from: String,
    /// The last day.
    pub(super) to: String,
}

impl Filters {
    pub(super) fn read(query: &Form) -> Self {
        let text = |name: &str| query.text(name).trim().to_owned();
        Self {
            name: text("name"),
            actor: text("actor"),
            target: text("target"),
            from: text("from"),
            to: text("to"),
        }
    }

    fn pairs(&self) -> [(&str, &str); 5] {
        [
            ("name", &self.name),
            ("actor", &self.actor),
            ("target", &self.target),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs().iter().all(|(_, value)| value.is_empty())
    }

    /// The query of a link that keeps them, with more behind.
    pub(super) fn link(&self, more: &[(&str, &str)]) -> String {
        pager::query(&[&self.pairs()[..], more].concat())
    }

    /// The criteria; days begin and end where the reader is. `None` when something is wrong, which `problems` says.
    ///
    /// # Errors
    /// None that a reader could cause.
    pub(super) fn criteria(&self, zone: &Zone, problems: &mut Problems) -> Result<Option<Criteria>> {
        let mut comparisons = Vec::new();
        for (input, field, text) in [
            ("name", "technicalName", &self.name),
            ("actor", "actor.id", &self.actor),
            ("target", "target.id", &self.target),
        ] {
            if !could_be_name(text) {
                problems.add(input, "audit-no-id");
            } else if !text.is_empty() {
                comparisons.push(format!("{field} eq {}", quoted(text)));
            }
        }
        if !self.from.is_empty() {
            match zone.start_of_day(&self.from) {
                Some(start) => comparisons.push(format!("created ge {start}")),
                None => problems.add("from", "audit-no-day"),
            }
        }
        if !self.to.is_empty() {
            match zone.end_of_day(&self.to) {
                // To the end of the day's last second.
                Some(end) => {
                    let end = Timestamp::from_millis(end.millis() + 999);
                    comparisons.push(format!("created le {end}"));
                }
                None => problems.add("to", "audit-no-day"),
            }
        }
        if !problems.is_empty() {
            return Ok(None);
        }
        match Criteria::parse(&comparisons.join(" and "), AUDIT_EVENTS) {
            Ok(criteria) => Ok(Some(criteria)),
            Err(error) => problems.take(error).map(|()| None),
        }
    }
}

/// A text as a filter has it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use patron_core::limits::NAME_CHARS;

    use super::*;

    fn criteria(filters: &Filters, zone: &str) -> Option<Criteria> {
        filters.criteria(&Zone::named(zone).unwrap(), &mut Problems::default()).unwrap()
    }

    fn parsed(text: &str) -> Option<Criteria> {
        Criteria::parse(text, AUDIT_EVENTS).ok()
    }

    #[test]
    fn a_form_is_the_filter_that_the_api_takes() {
        assert_eq!(criteria(&Filters::default(), "UTC"), parsed(""));
        let filters = Filters {
            name: "SIGN_IN_FAILED".to_owned(),
            actor: "a\" or actor.id eq \"b\\".to_owned(),
            target: "*".to_owned(),
            from: "2027-03-01".to_owned(),
            to: "2027-03-28".to_owned(),
        };
        let expected = r#"technicalName eq "SIGN_IN_FAILED" and actor.id eq "a\" or actor.id eq \"b\\"
            and target.id eq "*" and created ge 2027-02-28T23:00:00.000Z and created le 2027-03-28T21:59:59.999Z"#;
        let expected = expected.replace('\n', " ");
        assert_eq!(criteria(&filters, "Europe/Berlin"), parsed(&expected), "a day of 23 hours, too");
    }

    #[test]
    fn what_is_no_day_or_no_text_is_said() {
        let wrong = |filters: Filters| {
            let mut problems = Problems::default();
            let found = filters.criteria(&Zone::default(), &mut problems).unwrap();
            assert_eq!(found, None);
            ["from", "to", "actor", "target", ""].into_iter().find(|field| problems.at(field).is_some())
        };
        let text = str::to_owned;
        let day = || text("2027-02-30");
        assert_eq!(wrong(Filters { from: day(), ..Filters::default() }), Some("from"));
        assert_eq!(wrong(Filters { to: text("x"), ..Filters::default() }), Some("to"));
        assert_eq!(wrong(Filters { actor: text("\u{0}"), ..Filters::default() }), Some("actor"));
        assert_eq!(wrong(Filters { target: "x".repeat(256), ..Filters::default() }), Some("target"));
        // The longest that is taken, all of it escaped.
        let longest = || "\"".repeat(NAME_CHARS);
        let filters = Filters { name: longest(), actor: longest(), target: longest(), ..Filters::default() };
        assert!(criteria(&filters, "UTC").is_some());
    }
}
