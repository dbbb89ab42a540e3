//! A fresh database for each test.

use std::env;
use std::io::Write as _;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::cluster::{Cluster, Settings};
use crate::programs::Programs;

/// Names a database on a running cluster, by a superuser's URL. Without it, tests start a cluster of their own.
pub const CLUSTER: &str = "PATRON_TEST_POSTGRES";

/// What the databases of tests are called, before the number of the process that made them.
const PREFIX: &str = "patron_test_";

/// Makes an empty database and gives its URL: on the cluster that [`CLUSTER`] names, else on one that ends with this
/// process. It is dropped some time after this process has ended.
pub fn database_url() -> String {
    static OWN: OnceLock<Cluster> = OnceLock::new();
    static CREATED: AtomicU64 = AtomicU64::new(0);
    let Ok(shared) = env::var(CLUSTER) else {
        return OWN.get_or_init(|| Cluster::start(Settings::default())).create_database();
    };
    drop_abandoned(&shared);
    let name = format!("{PREFIX}{}_{}", process::id(), CREATED.fetch_add(1, Ordering::Relaxed));
    create(&shared, &name)
}

/// Makes an empty database beside the one that `url` names, and gives its URL.
pub(crate) fn create(url: &str, name: &str) -> String {
    // Nobody may connect to `template0`, so it can always be copied.
    let statements = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} TEMPLATE template0;");
    psql_at(url, &statements);
    let mut url = Url::parse(url).unwrap();
    url.set_path(name);
    url.into()
}

/// Drops the databases of processes that have ended: a test that is killed drops nothing itself.
fn drop_abandoned(url: &str) {
    let names = psql_at(url, "SELECT datname FROM pg_database");
    let abandoned = names.lines().filter(|name| maker(name).is_some_and(|id| !alive(id)));
    for name in abandoned {
        // Others may be dropping the same one, and then one of the two is told so.
        psql(url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), false);
    }
}

/// The process that made a test's database.
fn maker(database: &str) -> Option<u32> {
    database.strip_prefix(PREFIX)?.split_once('_')?.0.parse().ok()
}

fn alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// All that is in a database, as `pg_dump` writes it.
pub fn dump(url: &str) -> String {
    let output = client("pg_dump", url).output().unwrap();
    assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `psql` on a database, to be spoken to through its stdin; it ends at the first statement that fails.
pub(crate) fn psql_command(url: &str) -> Command {
    let mut psql = client("psql", url);
    psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]);
    psql
}

/// One of PostgreSQL's programs that work on a database.
fn client(program: &str, url: &str) -> Command {
    let mut url = Url::parse(url).unwrap();
    let password = percent_decode_str(url.password().unwrap_or_default()).decode_utf8().unwrap().into_owned();
    // Everybody sees the arguments of a process.
    url.set_password(None).unwrap();
    let mut command = Programs::find().command(program, Path::new("/"));
    command.env("PGPASSWORD", password).args(["--dbname", url.as_str()]);
    command
}

/// What `psql` prints for these statements, each in a transaction of its own: a line a row, `|` between columns.
#[track_caller]
pub fn psql_at(url: &str, sql: &str) -> String {
    psql(url, sql, true)
}

#[track_caller]
fn psql(url: &str, sql: &str, must_succeed: bool) -> String {
    let mut psql = psql_command(url);
    let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let failed = must_succeed && !output.status.success();
    assert!(!failed, "psql: {}{sql}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_of_processes_that_have_ended_are_dropped_and_no_others() {
        let cluster = Cluster::start(Settings::default());
        let url = cluster.url("postgres");
        // More than any process's number.
        let abandoned = format!("{PREFIX}{}_0", u32::MAX);
        let own = format!("{PREFIX}{}_0", process::id());
        for name in [&abandoned, &own, "patron_test_unlike", "patron"] {
            create(&url, name);
        }
        drop_abandoned(&url);
        let left = "SELECT datname FROM pg_database WHERE datname LIKE 'patron%' ORDER BY datname";
        assert_eq!(psql_at(&url, left), format!("patron\n{own}\npatron_test_unlike\n"));
    }

    #[test]
    fn each_call_makes_a_database_of_its_own() {
        let (one, other) = (database_url(), database_url());
        psql_at(&one, "CREATE TABLE t (id INT)");
        assert!(dump(&one).contains("CREATE TABLE public.t") && !dump(&other).contains("CREATE TABLE"));
        let tables = "SELECT COUNT(*) FROM pg_tables WHERE tablename = 't'";
        assert_eq!((psql_at(&one, tables), psql_at(&other, tables)), ("1\n".to_owned(), "0\n".to_owned()));
    }
}
