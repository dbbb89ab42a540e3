//! The credential that asks for a change, judged inside the change's transaction.

use patron_core::audit::{Acting, Context, Means};
use patron_core::pat::Expiry;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::convert::json;
use crate::driver::{Tx, Value};

/// Refuses a change whose credential has ended, or lost levels or scopes, since the request was judged. What it finds
/// stays so until the change is committed: whoever ends the credential meanwhile is answered after that.
pub(crate) async fn judge(tx: &mut Tx, context: &Context, now: Timestamp) -> Result<()> {
    let Some(Acting { tenant, means, generation, levels }) = &context.acting else { return Ok(()) };
    let rows = match means {
        Means::Pat { pat, token, pat_scopes } => {
            let sql = "SELECT 1 FROM pats p JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant \
                       WHERE p.id = $1 AND p.tenant = $7 AND (p.expires IS NULL OR p.expires >= $2) \
                       AND i.enabled = 1 AND i.generation = $3 AND i.levels = $4 \
                       AND p.scope = COALESCE($5, p.scope) \
                       AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $6 AND tenant = $7)";
            let values = [
                (*pat).into(),
                Expiry::first_live(now).into(),
                (*generation).into(),
                json(levels),
                pat_scopes.as_ref().map_or(Value::Null, |scopes| json(scopes.as_slice())),
                token.map_or(Value::Null, Value::from),
                (*tenant).into(),
            ];
            tx.query_held(sql, &values).await?
        }
        Means::Session(hash) => {
            // How long it may live was asked a moment ago, when the request came in.
            let sql = "SELECT 1 FROM sessions s JOIN identities i ON i.id = s.identity AND i.tenant = s.tenant \
                       WHERE s.hash = $1 AND s.tenant = $2 AND i.enabled = 1 AND s.generation = i.generation \
                       AND i.generation = $3 AND i.levels = $4";
            let values = [(*hash).into(), (*tenant).into(), (*generation).into(), json(levels)];
            tx.query_held(sql, &values).await?
        }
    };
    match (rows.is_empty(), means) {
        (false, _) => Ok(()),
        (true, Means::Pat { .. }) => Err(Error::unauthenticated(
            "JWT validation failed: the credential has changed or ended meanwhile",
        )),
        (true, Means::Session(_)) => Err(Error::unauthenticated("The session has ended meanwhile.")),
    }
}
