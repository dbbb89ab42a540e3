use proptest::prelude::*;

use super::*;

pub(super) const DATE: &str = "2027-12-31T23:59:59.999Z";

pub(super) fn document() -> Document {
    Document {
        name: "ci".to_owned(),
        scope: vec!["a".to_owned(), "b".to_owned()],
        expiration_date: Timestamp::parse(DATE).ok(),
        user_aware_token_never_expires: false,
    }
}

pub(super) fn patched(operations: &Value) -> Patched {
    Patch::parse(operations)
        .and_then(|patch| patch.apply(&document(), Patchable::All))
        .unwrap_or_else(|error| panic!("{operations}: {error}"))
}

pub(super) fn refusal(operations: &Value, patchable: Patchable) -> (Detail, String) {
    match Patch::parse(operations).and_then(|patch| patch.apply(&document(), patchable)) {
        Err(Error::Invalid { detail, text, .. }) => (detail, text),
        other => panic!("{operations} gave {other:?}"),
    }
}

#[track_caller]
pub(super) fn refused(operations: &Value, detail: Detail, text: &str) {
    assert_eq!(refusal(operations, Patchable::All), (detail, text.to_owned()), "{operations}");
}

pub(super) fn strings(given: &[&str]) -> Vec<String> {
    given.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn takes_200_operations_and_no_more() {
    let many = |count: usize| Value::Array(vec![json!({"op": "add", "path": "/name", "value": "x"}); count]);
    assert_eq!(patched(&many(200)).name.as_deref(), Some("x"));
    refused(&many(201), Detail::Syntax, "The patch has 201 operations; at most 200 are taken.");
}

#[test]
fn nothing_and_tests_alone_name_nothing() {
    assert!(Patch::parse(&json!([])).unwrap().is_empty());
    assert_eq!(patched(&json!([])), Patched::default());
    let tests = json!([
        {"op": "test", "path": "/name", "value": "ci"},
        {"op": "test", "path": "/scope", "value": ["a", "b"]},
        {"op": "test", "path": "/scope/1", "value": "b"},
        {"op": "test", "path": "/expirationDate", "value": DATE},
        {"op": "test", "path": "/userAwareTokenNeverExpires", "value": false},
    ]);
    assert!(!Patch::parse(&tests).unwrap().is_empty());
    assert_eq!(patched(&tests), Patched::default());
}

#[test]
fn only_what_is_named_is_said_and_unknown_members_are_ignored() {
    let patch = json!([{"op": "replace", "path": "/name", "value": "new", "from": 5, "comment": "why"}]);
    assert_eq!(patched(&patch), Patched { name: Some("new".to_owned()), ..Patched::default() });
    // Named, even when it stays what it was.
    let same = json!([{"op": "replace", "path": "/name", "value": "ci"}]);
    assert_eq!(patched(&same), Patched { name: Some("ci".to_owned()), ..Patched::default() });
    // A copy names its target alone, a move both.
    let copy = json!([{"op": "copy", "from": "/name", "path": "/scope/-"}]);
    assert_eq!(patched(&copy), Patched { scope: Some(strings(&["a", "b", "ci"])), ..Patched::default() });
    let moved = json!([{"op": "move", "from": "/expirationDate", "path": "/name"}]);
    assert_eq!(
        patched(&moved),
        Patched { name: Some(DATE.to_owned()), expiration_date: Some(None), ..Patched::default() }
    );
}

#[test]
fn the_example_of_the_api() {
    let patch = json!([
        {"op": "replace", "path": "/name", "value": "New name"},
        {"op": "replace", "path": "/scope", "value": ["sp:scopes:all"]},
        {"op": "replace", "path": "/expirationDate", "value": "2027-12-31T23:59:59.999Z"},
        {"op": "add", "path": "/userAwareTokenNeverExpires", "value": true},
    ]);
    assert_eq!(
        patched(&patch),
        Patched {
            name: Some("New name".to_owned()),
            scope: Some(strings(&["sp:scopes:all"])),
            expiration_date: Some(Some(DATE.to_owned())),
            user_aware_token_never_expires: Some(true),
        }
    );
}

#[test]
fn refuses_every_other_path_in_every_place() {
    for (path, field) in [
        ("", ""),
        ("/", ""),
        ("/owner", "owner"),
        ("/owner/id", "owner"),
        ("/Name", "Name"),
        ("/name/0", "name"),
        ("/name/", "name"),
        ("/scope/0/x", "scope"),
        ("/expirationDate/x", "expirationDate"),
        ("/a~1b~0c", "a/b~c"),
        ("/userAwareTokenNeverExpires/-", "userAwareTokenNeverExpires"),
        ("/0", "0"),
        ("//name", ""),
    ] {
        let text = format!("Field '{field}' is not patchable.");
        for operation in [
            json!({"op": "add", "path": path, "value": 1}),
            json!({"op": "remove", "path": path}),
            json!({"op": "replace", "path": path, "value": 1}),
            json!({"op": "test", "path": path, "value": 1}),
            json!({"op": "move", "path": path, "from": "/name"}),
            json!({"op": "copy", "path": path, "from": "/name"}),
            json!({"op": "move", "path": "/name", "from": path}),
            json!({"op": "copy", "path": "/name", "from": path}),
        ] {
            refused(&json!([operation]), Detail::Content, &text);
        }
    }
    let long = format!("/{}\n", "x".repeat(59));
    let (_, text) = refusal(&json!([{"op": "remove", "path": long}]), Patchable::All);
    assert_eq!(text, format!("Field '{}\u{fffd}' is not patchable.", "x".repeat(59)));
    // Before a test that fails, and before anything that would fail on its own.
    let late = json!([{"op": "test", "path": "/name", "value": "no"}, {"op": "remove", "path": "/id"}]);
    refused(&late, Detail::Content, "Field 'id' is not patchable.");
}

#[test]
fn some_callers_may_patch_half_of_the_fields() {
    const FIELDS: [(&str, &str); 5] = [
        ("name", "/name"),
        ("scope", "/scope"),
        ("scope", "/scope/0"),
        ("expirationDate", "/expirationDate"),
        ("userAwareTokenNeverExpires", "/userAwareTokenNeverExpires"),
    ];
    for (patchable, open) in
        [(Patchable::NameAndScope, 0..3), (Patchable::ExpiryOnly, 3..5), (Patchable::All, 0..5)]
    {
        let inside = FIELDS[open.start].1;
        for (index, (field, path)) in FIELDS.into_iter().enumerate() {
            let operations = [
                json!([{"op": "replace", "path": path, "value": null}]),
                json!([{"op": "test", "path": path, "value": null}]),
                json!([{"op": "copy", "path": inside, "from": path}]),
                json!([{"op": "move", "path": path, "from": inside}]),
            ];
            for operations in operations {
                let result = Patch::parse(&operations).unwrap().apply(&document(), patchable);
                let text = result.err().map(|error| error.to_string()).unwrap_or_default();
                let refusal = format!("Field '{field}' is not patchable.");
                assert_eq!(text == refusal, !open.contains(&index), "{patchable:?} {operations}: {text}");
            }
        }
    }
}

#[test]
fn the_name_must_be_a_text_in_the_end() {
    for operations in [
        json!([{"op": "remove", "path": "/name"}]),
        json!([{"op": "replace", "path": "/name", "value": null}]),
        json!([{"op": "move", "from": "/name", "path": "/scope/0"}]),
    ] {
        refused(&operations, Detail::Missing, "Field 'name' is required.");
    }
    for value in [json!(1), json!(true), json!(["x"]), json!({})] {
        let operations = json!([{"op": "add", "path": "/name", "value": value}]);
        refused(&operations, Detail::Value, "Field 'name' must be a string.");
    }
    let twice = json!([{"op": "remove", "path": "/name"}, {"op": "add", "path": "/name", "value": " x "}]);
    assert_eq!(patched(&twice).name.as_deref(), Some(" x "));
}

#[test]
fn the_scope_must_be_texts_in_the_end() {
    for operations in [
        json!([{"op": "remove", "path": "/scope"}]),
        json!([{"op": "replace", "path": "/scope", "value": null}]),
        json!([{"op": "copy", "path": "/scope", "from": "/name"}, {"op": "remove", "path": "/scope"}]),
        json!([{"op": "move", "path": "/name", "from": "/scope/0"}, {"op": "remove", "path": "/scope"}]),
    ] {
        refused(&operations, Detail::Content, "Field 'scope' cannot be removed.");
    }
    for operation in [
        json!({"op": "replace", "path": "/scope", "value": "a"}),
        json!({"op": "replace", "path": "/scope", "value": {}}),
        json!({"op": "add", "path": "/scope/0", "value": null}),
        json!({"op": "add", "path": "/scope/-", "value": ["a"]}),
        json!({"op": "copy", "path": "/scope/-", "from": "/scope"}),
        json!({"op": "move", "path": "/scope", "from": "/scope/0"}),
    ] {
        refused(&json!([operation]), Detail::Value, "Field 'scope' must be an array of strings.");
    }
    let twice = json!([{"op": "remove", "path": "/scope"}, {"op": "add", "path": "/scope", "value": ["x"]}]);
    assert_eq!(patched(&twice).scope, Some(strings(&["x"])));
}

#[test]
fn the_date_is_a_text_or_nothing() {
    for operation in [
        json!({"op": "remove", "path": "/expirationDate"}),
        json!({"op": "remove", "path": "/expirationDate", "value": DATE}),
        json!({"op": "replace", "path": "/expirationDate"}),
        json!({"op": "replace", "path": "/expirationDate", "value": null}),
        json!({"op": "replace", "path": "/expirationDate", "value": ""}),
        json!({"op": "add", "path": "/expirationDate", "value": null}),
    ] {
        let nothing = Patched { expiration_date: Some(None), ..Patched::default() };
        assert_eq!(patched(&json!([operation])), nothing);
    }
    let set = |value: Value| json!([{"op": "replace", "path": "/expirationDate", "value": value}]);
    assert_eq!(patched(&set(json!("soon"))).expiration_date, Some(Some("soon".to_owned())));
    for value in [json!(0), json!(false), json!([DATE]), json!({})] {
        refused(&set(value), Detail::Value, "Field 'expirationDate' must be a date-time or null.");
    }
}

#[test]
fn the_flag_is_a_boolean_or_nothing() {
    let set =
        |value: Value| json!([{"op": "replace", "path": "/userAwareTokenNeverExpires", "value": value}]);
    for (value, flag) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
        assert_eq!(
            patched(&set(value)),
            Patched { user_aware_token_never_expires: Some(flag), ..Patched::default() }
        );
    }
    let flagged = Document { user_aware_token_never_expires: true, ..document() };
    let remove = Patch::parse(&json!([{"op": "remove", "path": "/userAwareTokenNeverExpires"}])).unwrap();
    let after = remove.apply(&flagged, Patchable::ExpiryOnly).unwrap();
    assert_eq!(after.user_aware_token_never_expires, Some(false));
    for value in [json!("true"), json!(1), json!([])] {
        refused(&set(value), Detail::Value, "Field 'userAwareTokenNeverExpires' must be true or false.");
    }
}

