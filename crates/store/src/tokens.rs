//! Access tokens that were revoked before their end.

use patron_core::Result;
use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::{PatId, TenantKey, TokenId};
use patron_core::limits::REVOCATION_KEPT_SECONDS;
use patron_core::time::Timestamp;

use crate::Store;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change};
use crate::convert;
use crate::driver::Lane;

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
                // Changes that are under way with the token hold its PAT: those that have it are over first, and those
                // that come later find the row changed and begin anew.
                let sql = "UPDATE pats SET last_used = last_used WHERE id = $1 AND tenant = $2";
                tx.execute(sql, &[pat.into(), tenant.into()]).await?;
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

    /// All revoked access tokens that would still work on a clock that is not wholly wrong, with their ends.
    pub async fn revoked_tokens(&self) -> Result<Vec<(TokenId, Timestamp)>> {
        let now = self.clock.now().plus_seconds(-REVOCATION_KEPT_SECONDS);
        self.recall(Lane::Nodes, "revoked_tokens", move |tx| {
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
        self.recall(Lane::Nodes, "revoked_among", move |tx| {
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

    mod postgres {
        use patron_core::Error;
        use patron_core::audit::{Acting, Means};
        use patron_core::identity::Draft;
        use patron_testing::Engine;

        use super::*;

        /// A change that began before the revocation must be done before that is answered, or not at all.
        #[tokio::test]
        async fn a_change_that_waits_while_its_token_is_revoked_is_not_made() {
            let fixture = Fixture::on(Engine::Postgres).await;
            let jane = fixture.identity(fixture.tenant, "jane", &["ORG_ADMIN"]).await;
            let (pat, token) = (fixture.pat(&jane, "ci").await, TokenId::from_bytes([1; 16]));
            fixture.use_indexes();
            let means = Means::Pat { pat: pat.id, token: Some(token), pat_scopes: None };
            let acting = Acting {
                tenant: fixture.tenant,
                means,
                generation: jane.generation,
                levels: jane.levels.clone(),
            };
            let context = Context { acting: Some(acting), ..operator() };
            // The revocation has done all but to enter the feed.
            let gate = fixture.shut("SELECT last FROM feed FOR UPDATE");
            let ends = Timestamp::from_millis(2_000_000_000_000);
            let revoke = fixture.store.revoke_token(operator(), fixture.tenant, token, pat.id, ends);
            let change = async {
                fixture.until_waiting(1).await;
                let draft = Draft { name: "new".to_owned(), ..Draft::default() };
                let make = fixture.store.create_identity(context, fixture.tenant, draft);
                let open = async {
                    fixture.until_waiting(2).await;
                    gate.open();
                };
                tokio::join!(make, open).0
            };
            let (revoked, changed) = tokio::join!(revoke, change);
            revoked.unwrap();
            assert!(matches!(changed, Err(Error::Unauthenticated { .. })), "{changed:?}");
        }
    }
}
