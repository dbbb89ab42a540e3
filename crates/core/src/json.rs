//! JSON as request bodies may carry it: RFC 8259, read strictly.
//!
//! `serde_json` alone lets the last of two equal keys win, and RFC 8259 section 4 calls what readers make of
//! them unpredictable: a proxy that checks the first and a service that obeys the second would disagree. So a
//! repeated key is refused here, in any object, known or not (contract section 11).

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Detail, Error, Result};

/// What marks an error as a repeated key; never a part of the body.
const REPEATED: &str = "an object repeats a key";
/// How `serde_json` opens its report of nesting beyond its limit of 127 levels.
const TOO_DEEP: &str = "recursion limit exceeded";

/// Reads one JSON text.
///
/// Refuses as [`Detail::Syntax`]: an empty body, what is not UTF-8, what is not JSON (lone surrogates such as
/// `"\ud800"` and numbers beyond an `f64` included), anything but white space behind the value, arrays and
/// objects nested deeper than 127 levels, and an object with the same key twice, compared after its escapes
/// are read. The text says where, as line and column (in bytes), and repeats nothing of the body.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    let syntax = |text: String| Error::invalid(Detail::Syntax, text);
    if bytes.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        return Err(syntax("The body is empty; JSON is expected.".to_owned()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| syntax(format!("The body is not UTF-8 from byte {} on.", error.valid_up_to())))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let at = format!("line {} column {}", error.line(), error.column());
        let what = error.to_string();
        syntax(if what.starts_with(REPEATED) {
            format!("The body is refused: {REPEATED} at {at}.")
        } else if what.starts_with(TOO_DEEP) {
            format!("The body is nested too deep at {at}.")
        } else {
            // serde_json's syntax errors name what was expected, never what was there.
            format!("The body is not JSON: {what}.")
        })
    })
}

/// The whole number that a JSON number is: `15`, `15.0` and `1.5e1` are 15 (contract section 11), `15.5` is
/// none. `None` also for what an `i64` cannot hold.
pub fn whole_number(value: &Number) -> Option<i64> {
    /// 2^63, the first number beyond an `i64`; exact as an `f64`.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "whole and within an i64, as just asked")]
        (number.fract() == 0.0 && (-BEYOND..BEYOND).contains(&number)).then_some(number as i64)
    })
}

