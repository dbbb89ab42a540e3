//! Patron's own types as values of a statement.

use patron_core::id::{EventId, IdentityId, NodeId, PatId, TenantId, TenantKey, TokenId, TrackingId};
use patron_core::secret::{SecretHash, SessionHash};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::driver::{Row, Tx, Value};

macro_rules! ids {
    ($($id:ty),*) => {$(
        impl From<$id> for Value {
            fn from(id: $id) -> Self {
                id.as_bytes().into()
            }
        }
    )*};
}

ids!(EventId, IdentityId, NodeId, PatId, TenantId, TokenId, TrackingId);

impl From<TenantKey> for Value {
    fn from(key: TenantKey) -> Self {
        key.0.into()
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        at.millis().into()
    }
}

impl From<SecretHash> for Value {
    fn from(hash: SecretHash) -> Self {
        hash.as_bytes().into()
    }
}

impl From<SessionHash> for Value {
    fn from(hash: SessionHash) -> Self {
        hash.as_bytes().into()
    }
}

/// A column that holds a point in time.
pub(crate) fn time(row: &Row, column: usize) -> Result<Timestamp> {
    row.int(column).map(Timestamp::from_millis)
}

/// A column that holds a point in time or nothing.
pub(crate) fn opt_time(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    Ok(row.opt_int(column)?.map(Timestamp::from_millis))
}

/// A column that holds a list of texts as JSON.
pub(crate) fn list(row: &Row, column: usize) -> Result<Vec<String>> {
    serde_json::from_str(row.text(column)?)
        .map_err(|_| Error::internal(format!("column {column} holds no JSON list")))
}

/// What a statement counts in the first column of its one row.
pub(crate) async fn counted(tx: &mut Tx, sql: &'static str, values: &[Value]) -> Result<u64> {
    let count = tx.query_opt(sql, values).await?.map_or(Ok(0), |row| row.int(0))?;
    u64::try_from(count).map_err(Error::internal)
}

/// A list of texts as JSON.
pub(crate) fn json(list: &[String]) -> Value {
    serde_json::Value::from(list).to_string().into()
}
