//! Values as PostgreSQL takes and gives them.

use std::error::Error as StdError;
use std::fmt;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::driver::value::{Row, Value};

/// A value and a type that do not fit. Names both kinds and no value.
#[derive(Debug)]
pub(super) struct Misfit(String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Misfit {}

type Outcome<T> = Result<T, Box<dyn StdError + Sync + Send>>;

impl ToSql for Value {
    /// The server gives a placeholder the type of what it stands beside, so `$1 = 1` makes it an `INTEGER`.
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Outcome<IsNull> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Self::Int(value) if *ty == Type::INT4 => match i32::try_from(*value) {
                Ok(value) => value.to_sql(ty, out),
                Err(_) => {
                    Err(Misfit("an integer is too large for its INTEGER placeholder".to_owned()).into())
                }
            },
            Self::Text(value) if <&str as ToSql>::accepts(ty) => value.to_sql(ty, out),
            Self::Blob(value) if *ty == Type::BYTEA => value.to_sql(ty, out),
            other => Err(Misfit(format!("{other:?} does not fit into {ty}")).into()),
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Outcome<Self> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Int),
            Type::INT4 => i32::from_sql(ty, raw).map(|value| Self::Int(value.into())),
            Type::BYTEA => Ok(Self::Blob(raw.to_vec())),
            _ if <&str as FromSql<'_>>::accepts(ty) => String::from_sql(ty, raw).map(Self::Text),
            _ => Err(Misfit(format!("a column of type {ty} is read")).into()),
        }
    }

    fn from_sql_null(_ty: &Type) -> Outcome<Self> {
        Ok(Self::Null)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}

/// A row as every driver gives it.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>().map(Row::new)
}