fn levels_after(operations: &Value) -> Result<Vec<String>> {
    Patch::parse(operations)?.apply_to_capabilities(&strings(&["USER", "HELPDESK"]))
}

#[test]
fn capabilities_and_their_elements() {
    const ALL: &str = "/capabilities";
    for (operations, after) in [
        (json!([]), &["USER", "HELPDESK"][..]),
        (json!([{"op": "test", "path": ALL, "value": ["USER", "HELPDESK"]}]), &["USER", "HELPDESK"]),
        (json!([{"op": "replace", "path": ALL, "value": ["ORG_ADMIN"]}]), &["ORG_ADMIN"]),
        (json!([{"op": "add", "path": ALL, "value": []}]), &[]),
        (json!([{"op": "add", "path": "/capabilities/-", "value": "x"}]), &["USER", "HELPDESK", "x"]),
        (json!([{"op": "add", "path": "/capabilities/0", "value": "x"}]), &["x", "USER", "HELPDESK"]),
        (json!([{"op": "replace", "path": "/capabilities/1", "value": "x"}]), &["USER", "x"]),
        (json!([{"op": "remove", "path": "/capabilities/0"}]), &["HELPDESK"]),
        (
            json!([{"op": "move", "from": "/capabilities/1", "path": "/capabilities/0"}]),
            &["HELPDESK", "USER"],
        ),
        (
            json!([{"op": "copy", "from": "/capabilities/0", "path": "/capabilities/-"}]),
            &["USER", "HELPDESK", "USER"],
        ),
        (json!([{"op": "remove", "path": ALL}, {"op": "add", "path": ALL, "value": ["x"]}]), &["x"]),
    ] {
        assert_eq!(levels_after(&operations).unwrap(), strings(after), "{operations}");
    }
}

