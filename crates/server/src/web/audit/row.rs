//! An event as people read it.

use patron_core::id::IdentityId;
use patron_store::audit::Recorded;
use serde_json::Value;

use crate::web::frame::Frame;
use crate::web::identities;
use crate::web::moment::Moment;
use crate::web::texts::texts;

/// A row of the table.
pub(super) struct Row {
    pub(super) moment: Moment,
    /// What happened, in words.
    pub(super) what: String,
    pub(super) technical_name: String,
    pub(super) actor: Side,
    pub(super) target: Side,
    pub(super) address: Option<String>,
    pub(super) failed: bool,
    pub(super) id: String,
    pub(super) tracking: String,
    /// Attributes: name and value.
    pub(super) attributes: Vec<(String, String)>,
}

/// Who did it, or what it was done to.
pub(super) struct Side {
    /// What it is, in words.
    pub(super) kind: String,
    pub(super) id: String,
    /// Its name; its id where it has none.
    pub(super) name: String,
    /// Where more is told about it.
    pub(super) href: Option<String>,
}

/// The words of a technical name; itself when it has none, of a newer version perhaps.
pub(super) fn what(technical_name: &str) -> String {
    in_words("event-", technical_name)
}

fn in_words(family: &str, name: &str) -> String {
    let id = format!("{family}{name}");
    if texts().has(&id) { texts().get(&id) } else { name.to_owned() }
}

impl Row {
    pub(super) fn new(event: Recorded, frame: &Frame, links_identities: bool) -> Self {
        let side = |[kind, id, name]: [String; 3]| {
            let is_identity = kind == "IDENTITY" && IdentityId::parse(&id).is_some();
            Side {
                href: (is_identity && links_identities)
                    .then(|| format!("{}{}/{id}", frame.base, identities::PATH)),
                kind: in_words("kind-", &kind),
                name: if name.is_empty() { id.clone() } else { name },
                id,
            }
        };
        Self {
            moment: frame.moment(event.created),
            what: what(&event.technical_name),
            technical_name: event.technical_name,
            actor: side(event.actor),
            target: side(event.target),
            address: event.ip_address,
            failed: event.status != "PASSED",
            id: event.id.to_string(),
            tracking: event.tracking_number.to_string(),
            attributes: attributes(event.attributes),
        }
    }
}

fn attributes(attributes: Value) -> Vec<(String, String)> {
    let Value::Object(attributes) = attributes else { return Vec::new() };
    attributes.into_iter().map(|(name, value)| (name, readable(&value))).collect()
}

/// A value as people read it: lists with commas between, and a change as before → after.
fn readable(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "–".to_owned(),
        Value::Array(list) => list.iter().map(readable).collect::<Vec<_>>().join(", "),
        Value::Object(change) => match (change.get("before"), change.get("after")) {
            (Some(before), Some(after)) if change.len() == 2 => {
                format!("{} → {}", readable(before), readable(after))
            }
            _ => value.to_string(),
        },
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use patron_core::audit::Action;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_for_people() {
        for (value, text) in [
            (json!(null), "–"),
            (json!([]), "–"),
            (json!("changed"), "changed"),
            (json!(3), "3"),
            (json!(["a", "b"]), "a, b"),
            (json!({ "before": ["a"], "after": [] }), "a → –"),
            (json!({ "before": 1 }), r#"{"before":1}"#),
        ] {
            assert_eq!(readable(&value), text, "{value}");
        }
    }

    #[test]
    fn everything_that_can_happen_has_its_words() {
        for action in Action::ALL {
            assert_ne!(what(action.technical_name()), action.technical_name());
        }
        assert_eq!(what("NEWER_THAN_THIS"), "NEWER_THAN_THIS");
        for kind in ["IDENTITY", "PERSONAL_ACCESS_TOKEN", "ACCESS_TOKEN", "SYSTEM", "TENANT", "SIGNING_KEY"] {
            assert_ne!(in_words("kind-", kind), kind);
        }
    }
}
