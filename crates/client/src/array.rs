//! A JSON array that arrives in pieces, taken apart into its elements. Each is parsed by `serde_json`; here is only
//! found where one ends. A text that breaks off, or goes on behind its end, is an error: half a list is no list.

use crate::limits::ELEMENT_BYTES;

/// Why the text is no JSON array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is something else.
    NoArray,
    /// It ended before its `]`.
    EndsEarly,
    /// An element is longer than this client takes.
    TooLong,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    BeforeArray,
    /// Behind `[`: an element or the end.
    BeforeFirst,
    /// Behind `,`: an element.
    BeforeElement,
    /// In an element, within so many brackets and braces of its own.
    Element {
        depth: usize,
    },
    /// In a text of an element; `escaped` behind a backslash.
    Text {
        depth: usize,
        escaped: bool,
    },
    BehindArray,
}

/// Takes bytes, gives elements.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    place: Place,
    element: Vec<u8>,
}

impl Splitter {
    /// Takes the next bytes, and gives `each` the elements that end in them.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Broken> {
        for &byte in bytes {
            if self.step(byte)? {
                each(&self.element);
                self.element.clear();
            }
        }
        Ok(())
    }

    /// That was all.
    pub(crate) fn end(&self) -> Result<(), Broken> {
        if self.place == Place::BehindArray { Ok(()) } else { Err(Broken::EndsEarly) }
    }

    /// Whether an element ends before this byte.
    fn step(&mut self, byte: u8) -> Result<bool, Broken> {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let mut ended = false;
        self.place = match (self.place, byte) {
            (
                place @ (Place::BeforeArray | Place::BeforeFirst | Place::BeforeElement | Place::BehindArray),
                _,
            ) if blank => place,
            (Place::BeforeArray, b'[') => Place::BeforeFirst,
            (Place::BeforeFirst, b']') => Place::BehindArray,
            (Place::BeforeArray | Place::BehindArray, _)
            | (Place::BeforeFirst | Place::BeforeElement, b',' | b']') => return Err(Broken::NoArray),
            (Place::Element { depth: 0 }, b',' | b']') => {
                ended = true;
                if byte == b',' { Place::BeforeElement } else { Place::BehindArray }
            }
            (Place::Text { depth, escaped }, _) => {
                self.keep(byte)?;
                match byte {
                    b'"' if !escaped => Place::Element { depth },
                    _ => Place::Text { depth, escaped: byte == b'\\' && !escaped },
                }
            }
            (place, _) => {
                self.keep(byte)?;
                let depth = if let Place::Element { depth } = place { depth } else { 0 };
                match byte {
                    b'"' => Place::Text { depth, escaped: false },
                    b'[' | b'{' => Place::Element { depth: depth + 1 },
                    b']' | b'}' => Place::Element { depth: depth.checked_sub(1).ok_or(Broken::NoArray)? },
                    _ => Place::Element { depth },
                }
            }
        };
        Ok(ended)
    }

    fn keep(&mut self, byte: u8) -> Result<(), Broken> {
        if self.element.len() == ELEMENT_BYTES {
            return Err(Broken::TooLong);
        }
        self.element.push(byte);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The elements of a text that arrives in pieces of so many bytes.
    fn split(text: &str, piece: usize) -> Result<Vec<Value>, Broken> {
        let (mut splitter, mut elements) = (Splitter::default(), Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            splitter.push(piece, |element| {
                elements.push(serde_json::from_slice(element).unwrap_or(Value::Null));
            })?;
        }
        splitter.end().map(|()| elements)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Bool(true)),
            any::<i64>().prop_map(Value::from),
            "[ \\[\\]{},:\"\\\\a-zä\n]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[\"\\\\{}a]{0,4}", inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn gives_what_serde_json_reads(
            list in prop::collection::vec(value(), 0..6), piece in 1usize..9, pretty: bool,
        ) {
            let whole = Value::from(list.clone());
            let text = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) };
            let text = text.unwrap();
            prop_assert_eq!(split(&text, piece), Ok(list));
            // Cut off anywhere, it is no list.
            for end in 0..text.len() {
                if text.is_char_boundary(end) {
                    prop_assert_eq!(split(&text[..end], piece), Err(Broken::EndsEarly));
                }
            }
        }

        #[test]
        fn takes_any_text(text in "[\\[\\]{},\"\\\\a 1]{0,20}", piece in 1usize..9) {
            if let (Err(_), Ok(elements)) = (serde_json::from_str::<Vec<Value>>(&text), split(&text, piece)) {
                // What is wrong within an element is for its parser to find.
                prop_assert!(elements.contains(&Value::Null), "{}", text);
            }
        }
    }

    #[test]
    fn refuses_what_is_no_array() {
        for text in ["{}", "[1,]", "[,1]", "[1],", "[1] 2", "[]]", "x", "[}]"] {
            assert_eq!(split(text, 1), Err(Broken::NoArray), "{text}");
        }
        let long = format!("[\"{}\"]", "a".repeat(ELEMENT_BYTES));
        assert_eq!(split(&long, 4096), Err(Broken::TooLong));
    }
}