#[test]
fn nothing_but_capabilities_can_be_patched_of_an_identity() {
    for (path, field) in [
        ("", ""),
        ("/", ""),
        ("/id", "id"),
        ("/name", "name"),
        ("/scope/0", "scope"),
        ("/expirationDate", "expirationDate"),
        ("/capabilities/0/x", "capabilities"),
        ("/Capabilities", "Capabilities"),
    ] {
        for operation in [
            json!({"op": "add", "path": path, "value": "x"}),
            json!({"op": "replace", "path": path, "value": "x"}),
            json!({"op": "remove", "path": path}),
            json!({"op": "test", "path": path, "value": null}),
            json!({"op": "move", "path": path, "from": "/capabilities/0"}),
            json!({"op": "copy", "path": "/capabilities/-", "from": path}),
        ] {
            let Err(Error::Invalid { detail, text, .. }) = levels_after(&json!([operation])) else {
                panic!("{operation} was done");
            };
            let expected = format!("Field '{field}' is not patchable.");
            assert_eq!((detail, text), (Detail::Content, expected), "{operation}");
        }
    }
    // Nor is an identity's field one of a PAT.
    let levels = json!([{"op": "remove", "path": "/capabilities"}]);
    refused(&levels, Detail::Content, "Field 'capabilities' is not patchable.");
}

