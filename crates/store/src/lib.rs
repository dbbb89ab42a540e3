//! Patron's storage: every SQL statement, grouped by the noun it is about, the migrations, and the change feed that
//! lets several processes on one database see what the others have done.
//!
//! Each change runs in one named transaction together with its audit events and its entries in the feed
//! ([`changes`]); the decision whether it may be done is handed in and taken inside that transaction, on the row
//! as it is then. Nothing outside [`driver`] names a database engine.

mod acting;
pub mod audit;
pub mod bootstrap;
pub mod changes;
mod convert;
pub mod driver;
pub mod hits;
pub mod identities;
mod insert;
pub mod keys;
pub mod migrate;
pub mod nodes;
pub mod patience;
pub mod pats;
pub mod sessions;
pub mod tenants;
#[cfg(test)]
mod testing;
mod together;
pub mod tokens;
pub mod transfer;

use std::sync::{Arc, Mutex, PoisonError};

use patron_core::audit::Context;
use patron_core::clock::{Clock, Entropy, SteadyClock};
use patron_core::{Error, Result};

use crate::acting::Subjects;
use crate::changes::{Basis, Place};
use crate::driver::{BoxFuture, Database, Isolation, Lane, Options, Tx};
use crate::migrate::{MigrateError, Migration};
use crate::nodes::{Progress, Registration};
use crate::pats::{CREATIONS, Creations, LOOK_UPS, LookUps};
use crate::together::Together;

macro_rules! migrations {
    ($engine:literal: $($version:literal $name:literal),*) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../../migrations/", $engine, "/000", $version, "_", $name, ".sql")),
        }),*]
    };
}

const SQLITE: &[Migration] =
    migrations!("sqlite": 1 "patron", 2 "sessions", 3 "many_nodes", 4 "hits", 5 "registrations", 6 "used");
const POSTGRES: &[Migration] =
    migrations!("postgres": 1 "patron", 2 "sessions", 3 "many_nodes", 4 "hits", 5 "registrations", 6 "used");

/// The steps to the schema that this program knows. Each engine has its own words for the same steps.
fn migrations(db: &Database) -> &'static [Migration] {
    if db.is_shared() { POSTGRES } else { SQLITE }
}

/// The database, with the clock and the randomness that its rows are stamped with. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Database,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    steady: Arc<dyn SteadyClock>,
    progress: Arc<Progress>,
    creations: Arc<Creations>,
    look_ups: Arc<LookUps>,
}

impl Store {
    /// Opens the database at `url` (`sqlite:<file>`, created when missing, or `postgres://…`) and brings its schema up
    /// to date. `steady` is how long changes wait by, where several processes share the database.
    ///
    /// # Errors
    /// A text for the operator: the file cannot be opened, is no database, or was made by a newer Patron.
    pub async fn open(
        url: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        steady: Arc<dyn SteadyClock>,
    ) -> Result<Self, OpenError> {
        let store = Self::open_as_it_is(url, clock, entropy, steady).await?;
        store.migrate().await.map_err(|e| OpenError(e.to_string()))?;
        Ok(store)
    }

    /// Opens the database at `url`, of whatever schema it is, for [`transfer::copy`].
    ///
    /// # Errors
    /// A text for the operator: the file cannot be opened or is no database.
    pub async fn open_as_it_is(
        url: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        steady: Arc<dyn SteadyClock>,
    ) -> Result<Self, OpenError> {
        let options = Options::default();
        let patience = options.busy_timeout;
        let db = Database::open(url, options).await.map_err(|e| OpenError::new(&e))?;
        let creations = Arc::new(Together::new(CREATIONS, patience));
        let look_ups = Arc::new(Together::new(LOOK_UPS, patience));
        Ok(Self { db, clock, entropy, steady, progress: Arc::default(), creations, look_ups })
    }

    async fn migrate(&self) -> Result<(), MigrateError> {
        migrate::migrate(&self.db, migrations(&self.db), self.clock.now()).await
    }

