//! Identities as people look for them.

use patron_core::id::{IdentityId, TenantKey};
use patron_core::identity::Identity;
use patron_core::name::could_be_name;
use patron_core::{Error, Result};

use super::{Order, identity};
use crate::Store;
use crate::convert;
use crate::driver::Value;

/// What is searched for: a part of a login name, a display name or an email, in whatever case; or a whole id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The text; empty finds everybody.
    pub text: String,
    /// The order of what is found.
    pub order: Order,
    /// Whether managed PATs are counted, too.
    pub managed: bool,
}

/// An identity as a search finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The identity.
    pub identity: Identity,
    /// How many PATs it owns.
    pub pats: u64,
}

/// The conditions of a search beside its tenant: `$2` is the text, `$3` the id that it may be. No name and no text has
/// a line break.
macro_rules! conditions {
    () => {
        concat!(
            "AND ($2 = '' OR id = $3 ",
            "OR STRPOS(FOLD(name || '\n' || display_name || '\n' || email), FOLD($2)) > 0) "
        )
    };
}

/// `$4` is whether managed PATs count.
macro_rules! page {
    ($order:literal) => {
        concat!(
            "SELECT ",
            identity_columns!(),
            ", (SELECT COUNT(*) FROM pats WHERE pats.tenant = identities.tenant AND owner = identities.id ",
            "AND managed <= $4) FROM identities WHERE tenant = $1 ",
            conditions!(),
            $order,
            " LIMIT $5 OFFSET $6"
        )
    };
}

const COUNT: &str = concat!("SELECT COUNT(*) FROM identities WHERE tenant = $1 ", conditions!());

impl Search {
    fn page(&self) -> &'static str {
        match self.order {
            Order::LoginName => page!("ORDER BY name, id"),
            Order::DisplayName => page!("ORDER BY display_name, id"),
            Order::DisplayNameDescending => page!("ORDER BY display_name DESC, id DESC"),
        }
    }

    /// The id that the text is; null, which equals nothing, when it is none.
    fn id(&self) -> Value {
        IdentityId::parse(&self.text).map_or(Value::Null, Value::from)
    }
}

