//! The credential that asks for a change, judged inside the change's transaction.

use patron_core::audit::{Acting, Context, Means};
use patron_core::pat::Expiry;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::convert::json;
use crate::driver::{Hold, Query, Row, Tx, Value};

/// Refuses a change whose credential has ended, or lost levels or scopes, since the request was judged. What it finds
/// stays so until the change is committed: whoever ends the credential meanwhile is answered after that.
pub(crate) async fn judge(tx: &mut Tx, context: &Context, now: Timestamp) -> Result<()> {
    let Some(query) = query(context, now, Hold::Wait) else { return Ok(()) };
    let found = tx.query_each(&[query]).await?;
    found.iter().try_for_each(|rows| judged(context, rows).map(drop))
}

/// What finds whose a credential is, by id and display name, if that has neither ended nor lost anything; none for who
/// needs no credential.
///
/// Where it waits and the transaction is [`Isolation::Held`](crate::driver::Isolation::Held), an access token that is
/// revoked meanwhile goes unnoticed: that stands in a table of its own, which was read before, and is to be asked again.
pub(crate) fn query(context: &Context, now: Timestamp, hold: Hold) -> Option<Query> {
    let Acting { tenant, means, generation, levels } = context.acting.as_ref()?;
    Some(match means {
        Means::Pat { pat, token, pat_scopes } => {
            let sql = "SELECT i.id, i.display_name FROM pats p JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant \
                       WHERE p.id = $1 AND p.tenant = $7 AND (p.expires IS NULL OR p.expires >= $2) \
                       AND i.enabled = 1 AND i.generation = $3 AND i.levels = $4 \
                       AND p.scope = COALESCE($5, p.scope) \
                       AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $6 AND tenant = $7)";
            let params = vec![
                (*pat).into(),
                Expiry::first_live(now).into(),
                (*generation).into(),
                json(levels),
                pat_scopes.as_ref().map_or(Value::Null, |scopes| json(scopes.as_slice())),
                token.map_or(Value::Null, Value::from),
                (*tenant).into(),
            ];
            Query { sql, params, hold }
        }
        Means::Session(hash) => {
            // How long it may live was asked a moment ago, when the request came in.
            let sql = "SELECT i.id, i.display_name FROM sessions s JOIN identities i ON i.id = s.identity AND i.tenant = s.tenant \
                       WHERE s.hash = $1 AND s.tenant = $2 AND i.enabled = 1 AND s.generation = i.generation \
                       AND i.generation = $3 AND i.levels = $4";
            let params = vec![(*hash).into(), (*tenant).into(), (*generation).into(), json(levels)];
            Query { sql, params, hold }
        }
    })
}

/// Whose the credential is, by what [`query`] has found; nobody's where none is needed.
pub(crate) fn judged<'r>(context: &Context, found: &'r [Row]) -> Result<Option<&'r Row>> {
    match (&context.acting, found.first()) {
        (Some(acting), None) => Err(ended(acting)),
        (_, whose) => Ok(whose),
    }
}

/// That the credential has changed or ended.
pub(crate) fn ended(acting: &Acting) -> Error {
    match acting.means {
        Means::Pat { .. } => {
            Error::unauthenticated("JWT validation failed: the credential has changed or ended meanwhile")
        }
        Means::Session(_) => Error::unauthenticated("The session has ended meanwhile."),
    }
}