/// Builds a [`Value`] and refuses an object that repeats a key.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(Self)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            // Before its value is read, so that the position told is that of the key.
            if object.contains_key(&key) {
                return Err(A::Error::custom(REPEATED));
            }
            let value = members.next_value_seed(Self)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refusal(body: &[u8]) -> String {
        match parse(body) {
            Err(Error::Invalid { detail: Detail::Syntax, text, .. }) => text,
            other => panic!("{} gave {other:?}", String::from_utf8_lossy(body)),
        }
    }

    #[test]
    fn reads_json_as_serde_json_does() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-7",
            "1.5",
            "1e3",
            "18446744073709551615",
            "-9223372036854775808",
            "\"\"",
            "\"a\\u00e9\\ud83d\\ude00\\n\"",
            "[]",
            "[1, [2, {}], null]",
            "{}",
            " {\"a\": {\"a\": [{\"a\": 1}, {\"a\": 2}]}, \"\": \"\"} \r\n\t",
        ] {
            assert_eq!(
                parse(text.as_bytes()).unwrap(),
                serde_json::from_str::<Value>(text).unwrap(),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_empty() {
        for body in ["", " ", "\r\n\t "] {
            assert_eq!(refusal(body.as_bytes()), "The body is empty; JSON is expected.");
        }
    }

    #[test]
    fn refuses_what_is_not_utf_8() {
        assert_eq!(refusal(b"\"ab\xff\""), "The body is not UTF-8 from byte 3 on.");
        assert_eq!(refusal(b"\xff\xfe{\0}\0"), "The body is not UTF-8 from byte 0 on.");
        // A surrogate written as UTF-8, and a character cut in half.
        assert_eq!(refusal(b"\"\xed\xa0\x80\""), "The body is not UTF-8 from byte 1 on.");
        assert_eq!(refusal(b"\"\xc3"), "The body is not UTF-8 from byte 1 on.");
    }

    #[test]
    fn refuses_what_is_not_json_and_says_where() {
        for body in [
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "nul",
            "NaN",
            "Infinity",
            "01",
            "1.",
            ".5",
            "+1",
            "1e999",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "// no\n1",
            "[1 2]",
            "{\"a\" 1}",
            "{1:2}",
            "\u{feff}{}",
            "a=b&c=d",
        ] {
            let text = refusal(body.as_bytes());
            assert!(
                text.starts_with("The body is not JSON: ") && text.contains(" at line "),
                "{body}: {text}"
            );
        }
        assert!(
            refusal(b"{\n \"a\": oops}").ends_with(" at line 2 column 7."),
            "{}",
            refusal(b"{\n \"a\": oops}")
        );
    }

    #[test]
    fn refuses_lone_surrogates_in_values_and_keys() {
        for body in
            [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#"{"\ud800":1}"#, r#"["\udfff\ud800"]"#]
        {
            assert!(refusal(body.as_bytes()).starts_with("The body is not JSON: "), "{body}");
        }
    }

    #[test]
    fn refuses_what_stands_behind_the_value() {
        for body in ["{} {}", "1 2", "[]]", "null,", "{}\0"] {
            let text = refusal(body.as_bytes());
            assert!(
                text.starts_with("The body is not JSON: trailing characters at line 1 "),
                "{body}: {text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_nested_too_deep() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(127).as_bytes()).is_ok());
        assert_eq!(refusal(nested(128).as_bytes()), "The body is nested too deep at line 1 column 128.");
        assert!(refusal("{\"a\":".repeat(10_000).as_bytes()).starts_with("The body is nested too deep"));
    }

    #[test]
    fn refuses_a_repeated_key_anywhere() {
        for body in [
            r#"{"name":1,"name":1}"#,
            r#"{"name":1,"other":2,"name":{}}"#,
            r#"{"unknown":{"deep":[{"x":1,"x":2}]}}"#,
            r#"[0,{"":1,"":2}]"#,
            // Equal once the escape is read.
            r#"{"a":1,"\u0061":2}"#,
            r#"{"é":1,"\u00e9":2}"#,
        ] {
            assert!(
                refusal(body.as_bytes())
                    .starts_with("The body is refused: an object repeats a key at line 1 column ")
            );
        }
        // The same key in different objects, in another case, or in another normal form is no repetition.
        for body in [r#"{"a":{"a":1},"b":{"a":1}}"#, r#"{"a":1,"A":2}"#, r#"{"\u00e9":1,"e\u0301":2}"#] {
            assert!(parse(body.as_bytes()).is_ok(), "{body}");
        }
    }

    #[test]
    fn says_nothing_of_the_body() {
        for body in [
            r#"{"s3cret":1,"s3cret":2}"#,
            "s3cret",
            r#"{"a":"s3cret"#,
            r#"{"a":"s3cret\q"}"#,
            r#""x" s3cret"#,
        ] {
            assert!(!refusal(body.as_bytes()).contains("s3cret"), "{body}");
        }
        // A key that reads like the mark of a repetition is none.
        assert!(parse(br#"{"an object repeats a key":1}"#).is_ok());
    }

    #[test]
    fn whole_numbers_however_they_are_written() {
        for (text, whole) in [
            ("15", Some(15)),
            ("15.0", Some(15)),
            ("1.5e1", Some(15)),
            ("150e-1", Some(15)),
            ("-15.0", Some(-15)),
            ("-0.0", Some(0)),
            ("15.5", None),
            ("1e-9", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9.223372036854775808e18", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("9.223372036854775808e18", None),
            ("-1e19", None),
            ("1e300", None),
        ] {
            let Value::Number(number) = parse(text.as_bytes()).unwrap() else { panic!("{text} is a number") };
            assert_eq!(whole_number(&number), whole, "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // Eighths: serde_json without `float_roundtrip` may read other fractions one unit beside.
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c\u{e9}]{0,2}", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read_as_it_was(value in any_json()) {
            prop_assert_eq!(parse(&serde_json::to_vec_pretty(&value).unwrap()).unwrap(), value);
        }

        #[test]
        fn a_second_member_of_one_name_is_refused(value in any_json(), levels in 0..8_usize) {
            let inner = json!({ "key": value.clone() }).to_string();
            let mut body = format!("{},\"\\u006bey\":{value}}}", &inner[..inner.len() - 1]);
            for _ in 0..levels {
                body = format!("[{{\"in\":{body}}}]");
            }
            prop_assert!(parse(body.as_bytes()).is_err());
        }

        #[test]
        fn no_bytes_break_it(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            text in "[\\[\\]{}\",:0-9eE.+\\\\ua-f -]{0,64}",
        ) {
            // What is accepted here, serde_json accepts as the same value.
            for body in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(value) = parse(body) {
                    prop_assert_eq!(serde_json::from_slice::<Value>(body).unwrap(), value);
                }
            }
        }
    }
}
