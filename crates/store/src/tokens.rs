//! Access tokens that were revoked before their end.

use std::iter;
use std::sync::LazyLock;

use patron_core::Result;
use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::{PatId, TenantKey, TokenId};
use patron_core::limits::REVOCATION_KEPT_SECONDS;
use patron_core::time::Timestamp;

use crate::Store;
use crate::acting::Subjects;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change, Place};
use crate::convert;
use crate::driver::{Row, Value};

/// Revoked tokens that one statement reads.
const PAGE: u32 = 10_000;
/// Tokens that one statement asks about.
const AT_ONCE: usize = 64;

static AMONG: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (1..=AT_ONCE).map(|place| format!("${place}")).collect();
    format!("SELECT jti, expires FROM revoked_tokens WHERE jti IN ({})", places.join(", "))
});

fn revoked(row: &Row) -> Result<(TokenId, Timestamp)> {
    Ok((TokenId::from_bytes(row.fixed(0)?), convert::time(row, 1)?))
}

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
        let about = Subjects::pats(tenant, &[pat]);
        self.change("revoke_token", context, about, move |tx, store, context| {
            Box::pin(async move {
                // Changes that are under way with the token hold its PAT: those that have it are over first, and those
                // that come later find the row changed and begin anew.
                let sql = "UPDATE pats SET last_used = last_used WHERE id = $1 AND tenant = $2";
                tx.execute(sql, &[pat.into(), tenant.into()]).await?;
                let sql = "INSERT INTO revoked_tokens (jti, tenant, expires) VALUES ($1, $2, $3) \
                           ON CONFLICT (jti) DO NOTHING";
                if tx.execute(sql, &[jti.into(), tenant.into(), expires.into()]).await? == 0 {
                    changes::refer(tx);
                    return Ok(());
                }
                let target = Party::other("ACCESS_TOKEN", jti.to_string(), "");
                let event = Event::new(Action::AccessTokenRevoked, target).with("clientId", pat.to_string());
                audit::record(tx, &store, &Stamp { tenant, context: &context, now }, &event).await?;
                changes::enter(tx, Change::Token(jti));
                Ok(())
            })
        })
        .await
    }

    /// All revoked access tokens that would still work on a clock that is not wholly wrong, with their ends, as of
    /// `place` in the feed or later.
    ///
    /// # Errors
    /// [`patron_core::Error::Unavailable`], too, when the server has never been there.
    pub async fn revoked_tokens(&self, place: Place) -> Result<Vec<(TokenId, Timestamp)>> {
        let now = self.clock.now().plus_seconds(-REVOCATION_KEPT_SECONDS);
        let (mut all, mut after) = (Vec::new(), TokenId::from_bytes([0; 16]));
        loop {
            let page = self.recall_at(place, "revoked_tokens", move |tx| {
                Box::pin(async move {
                    let sql = "SELECT jti, expires FROM revoked_tokens WHERE expires > $1 AND jti > $2 \
                               ORDER BY jti LIMIT $3";
                    tx.query(sql, &[now.into(), after.into(), PAGE.into()])
                        .await?
                        .iter()
                        .map(revoked)
                        .collect()
                })
            });
            let page: Vec<(TokenId, Timestamp)> = page.await?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map_or(after, |(jti, _)| *jti);
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Those of some access tokens that were revoked, with their ends, as of `place` in the feed or later.
    ///
    /// # Errors
    /// As [`Store::revoked_tokens`].
    pub async fn revoked_among(
        &self,
        place: Place,
        tokens: Vec<TokenId>,
    ) -> Result<Vec<(TokenId, Timestamp)>> {
        self.recall_at(place, "revoked_among", move |tx| {
            let tokens = tokens.clone();
            Box::pin(async move {
                let mut found = Vec::with_capacity(tokens.len());
                for some in tokens.chunks(AT_ONCE) {
                    // Asked more than once, a token is found once.
                    let asked = some.iter().chain(iter::repeat(&some[0])).take(AT_ONCE);
                    let values: Vec<Value> = asked.map(|jti| (*jti).into()).collect();
                    let rows = tx.query(&AMONG, &values).await?;
                    found.extend(rows.iter().map(revoked).collect::<Result<Vec<_>>>()?);
                }
                Ok(found)
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, acting, operator};

    #[tokio::test]
    async fn those_that_were_revoked_are_told_from_those_that_were_not() {
        let fixture = Fixture::new().await;
        let token = |n: u8| TokenId::from_bytes([n; 16]);
        let ends = |n: u8| Timestamp::from_millis(2_000_000_000_000 + i64::from(n));
        let pat = PatId::from_bytes([9; 16]);
        for n in [1, 2, 3] {
            fixture.store.revoke_token(operator(), fixture.tenant, token(n), pat, ends(n)).await.unwrap();
        }
        let among =
            fixture.store.revoked_among(Place::default(), vec![token(3), token(4), token(1)]).await.unwrap();
        let sorted = |mut found: Vec<(TokenId, Timestamp)>| {
            found.sort_unstable();
            found
        };
        assert_eq!(sorted(among), [(token(1), ends(1)), (token(3), ends(3))]);
        let all = (0..200).map(token).collect();
        assert_eq!(
            sorted(fixture.store.revoked_among(Place::default(), all).await.unwrap()),
            [1, 2, 3].map(|n| (token(n), ends(n)))
        );
        assert_eq!(fixture.store.revoked_among(Place::default(), Vec::new()).await.unwrap(), []);
    }

    mod postgres {
        use futures_util::future::join_all;
        use patron_core::Error;
        use patron_core::audit::Means;
        use patron_core::identity::{Draft, Identity};
        use patron_testing::Engine;

        use super::*;

        fn acting_with(who: &Identity, pat: PatId, token: TokenId) -> Context {
            let means = Means::Pat { pat, token: Some(token), pat_scopes: None };
            acting(who, means)
        }

        /// Each holds its own PAT and changes it. Were it held by several at once, none could change it, and a server
        /// that looks for such a thing late would end them all.
        #[tokio::test]
        async fn many_that_revoke_access_tokens_of_their_own_pat_do_not_wait_for_each_other() {
            let fixture = Fixture::on(Engine::Postgres).await;
            let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
            let (pat, token) = (fixture.pat(&jane, "ci").await, |n: u8| TokenId::from_bytes([n; 16]));
            fixture.set("deadlock_timeout = '1h'");
            let context = acting_with(&jane, pat.id, token(99));
            let ends = Timestamp::from_millis(2_000_000_000_000);
            // All of them have begun before the first is done.
            let gate = fixture.shut("SELECT last FROM feed FOR UPDATE");
            let revoked = (0..8)
                .map(|n| fixture.store.revoke_token(context.clone(), fixture.tenant, token(n), pat.id, ends));
            let opened = async {
                fixture.until_waiting(8).await;
                assert!(gate.succeeds());
            };
            let (revoked, ()) = tokio::join!(join_all(revoked), opened);
            assert!(revoked.iter().all(Result::is_ok), "{revoked:?}");
            assert_eq!(fixture.number("SELECT COUNT(*) FROM revoked_tokens").await, 8);
        }

        /// A change that began before the revocation must be done before that is answered, or not at all.
        #[tokio::test]
        async fn a_change_that_waits_while_its_token_is_revoked_is_not_made() {
            let fixture = Fixture::on(Engine::Postgres).await;
            let jane = fixture.identity(fixture.tenant, "jane", &["ORG_ADMIN"]).await;
            let (pat, token) = (fixture.pat(&jane, "ci").await, TokenId::from_bytes([1; 16]));
            fixture.use_indexes();
            let context = acting_with(&jane, pat.id, token);
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
                    assert!(gate.succeeds());
                };
                tokio::join!(make, open).0
            };
            let (revoked, changed) = tokio::join!(revoke, change);
            revoked.unwrap();
            assert!(matches!(changed, Err(Error::Unauthenticated { .. })), "{changed:?}");
        }
    }
}
