//! Bulk update: one patch for up to [`BULK_IDS`] PATs, all or none (contract section 5).

use serde_json::Value;

use crate::error::{Detail, Error, Result, shorten};
use crate::id::PatId;
use crate::limits::BULK_IDS;
use crate::patch::Patch;

/// What a caller asks for in a bulk update, not yet checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BulkDraft {
    /// `ids`.
    pub ids: Option<Vec<String>>,
    /// `patch`.
    pub patch: Option<Value>,
}

/// A bulk update that keeps the rules; whether its ids are there, and what the patch makes of each, is found out
/// where they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkUpdate {
    /// The PATs: at least one, at most [`BULK_IDS`], no repeats, in the order given.
    pub ids: Vec<PatId>,
    /// What to do with each.
    pub patch: Patch,
}

impl BulkDraft {
    /// Checks it.
    ///
    /// # Errors
    /// [`Detail::Missing`] without ids or patch, [`Detail::Length`] for too many ids, [`Detail::Value`] for a blank
    /// or repeated one, [`Detail::ReferenceNotFound`] for what is no id, and those of [`Patch::parse`].
    pub fn check(self) -> Result<BulkUpdate> {
        let missing = |field: &str| Error::invalid(Detail::Missing, format!("Field '{field}' is required."));
        let given = self.ids.filter(|ids| !ids.is_empty()).ok_or_else(|| missing("ids"))?;
        let patch = Patch::parse(&self.patch.ok_or_else(|| missing("patch"))?)?;
        if given.len() > BULK_IDS {
            let text = format!("Field 'ids' has more than {BULK_IDS} ids.");
            return Err(Error::invalid(Detail::Length, text));
        }
        let mut ids = Vec::with_capacity(given.len());
        for id in &given {
            if id.trim().is_empty() {
                return Err(Error::invalid(Detail::Value, "Field 'ids' has a blank id."));
            }
            let unknown = || {
                let text = format!("There is no personal access token '{}'.", shorten(id));
                Error::invalid(Detail::ReferenceNotFound, text)
            };
            let id = PatId::parse(id).ok_or_else(unknown)?;
            if ids.contains(&id) {
                return Err(Error::invalid(Detail::Value, format!("Field 'ids' has '{id}' twice.")));
            }
            ids.push(id);
        }
        Ok(BulkUpdate { ids, patch })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(n: usize) -> String {
        format!("{n:032x}")
    }

    fn patch() -> Value {
        json!([{ "op": "replace", "path": "/expirationDate", "value": "2030-01-01T00:00:00Z" }])
    }

    fn ids(ids: &[&str]) -> BulkDraft {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        BulkDraft { ids: Some(ids), patch: Some(patch()) }
    }

    fn refused(draft: BulkDraft) -> (Detail, String) {
        match draft.check() {
            Err(Error::Invalid { detail, text, .. }) => (detail, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn up_to_25_ids_in_the_order_given() {
        let made = ids(&[&id(2), &id(1)]).check().unwrap();
        assert_eq!(made.ids.iter().map(ToString::to_string).collect::<Vec<_>>(), [id(2), id(1)]);
        assert_eq!(made.patch, Patch::parse(&patch()).unwrap());
        let many: Vec<String> = (0..=BULK_IDS).map(id).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(ids(&many[..BULK_IDS]).check().is_ok());
        assert_eq!(refused(ids(&many)), (Detail::Length, "Field 'ids' has more than 25 ids.".to_owned()));
    }

    #[test]
    fn no_blanks_no_repeats_and_nothing_that_is_no_id() {
        for blank in ["", " ", "\t\n"] {
            let text = "Field 'ids' has a blank id.".to_owned();
            assert_eq!(refused(ids(&[&id(1), blank])), (Detail::Value, text), "{blank:?}");
        }
        let twice = (Detail::Value, format!("Field 'ids' has '{}' twice.", id(1)));
        assert_eq!(refused(ids(&[&id(1), &id(2), &id(1)])), twice);
        let unknown = (Detail::ReferenceNotFound, "There is no personal access token 'x'.".to_owned());
        assert_eq!(refused(ids(&["x"])), unknown);
    }

    #[test]
    fn ids_and_patch_are_required_and_the_patch_is_one() {
        let without_ids = (Detail::Missing, "Field 'ids' is required.".to_owned());
        assert_eq!(refused(ids(&[])), without_ids);
        assert_eq!(refused(BulkDraft { ids: None, ..ids(&[]) }), without_ids);
        let without_patch = (Detail::Missing, "Field 'patch' is required.".to_owned());
        assert_eq!(refused(BulkDraft { patch: None, ..ids(&["x"]) }), without_patch);
        let no_patch = BulkDraft { patch: Some(json!({})), ..ids(&["x"]) };
        assert_eq!(refused(no_patch).0, Detail::Syntax);
    }
}
