//! Lists of PATs, oldest first, a page at a time.

use patron_core::Result;
use patron_core::filter::Filter;
use patron_core::id::{IdentityId, PatId, TenantKey};
use patron_core::pat::Pat;
use patron_core::time::Timestamp;

use super::pat;
use super::used::{FEW, Span, few, in_span, span, walk};
use crate::Store;
use crate::convert;

/// Which PATs a list holds.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The tenant.
    pub tenant: TenantKey,
    /// The owner; `None` is everyone.
    pub owner: Option<IdentityId>,
    /// Whether managed PATs are in it.
    pub managed: bool,
    /// What `lastUsed` must be.
    pub filter: Filter,
}

const OF_OWNER: &str = select_pat!(
    "WHERE p.tenant = $1 AND (p.created, p.id) > ($8, $9) AND ",
    in_span!("p."),
    "AND p.owner = $11 ORDER BY p.created, p.id LIMIT $7 OFFSET $10"
);
const FEW_OF_ALL: &str = select_found!(few!(">", "ASC"));
const MANY_OF_ALL: &str = select_found!(walk!(">", "ASC"));
const COUNT_OF_OWNER: &str =
    concat!("SELECT COUNT(*) FROM pats WHERE tenant = $1 AND ", in_span!(""), "AND owner = $7");

impl Selection {
    fn span(&self, uses: (i64, i64), unused: bool) -> Span {
        Span {
            tenant: self.tenant,
            managed: (false, self.managed),
            uses,
            unused_before: Span::unused(unused),
        }
    }

    /// What the filter lets through, and what lies between its ranges.
    fn around(&self) -> Span {
        let ranges = self.filter.ranges();
        let uses = match (ranges.first(), ranges.last()) {
            (Some(first), Some(last)) => (*first.start(), *last.end()),
            _ => Span::NEVER,
        };
        self.span(uses, self.filter.includes_null())
    }
}

impl Store {
    /// Up to `limit` PATs of a selection, oldest first, after the one that `after` names. The filter's outermost
    /// bounds are the database's to apply; a caller applies the filter itself to what comes.
    pub async fn pats_page(
        &self,
        selection: Selection,
        after: Option<(Timestamp, PatId)>,
        limit: u32,
    ) -> Result<Vec<Pat>> {
        self.pats_page_by(FEW, selection, after, limit).await
    }

    /// The same, with as many PATs as are few.
    async fn pats_page_by(
        &self,
        most: u32,
        selection: Selection,
        after: Option<(Timestamp, PatId)>,
        limit: u32,
    ) -> Result<Vec<Pat>> {
        let (created, id) = after.unwrap_or((Timestamp::MIN, PatId::from_bytes([0; 16])));
        self.read("pats_page", move |tx| {
            let span = selection.around();
            let mut values = span.values();
            values.extend([limit.into(), created.into(), id.into(), 0_u32.into()]);
            let all = selection.filter == Filter::everything();
            values.extend(selection.owner.map(Into::into));
            let of_owner = selection.owner.is_some();
            Box::pin(async move {
                let sql = if of_owner {
                    OF_OWNER
                } else if !all && span.count(tx, most.saturating_add(1)).await? <= most.into() {
                    FEW_OF_ALL
                } else {
                    MANY_OF_ALL
                };
                let mut pats = tx.query(sql, &values).await?.iter().map(pat).collect::<Result<Vec<_>>>()?;
                // What was found by ids comes in whatever order.
                pats.sort_by_key(|pat| (pat.created, pat.id));
                Ok(pats)
            })
        })
        .await
    }

