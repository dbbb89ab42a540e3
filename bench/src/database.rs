//! Fills Patron's database with tokens: by its own schema, behind its back, as no service could in that time.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::ceiling::commits::Owner;
use crate::pats::{Pats, mixed, secret};
use crate::{Result, now_seconds};

/// 2026-01-01, in milliseconds since 1970.
const BEGIN: i64 = 1_767_225_600_000;
/// Tokens were made over half a year from then on.
const SPAN: u64 = 180 * 24 * 60 * 60 * 1_000;
/// Tokens were last used within so many milliseconds before they were filled in: all in the last 24 hours, as most uses
/// of a token that is in use are. So an exchange moves no `lastUsed` and writes nothing.
pub(crate) const USED_WITHIN: u64 = 12 * 60 * 60 * 1_000;

/// Adds these tokens and their owners. Nobody else may have the file open.
pub(crate) fn fill(file: &Path, pats: Pats) -> Result<()> {
    let mut connection = Connection::open(file)?;
    // What breaks off here is thrown away, so nothing has to survive.
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
         PRAGMA cache_size = -6000000; PRAGMA temp_store = MEMORY; PRAGMA threads = 2",
    )?;
    // Built over what is there at once, an index takes seconds; kept up to date in random order, minutes.
    let indexes = indexes_of_pats(&connection)?;
    for (name, _) in &indexes {
        connection.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    let tenant: i64 =
        connection.query_row("SELECT key FROM tenants ORDER BY key LIMIT 1", [], |row| row.get(0))?;
    let now = i64::try_from(now_seconds())? * 1_000;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare(
            "INSERT INTO identities (id, tenant, name, display_name, first_name, last_name, email, levels, enabled, \
             generation, password_hash, created) VALUES (?1, ?2, ?3, ?3, 'First', 'Last', ?3, '[]', 1, 0, NULL, ?4)",
        )?;
        for owner in 0..pats.owners {
            insert.execute(params![pats.owner(owner), tenant, format!("owner-{owner:08}"), BEGIN])?;
        }
        let mut insert = transaction.prepare(
            "INSERT INTO pats (id, tenant, owner, name, scope, secret_hash, created, last_used, managed, validity, \
             expires, user_aware, expiry_recorded) \
             VALUES (?1, ?2, ?3, ?4, '[\"sp:scopes:all\"]', ?5, ?6, ?7, 0, 43200, NULL, 1, 0)",
        )?;
        for number in 0..pats.count {
            let owner = pats.owner(pats.owner_of(number));
            insert.execute(params![
                pats.id(number),
                tenant,
                owner,
                format!("token {number:08}"),
                secret(number).hash().as_bytes(),
                moment(number),
                used(number, now),
            ])?;
        }
    }
    transaction.commit()?;
    for (_, sql) in &indexes {
        connection.execute_batch(sql)?;
    }
    connection.execute_batch("PRAGMA journal_mode = WAL")?;
    Ok(())
}

