//! The credential that asks for a change, judged inside the change's transaction.

use patron_core::audit::Context;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::convert::json;
use crate::driver::{Tx, Value};

/// Refuses a change whose credential has ended, or lost levels or scopes, since the request was judged.
pub(crate) async fn judge(tx: &mut Tx, context: &Context, now: Timestamp) -> Result<()> {
    let Some(acting) = &context.acting else { return Ok(()) };
    // A PAT in its last second counts as expired, as everywhere.
    let sql = "SELECT 1 FROM pats p JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant \
               WHERE p.id = $1 AND p.tenant = $7 AND (p.expires IS NULL OR p.expires >= $2) AND i.enabled = 1 \
               AND i.generation = $3 AND i.levels = $4 AND p.scope = COALESCE($5, p.scope) \
               AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $6 AND tenant = $7)";
    let token = acting.token.map_or(Value::Null, Value::from);
    let values = [
        acting.pat.into(),
        now.plus_seconds(1).into(),
        acting.generation.into(),
        json(&acting.levels),
        acting.pat_scopes.as_ref().map_or(Value::Null, |scopes| json(scopes.as_slice())),
        token,
        acting.tenant.into(),
    ];
    match tx.query_opt(sql, &values).await? {
        Some(_) => Ok(()),
        None => Err(Error::unauthenticated(
            "JWT validation failed: the credential has changed or ended meanwhile",
        )),
    }
}
