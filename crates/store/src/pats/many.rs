//! Many PATs at once.

use std::sync::Arc;

use patron_core::Result;
use patron_core::audit::Context;
use patron_core::id::{PatId, TenantKey};
use patron_core::pat::Pat;

use super::{Decision, find, remove, update};
use crate::acting::Subjects;
use crate::{Store, changes};

/// What becomes of a PAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// It is changed to this.
    Becomes(Pat),
    /// It is deleted.
    Goes,
}

impl Store {
    /// Changes or deletes PATs in one transaction, each as if alone, and answers how many it did that to. Those that
    /// are gone already are passed over.
    ///
    /// # Errors
    /// What `decide` answers for one of them, and [`Detail::Conflict`](patron_core::error::Detail::Conflict) when a new
    /// name is taken; all are as they were then.
    pub async fn change_pats(
        &self,
        context: Context,
        tenant: TenantKey,
        ids: Vec<PatId>,
        decide: Decision<Fate>,
    ) -> Result<usize> {
        let about = Subjects::pats(tenant, &ids);
        self.change("change_pats", context, about, move |tx, store, context| {
            let (mut ids, decide) = (ids.clone(), Arc::clone(&decide));
            // Two who change the same ones do not wait for each other.
            ids.sort_unstable();
            Box::pin(async move {
                let (mut done, mut is_gone) = (0, false);
                for id in ids {
                    let Some(old) = find(tx, tenant, id).await? else {
                        is_gone = true;
                        continue;
                    };
                    match decide(&old)? {
                        Fate::Stays => continue,
                        Fate::Becomes(new) => update(tx, &store, &context, &old, &new).await?,
                        Fate::Goes => remove(tx, &store, &context, &old).await?,
                    }
                    done += 1;
                }
                if is_gone {
                    changes::refer(tx);
                }
                Ok(done)
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use patron_core::Error;
    use patron_core::clock::Clock as _;
    use patron_core::pat::Expiry;

    use super::*;
    use crate::testing::{Fixture, operator};

    #[tokio::test]
    async fn all_are_deleted_as_if_alone_and_the_gone_passed_over() {
        let fixture = Fixture::new().await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let (one, two, kept) =
            (fixture.pat(&jane, "1").await, fixture.pat(&jane, "2").await, fixture.pat(&jane, "3").await);
        let elsewhere = fixture.tenant("acme").await;
        let theirs = fixture.pat(&fixture.identity(elsewhere, "stranger", &[]).await, "theirs").await;
        let seen = fixture.store.feed_end().await.unwrap();
        let ids = vec![two.id, PatId::from_bytes([9; 16]), theirs.id, one.id];
        let delete = async || {
            let decide: Decision<Fate> = Arc::new(|_| Ok(Fate::Goes));
            fixture.store.change_pats(operator(), fixture.tenant, ids.clone(), decide).await.unwrap()
        };
        assert_eq!(delete().await, 2);
        assert_eq!(delete().await, 0, "a second time");
        for pat in [&one, &two] {
            assert_eq!(fixture.store.pat(fixture.tenant, pat.id).await.unwrap(), None);
            let left = fixture.store.credential(pat.id).await.unwrap();
            assert!(matches!(left, Some(crate::pats::Credential::Deleted { .. })));
        }
        assert_eq!(fixture.store.pat(fixture.tenant, kept.id).await.unwrap(), Some(kept));
        assert_eq!(fixture.store.pat(elsewhere, theirs.id).await.unwrap(), Some(theirs));
        let entries = fixture.store.changes_after(seen).await.unwrap().entries.unwrap();
        let mut gone = [two.id, one.id];
        gone.sort_unstable();
        assert_eq!(entries, gone.map(crate::changes::Change::Pat));
        let deleted = "SELECT target_name FROM audit_events WHERE technical_name = 'PERSONAL_ACCESS_TOKEN_DELETED' \
                       ORDER BY target_name";
        let events = fixture.rows(deleted).await;
        assert_eq!(events.iter().map(|event| event.text(0).unwrap()).collect::<Vec<_>>(), ["1", "2"]);
    }

    #[tokio::test]
    async fn all_are_changed_as_if_alone_and_the_gone_and_the_unknown_passed_over() {
        let fixture = Fixture::new().await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let (one, two, unknown) =
            (fixture.pat(&jane, "1").await, fixture.pat(&jane, "2").await, fixture.pat(&jane, "3").await);
        let elsewhere = fixture.tenant("acme").await;
        let theirs = fixture.pat(&fixture.identity(elsewhere, "stranger", &[]).await, "theirs").await;
        let ids = vec![two.id, PatId::from_bytes([9; 16]), unknown.id, theirs.id, one.id];
        let until = Expiry::At(fixture.clock.now().plus_seconds(60));
        let decide: Decision<Fate> = Arc::new(move |pat| match pat.name.as_str() {
            "3" => Ok(Fate::Stays),
            _ => Ok(Fate::Becomes(Pat { expiry: until, ..pat.clone() })),
        });
        let updated = fixture.store.change_pats(operator(), fixture.tenant, ids, decide).await.unwrap();
        assert_eq!(updated, 2);
        for old in [&one, &two] {
            let new = fixture.store.pat(fixture.tenant, old.id).await.unwrap().unwrap();
            assert_eq!(new, Pat { expiry: until, ..old.clone() });
        }
        assert_eq!(fixture.store.pat(fixture.tenant, unknown.id).await.unwrap(), Some(unknown));
        assert_eq!(fixture.store.pat(elsewhere, theirs.id).await.unwrap(), Some(theirs));
        let events =
            "SELECT COUNT(*) FROM audit_events WHERE technical_name = 'PERSONAL_ACCESS_TOKEN_UPDATED'";
        assert_eq!(fixture.number(events).await, 2);
    }

    #[tokio::test]
    async fn one_that_is_refused_keeps_all() {
        let fixture = Fixture::new().await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let (one, two) = (fixture.pat(&jane, "1").await, fixture.pat(&jane, "2").await);
        let decide: Decision<Fate> = Arc::new(|pat| match pat.name.as_str() {
            "2" => Err(Error::forbidden("not this one")),
            _ => Ok(Fate::Goes),
        });
        let ids = vec![one.id, two.id];
        let refused = fixture.store.change_pats(operator(), fixture.tenant, ids, decide).await;
        assert!(matches!(refused, Err(Error::Forbidden { .. })));
        assert_eq!(fixture.store.pat(fixture.tenant, one.id).await.unwrap(), Some(one));
    }
}
