use patron_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::wire;

/// One operation of a JSON Patch (RFC 6902 section 4): `Jsonpatchoperation` of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JsonPatchOperation {
    /// `add`, `remove`, `replace`, `move`, `copy` or `test`.
    #[schema(example = "replace")]
    pub op: String,
    /// A JSON Pointer (RFC 6901): `/name`, `/scope`, `/scope/0`, `/scope/-`, `/expirationDate` or
    /// `/userAwareTokenNeverExpires`.
    #[schema(example = "/name")]
    pub path: String,
    /// What to put there.
    // A null that is given is kept apart from none: to other servers a replacement without a value is none.
    #[serde(default, deserialize_with = "wire::present", skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Where `move` and `copy` take it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A JSON Patch of a PAT in the making. Each call adds operations; they are carried out in order, all or none.
///
/// What has no word of its own here is put in with [`then`](Self::then).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct JsonPatch(Vec<JsonPatchOperation>);

impl JsonPatch {
    /// A patch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any operation.
    #[must_use]
    pub fn then(mut self, operation: JsonPatchOperation) -> Self {
        self.0.push(operation);
        self
    }

    /// Gives it another name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.replace("/name", name.into())
    }

    /// Limits it to exactly these scopes.
    #[must_use]
    pub fn scope<S: Into<String>>(self, scope: impl IntoIterator<Item = S>) -> Self {
        self.replace("/scope", scope.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// It stops working then.
    #[must_use]
    pub fn expiring(self, at: Timestamp) -> Self {
        self.replace("/expirationDate", at.to_string())
    }

    /// It never stops working, and whoever says so knows what that risks: this acknowledges it in the field
    /// `userAwareTokenNeverExpires`, in the same patch, as the rule asks.
    #[must_use]
    pub fn never_expiring(self) -> Self {
        self.replace("/expirationDate", Value::Null).replace("/userAwareTokenNeverExpires", true)
    }

    /// Refuses the whole patch (`400.1`) unless `path` has this value.
    #[must_use]
    pub fn test(self, path: &str, value: impl Into<Value>) -> Self {
        self.then(JsonPatchOperation { value: Some(value.into()), ..JsonPatchOperation::new("test", path) })
    }

    fn replace(self, path: &str, value: impl Into<Value>) -> Self {
        self.then(JsonPatchOperation {
            value: Some(value.into()),
            ..JsonPatchOperation::new("replace", path)
        })
    }

    /// The operations.
    pub fn operations(&self) -> &[JsonPatchOperation] {
        &self.0
    }
}

impl From<JsonPatch> for Vec<JsonPatchOperation> {
    fn from(patch: JsonPatch) -> Self {
        patch.0
    }
}

impl AsRef<[JsonPatchOperation]> for JsonPatch {
    fn as_ref(&self) -> &[JsonPatchOperation] {
        &self.0
    }
}

impl JsonPatchOperation {
    /// An operation with neither `value` nor `from`.
    pub fn new(op: impl Into<String>, path: impl Into<String>) -> Self {
        Self { op: op.into(), path: path.into(), value: None, from: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_is_written_as_rfc_6902_has_it() {
        let at = Timestamp::parse("2027-12-31T23:59:59.999Z").unwrap();
        let patch = JsonPatch::new().name("New name").scope(["sp:scopes:all"]).expiring(at);
        assert_eq!(
            serde_json::to_value(&patch).unwrap(),
            json!([
                { "op": "replace", "path": "/name", "value": "New name" },
                { "op": "replace", "path": "/scope", "value": ["sp:scopes:all"] },
                { "op": "replace", "path": "/expirationDate", "value": "2027-12-31T23:59:59.999Z" },
            ])
        );
        // A null is written: without its value a replacement would be none to other servers.
        let patch = JsonPatch::new().test("/name", "old").never_expiring();
        assert_eq!(
            serde_json::to_value(&patch).unwrap(),
            json!([
                { "op": "test", "path": "/name", "value": "old" },
                { "op": "replace", "path": "/expirationDate", "value": null },
                { "op": "replace", "path": "/userAwareTokenNeverExpires", "value": true },
            ])
        );
        let read: Vec<JsonPatchOperation> =
            serde_json::from_str(&serde_json::to_string(&patch).unwrap()).unwrap();
        assert_eq!(read, patch.operations());
        let read: JsonPatchOperation = serde_json::from_str(r#"{"op":"remove","path":"/name"}"#).unwrap();
        assert_eq!(read, JsonPatchOperation::new("remove", "/name"));
    }
}
