use proptest::prelude::*;

use super::*;

const DATE: &str = "2023-02-05T10:59:27.214Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn identities(text: &str) -> Criteria {
    Criteria::parse(text, PUBLIC_IDENTITIES).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn events(text: &str) -> Criteria {
    Criteria::parse(text, AUDIT_EVENTS).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str, fields: &'static [Field]) -> String {
    match Criteria::parse(text, fields) {
        Err(Error::Invalid { detail: Detail::Value, text, .. }) => text,
        other => panic!("{text} gave {other:?}"),
    }
}

/// Whether a public identity of this alias and mail address is in; its other fields are null.
fn is_in(filter: &str, alias: &str, email: &str) -> bool {
    identities(filter).matches(&|field| match field {
        "alias" => Operand::Text(alias),
        "email" => Operand::Text(email),
        _ => Operand::Null,
    })
}

/// Whether an event of this moment is in; its other fields are null.
fn is_then(filter: &str, moment: &str) -> bool {
    events(filter).matches(&|field| match field {
        "created" => Operand::Time(at(moment)),
        _ => Operand::Null,
    })
}

#[test]
fn nothing_is_everything() {
    for text in ["", " ", " \t\r\n  "] {
        let criteria = identities(text);
        assert!(criteria.is_empty() && criteria.matches(&|_| Operand::Null));
        assert_eq!(criteria.pinned("id"), None);
        assert_eq!(criteria.bounds("created"), first()..=last());
    }
    assert!(!identities("id eq a or not id eq a").is_empty());
}

#[test]
fn eq_is_all_of_the_text_and_its_case() {
    assert!(is_in("alias eq \"jane\"", "jane", ""));
    assert!(is_in("alias eq jane", "jane", ""));
    for other in ["Jane", "jan", "janet", " jane", ""] {
        assert!(!is_in("alias eq \"jane\"", other, ""), "{other}");
    }
    assert!(is_in("alias eq \"\"", "", "") && !is_in("alias eq \"\"", "x", ""));
    // Of this field, and not of another.
    assert!(!is_in("alias eq \"jane\"", "john", "jane"));
}

#[test]
fn sw_is_the_beginning_of_the_text_and_its_case() {
    for (alias, expected) in [("jane", true), ("ja", true), ("Jane", false), ("j", false), ("xja", false)] {
        assert_eq!(is_in("alias sw \"ja\"", alias, ""), expected, "{alias}");
    }
    assert!(is_in("alias sw \"\"", "", "") && is_in("alias sw \"\"", "x", ""));
    // Nothing in it is a pattern.
    assert!(!is_in("alias sw \"%\"", "jane", "") && is_in("alias sw %", "%jane", ""));
}

#[test]
fn in_is_one_of_the_texts() {
    let criteria = identities("id in (\"a\", b,\"c,(d\")");
    for (id, expected) in [("a", true), ("b", true), ("c,(d", true), ("c", false), ("", false), ("A", false)]
    {
        assert_eq!(criteria.matches(&|_| Operand::Text(id)), expected, "{id}");
    }
    assert_eq!(identities("id in(a)"), identities("id eq a"));
    let list = |count: usize| vec!["a"; count].join(",");
    assert!(Criteria::parse(&format!("id in ({})", list(100)), PUBLIC_IDENTITIES).is_ok());
    assert_eq!(
        refusal(&format!("id in ({})", list(101)), PUBLIC_IDENTITIES),
        "Filter: more than 100 texts in the list of column 7."
    );
}

#[test]
fn times_compare_by_the_millisecond() {
    const BEFORE: &str = "2023-02-05T10:59:27.213Z";
    const AFTER: &str = "2023-02-05T10:59:27.215Z";
    for (operator, before, same, after) in [
        ("eq", false, true, false),
        ("ge", false, true, true),
        ("gt", false, false, true),
        ("le", true, true, false),
        ("lt", true, false, false),
    ] {
        for written in [
            DATE.to_owned(),
            format!("\"{DATE}\""),
            "2023-02-05T12:59:27.214 02:00".to_owned(),
            "\"2023-02-05T12:59:27.214 02:00\"".to_owned(),
        ] {
            let filter = format!("created {operator} {written}");
            assert_eq!(
                (is_then(&filter, BEFORE), is_then(&filter, DATE), is_then(&filter, AFTER)),
                (before, same, after),
                "{filter}"
            );
        }
    }
    let (min, max) = (Timestamp::MIN.to_string(), Timestamp::MAX.to_string());
    assert!(!is_then(&format!("created gt {max}"), &max) && !is_then(&format!("created lt {min}"), &min));
    assert!(is_then(&format!("created ge {max}"), &max) && is_then(&format!("created le {min}"), &min));
}

