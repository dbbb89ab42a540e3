//! Rows written many at a time: a server waits for the network at every statement.

use std::iter;

use patron_core::Result;

use crate::driver::{Hold, Query, Row, Tx, Value};

/// Rows of one statement at most, as a power of two. Fifteen columns of so many rows are a thousand parameters, which
/// every engine takes.
const MOST_LOG2: u32 = 6;

/// The statements that write rows of one kind: for 1, 2, 4 … rows, so that any number takes one for each digit that it
/// has in binary, and one for each 64 rows.
pub(crate) struct Insert {
    statements: Vec<String>,
}

impl Insert {
    /// For a table and its columns, `pats (id, name)`. The first `shared` of them are the same in all rows of a call.
    /// `then` stands behind the rows, such as what becomes of those that are there already.
    pub(crate) fn new(into: &str, shared: usize, then: &str) -> Self {
        let own = into.split(',').count() - shared;
        let shared: Vec<usize> = (1..=shared).collect();
        let row = |row: usize| {
            let first = shared.len() + row * own + 1;
            let places = shared.iter().copied().chain(first..first + own).map(|place| format!("${place}"));
            format!("({})", places.collect::<Vec<_>>().join(", "))
        };
        let statement = |rows: usize| {
            let rows = (0..rows).map(row).collect::<Vec<_>>().join(", ");
            format!("INSERT INTO {into} VALUES {rows} {then}").trim_end().to_owned()
        };
        Self { statements: (0..=MOST_LOG2).map(|log2| statement(1 << log2)).collect() }
    }

    /// Writes rows, each given by what is its own.
    pub(crate) async fn write(
        &'static self,
        tx: &mut Tx,
        shared: &[Value],
        rows: &[Vec<Value>],
    ) -> Result<()> {
        for (sql, values) in self.statements(shared, rows) {
            tx.execute(sql, &values).await?;
        }
        Ok(())
    }

    /// The same, where `then` returns something of each row.
    pub(crate) async fn returning(
        &'static self,
        tx: &mut Tx,
        shared: &[Value],
        rows: &[Vec<Value>],
    ) -> Result<Vec<Row>> {
        let statements = self.statements(shared, rows);
        let queries = statements.map(|(sql, params)| Query { sql, params, hold: Hold::No });
        Ok(tx.query_each(&queries.collect::<Vec<_>>()).await?.into_iter().flatten().collect())
    }

    fn statements(
        &'static self,
        shared: &[Value],
        mut rest: &[Vec<Value>],
    ) -> impl Iterator<Item = (&'static str, Vec<Value>)> {
        iter::from_fn(move || {
            let log2 = rest.len().checked_ilog2()?.min(MOST_LOG2);
            let (now, later) = rest.split_at(1 << log2);
            rest = later;
            let values = shared.iter().chain(now.iter().flatten()).cloned().collect();
            Some((self.statements[log2 as usize].as_str(), values))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn each_row_has_its_own_values_and_all_of_them_the_shared_ones() {
        let insert = Insert::new("t (a, b, c)", 1, "ON CONFLICT DO NOTHING");
        assert_eq!(
            insert.statements[0],
            "INSERT INTO t (a, b, c) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            insert.statements[1],
            "INSERT INTO t (a, b, c) VALUES ($1, $2, $3), ($1, $4, $5) ON CONFLICT DO NOTHING"
        );
        assert_eq!(Insert::new("t (a)", 0, "").statements[0], "INSERT INTO t (a) VALUES ($1)");
    }

    #[tokio::test]
    async fn any_number_of_rows_is_written_once_each() {
        static NUMBERS: LazyLock<Insert> = LazyLock::new(|| Insert::new("numbers (tens, one)", 1, ""));
        let fixture = Fixture::new().await;
        fixture.execute("CREATE TABLE numbers (tens BIGINT, one BIGINT)", &[]).await.unwrap();
        for (tens, many) in [(0_i64, 0_i64), (10, 1), (20, 7), (30, 64), (40, 200)] {
            let rows: Vec<Vec<Value>> = (0..many).map(|one| vec![one.into()]).collect();
            let write = fixture.store.db.write("numbers", move |tx| {
                let rows = rows.clone();
                Box::pin(async move { NUMBERS.write(tx, &[tens.into()], &rows).await })
            });
            write.await.unwrap();
        }
        let rows =
            fixture.rows("SELECT tens, COUNT(*), COUNT(DISTINCT one), MAX(one) FROM numbers GROUP BY tens");
        let mut found: Vec<_> =
            rows.await.iter().map(|row| [0, 1, 2, 3].map(|column| row.int(column).unwrap())).collect();
        found.sort_unstable();
        assert_eq!(found, [[10, 1, 1, 0], [20, 7, 7, 6], [30, 64, 64, 63], [40, 200, 200, 199]]);
    }
}