fn indexes_of_pats(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql =
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'pats' AND sql IS NOT NULL";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A moment of that half year.
fn moment(number: u64) -> i64 {
    BEGIN + i64::try_from(mixed(number) % SPAN).unwrap_or(0)
}

/// A moment of the time before now in which tokens were used.
fn used(number: u64, now: i64) -> i64 {
    now - i64::try_from(mixed(number ^ 1 << 40) % USED_WITHIN).unwrap_or(0)
}

/// The same for a PostgreSQL, in one transaction, many rows a statement.
pub(crate) async fn fill_server(url: &str, pats: Pats) -> Result<()> {
    const AT_ONCE: usize = 5_000;
    let now = i64::try_from(now_seconds())? * 1_000;
    let (mut client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let transaction = client.transaction().await?;
    let tenant: i64 = transaction.query_one("SELECT MIN(key) FROM tenants", &[]).await?.try_get(0)?;
    let owners: Vec<u64> = (0..pats.owners).collect();
    for owners in owners.chunks(AT_ONCE) {
        let ids: Vec<Vec<u8>> = owners.iter().map(|owner| pats.owner(*owner).to_vec()).collect();
        let names: Vec<String> = owners.iter().map(|owner| format!("owner-{owner:08}")).collect();
        let sql = "INSERT INTO identities (id, tenant, name, display_name, first_name, last_name, email, levels, \
                   enabled, generation, password_hash, created) \
                   SELECT id, $2, name, name, 'First', 'Last', name, '[]', 1, 0, NULL, $4 \
                   FROM UNNEST($1::bytea[], $3::text[]) AS made (id, name)";
        transaction.execute(sql, &[&ids, &tenant, &names, &BEGIN]).await?;
    }
    let numbers: Vec<u64> = (0..pats.count).collect();
    for numbers in numbers.chunks(AT_ONCE) {
        let ids: Vec<Vec<u8>> = numbers.iter().map(|number| pats.id(*number).to_vec()).collect();
        let owners: Vec<Vec<u8>> =
            numbers.iter().map(|number| pats.owner(pats.owner_of(*number)).to_vec()).collect();
        let names: Vec<String> = numbers.iter().map(|number| format!("token {number:08}")).collect();
        let hashes: Vec<Vec<u8>> =
            numbers.iter().map(|number| secret(*number).hash().as_bytes().to_vec()).collect();
        let created: Vec<i64> = numbers.iter().map(|number| moment(*number)).collect();
        let last_used: Vec<i64> = numbers.iter().map(|number| used(*number, now)).collect();
        let sql = "INSERT INTO pats (id, tenant, owner, name, scope, secret_hash, created, last_used, managed, \
                   validity, expires, user_aware, expiry_recorded) \
                   SELECT id, $2, owner, name, '[\"sp:scopes:all\"]', hash, created, used, 0, 43200, NULL, 1, 0 \
                   FROM UNNEST($1::bytea[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[]) \
                   AS made (id, owner, name, hash, created, used)";
        transaction.execute(sql, &[&ids, &tenant, &owners, &names, &hashes, &created, &last_used]).await?;
    }
    transaction.commit().await?;
    client.batch_execute("VACUUM ANALYZE identities, pats").await?;
    Ok(())
}

/// Somebody who can own what is written past the service.
pub(crate) fn some_owner(file: &Path) -> Result<Owner> {
    let connection = Connection::open(file)?;
    let sql = "SELECT tenant, id FROM identities LIMIT 1";
    let owner =
        connection.query_row(sql, [], |row| Ok(Owner { tenant: row.get(0)?, id: row.get(1)? })).optional()?;
    Ok(owner.ok_or("the database has no identity")?)
}

/// So many of a PostgreSQL, and that it waits for the disk.
pub(crate) async fn some_owners_of(url: &str, most: u64) -> Result<Vec<Owner>> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let fsync: String = client.query_one("SHOW fsync", &[]).await?.try_get(0)?;
    if fsync != "on" {
        return Err("the PostgreSQL does not wait for the disk (fsync)".into());
    }
    let most = i64::try_from(most)?;
    let rows = client.query("SELECT tenant, id FROM identities LIMIT $1", &[&most]).await?;
    let owner = |row: &tokio_postgres::Row| {
        let id: Vec<u8> = row.try_get(1)?;
        Ok(Owner { tenant: row.try_get(0)?, id: id.try_into().map_err(|_| "an id that has no 16 bytes")? })
    };
    rows.iter().map(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_has_its_indexes_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some.db");
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE tenants (key INTEGER PRIMARY KEY); INSERT INTO tenants VALUES (1);
                 CREATE TABLE identities (id BLOB PRIMARY KEY, tenant, name, display_name, first_name, last_name,
                     email, levels, enabled, generation, password_hash, created);
                 CREATE TABLE pats (id BLOB PRIMARY KEY, tenant, owner, name, scope, secret_hash, created, last_used,
                     managed, validity, expires, user_aware, expiry_recorded);
                 CREATE INDEX listed ON pats (tenant, created, id);",
            )
            .unwrap();
        drop(connection);
        fill(&file, Pats { count: 1_000, owners: 100 }).unwrap();
        let connection = Connection::open(&file).unwrap();
        assert_eq!(indexes_of_pats(&connection).unwrap().len(), 1);
        let most: i64 = connection
            .query_row("SELECT MAX(n) FROM (SELECT COUNT(*) n FROM pats GROUP BY owner)", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(most, 10);
        assert!(some_owner(&file).is_ok());
    }
}