#[test]
fn nothing_compares_to_null_or_to_another_kind() {
    for (filter, other) in [
        ("technicalName eq \"\"", Operand::Time(at(DATE))),
        ("technicalName sw \"\"", Operand::Time(at(DATE))),
        ("technicalName in (\"\")", Operand::Time(at(DATE))),
        ("created ge 0000-01-01T00:00:00Z", Operand::Text(DATE)),
    ] {
        for value in [Operand::Null, other] {
            assert!(!events(filter).matches(&|_| value), "{filter}");
            assert!(events(&format!("not {filter}")).matches(&|_| value), "{filter}");
        }
    }
}

#[test]
fn quoted_texts_may_hold_anything_but_control_characters() {
    for (written, text) in [
        (r#""a b""#, "a b"),
        (r#""(a,b)""#, "(a,b)"),
        (r#""a\"b""#, "a\"b"),
        (r#""a\\""#, "a\\"),
        (r#""\\\"""#, "\\\""),
        (r#"" and ""#, " and "),
        ("\"\u{e9}\u{1f600}\"", "\u{e9}\u{1f600}"),
        (r"a\b", r"a\b"),
        ("o'neil@example.com", "o'neil@example.com"),
        ("and", "and"),
        ("null", "null"),
    ] {
        assert!(is_in(&format!("alias eq {written}"), text, ""), "{written}");
        assert!(is_in(&format!("(alias eq {written})and email sw\"x\""), text, "x"), "{written}");
    }
    for (filter, says) in [
        (
            r#"alias eq "a\n""#,
            "Filter: the backslash at column 12 stands before neither a quote nor a backslash.",
        ),
        (r#"alias eq "a\""#, "Filter: the quote opened at column 10 is never closed."),
        (r#"alias eq "a\"#, "Filter: the quote opened at column 10 is never closed."),
        ("alias eq \"a\u{0}\"", "Filter: the text at column 11 has a control character."),
        ("alias eq a\u{7f}", "Filter: the text at column 10 has a control character."),
        ("id in (a, \"\n\")", "Filter: the text at column 12 has a control character."),
    ] {
        assert_eq!(refusal(filter, PUBLIC_IDENTITIES), says);
    }
}

#[test]
fn not_binds_before_and_before_or() {
    const JANE: &str = "alias eq jane";
    const MAIL: &str = "email eq mail";
    for (filter, expected) in [
        // Whether jane is in with this mail, jane without it, john with it, john without it.
        (format!("{JANE} and {MAIL}"), [true, false, false, false]),
        (format!("{JANE} or {MAIL}"), [true, true, true, false]),
        (format!("not {JANE} and {MAIL}"), [false, false, true, false]),
        (format!("not ({JANE} and {MAIL})"), [false, true, true, true]),
        (format!("not {JANE} or {MAIL}"), [true, false, true, true]),
        (format!("{JANE} or {MAIL} and not {MAIL}"), [true, true, false, false]),
        (format!("({JANE} or {MAIL}) and not {MAIL}"), [false, true, false, false]),
        (format!("not not {JANE}"), [true, true, false, false]),
    ] {
        let rows = [("jane", "mail"), ("jane", ""), ("john", "mail"), ("john", "")];
        assert_eq!(rows.map(|(alias, email)| is_in(&filter, alias, email)), expected, "{filter}");
    }
}

#[test]
fn fields_have_the_operators_of_the_contract() {
    for (fields, field, operators) in [
        (PUBLIC_IDENTITIES, "id", &["eq", "in"][..]),
        (PUBLIC_IDENTITIES, "alias", &["eq", "sw"]),
        (PUBLIC_IDENTITIES, "email", &["eq", "sw"]),
        (PUBLIC_IDENTITIES, "firstname", &["eq", "sw"]),
        (PUBLIC_IDENTITIES, "lastname", &["eq", "sw"]),
        (AUDIT_EVENTS, "technicalName", &["eq", "in", "sw"]),
        (AUDIT_EVENTS, "actor.id", &["eq", "in"]),
        (AUDIT_EVENTS, "target.id", &["eq", "in"]),
        (AUDIT_EVENTS, "created", &["eq", "ge", "gt", "le", "lt"]),
    ] {
        for operator in ["eq", "in", "sw", "ge", "gt", "le", "lt", "ne", "co", "isnull"] {
            let value = match (operator, field) {
                ("in", _) => "(a)",
                (_, "created") => DATE,
                _ => "a",
            };
            let result = Criteria::parse(&format!("{field} {operator} {value}"), fields);
            assert_eq!(result.is_ok(), operators.contains(&operator), "{field} {operator}");
        }
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    for (given, says) in [
        (
            "name eq 1",
            "Filter: field 'name' is not filterable; id, alias, email, firstname and lastname are.",
        ),
        ("id sw a", "Filter: operator 'sw' is not supported for id; eq and in are."),
        ("id EQ a", "Filter: operator 'EQ' is not supported for id; eq and in are."),
        ("id", "Filter: expected eq or in at column 3, where it ends."),
        ("id \"eq\" a", "Filter: expected eq or in at column 5, where 'eq' stands."),
        ("id eq", "Filter: expected a text such as \"jane\" at column 6, where it ends."),
        ("id eq (a)", "Filter: expected a text such as \"jane\" at column 7, where '(' stands."),
        ("id eq a b", "Filter: expected 'and', 'or' or the end at column 9, where 'b' stands."),
        ("id eq a,b", "Filter: expected 'and', 'or' or the end at column 8, where ',' stands."),
        ("id in a", "Filter: expected a list such as (\"a\", \"b\") at column 7, where 'a' stands."),
        ("id in", "Filter: expected a list such as (\"a\", \"b\") at column 6, where it ends."),
        ("id in ()", "Filter: expected a text such as \"jane\" at column 8, where ')' stands."),
        ("id in (a,)", "Filter: expected a text such as \"jane\" at column 10, where ')' stands."),
        (
            "id in (a b)",
            "Filter: expected ',' or the ')' for the '(' of column 7 at column 10, where 'b' stands.",
        ),
        ("id in (a", "Filter: expected ',' or the ')' for the '(' of column 7 at column 9, where it ends."),
        (", id eq a", "Filter: expected a field, 'not' or '(' at column 1, where ',' stands."),
    ] {
        assert_eq!(refusal(given, PUBLIC_IDENTITIES), says, "{given}");
    }
    for (given, says) in [
        (
            "actor eq x",
            "Filter: field 'actor' is not filterable; technicalName, created, actor.id and target.id are.",
        ),
        (
            "technicalName ne x",
            "Filter: operator 'ne' is not supported for technicalName; eq, in and sw are.",
        ),
        ("technicalName", "Filter: expected eq, in or sw at column 14, where it ends."),
        ("created sw x", "Filter: operator 'sw' is not supported for created; eq, ge, gt, le and lt are."),
        (
            "created ge 2023",
            "Filter: expected a date-time such as 2027-12-31T23:59:59.999Z at column 12, where '2023' stands.",
        ),
    ] {
        assert_eq!(refusal(given, AUDIT_EVENTS), says, "{given}");
    }
}

#[test]
fn limits_are_those_of_every_filter() {
    let long = format!("id eq {}", "a".repeat(1_994));
    assert!(Criteria::parse(&long, PUBLIC_IDENTITIES).is_ok());
    assert_eq!(refusal(&format!("{long}a"), PUBLIC_IDENTITIES), "Filter: it is longer than 2000 characters.");
    let nested = |levels: usize| format!("{}id eq a{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(identities(&nested(32)), identities("id eq a"));
    assert_eq!(refusal(&nested(33), PUBLIC_IDENTITIES), "Filter: nested deeper than 32 levels at column 33.");
    // A list is no level.
    assert!(Criteria::parse(&nested(32).replace("eq a", "in (a)"), PUBLIC_IDENTITIES).is_ok());
}

#[test]
fn pinned_are_the_texts_that_the_outermost_ands_leave() {
    for (filter, pinned) in [
        ("id eq a", Some(&["a"][..])),
        ("id in (b, a, b)", Some(&["b", "a"])),
        ("id eq a and alias sw x", Some(&["a"])),
        ("alias sw x and (email eq y and id in (a, b))", Some(&["a", "b"])),
        ("id in (a, b, c) and id in (c, d, a)", Some(&["a", "c"])),
        ("id eq a and id eq b", Some(&[])),
        ("id eq a and (alias eq x or id eq b)", Some(&["a"])),
        ("id eq a or id eq b", None),
        ("id eq a or alias eq x and id eq a", None),
        ("not id eq a", None),
        ("not (id eq a and alias eq x)", None),
        ("alias eq a", None),
    ] {
        assert_eq!(identities(filter).pinned("id").as_deref(), pinned, "{filter}");
    }
    assert_eq!(identities("alias sw a").pinned("alias"), None);
    assert_eq!(events("actor.id eq a and target.id eq b").pinned("target.id"), Some(vec!["b"]));
}

#[test]
fn bounds_are_the_moments_that_the_outermost_ands_leave() {
    let (early, late) = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let (from, to) = (at(early).millis(), at(late).millis());
    for (filter, bounds) in [
        (format!("created ge {early}"), from..=last()),
        (format!("created gt {early}"), from + 1..=last()),
        (format!("created le {late}"), first()..=to),
        (format!("created lt {late}"), first()..=to - 1),
        (format!("created eq {late}"), to..=to),
        (format!("created ge {early} and (technicalName eq A and created lt {late})"), from..=to - 1),
        (format!("created ge {early} and created ge {late}"), to..=last()),
        (format!("created ge {early} or created lt {late}"), first()..=last()),
        (format!("not created ge {early}"), first()..=last()),
        ("technicalName eq A".to_owned(), first()..=last()),
    ] {
        assert_eq!(events(&filter).bounds("created"), bounds, "{filter}");
    }
    assert!(events(&format!("created lt {early} and created gt {late}")).bounds("created").is_empty());
    assert!(events(&format!("created gt {}", Timestamp::MAX)).bounds("created").is_empty());
}

#[test]
fn sorters_are_fields_and_their_direction() {
    const ALLOWED: &[&str] = &["name", "created"];
    let sorter = |field, descending| Sorter { field, descending };
    let (name, created) = (sorter("name", false), sorter("created", true));
    for (text, expected) in [
        ("", vec![]),
        ("  ", vec![]),
        ("name", vec![name]),
        // A `+` before it was decoded to a blank.
        (" name ", vec![name]),
        ("-created", vec![created]),
        ("-created,name", vec![created, name]),
        ("name, -created", vec![name, created]),
    ] {
        assert_eq!(parse_sorters(text, ALLOWED).unwrap(), expected, "{text}");
    }
    for (text, says) in [
        ("Name", "Sorters: field 'Name' is not sortable; name and created are."),
        ("--name", "Sorters: field '-name' is not sortable; name and created are."),
        ("-", "Sorters: field '' is not sortable; name and created are."),
        ("name,", "Sorters: field '' is not sortable; name and created are."),
        (",", "Sorters: field '' is not sortable; name and created are."),
        ("name,-name", "Sorters: field 'name' is there twice."),
    ] {
        match parse_sorters(text, ALLOWED) {
            Err(Error::Invalid { detail: Detail::Value, text, .. }) => assert_eq!(text, says),
            other => panic!("{text} gave {other:?}"),
        }
    }
    let descending = parse_sorters("-name", PUBLIC_IDENTITY_SORTERS).unwrap();
    assert_eq!(descending, [sorter("name", true)]);
    let only = parse_sorters("id", PUBLIC_IDENTITY_SORTERS).unwrap_err().to_string();
    assert_eq!(only, "Sorters: field 'id' is not sortable; name is.");
}

/// An expression with its own idea of what it means.
#[derive(Debug, Clone)]
enum Tree {
    Eq(String),
    In(Vec<String>),
    Sw(String),
    Time(&'static str, i64),
    Not(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
}

impl Tree {
    fn holds(&self, text: Option<&str>, time: Option<i64>) -> bool {
        match self {
            Self::Eq(other) => text == Some(other),
            Self::In(others) => others.iter().any(|other| text == Some(other)),
            Self::Sw(start) => text.is_some_and(|text| text.get(..start.len()) == Some(start)),
            Self::Time(operator, bound) => time.is_some_and(|time| match *operator {
                "eq" => time == *bound,
                "ge" => time >= *bound,
                "gt" => time > *bound,
                "le" => time <= *bound,
                _ => time < *bound,
            }),
            Self::Not(tree) => !tree.holds(text, time),
            Self::And(a, b) => a.holds(text, time) && b.holds(text, time),
            Self::Or(a, b) => a.holds(text, time) || b.holds(text, time),
        }
    }

    /// With parentheses around every `and` and `or` that is an operand of something stronger, and no others.
    fn written(&self, power: u8) -> String {
        let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let (own, text) = match self {
            Self::Eq(text) => (3, format!("technicalName eq {}", quoted(text))),
            Self::Sw(text) => (3, format!("technicalName sw{}", quoted(text))),
            Self::In(texts) => {
                let list: Vec<_> = texts.iter().map(quoted).collect();
                (3, format!("technicalName in ({})", list.join(",")))
            }
            Self::Time(operator, at) => (3, format!("created {operator} {}", Timestamp::from_millis(*at))),
            Self::Not(tree) => (2, format!("not {}", tree.written(2))),
            Self::And(a, b) => (1, format!("{} and {}", a.written(1), b.written(1))),
            Self::Or(a, b) => (0, format!("{} or {}", a.written(0), b.written(0))),
        };
        if own < power { format!("({text})") } else { text }
    }
}

/// Few enough texts that they meet, and some that need quoting.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ab]{0,2}", 1 => "[a\"\\\\(), \u{e9}]{0,3}"]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => (0..6_i64).prop_map(|n| 1_700_000_000_000 + n),
        1 => prop::sample::select(vec![first(), last()]),
    ]
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any_text().prop_map(Tree::Eq),
        any_text().prop_map(Tree::Sw),
        prop::collection::vec(any_text(), 1..4).prop_map(Tree::In),
        (prop::sample::select(vec!["eq", "ge", "gt", "le", "lt"]), any_time())
            .prop_map(|(operator, bound)| Tree::Time(operator, bound)),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
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
    fn criteria_hold_what_their_expression_says(
        tree in any_tree(),
        rows in prop::collection::vec((prop::option::of(any_text()), prop::option::of(any_time())), 1..20),
    ) {
        let written = tree.written(0);
        let criteria = events(&written);
        for (text, time) in &rows {
            let matches = criteria.matches(&|field| match field {
                "technicalName" => text.as_deref().map_or(Operand::Null, Operand::Text),
                "created" => time.map_or(Operand::Null, |at| Operand::Time(Timestamp::from_millis(at))),
                _ => Operand::Null,
            });
            prop_assert_eq!(matches, tree.holds(text.as_deref(), *time), "{} {:?} {:?}", written, text, time);
            // A store that reads only what these say misses nothing.
            if matches {
                let pinned = criteria.pinned("technicalName");
                let is_pinned = |pinned: Vec<&str>| text.as_deref().is_some_and(|text| pinned.contains(&text));
                prop_assert!(pinned.is_none_or(is_pinned), "{} {:?}", written, text);
                let bounds = criteria.bounds("created");
                let is_within = time.map_or(bounds == (first()..=last()), |at| bounds.contains(&at));
                prop_assert!(is_within, "{} {:?}", written, time);
            }
        }
    }

    #[test]
    fn no_text_breaks_it(
        text in "\\PC{0,60}",
        words in prop::collection::vec(
            "id|alias|created|technicalName|eq|in|sw|ge|not|and|or|[(),\"\\\\ \té]|2023-02-05T10:59:27|02:00",
            0..20,
        ),
    ) {
        for text in [text, words.concat(), words.join(" ")] {
            for fields in [PUBLIC_IDENTITIES, AUDIT_EVENTS] {
                if let Err(error) = Criteria::parse(&text, fields) {
                    prop_assert!(error.to_string().starts_with("Filter: "));
                }
            }
            if let Err(error) = parse_sorters(&text, PUBLIC_IDENTITY_SORTERS) {
                prop_assert!(error.to_string().starts_with("Sorters: "));
            }
        }
    }
}