#[test]
fn capabilities_must_be_texts_in_the_end() {
    for (operations, detail, says) in [
        (
            json!([{"op": "remove", "path": "/capabilities"}]),
            Detail::Content,
            "Field 'capabilities' cannot be removed.",
        ),
        (
            json!([{"op": "replace", "path": "/capabilities", "value": null}]),
            Detail::Content,
            "Field 'capabilities' cannot be removed.",
        ),
        (
            json!([{"op": "replace", "path": "/capabilities", "value": "ORG_ADMIN"}]),
            Detail::Value,
            "Field 'capabilities' must be an array of strings.",
        ),
        (
            json!([{"op": "add", "path": "/capabilities/-", "value": 1}]),
            Detail::Value,
            "Field 'capabilities' must be an array of strings.",
        ),
        (
            json!([{"op": "test", "path": "/capabilities/0", "value": "ORG_ADMIN"}]),
            Detail::Content,
            "Operation 0 of the patch: the test of '/capabilities/0' failed.",
        ),
        (
            json!([{"op": "remove", "path": "/capabilities/2"}]),
            Detail::Content,
            "Operation 0 of the patch: there is no '/capabilities/2'.",
        ),
    ] {
        match levels_after(&operations) {
            Err(Error::Invalid { detail: is, text, .. }) => assert_eq!((is, text.as_str()), (detail, says)),
            other => panic!("{operations} gave {other:?}"),
        }
    }
}

fn any_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/name",
        "/scope",
        "/scope/0",
        "/scope/1",
        "/scope/2",
        "/scope/-",
        "/scope/x",
        "/expirationDate",
        "/userAwareTokenNeverExpires",
    ])
}

fn any_value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!("x"),
        json!("ci"),
        json!(""),
        json!(DATE),
        json!(true),
        json!(false),
        json!(1),
        json!({}),
        json!([]),
        json!(["a"]),
        json!(["a", "b"]),
        json!([["a"], {"x": 1}]),
        json!({"0": "a", "-": ["b"]}),
    ])
}

/// An operation that means something, most of the time.
fn any_operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
    (op, any_path(), any_path(), any_value())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

