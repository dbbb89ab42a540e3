use patron_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire;

/// What happened, who did it to what, from where, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Its id.
    pub id: String,
    /// When it happened.
    #[serde(with = "wire::date")]
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// The tenant's name.
    pub tenant: String,
    /// A stable name, such as `PERSONAL_ACCESS_TOKEN_CREATED`.
    pub technical_name: String,
    /// Who did it.
    pub actor: AuditParty,
    /// What it was done to.
    pub target: AuditParty,
    /// From where; null on the command line.
    pub ip_address: Option<String>,
    /// The tracking id of the request.
    pub tracking_number: String,
    /// The verb, such as `CREATE`.
    pub operation: String,
    /// `PASSED` or `FAILED`.
    pub status: String,
    /// What else is worth knowing.
    #[schema(value_type = Object)]
    pub attributes: serde_json::Value,
}

/// One side of an [`AuditEvent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditParty {
    /// `IDENTITY`, `PERSONAL_ACCESS_TOKEN`, `SYSTEM`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name at that moment.
    pub name: String,
}