    /// How many PATs a selection holds.
    pub async fn pats_count(&self, selection: Selection) -> Result<u64> {
        self.read("pats_count", move |tx| {
            let selection = selection.clone();
            Box::pin(async move {
                let mut total = 0;
                // The filter's ranges are apart from each other, and null is in none of them.
                let used = selection.filter.ranges().iter();
                let used = used.map(|range| selection.span((*range.start(), *range.end()), false));
                let unused = selection.filter.includes_null().then(|| selection.span(Span::NEVER, true));
                for span in used.chain(unused) {
                    total += match selection.owner {
                        None => span.count(tx, u32::MAX).await?,
                        Some(owner) => {
                            let mut values = span.values();
                            values.push(owner.into());
                            convert::counted(tx, COUNT_OF_OWNER, &values).await?
                        }
                    };
                }
                Ok(total)
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use patron_testing::Engine;
    use proptest::prelude::*;
    use proptest::sample::select;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::testing::Fixture;

    /// A list's filters, of uses and creations in the first few milliseconds that there are.
    fn filters() -> impl Strategy<Value = Filter> {
        let le = |millis: i64| format!("lastUsed le {}", Timestamp::from_millis(millis));
        let at = || (0_i64..12).prop_map(le);
        prop_oneof![
            Just(String::new()),
            Just("lastUsed isnull".to_owned()),
            Just("not lastUsed isnull".to_owned()),
            at(),
            at().prop_map(|le| format!("not {le}")),
            (at(), at()).prop_map(|(low, high)| format!("{high} and not {low}")),
            (at(), at()).prop_map(|(low, high)| format!("{low} or not {high}")),
            at().prop_map(|le| format!("{le} or lastUsed isnull")),
        ]
        .prop_map(|text| Filter::parse(&text).unwrap())
    }

    #[test]
    fn pages_put_together_are_what_the_filter_means_however_they_are_found() {
        let runtime = Runtime::new().unwrap();
        let (fixture, all) = runtime.block_on(async {
            let fixture = Fixture::new().await;
            let elsewhere = fixture.tenant("acme").await;
            let mut all = Vec::new();
            for tenant in [fixture.tenant, elsewhere] {
                for owner in ["jane", "john"] {
                    let owner = fixture.identity(tenant, owner, &[]).await;
                    for n in 0..30_i64 {
                        let pat = fixture.pat(&owner, &format!("{n}")).await;
                        let used = (n % 5 > 0).then_some(n * 7 % 12);
                        let values =
                            [(n * 5 % 11).into(), used.into(), (n % 3 == 0).into(), pat.id.as_bytes().into()];
                        let sql = "UPDATE pats SET created = $1, last_used = $2, managed = $3 WHERE id = $4";
                        fixture.execute(sql, &values).await.unwrap();
                        if tenant == fixture.tenant {
                            all.push(fixture.store.pat(tenant, pat.id).await.unwrap().unwrap());
                        }
                    }
                }
            }
            all.sort_by_key(|pat| (pat.created, pat.id));
            (fixture, all)
        });
        let owners = [None, Some(all[0].owner), Some(IdentityId::from_bytes([9; 16]))];
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
        let cases = (filters(), select(owners.to_vec()), any::<bool>(), 1_u32..40, select(vec![0, 5, FEW]));
        let outcome = runner.run(&cases, |(filter, owner, managed, limit, most)| {
            let selection = Selection { tenant: fixture.tenant, owner, managed, filter };
            let matching = |pat: &&Pat| {
                selection.filter.matches(pat.last_used)
                    && (managed || !pat.managed)
                    && owner.is_none_or(|owner| pat.owner == owner)
            };
            let expected: Vec<Pat> = all.iter().filter(matching).cloned().collect();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = fixture.store.pats_page_by(most, selection.clone(), after, limit);
                let page = runtime.block_on(page).unwrap();
                prop_assert!(page.len() <= limit as usize);
                let Some(last) = page.last() else { break };
                after = Some((last.created, last.id));
                found.extend(page.into_iter().filter(|pat| selection.filter.matches(pat.last_used)));
            }
            let count = runtime.block_on(fixture.store.pats_count(selection.clone())).unwrap();
            prop_assert_eq!(count, expected.len() as u64);
            prop_assert_eq!(found, expected);
            Ok(())
        });
        outcome.unwrap();
    }

    #[tokio::test]
    async fn sqlite_reads_no_row_that_no_page_shows() {
        let fixture = Fixture::on(Engine::Sqlite).await;
        let searches = |sql| {
            let plan = fixture.plan(sql);
            assert!(plan.iter().all(|step| !step.starts_with("SCAN pats")), "{plan:?}");
            plan.into_iter().filter(|step| step.starts_with("SEARCH")).collect::<Vec<_>>()
        };
        let by_id = |name| format!("SEARCH {name} USING PRIMARY KEY (id=?)");
        let used = "SEARCH pats USING COVERING INDEX pats_used (tenant=? AND last_used>? AND last_used<?)";
        let unused = "SEARCH pats USING COVERING INDEX pats_used (tenant=? AND last_used=? AND created<?)";
        assert_eq!(searches(FEW_OF_ALL), [&by_id("p"), used, unused, &by_id("i")]);
        let walk = "SEARCH pats USING COVERING INDEX pats_listed (tenant=? AND (created,id)>(?,?))";
        assert_eq!(searches(MANY_OF_ALL), [&by_id("p"), walk, &by_id("i")]);
        assert!(!fixture.plan(MANY_OF_ALL).contains(&"USE TEMP B-TREE FOR ORDER BY".to_owned()));
        let of_owner =
            "SEARCH p USING INDEX pats_listed_by_owner (tenant=? AND owner=? AND (created,id)>(?,?))";
        assert_eq!(searches(OF_OWNER), [&by_id("i"), of_owner]);
        assert_eq!(searches(super::super::used::COUNT), [used, unused]);
        let counted = searches(COUNT_OF_OWNER);
        assert!(counted[0].contains("(tenant=? AND owner=?"), "{counted:?}");
    }

    mod postgres {
        use super::*;

        #[tokio::test]
        async fn no_row_is_read_that_no_page_shows() {
            let fixture = Fixture::on(Engine::Postgres).await;
            for (sql, index, condition) in [
                (FEW_OF_ALL, "pats_used", "(last_used >= $4) AND (last_used <= $5)"),
                (FEW_OF_ALL, "pats_used", "(last_used IS NULL) AND (created < $6)"),
                (MANY_OF_ALL, "pats_listed", "(ROW(created, id) > ROW($8, $9))"),
                (super::super::super::used::COUNT, "pats_used", "(last_used IS NULL) AND (created < $6)"),
            ] {
                let plan = fixture.plan(sql);
                let condition = |step: &&String| step.starts_with("Index Cond:") && step.contains(condition);
                assert!(
                    plan.iter().any(|step| step.contains(&format!("using {index} on pats"))),
                    "{plan:#?}"
                );
                assert!(plan.iter().any(|step| condition(&step)), "{plan:#?}");
                assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{plan:#?}");
            }
        }
    }
}
