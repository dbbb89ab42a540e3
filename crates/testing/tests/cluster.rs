//! Clusters as tests use them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use patron_testing::{Cluster, Session, Settings, psql_at};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const DATABASE: &str = "postgres";

/// Never ends, and never looks whether its postmaster is still there, as one that waits does.
const BUSY: &str = "DO 'BEGIN LOOP NULL; END LOOP; END'";

fn start() -> Cluster {
    Cluster::start(Settings::default())
}

fn start_and_create() -> (Cluster, String) {
    let cluster = start();
    let url = cluster.create_database();
    (cluster, url)
}

fn folder(cluster_url: &str) -> PathBuf {
    let data = psql_at(cluster_url, "SHOW data_directory");
    Path::new(data.trim()).parent().unwrap().to_owned()
}

fn children(process: u32) -> Vec<OwnedFd> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    let ids = list.split_whitespace().map(|id| Pid::from_raw(id.parse().unwrap()).unwrap());
    ids.map(|id| pidfd_open(id, PidfdFlags::empty()).unwrap()).collect()
}

#[test]
fn the_password_is_asked_for() {
    let cluster = start();
    assert_eq!(cluster.psql(DATABASE, "SELECT current_user, 1 + 1"), "patron|2\n");
    let url = cluster.url(DATABASE);
    let (password, place) = url.strip_prefix("postgres://patron:").unwrap().split_once('@').unwrap();
    let wrong = format!("postgres://patron:wrong@{place}");
    let refused = std::panic::catch_unwind(|| psql_at(&wrong, "SELECT 1")).unwrap_err();
    let text = refused.downcast_ref::<String>().unwrap();
    assert!(text.contains("password authentication failed") && !text.contains(password), "{text}");
}

#[test]
fn settings_are_the_clusters_and_can_be_changed_while_it_runs() {
    let settings = Settings::default().with("max_connections", 17).with("search_path", "it''s, public");
    let mut cluster = Cluster::start(settings.with("fsync", "on"));
    let shown = "SHOW max_connections; SHOW fsync; SHOW search_path";
    assert_eq!(cluster.psql(DATABASE, shown), "17\non\nit''s, public\n");
    let write = "CREATE TABLE t (id INT); DROP TABLE t";
    cluster.configure("default_transaction_read_only", Some("on"));
    let refused = std::panic::catch_unwind(|| cluster.psql(DATABASE, write)).unwrap_err();
    assert!(refused.downcast_ref::<String>().unwrap().contains("read-only transaction"));
    cluster.configure("default_transaction_read_only", None);
    cluster.psql(DATABASE, write);
    cluster.configure("max_connections", Some("18"));
    cluster.restart();
    assert_eq!(cluster.psql(DATABASE, "SHOW max_connections"), "18\n");
}

#[test]
fn what_needs_the_order_of_bytes_has_to_say_so() {
    let (_cluster, url) = start_and_create();
    let sorted = |sql: &str| psql_at(&url, sql).lines().collect::<Vec<_>>().join(" ");
    let names = "SELECT name FROM (VALUES ('b'), ('A'), ('a'), ('B')) AS names (name) ORDER BY name";
    assert_eq!(sorted(names), "a A b B");
    assert_eq!(sorted(&format!("{names} COLLATE \"C\"")), "A B a b");
}

#[test]
fn databases_are_empty_and_each_is_another() {
    let (cluster, url) = start_and_create();
    psql_at(&url, "CREATE TABLE t (id INT)");
    let other = cluster.create_database();
    assert_ne!(url, other);
    assert_eq!(psql_at(&other, "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"), "0\n");
}

#[test]
fn nothing_is_left_of_a_cluster_that_was_dropped() {
    let cluster = start();
    let mut busy = Session::open(&cluster.url(DATABASE));
    busy.say(BUSY);
    let (address, folder) = (cluster.address(), folder(&cluster.url(DATABASE)));
    assert!(folder.exists());
    drop(cluster);
    assert!(!busy.succeeds());
    assert!(TcpStream::connect(address).is_err());
    assert!(!folder.exists(), "{}", folder.display());
}

/// The program that `cargo xtask test` keeps for a whole run.
fn program() -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patron-testing"));
    let mut program = command.arg("cluster").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut url).unwrap();
    (program, url.trim().to_owned())
}