    /// Whether the database answers and its schema is this program's.
    pub async fn check(&self) -> Result<()> {
        self.require_sight()?;
        let known = migrations(&self.db).last().map(|migration| migration.version);
        match migrate::current(&self.db).await? {
            version if version == known => Ok(()),
            other => Err(Error::unavailable(format!("the schema is {other:?}, this program's is {known:?}"))),
        }
    }

    /// A number that changes whenever any process has committed something. Costs microseconds and no disk access.
    pub fn version(&self) -> Result<i64> {
        self.db.version()
    }

    /// Makes a change: one transaction, in which the credential that asks is judged once more before anything else.
    /// A credential that ended while the request was on its way changes nothing.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the credential is no longer what it was; what `work` answers.
    async fn change<T, F>(
        &self,
        name: &'static str,
        context: Context,
        subjects: Subjects,
        work: F,
    ) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx, Store, Context) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (store, subjects, work) = (self.clone(), Arc::new(subjects), Arc::new(work));
        self.write(name, move |tx| {
            let (store, context, work) = (store.clone(), context.clone(), Arc::clone(&work));
            let subjects = Arc::clone(&subjects);
            Box::pin(async move {
                acting::judge(tx, &context, &subjects, store.clock.now()).await?;
                work(tx, store, context).await
            })
        })
        .await
    }

    /// Runs a transaction that writes. What it has entered in the change feed is known to all nodes when this returns;
    /// and where it refuses, what others have entered: perhaps one of them has deleted a moment ago what it looked for,
    /// and is not answered yet.
    async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.write_as(Isolation::Serial, name, work).await
    }

    /// The same, relying on what it says.
    async fn write_as<T, F>(&self, isolation: Isolation, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let work = Arc::new(work);
        for _ in 0..RUNS {
            let Written { outcome, basis, registered } =
                self.write_once(isolation, name, Arc::clone(&work)).await;
            match basis {
                None => return outcome,
                Some(Basis::Proven(entry)) => {
                    self.settle(entry).await;
                    return outcome;
                }
                // It has changed nothing, so it may run again: elsewhere, if this was the wrong server.
                Some(Basis::Unproven(entry)) if self.is_confirmed(registered).await? => {
                    self.settle(entry).await;
                    return outcome;
                }
                Some(Basis::Unproven(_)) => {}
            }
        }
        Err(Error::unavailable(format!("{name}: this node keeps losing its registration")))
    }

    async fn write_once<T, F>(&self, isolation: Isolation, name: &'static str, work: Arc<F>) -> Written<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        // Of a transaction that is undone, nothing else comes back than its error.
        let noted = Arc::new(Mutex::new((None, None)));
        let (store, note) = (self.clone(), Arc::clone(&noted));
        let written = self.db.write_as(isolation, name, move |tx| {
            let (store, work, note) = (store.clone(), Arc::clone(&work), Arc::clone(&note));
            Box::pin(async move {
                // It would not be committed elsewhere, but what is not there would be missed.
                let registered = store.registered();
                nodes::refuse_left_behind(tx, registered).await?;
                let outcome = work(tx).await;
                let basis = match &outcome {
                    Ok(_) => changes::enter_noted(tx, store.clock.now()).await?,
                    Err(error) if refuses(error) => changes::on_others(tx).await?,
                    Err(_) => None,
                };
                *note.lock().unwrap_or_else(PoisonError::into_inner) = (basis, registered);
                outcome
            })
        });
        let outcome = written.await;
        let (basis, registered) = *noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_answer = outcome.as_ref().err().is_none_or(refuses);
        Written { outcome, basis: basis.filter(|_| is_answer), registered }
    }

    /// Reads for a request, on a server that has this process's registration.
    async fn read<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (progress, work) = (Arc::clone(&self.progress), Arc::new(work));
        self.db
            .read(name, move |tx| {
                let (registered, work) = (progress.registered(), Arc::clone(&work));
                Box::pin(async move {
                    nodes::refuse_left_behind(tx, registered).await?;
                    work(tx).await
                })
            })
            .await
    }

    /// Reads what a process keeps for all requests, as of a place in the feed: on a server that has that entry, and so
    /// all before it. What comes after it will be told. No registration is asked for: a process has none when it starts,
    /// and may lose it to others while it reads much.
    async fn recall_at<T, F>(&self, place: Place, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let work = Arc::new(work);
        self.db
            .read_in(Lane::Nodes, name, move |tx| {
                let work = Arc::clone(&work);
                Box::pin(async move {
                    changes::require(tx, place).await?;
                    work(tx).await
                })
            })
            .await
    }

    /// Finishes what is waiting and closes the database.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// How often a transaction runs that has changed nothing, while this node registers anew again and again.
