//! Access tokens that were revoked before their end.

use patron_core::Result;
use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::{PatId, TenantKey, TokenId};
use patron_core::time::Timestamp;

use crate::Store;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change};
use crate::convert;

impl Store {
    /// Revokes an access token of `pat` that would have ended at `expires`. Revoking it again changes nothing.
    pub async fn revoke_token(
        &self,
        context: Context,
        tenant: TenantKey,
        jti: TokenId,
        pat: PatId,
        expires: Timestamp,
    ) -> Result<()> {
        let (store, now) = (self.clone(), self.clock.now());
        self.db
            .write("revoke_token", move |tx| {
                let (store, context) = (store.clone(), context.clone());
                Box::pin(async move {
                    let sql = "INSERT INTO revoked_tokens (jti, tenant, expires) VALUES ($1, $2, $3) \
                               ON CONFLICT (jti) DO NOTHING";
                    if tx.execute(sql, &[jti.into(), tenant.into(), expires.into()]).await? == 0 {
                        return Ok(());
                    }
                    let target = Party::other("ACCESS_TOKEN", jti.to_string(), "");
                    let event =
                        Event::new(Action::AccessTokenRevoked, target).with("clientId", pat.to_string());
                    audit::record(tx, &store, &Stamp { tenant, context: &context, now }, &event).await?;
                    changes::enter(tx, Change::Token(jti), now).await
                })
            })
            .await
    }

    /// All revoked access tokens that would still work, with their ends.
    pub async fn revoked_tokens(&self) -> Result<Vec<(TokenId, Timestamp)>> {
        let now = self.clock.now();
        self.db
            .read("revoked_tokens", move |tx| {
                Box::pin(async move {
                    let sql = "SELECT jti, expires FROM revoked_tokens WHERE expires > $1";
                    let rows = tx.query(sql, &[now.into()]).await?;
                    rows.iter()
                        .map(|row| Ok((TokenId::from_bytes(row.fixed(0)?), convert::time(row, 1)?)))
                        .collect()
                })
            })
            .await
    }

    /// Whether one access token was revoked, and when it would have ended.
    pub async fn revoked_token(&self, jti: TokenId) -> Result<Option<Timestamp>> {
        self.db
            .read("revoked_token", move |tx| {
                Box::pin(async move {
                    let row = tx
                        .query_opt("SELECT expires FROM revoked_tokens WHERE jti = $1", &[jti.into()])
                        .await?;
                    row.map(|row| convert::time(&row, 0)).transpose()
                })
            })
            .await
    }
}