impl Store {
    /// What a search finds without its first `offset`, at most `limit`; and how many it finds in all, at the same
    /// moment.
    pub async fn identities_found(
        &self,
        tenant: TenantKey,
        search: Search,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<Found>, u64)> {
        if !could_be_name(&search.text) {
            return Ok((Vec::new(), 0));
        }
        self.read("identities_found", move |tx| {
            let sql = search.page();
            let of_all = [tenant.into(), search.text.as_str().into(), search.id()];
            let of_page = [search.managed.into(), limit.into(), offset.into()];
            let of_page = [&of_all[..], &of_page].concat();
            Box::pin(async move {
                let rows = tx.query(sql, &of_page).await?;
                let found = rows.iter().map(|row| {
                    let pats = u64::try_from(row.int(11)?).map_err(Error::internal)?;
                    Ok(Found { identity: identity(row)?, pats })
                });
                let found = found.collect::<Result<Vec<_>>>()?;
                let total = convert::counted(tx, COUNT, &of_all).await?;
                Ok((found, total))
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use patron_core::identity::Draft;

    use super::*;
    use crate::testing::{Fixture, operator};

    async fn made(fixture: &Fixture, name: &str, display: &str, email: &str) -> Identity {
        let some = |text: &str| Some(text.to_owned());
        let draft = Draft {
            name: name.to_owned(),
            display_name: some(display),
            email: some(email),
            ..Draft::default()
        };
        fixture.store.create_identity(operator(), fixture.tenant, draft).await.unwrap()
    }

    fn search(text: &str, order: Order) -> Search {
        Search { text: text.to_owned(), order, managed: false }
    }

    /// The login names of what is found on the pages of this size, put together.
    async fn names(fixture: &Fixture, search: Search, limit: u32) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let offset = u32::try_from(names.len()).unwrap();
            let page = fixture.store.identities_found(fixture.tenant, search.clone(), offset, limit);
            let (found, total) = page.await.unwrap();
            names.extend(found.into_iter().map(|found| found.identity.name));
            if names.len() as u64 >= total {
                assert_eq!(names.len() as u64, total, "{search:?}");
                return names;
            }
        }
    }

    #[tokio::test]
    async fn a_part_of_a_name_is_found_whatever_it_is_made_of() {
        let fixture = Fixture::new().await;
        let elsewhere = fixture.tenant("acme").await;
        fixture.identity(elsewhere, "jane", &[]).await;
        let jane = made(&fixture, "jane", "Doe, Jane", "j@corp.example").await;
        made(&fixture, "100%", "Discount!", "sales_team@corp.example").await;
        made(&fixture, "JUAN", "Álvarez", "").await;
        made(&fixture, "x", "100 percent", "salesXteam@corp.example").await;
        for (text, expected) in [
            ("", &["100%", "JUAN", "jane", "x"][..]),
            ("AN", &["JUAN", "jane"]),
            ("doe, j", &["jane"]),
            ("CORP.example", &["100%", "jane", "x"]),
            ("%", &["100%"]),
            ("100", &["100%", "x"]),
            ("s_t", &["100%"]),
            ("!", &["100%"]),
            ("Álv", &["JUAN"]),
            ("álv", &["JUAN"]),
            ("ÁLVAREZ", &["JUAN"]),
            // What ends one name and begins the next is in neither.
            ("juanÁ", &[]),
            (&jane.id.to_string(), &["jane"]),
            (&jane.id.to_string()[1..], &[]),
            ("nobody", &[]),
            ("\u{0}", &[]),
            (&"a".repeat(60_000), &[]),
        ] {
            for limit in [1, 3, 100] {
                let found = names(&fixture, search(text, Order::LoginName), limit).await;
                assert_eq!(found, expected, "{text:.20}, {limit} at a time");
            }
        }
        for (order, expected) in [
            (Order::DisplayName, ["x", "100%", "jane", "JUAN"]),
            (Order::DisplayNameDescending, ["JUAN", "jane", "100%", "x"]),
        ] {
            assert_eq!(names(&fixture, search("", order), 3).await, expected, "{order:?}");
        }
    }

    #[tokio::test]
    async fn pats_are_counted_per_owner_the_platforms_only_when_asked() {
        let fixture = Fixture::new().await;
        let (jane, john) = (made(&fixture, "jane", "a", "").await, made(&fixture, "john", "b", "").await);
        for name in ["one", "two"] {
            fixture.pat(&jane, name).await;
        }
        fixture.managed_pat(&john, "workflow").await;
        for (managed, expected) in [(false, [2, 0]), (true, [2, 1])] {
            let search = Search { managed, ..search("", Order::LoginName) };
            let (found, total) = fixture.store.identities_found(fixture.tenant, search, 0, 10).await.unwrap();
            assert_eq!(found.iter().map(|found| found.pats).collect::<Vec<_>>(), expected);
            assert_eq!(total, 2);
        }
    }

    mod sqlite {
        use patron_testing::Engine;

        use super::*;

        #[tokio::test]
        async fn a_page_is_read_in_the_order_of_an_index_and_pats_are_counted_by_one() {
            let fixture = Fixture::on(Engine::Sqlite).await;
            for (order, index) in [
                (Order::LoginName, "sqlite_autoindex_identities_2"),
                (Order::DisplayName, "identities_by_display_name"),
                (Order::DisplayNameDescending, "identities_by_display_name"),
            ] {
                let plan = fixture.plan(search("", order).page());
                let read = format!("SEARCH identities USING INDEX {index} (tenant=?)");
                let counted = "SEARCH pats USING COVERING INDEX sqlite_autoindex_pats_2 (tenant=? AND owner=? AND managed<?)";
                assert_eq!(plan, [&read, "CORRELATED SCALAR SUBQUERY 1", counted], "nothing is sorted");
            }
        }
    }

    mod postgres {
        use patron_testing::Engine;

        use super::*;

        #[tokio::test]
        async fn a_page_is_read_in_the_order_of_an_index_and_pats_are_counted_by_one() {
            let fixture = Fixture::on(Engine::Postgres).await;
            for (order, scan) in [
                (Order::LoginName, "Index Scan using identities_tenant_name_key on identities"),
                (Order::DisplayName, "Index Scan using identities_by_display_name on identities"),
                (
                    Order::DisplayNameDescending,
                    "Index Scan Backward using identities_by_display_name on identities",
                ),
            ] {
                let plan = fixture.plan(search("", order).page());
                assert!(plan.iter().any(|step| step.ends_with(scan)), "{plan:?}");
                assert!(!plan.iter().any(|step| step.ends_with("->  Sort")), "{plan:?}");
                let counted = "Index Cond: ((tenant = identities.tenant) AND (owner = identities.id)";
                assert!(plan.iter().any(|step| step.starts_with(counted)), "{plan:?}");
            }
        }
    }
}