#[test]
fn nothing_is_left_of_a_cluster_whose_process_was_killed() {
    let (mut program, url) = program();
    let mut busy = Session::open(&url);
    busy.say(BUSY);
    let folder = folder(&url);
    assert!(folder.exists());
    // The postmaster, and the guard over it.
    let children = children(program.id());
    assert_eq!(children.len(), 2);
    program.kill().unwrap();
    program.wait().unwrap();
    for child in &children {
        poll(&mut [PollFd::new(child, PollFlags::IN)], None).unwrap();
    }
    assert!(!busy.succeeds());
    assert!(!folder.exists(), "{}", folder.display());
}

#[test]
fn the_program_ends_when_its_stdin_does() {
    let (mut program, url) = program();
    let folder = folder(&url);
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    assert!(!folder.exists(), "{}", folder.display());
}

#[test]
fn what_was_committed_survives_a_kill_and_nothing_else() {
    let (mut cluster, url) = start_and_create();
    psql_at(&url, "CREATE TABLE t (id INT); INSERT INTO t VALUES (1)");
    let mut cut = Session::open(&url);
    cut.say("BEGIN; INSERT INTO t VALUES (2) RETURNING id");
    assert_eq!(cut.hear(), "2\n");
    cluster.kill();
    assert!(TcpStream::connect(cluster.address()).is_err());
    cut.say("COMMIT");
    assert!(!cut.succeeds());
    cluster.restart();
    assert_eq!(psql_at(&url, "SELECT id FROM t"), "1\n");
    assert!(cluster.log().contains("was not properly shut down"), "{}", cluster.log());
}

#[test]
fn a_restart_is_in_good_order() {
    let (mut cluster, url) = start_and_create();
    let cut = Session::open(&url);
    cluster.restart();
    assert!(cut.succeeds(), "nothing was said that could fail");
    psql_at(&url, "SELECT 1");
    assert!(!cluster.log().contains("was not properly shut down"), "{}", cluster.log());
}

#[test]
fn a_paused_cluster_keeps_its_connections_and_answers_when_it_goes_on() {
    let (mut cluster, url) = start_and_create();
    let mut session = Session::open(&url);
    session.say("SELECT pg_backend_pid()");
    let backend = session.hear();
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", backend.trim())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    for _ in 0..3 {
        cluster.pause();
        assert_eq!(state(), 'T');
        session.say("SELECT 'late'");
        assert_eq!(state(), 'T');
        cluster.resume();
        assert_eq!(session.hear(), "late\n");
    }
    cluster.pause();
    cluster.kill();
    session.say("SELECT 1");
    assert!(!session.succeeds());
    cluster.restart();
    psql_at(&url, "SELECT 1");
}

#[test]
fn a_standby_follows_and_takes_over() {
    let mut primary = start();
    primary.psql(DATABASE, "CREATE TABLE t (id INT); INSERT INTO t VALUES (1)");
    let standby = primary.standby();
    primary.synchronous(Some(&standby));
    primary.psql(DATABASE, "SET synchronous_commit = remote_apply; INSERT INTO t VALUES (2)");
    let ids = "SELECT id FROM t ORDER BY id";
    assert_eq!(standby.psql(DATABASE, ids), "1\n2\n");
    let write = "INSERT INTO t VALUES (3)";
    assert!(std::panic::catch_unwind(|| standby.psql(DATABASE, write)).is_err());
    primary.kill();
    standby.promote();
    standby.psql(DATABASE, write);
    assert_eq!(standby.psql(DATABASE, ids), "1\n2\n3\n");
}

#[test]
fn a_commit_waits_for_the_synchronous_standby_alone() {
    let mut primary = start();
    primary.psql(DATABASE, "CREATE TABLE t (id INT)");
    let standby = primary.standby();
    primary.synchronous(Some(&standby));
    standby.pause();
    let mut waits = Session::open(&primary.url(DATABASE));
    waits.say("INSERT INTO t VALUES (1)");
    // Looked at until it is so: no event tells it.
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while primary.psql(DATABASE, waiting) != "1\n" {
        assert_eq!(primary.psql(DATABASE, "SELECT id FROM t"), "", "it was committed");
    }
    assert_eq!(primary.psql(DATABASE, "SELECT id FROM t"), "");
    primary.synchronous(None);
    assert!(waits.succeeds());
    assert_eq!(primary.psql(DATABASE, "SELECT id FROM t"), "1\n");
    standby.resume();
}
