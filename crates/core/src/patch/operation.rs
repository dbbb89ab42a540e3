//! One operation of a patch: reading it, and applying it as RFC 6902 section 4 says.

use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchErrorKind, PatchOperation, RemoveOperation,
    ReplaceOperation, TestOperation,
};
use serde_json::{Map, Value};

use super::{EXPIRATION_DATE, Field};
use crate::error::{Detail, shorten};
use crate::json::whole_number;
use crate::limits::PATCH_COPY_BYTES;
use crate::time::Timestamp;

/// Every place that an operation reads or writes.
pub(super) fn pointers(operation: &PatchOperation) -> impl Iterator<Item = &Pointer> {
    let from = match operation {
        PatchOperation::Move(operation) => Some(&*operation.from),
        PatchOperation::Copy(operation) => Some(&*operation.from),
        _ => None,
    };
    from.into_iter().chain([operation.path()])
}

/// The field that a pointer leads to or into; empty for the whole document.
pub(super) fn first_segment(pointer: &Pointer) -> String {
    pointer.first().map(|token| token.decoded().into_owned()).unwrap_or_default()
}

/// Reads one operation. The error goes on from "Operation 0 of the patch".
pub(super) fn read(given: &Value) -> Result<PatchOperation, String> {
    let Value::Object(members) = given else {
        return Err("is not an object".to_owned());
    };
    let op = match members.get("op") {
        None => return Err("has no 'op'".to_owned()),
        Some(Value::String(op)) => op.as_str(),
        Some(_) => return Err("has an 'op' that is not a string".to_owned()),
    };
    let path = || pointer(members, "path");
    let value = || members.get("value").cloned().ok_or_else(|| "has no 'value'".to_owned());
    Ok(match op {
        "add" => PatchOperation::Add(AddOperation { path: path()?, value: value()? }),
        "remove" => PatchOperation::Remove(RemoveOperation { path: path()? }),
        "replace" => {
            let path = path()?;
            // Contract section 5: an expiry operation without a value is how the original's clients clear it.
            let value = if is_expiration_date(&path) { value().unwrap_or_default() } else { value()? };
            PatchOperation::Replace(ReplaceOperation { path, value })
        }
        "move" => PatchOperation::Move(MoveOperation { from: pointer(members, "from")?, path: path()? }),
        "copy" => PatchOperation::Copy(CopyOperation { from: pointer(members, "from")?, path: path()? }),
        "test" => PatchOperation::Test(TestOperation { path: path()?, value: value()? }),
        _ => {
            let op = shorten(op);
            return Err(format!(
                "has the unknown op '{op}'; known are add, remove, replace, move, copy and test"
            ));
        }
    })
}

fn pointer(members: &Map<String, Value>, member: &str) -> Result<PointerBuf, String> {
    let given = members.get(member).ok_or_else(|| format!("has no '{member}'"))?;
    given
        .as_str()
        .and_then(|text| PointerBuf::parse(text).ok())
        .ok_or_else(|| format!("has a '{member}' that is no JSON pointer such as /name"))
}

fn is_expiration_date(pointer: &Pointer) -> bool {
    pointer.count() == 1 && first_segment(pointer) == EXPIRATION_DATE
}

/// Applies one operation to a document of which these fields are `open`, adding to `copied` what it copies.
/// The error goes on from "Operation 0 of the patch: ".
pub(super) fn step(
    document: &mut Value,
    open: &[Field],
    operation: &PatchOperation,
    copied: &mut usize,
) -> Result<(), (Detail, String)> {
    let said = |pointer: &Pointer| shorten(pointer.as_str());
    if let PatchOperation::Test(test) = operation {
        let is_met = document.pointer(test.path.as_str()).is_some_and(|found| {
            equal(found, &test.value) || is_expiration_date(&test.path) && same_moment(found, &test.value)
        });
        let failed = || (Detail::Content, format!("the test of '{}' failed", said(&test.path)));
        return if is_met { Ok(()) } else { Err(failed()) };
    }
    if let PatchOperation::Copy(copy) = operation {
        *copied += document.pointer(copy.from.as_str()).map_or(0, weight);
        if *copied > PATCH_COPY_BYTES {
            return Err((Detail::Length, "it copies too much".to_owned()));
        }
    }
    // "Unsafe" is the crate's word for leaving its document half changed on an error; this one is a copy that
    // an error throws away. `json_patch::patch` undoes instead, and panics where that fails: after a move of
    // an element over the array that held it.
    json_patch::patch_unsafe(document, std::slice::from_ref(operation)).map_err(|error| {
        let why = match (error.kind, operation) {
            (
                PatchErrorKind::InvalidFromPointer,
                PatchOperation::Move(MoveOperation { from, .. })
                | PatchOperation::Copy(CopyOperation { from, .. }),
            ) => format!("there is no '{}'", said(from)),
            (PatchErrorKind::CannotMoveInsideItself, _) => {
                format!("nothing can be moved into itself, to '{}'", said(operation.path()))
            }
            _ => format!("there is no '{}'", said(operation.path())),
        };
        (Detail::Content, why)
    })?;
    if let Value::Object(members) = document {
        for field in open {
            if let Some(nothing) = &field.when_removed {
                members.entry(field.name).or_insert_with(|| nothing.clone());
            }
        }
    }
    Ok(())
}

