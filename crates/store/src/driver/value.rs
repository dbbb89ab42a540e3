//! What goes into a statement and what comes out of it, the same for every driver.

use std::fmt;

use patron_core::{Error, Result};

/// A value bound to a placeholder or read from a column.
///
/// Booleans are stored as 0 and 1, times as milliseconds since 1970, ids and hashes as blobs: what SQLite and
/// PostgreSQL both hold without a conversion. `Debug` shows the kind alone, for a value may be personal.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// An integer: `BIGINT`.
    Int(i64),
    /// A text: `TEXT`, UTF-8.
    Text(String),
    /// Bytes: `BLOB`, `BYTEA`.
    Blob(Vec<u8>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Blob(_) => "a blob",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer; columns count from 0.
///
/// Every accessor fails with [`Error::Internal`] when the column is missing or holds another kind of value: the
/// query and its reader do not fit. The cause names the column's index and kind, never its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64> {
        match self.value(column)? {
            Value::Int(value) => Ok(*value),
            other => Err(unlike(column, "an integer", other)),
        }
    }

    /// An integer, or `None` for NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        self.present(column)?.map(|_| self.int(column)).transpose()
    }

    /// A boolean: 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::internal(format!("column {column} holds an integer that is neither 0 nor 1"))),
        }
    }

    /// A text.
    pub fn text(&self, column: usize) -> Result<&str> {
        match self.value(column)? {
            Value::Text(value) => Ok(value),
            other => Err(unlike(column, "a text", other)),
        }
    }

    /// A text, or `None` for NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        self.present(column)?.map(|_| self.text(column)).transpose()
    }

    /// Bytes.
    pub fn blob(&self, column: usize) -> Result<&[u8]> {
        match self.value(column)? {
            Value::Blob(value) => Ok(value),
            other => Err(unlike(column, "a blob", other)),
        }
    }

    /// Exactly `N` bytes, such as an id or a hash.
    pub fn fixed<const N: usize>(&self, column: usize) -> Result<[u8; N]> {
        let blob = self.blob(column)?;
        blob.try_into().map_err(|_| {
            Error::internal(format!("column {column} holds {} bytes where {N} are wanted", blob.len()))
        })
    }

    /// All of its columns.
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    fn value(&self, column: usize) -> Result<&Value> {
        self.0.get(column).ok_or_else(|| {
            Error::internal(format!("column {column} is read of a row that has {}", self.0.len()))
        })
    }

    fn present(&self, column: usize) -> Result<Option<&Value>> {
        self.value(column).map(|value| Some(value).filter(|value| **value != Value::Null))
    }
}

fn unlike(column: usize, wanted: &str, found: &Value) -> Error {
    Error::internal(format!("column {column} holds {} where {wanted} is wanted", found.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row::new(vec![
            Value::Null,
            Value::from(7_i64),
            Value::from("name"),
            Value::from([1_u8, 2, 3]),
            Value::from(true),
        ])
    }

    fn cause<T: fmt::Debug>(result: Result<T>) -> String {
        match result.unwrap_err() {
            Error::Internal { cause } => cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_gives_what_it_holds() {
        let row = row();
        assert_eq!(row.int(1).unwrap(), 7);
        assert_eq!(row.text(2).unwrap(), "name");
        assert_eq!(row.blob(3).unwrap(), [1, 2, 3]);
        assert_eq!(row.fixed::<3>(3).unwrap(), [1, 2, 3]);
        assert!(row.flag(4).unwrap());
        assert_eq!((row.opt_int(0).unwrap(), row.opt_int(1).unwrap()), (None, Some(7)));
        assert_eq!((row.opt_text(0).unwrap(), row.opt_text(2).unwrap()), (None, Some("name")));
    }

    #[test]
    fn another_kind_is_an_error_that_names_the_column_and_not_its_content() {
        let row = row();
        assert_eq!(cause(row.int(2)), "column 2 holds a text where an integer is wanted");
        assert_eq!(cause(row.int(0)), "column 0 holds null where an integer is wanted");
        assert_eq!(cause(row.opt_int(2)), "column 2 holds a text where an integer is wanted");
        assert_eq!(cause(row.text(1)), "column 1 holds an integer where a text is wanted");
        assert_eq!(cause(row.opt_text(3)), "column 3 holds a blob where a text is wanted");
        assert_eq!(cause(row.blob(2)), "column 2 holds a text where a blob is wanted");
        assert_eq!(cause(row.fixed::<16>(3)), "column 3 holds 3 bytes where 16 are wanted");
        assert_eq!(cause(row.flag(1)), "column 1 holds an integer that is neither 0 nor 1");
        assert_eq!(cause(row.opt_int(5)), "column 5 is read of a row that has 5");
    }

    #[test]
    fn values_come_from_what_the_rules_are_made_of_and_do_not_show() {
        assert_eq!(Value::from(u32::MAX), Value::Int(4_294_967_295));
        assert_eq!(Value::from(false), Value::Int(0));
        assert_eq!(Value::from(None::<i64>), Value::Null);
        assert_eq!(Value::from(Some("x")), Value::Text("x".to_owned()));
        assert_eq!(Value::from(&[9_u8; 16]), Value::Blob(vec![9; 16]));
        assert_eq!(
            format!("{:?}", Row::new(vec![Value::from("secret"), Value::Null])),
            "Row([a text, null])"
        );
    }
}
