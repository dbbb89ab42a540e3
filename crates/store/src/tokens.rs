//! Access tokens that were revoked before their end.

use patron_core::Result;
use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::{PatId, TenantKey, TokenId};
use patron_core::time::Timestamp;

use crate::Store;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change};
use crate::convert;
use crate::driver::Hold;

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
        let now = self.clock.now();
        self.change("revoke_token", context, move |tx, store, context| {
            Box::pin(async move {
                // Changes that are under way with the token hold its PAT, and are over before it is revoked.
                let sql = "SELECT 1 FROM pats WHERE id = $1 AND tenant = $2";
                tx.query_held(sql, &[pat.into(), tenant.into()], Hold::Exclusive).await?;
                let sql = "INSERT INTO revoked_tokens (jti, tenant, expires) VALUES ($1, $2, $3) \
                           ON CONFLICT (jti) DO NOTHING";
                if tx.execute(sql, &[jti.into(), tenant.into(), expires.into()]).await? == 0 {
                    return changes::refer(tx).await;
                }
                let target = Party::other("ACCESS_TOKEN", jti.to_string(), "");
                let event = Event::new(Action::AccessTokenRevoked, target).with("clientId", pat.to_string());
                audit::record(tx, &store, &Stamp { tenant, context: &context, now }, &event).await?;
                changes::enter(tx, Change::Token(jti), now).await
            })
        })
        .await
    }

    /// All revoked access tokens that would still work, with their ends.
    pub async fn revoked_tokens(&self) -> Result<Vec<(TokenId, Timestamp)>> {
        let now = self.clock.now();
        self.recall("revoked_tokens", move |tx| {
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

    /// Those of some access tokens that were revoked, with their ends.
    pub async fn revoked_among(&self, tokens: Vec<TokenId>) -> Result<Vec<(TokenId, Timestamp)>> {
        self.recall("revoked_among", move |tx| {
            let tokens = tokens.clone();
            Box::pin(async move {
                let mut revoked = Vec::with_capacity(tokens.len());
                for jti in tokens {
                    let sql = "SELECT expires FROM revoked_tokens WHERE jti = $1";
                    if let Some(row) = tx.query_opt(sql, &[jti.into()]).await? {
                        revoked.push((jti, convert::time(&row, 0)?));
                    }
                }
                Ok(revoked)
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, operator};

    #[tokio::test]
    async fn those_that_were_revoked_are_told_from_those_that_were_not() {
        let fixture = Fixture::new().await;
        let token = |n: u8| TokenId::from_bytes([n; 16]);
        let ends = |n: u8| Timestamp::from_millis(2_000_000_000_000 + i64::from(n));
        let pat = PatId::from_bytes([9; 16]);
        for n in [1, 2, 3] {
            fixture.store.revoke_token(operator(), fixture.tenant, token(n), pat, ends(n)).await.unwrap();
        }
        let among = fixture.store.revoked_among(vec![token(3), token(4), token(1)]).await.unwrap();
        assert_eq!(among, [(token(3), ends(3)), (token(1), ends(1))]);
        assert_eq!(fixture.store.revoked_among(Vec::new()).await.unwrap(), []);
    }
}