const RUNS: u32 = 2;

/// What came of a transaction that writes.
struct Written<T> {
    outcome: Result<T>,
    /// What its answer rests on, if it is one.
    basis: Option<Basis>,
    /// The registration that its server had.
    registered: Option<Registration>,
}

/// Whether a change was refused for what the database says: it may be what another has changed a moment ago.
fn refuses(error: &Error) -> bool {
    !matches!(error, Error::Unavailable { .. } | Error::Internal { .. })
}

/// Why the database could not be opened, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

impl OpenError {
    fn new(error: &Error) -> Self {
        Self(error.cause().map_or_else(|| error.to_string(), str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::testing::Fixture;

    /// Statements that name no tenant, by their text from `WHERE` on (or as a whole). Nothing may come in without
    /// being named in `docs/architecture.md`.
    const OF_ALL_TENANTS: &[&str] = &[
        // `credential` and `credential_owner`: they find out which tenant a credential is of.
        "WHERE p.id = $1",
        "WHERE id = $1",
        // `revoked_tokens` and `revoked_among`: for the memory of all tenants.
        "WHERE expires > $1 AND jti > $2 ORDER BY jti LIMIT $3",
        "WHERE jti IN ({})",
        // Housekeeping: `record_expired`, and what `purge` drops.
        "WHERE id IN (SELECT id FROM pats WHERE expires <= $1 AND expiry_recorded = 0 ORDER BY expires LIMIT $2) \
         ORDER BY id",
        "WHERE id IN (SELECT id FROM pats WHERE expires <= $1 AND expiry_recorded = 0 ORDER BY expires LIMIT $2) \
         RETURNING tenant, id, name, owner, expires",
        "WHERE id IN (SELECT id FROM deleted_pats WHERE deleted < $1 ORDER BY deleted LIMIT $2)",
        "WHERE jti IN (SELECT jti FROM revoked_tokens WHERE expires < $1 ORDER BY expires LIMIT $2)",
        "WHERE hash IN (SELECT hash FROM sessions WHERE last_seen <= $1 ORDER BY last_seen LIMIT $2)",
    ];

    /// The string literals of a source file, its tests aside, with line continuations put together and the parts of
    /// a macro or a `concat!` too.
    fn literals(source: &str) -> Vec<String> {
        let (source, _) = source.split_once("#[cfg(test)]").unwrap_or((source, ""));
        let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        let mut rest = code.as_str();
        let literals = iter::from_fn(move || {
            let (_, from) = rest.split_once('"')?;
            let end = from.match_indices('"').map(|(at, _)| at).find(|&at| !from[..at].ends_with('\\'))?;
            let text = from[..end].split("\\\n").map(str::trim_start).collect::<String>();
            // What follows with nothing but a comma between is the same text, as in `concat!`.
            rest = &from[end + 1..];
            let goes_on =
                rest.trim_start().strip_prefix(',').is_some_and(|next| next.trim_start().starts_with('"'));
            Some((text, goes_on))
        });
        let mut joined = vec![String::new()];
        for (text, goes_on) in literals {
            joined.last_mut().unwrap().push_str(&text);
            if !goes_on {
                joined.push(String::new());
            }
        }
        joined
    }

    #[test]
    fn every_statement_on_the_rows_of_tenants_names_the_tenant() {
        let mut missing = OF_ALL_TENANTS.to_vec();
        let mut held = 0;
        for source in [
            include_str!("acting.rs"),
            include_str!("audit.rs"),
            include_str!("bootstrap.rs"),
            include_str!("identities.rs"),
            include_str!("identities/search.rs"),
            include_str!("pats.rs"),
            include_str!("pats/create.rs"),
            include_str!("pats/credential.rs"),
            include_str!("pats/list.rs"),
            include_str!("pats/many.rs"),
            include_str!("pats/numbers.rs"),
            include_str!("pats/search.rs"),
            include_str!("pats/used.rs"),
            include_str!("sessions.rs"),
            include_str!("tokens.rs"),
        ] {
            for sql in literals(source) {
                if sql.contains(" JOIN ") {
                    let within = ["i.tenant = p.tenant", "i.tenant = s.tenant", "i.tenant = $1"];
                    assert!(within.iter().any(|within| sql.contains(within)), "{sql}");
                }
                let Some(at) = sql.find("WHERE") else {
                    let wide =
                        ["UPDATE ", "DELETE ", "SELECT COUNT"].iter().any(|start| sql.starts_with(start));
                    let of_others = sql.ends_with("FROM (");
                    assert!(of_others || !wide, "a statement on every row: {sql}");
                    continue;
                };
                held += 1;
                let condition = &sql[at..];
                if !condition.contains("tenant = $") {
                    let condition = condition.trim_end();
                    assert!(OF_ALL_TENANTS.contains(&condition), "names no tenant: {sql}");
                    missing.retain(|known| *known != condition);
                }
            }
        }
        assert_eq!(missing, [""; 0], "no longer there");
        assert!(held > 20, "{held} statements were found");
    }

    /// A server gives a placeholder the type of what it is first compared with, and a number in a statement is no
    /// `BIGINT`.
    #[test]
    fn no_placeholder_has_its_type_from_a_number_in_the_statement() {
        for source in [
            include_str!("pats/list.rs"),
            include_str!("pats/numbers.rs"),
            include_str!("pats/search.rs"),
            include_str!("pats/used.rs"),
        ] {
            for sql in literals(source) {
                for (at, _) in sql.match_indices('$') {
                    let behind = sql[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
                    let compared = behind.strip_prefix(" = ").unwrap_or_default();
                    assert!(!compared.starts_with(|c: char| c.is_ascii_digit()), "{sql}");
                }
            }
        }
    }

    #[tokio::test]
    async fn small_letters_are_the_same_ones_on_every_engine() {
        let fixture = Fixture::new().await;
        let rows =
            fixture.rows("SELECT FOLD('ABC xyz'), FOLD('ÄÉΣ Straße'), FOLD('ΟΔΟΣ οδος'), FOLD('')").await;
        let folded = [0, 1, 2, 3].map(|column| rows[0].text(column).unwrap());
        assert_eq!(folded, ["abc xyz", "äéσ straße", "οδοσ οδοσ", ""]);
    }

    #[tokio::test]
    async fn a_pat_of_an_owner_elsewhere_is_not_shown_with_its_name() {
        let fixture = Fixture::new().await;
        let elsewhere = fixture.tenant("acme").await;
        let (jane, stranger) = (
            fixture.identity(fixture.tenant, "jane", &[]).await,
            fixture.identity(elsewhere, "stranger", &[]).await,
        );
        let pat = fixture.pat(&jane, "ci").await;
        assert_eq!(fixture.store.pat(fixture.tenant, pat.id).await.unwrap(), Some(pat.clone()));
        assert_eq!(fixture.store.pat(elsewhere, pat.id).await.unwrap(), None);
        let moved = "UPDATE pats SET owner = $1 WHERE id = $2";
        let values = [stranger.id.as_bytes().into(), pat.id.as_bytes().into()];
        assert!(fixture.execute(moved, &values).await.is_err(), "the schema does not allow it");
        let [owner, id] = [stranger.id.as_bytes(), pat.id.as_bytes()].map(|id| fixture.literal(id));
        fixture.force(&format!("UPDATE pats SET owner = {owner} WHERE id = {id}"));
        assert_eq!(fixture.store.pat(fixture.tenant, pat.id).await.unwrap(), None);
    }
}