/// Equality as RFC 6902 section 4.6 has it: numbers by their value, so that 1 equals 1.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (whole_number(a), whole_number(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Whether both are date-times, of one moment however they are written.
fn same_moment(a: &Value, b: &Value) -> bool {
    let moment = |value: &Value| value.as_str().and_then(|text| Timestamp::parse(text).ok());
    moment(a).is_some_and(|a| moment(b) == Some(a))
}

/// Roughly what a value takes: its text in bytes, and one for each value in it.
fn weight(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len(),
        Value::Array(elements) => elements.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.len() + weight(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{DATE, document, patched, refusal, refused, strings};
    use super::super::{Document, Patch, Patchable, Patched};
    use super::*;

    #[test]
    fn refuses_what_is_no_patch() {
        const UNKNOWN: &str = "; known are add, remove, replace, move, copy and test";
        for body in [json!(null), json!({}), json!("[]"), json!({"op": "remove", "path": "/name"})] {
            refused(&body, Detail::Syntax, "The patch is not an array of operations.");
        }
        for (operation, why) in [
            (json!("remove"), "is not an object".to_owned()),
            (json!([]), "is not an object".to_owned()),
            (json!({"path": "/name"}), "has no 'op'".to_owned()),
            (json!({"op": null, "path": "/name"}), "has an 'op' that is not a string".to_owned()),
            (json!({"op": "Remove", "path": "/name"}), format!("has the unknown op 'Remove'{UNKNOWN}")),
            (json!({"op": "", "path": "/name"}), format!("has the unknown op ''{UNKNOWN}")),
            (json!({"op": "remove"}), "has no 'path'".to_owned()),
            (json!({"op": "copy", "path": "/name"}), "has no 'from'".to_owned()),
            (json!({"op": "move", "path": "/name"}), "has no 'from'".to_owned()),
            (json!({"op": "add", "path": "/name"}), "has no 'value'".to_owned()),
            (json!({"op": "test", "path": "/name"}), "has no 'value'".to_owned()),
            (json!({"op": "replace", "path": "/name"}), "has no 'value'".to_owned()),
            (json!({"op": "replace", "path": "/scope/0"}), "has no 'value'".to_owned()),
            (json!({"op": "add", "path": "/expirationDate"}), "has no 'value'".to_owned()),
            (json!({"op": "test", "path": "/expirationDate"}), "has no 'value'".to_owned()),
        ] {
            refused(&json!([operation]), Detail::Syntax, &format!("Operation 0 of the patch {why}."));
        }
        for no_pointer in [
            json!("name"),
            json!("name/"),
            json!("/a~2"),
            json!("/a~"),
            json!(0),
            json!(null),
            json!(["name"]),
        ] {
            let path =
                json!([{"op": "test", "path": "/name", "value": 0}, {"op": "remove", "path": no_pointer}]);
            refused(
                &path,
                Detail::Syntax,
                "Operation 1 of the patch has a 'path' that is no JSON pointer such as /name.",
            );
            let from = json!([{"op": "copy", "path": "/name", "from": no_pointer}]);
            refused(
                &from,
                Detail::Syntax,
                "Operation 0 of the patch has a 'from' that is no JSON pointer such as /name.",
            );
        }
    }

    #[test]
    fn a_failed_test_is_named() {
        for (path, value) in [
            ("/name", json!("CI")),
            ("/name", json!(null)),
            ("/scope", json!(["b", "a"])),
            ("/scope/0", json!("b")),
            ("/scope/2", json!(null)),
            ("/scope/-", json!(null)),
            ("/scope/00", json!("a")),
            ("/expirationDate", json!(null)),
            ("/expirationDate", json!("2027-12-31T23:59:59.998Z")),
            ("/userAwareTokenNeverExpires", json!(null)),
            ("/userAwareTokenNeverExpires", json!("false")),
        ] {
            let patch = json!([
                {"op": "replace", "path": "/name", "value": "ci"},
                {"op": "test", "path": path, "value": value},
            ]);
            refused(
                &patch,
                Detail::Content,
                &format!("Operation 1 of the patch: the test of '{path}' failed."),
            );
        }
    }

    #[test]
    fn a_test_sees_what_stands_there_by_then_and_compares_values() {
        patched(&json!([
            {"op": "test", "path": "/name", "value": "ci"},
            {"op": "replace", "path": "/name", "value": {"n": [15, 1.5, {"x": null}], "m": u64::MAX}},
            {"op": "test", "path": "/name", "value": {"m": u64::MAX, "n": [15.0, 1.5, {"x": null}]}},
            {"op": "replace", "path": "/name", "value": "new"},
        ]));
        for (is, asked) in [
            (json!([15]), json!([15.5])),
            (json!([1]), json!([1, 1])),
            (json!({"a": 1}), json!({"a": 1, "b": 1})),
            (json!({"a": null}), json!({"b": null})),
            (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64)),
            (json!(1), json!("1")),
        ] {
            let patch = json!([
                {"op": "replace", "path": "/name", "value": is},
                {"op": "test", "path": "/name", "value": asked},
            ]);
            refused(&patch, Detail::Content, "Operation 1 of the patch: the test of '/name' failed.");
        }
    }

    #[test]
    fn a_test_of_the_date_compares_moments() {
        for same in
            [DATE, "2027-12-31T23:59:59.999", "2028-01-01T01:59:59.9990+02:00", "2027-12-31t23:59:59.999z"]
        {
            patched(&json!([{"op": "test", "path": "/expirationDate", "value": same}]));
            // Only there: elsewhere it is a text.
            let patch = json!([
                {"op": "copy", "from": "/expirationDate", "path": "/name"},
                {"op": "test", "path": "/name", "value": same},
            ]);
            assert_eq!(
                Patch::parse(&patch).unwrap().apply(&document(), Patchable::All).is_ok(),
                same == DATE
            );
        }
        patched(&json!([
            {"op": "replace", "path": "/expirationDate", "value": "2030-01-01T00:00:00"},
            {"op": "test", "path": "/expirationDate", "value": "2030-01-01T00:00:00.000Z"},
            {"op": "add", "path": "/expirationDate", "value": "soon"},
            {"op": "test", "path": "/expirationDate", "value": "soon"},
        ]));
        let never = Document { expiration_date: None, ..document() };
        let test = |value: Value| {
            Patch::parse(&json!([{"op": "test", "path": "/expirationDate", "value": value}]))
                .unwrap()
                .apply(&never, Patchable::All)
        };
        assert!(test(Value::Null).is_ok() && test(json!(DATE)).is_err());
    }

    #[test]
    fn elements_of_the_scope() {
        for (operation, after) in [
            (json!({"op": "add", "path": "/scope/0", "value": "x"}), &["x", "a", "b"][..]),
            (json!({"op": "add", "path": "/scope/2", "value": "x"}), &["a", "b", "x"]),
            (json!({"op": "add", "path": "/scope/-", "value": "x"}), &["a", "b", "x"]),
            (json!({"op": "replace", "path": "/scope/1", "value": "x"}), &["a", "x"]),
            (json!({"op": "remove", "path": "/scope/0", "value": "b"}), &["b"]),
            (json!({"op": "move", "path": "/scope/1", "from": "/scope/0"}), &["b", "a"]),
            (json!({"op": "move", "path": "/scope/-", "from": "/scope/0"}), &["b", "a"]),
            (json!({"op": "move", "path": "/scope/1", "from": "/scope/1"}), &["a", "b"]),
            (json!({"op": "copy", "path": "/scope/0", "from": "/scope/1"}), &["b", "a", "b"]),
            (json!({"op": "replace", "path": "/scope", "value": []}), &[]),
        ] {
            assert_eq!(
                patched(&json!([operation])),
                Patched { scope: Some(strings(after)), ..Patched::default() }
            );
        }
    }

    #[test]
    fn refuses_a_place_that_is_not_there() {
        for path in [
            "/scope/2",
            "/scope/-",
            "/scope/00",
            "/scope/+1",
            "/scope/-1",
            "/scope/x",
            "/scope/",
            "/scope/99999999999999999999",
        ] {
            let text = format!("Operation 0 of the patch: there is no '{path}'.");
            refused(&json!([{"op": "remove", "path": path}]), Detail::Content, &text);
            refused(&json!([{"op": "replace", "path": path, "value": "x"}]), Detail::Content, &text);
            refused(&json!([{"op": "move", "path": "/name", "from": path}]), Detail::Content, &text);
            refused(&json!([{"op": "copy", "path": "/name", "from": path}]), Detail::Content, &text);
        }
        for path in ["/scope/3", "/scope/00", "/scope/x"] {
            let text = format!("Operation 0 of the patch: there is no '{path}'.");
            refused(&json!([{"op": "add", "path": path, "value": "x"}]), Detail::Content, &text);
            refused(&json!([{"op": "copy", "path": path, "from": "/name"}]), Detail::Content, &text);
        }
        let inside = json!([{"op": "move", "path": "/scope/0", "from": "/scope"}]);
        refused(
            &inside,
            Detail::Content,
            "Operation 0 of the patch: nothing can be moved into itself, to '/scope/0'.",
        );
        // A removed name is gone until it is added.
        let gone =
            json!([{"op": "remove", "path": "/name"}, {"op": "replace", "path": "/name", "value": "x"}]);
        refused(&gone, Detail::Content, "Operation 1 of the patch: there is no '/name'.");
        // One place's index may be the beginning of another's.
        let ten = json!([
            {"op": "add", "path": "/scope", "value": ["", "1", "", "", "", "", "", "", "", "", ""]},
            {"op": "move", "path": "/scope/10", "from": "/scope/1"},
        ]);
        assert_eq!(patched(&ten).scope.unwrap()[10], "1");
    }

    #[test]
    fn what_is_removed_of_the_expiry_is_still_there_to_be_changed() {
        let operations = json!([
            {"op": "remove", "path": "/expirationDate"},
            {"op": "test", "path": "/expirationDate", "value": null},
            {"op": "remove", "path": "/expirationDate"},
            {"op": "move", "from": "/expirationDate", "path": "/userAwareTokenNeverExpires"},
            {"op": "test", "path": "/userAwareTokenNeverExpires", "value": null},
            {"op": "remove", "path": "/userAwareTokenNeverExpires"},
            {"op": "test", "path": "/userAwareTokenNeverExpires", "value": false},
            {"op": "replace", "path": "/userAwareTokenNeverExpires", "value": true},
            {"op": "replace", "path": "/expirationDate", "value": DATE},
        ]);
        assert_eq!(
            patched(&operations),
            Patched {
                expiration_date: Some(Some(DATE.to_owned())),
                user_aware_token_never_expires: Some(true),
                ..Patched::default()
            }
        );
    }

    #[test]
    fn copies_of_copies_come_to_an_end() {
        let doubling = Value::Array(vec![json!({"op": "copy", "from": "/scope", "path": "/scope/-"}); 200]);
        let (detail, text) = refusal(&doubling, Patchable::All);
        assert_eq!(detail, Detail::Length);
        assert!(text.ends_with(" of the patch: it copies too much."), "{text}");
        // The longest name as often as there can be operations is not too much.
        let long = Document { name: "\u{1f600}".repeat(255), ..document() };
        let names = Value::Array(vec![json!({"op": "copy", "from": "/name", "path": "/scope/-"}); 200]);
        let after = Patch::parse(&names).unwrap().apply(&long, Patchable::All).unwrap();
        assert_eq!(after.scope.unwrap().len(), 202);
    }

    #[test]
    fn an_operation_that_json_patch_cannot_undo() {
        let operations = json!([
            {"op": "move", "from": "/scope/0", "path": "/scope"},
            {"op": "remove", "path": "/scope/0"},
        ]);
        refused(&operations, Detail::Content, "Operation 1 of the patch: there is no '/scope/0'.");
    }
}