/// A value that need not even look like an operation.
fn any_nonsense() -> impl Strategy<Value = Value> {
    let member = prop::sample::select(vec!["op", "path", "from", "value", "other"]);
    let value = prop_oneof![
        any_value(),
        any_path().prop_map(Value::from),
        "(/[a-z0-9~/-]{0,4}){0,3}".prop_map(Value::from),
        prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test", "ADD"])
            .prop_map(Value::from),
    ];
    prop_oneof![
        any_value(),
        prop::collection::vec((member, value), 0..5).prop_map(|members| {
            members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
        }),
    ]
}

/// The fields after `json_patch` alone: `None` when it refuses, null when they are then of a wrong type.
fn model(patch: &[PatchOperation]) -> Option<Value> {
    let mut fields = document().fields();
    json_patch::patch_unsafe(&mut fields, patch).ok()?;
    let well_typed = fields[NAME].is_string()
        && fields[SCOPE].as_array().is_some_and(|scope| scope.iter().all(Value::is_string))
        && (fields[EXPIRATION_DATE].is_null() || fields[EXPIRATION_DATE].is_string())
        && (fields[NEVER_EXPIRES].is_null() || fields[NEVER_EXPIRES].is_boolean());
    if !well_typed {
        return Some(Value::Null);
    }
    let date = fields[EXPIRATION_DATE].take();
    fields[EXPIRATION_DATE] = if date == "" { Value::Null } else { date };
    fields[NEVER_EXPIRES] = (fields[NEVER_EXPIRES] == true).into();
    Some(fields)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_json_patch_wherever_that_accepts(
        operations in prop::collection::vec(any_operation(), 0..6),
    ) {
        let patch = Patch::parse(&Value::Array(operations)).unwrap();
        let ours = patch.apply(&document(), Patchable::All);
        match model(&patch.0) {
            // Beyond the RFC, only the expiry is there after it was removed.
            None => {}
            Some(Value::Null) => prop_assert!(ours.is_err(), "{ours:?}"),
            Some(fields) => {
                let ours = ours.unwrap();
                let before = document();
                let after = json!({
                    NAME: ours.name.unwrap_or(before.name),
                    SCOPE: ours.scope.unwrap_or(before.scope),
                    EXPIRATION_DATE: ours.expiration_date.unwrap_or(Some(DATE.to_owned())),
                    NEVER_EXPIRES: ours.user_aware_token_never_expires.unwrap_or(false),
                });
                prop_assert_eq!(after, fields);
            }
        }
    }

    #[test]
    fn capabilities_are_patched_as_a_scope_is(
        operations in prop::collection::vec(any_operation(), 0..6),
    ) {
        // Every other path would be refused for the one and not for the other.
        let on_scope = |operation: &Value| {
            ["path", "from"].iter().all(|&member| operation[member].as_str().unwrap().starts_with("/scope"))
        };
        let operations = Value::Array(operations.into_iter().filter(on_scope).collect());
        let renamed = |text: String| text.replace("scope", "capabilities");
        let there = serde_json::from_str(&renamed(operations.to_string())).unwrap();

        let before = document().scope;
        let scope = Patch::parse(&operations).unwrap().apply(&document(), Patchable::All);
        let scope = scope.map(|patched| patched.scope.unwrap_or_else(|| before.clone()));
        let levels = Patch::parse(&there).unwrap().apply_to_capabilities(&before);
        prop_assert_eq!(
            levels.map_err(|error| error.to_string()),
            scope.map_err(|error| renamed(error.to_string()))
        );
    }

    #[test]
    fn no_patch_breaks_it(
        body in prop_oneof![
            prop::collection::vec(any_operation(), 0..40).prop_map(Value::from),
            prop::collection::vec(any_nonsense(), 0..4).prop_map(Value::from),
            any_nonsense(),
        ],
    ) {
        if let Ok(patch) = Patch::parse(&body) {
            let _ = patch.apply_to_capabilities(&document().scope);
            for patchable in [Patchable::All, Patchable::NameAndScope, Patchable::ExpiryOnly] {
                let first = patch.apply(&document(), patchable).map_err(|error| error.to_string());
                let second = patch.apply(&document(), patchable).map_err(|error| error.to_string());
                prop_assert_eq!(first, second);
            }
        }
    }
}
