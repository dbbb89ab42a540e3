//! The processes: a PostgreSQL with a standby that each commit waits for, and nodes that reach them by ways which can be
//! broken. Nothing of it outlives the test.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use patron_testing::{Cluster, Proxy, Settings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::patron;
use crate::time::{At, pass};

/// How long a node may take to answer its first request, with a database that can be reached at the end of it.
const START: Duration = Duration::from_mins(2);
/// Between two looks at something that tells nobody when it is so.
const LOOK: Duration = Duration::from_millis(5);
/// All nodes have the same.
const MASTER_KEY: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

/// The servers of the database; one of them is the primary.
pub(crate) struct Database {
    servers: [Option<Cluster>; 2],
    primary: usize,
    /// User and password, and the name of the database.
    account: String,
    name: String,
}

impl Database {
    fn start(with_standby: bool) -> Self {
        // Three nodes have 20 connections each.
        let mut primary = Cluster::start(Settings::default().with("max_connections", 150));
        let url = primary.create_database();
        let (before, name) = url.rsplit_once('/').unwrap();
        let account = before.rsplit_once('@').unwrap().0.to_owned();
        let name = name.to_owned();
        let standby = with_standby.then(|| follow(&mut primary, &name));
        Self { servers: [Some(primary), standby], primary: 0, account, name }
    }

    pub(crate) fn primary(&mut self) -> &mut Cluster {
        self.servers[self.primary].as_mut().unwrap()
    }

    pub(crate) fn standby(&self) -> Option<&Cluster> {
        self.servers[1 - self.primary].as_ref()
    }

    /// What `psql` prints on the primary.
    pub(crate) fn psql(&mut self, sql: &str) -> String {
        let name = self.name.clone();
        self.primary().psql(&name, sql)
    }

    fn url(&self, addresses: &[SocketAddr]) -> String {
        let hosts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        format!("{}@{}/{}", self.account, hosts.join(","), self.name)
    }

    /// The power of the primary is cut, and its standby is promoted. Says when that takes writes.
    pub(crate) fn fail_over(&mut self) -> At {
        self.primary().kill();
        self.promote_beside()
    }

    /// The primary stands still, and its standby is promoted. What [`Database::standby`] gives from then on is the old
    /// primary, which knows nothing of it.
    pub(crate) fn leave_behind(&mut self) -> At {
        self.primary().pause();
        self.promote_beside()
    }

    /// The standby is promoted beside the primary, which knows nothing of it. Says when it takes writes.
    pub(crate) fn promote_beside(&mut self) -> At {
        self.primary = 1 - self.primary;
        self.primary().promote();
        self.psql("CREATE TABLE IF NOT EXISTS taken (by_writes INT)");
        At::now()
    }
}

/// A standby that each commit of the primary waits for, those before included.
fn follow(primary: &mut Cluster, database: &str) -> Cluster {
    let standby = primary.standby();
    primary.synchronous(Some(&standby));
    // Its commit is acknowledged after all earlier ones have been sent.
    primary.psql(database, "CREATE TABLE IF NOT EXISTS taken (by_writes INT); INSERT INTO taken VALUES (1)");
    standby
}

/// A `patron serve` with a folder of its own.
pub(crate) struct Node {
    dir: PathBuf,
    url: String,
    ways: Vec<Proxy>,
    process: Mutex<Option<Child>>,
    places: RwLock<Places>,
}

#[derive(Debug, Clone, Default)]
struct Places {
    listen: String,
    management: String,
}

impl Node {
    /// Starts it and waits until it serves; again and again, for it ends where it finds no database.
    pub(crate) fn start(&self) {
        let limit = At::now().plus(START);
        while !self.try_start(limit) {}
    }

    fn try_start(&self, limit: At) -> bool {
        let ready = self.dir.with_extension("ready");
        let _ = fs::remove_file(&ready);
        let mut child = self.launch();
        loop {
            // Written in one piece, under this name once it is whole.
            if let Ok(text) = fs::read_to_string(&ready)
                && let Ok(places) = serde_json::from_str::<Value>(&text)
            {
                let place = |name: &str| places[name].as_str().unwrap().to_owned();
                *self.places.write().unwrap() =
                    Places { listen: place("listen"), management: place("management") };
                *self.process.lock().unwrap() = Some(child);
                return true;
            }
            if At::now() >= limit {
                // It would outlive the test.
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("a node does not start:\n{}", self.log());
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            pass(LOOK);
        }
    }

    /// Begins its process.
    fn launch(&self) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = patron(&self.dir);
        settings(&mut command, &self.url);
        let listen = ["--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0", "--ready-file"];
        command.arg("serve").args(listen).arg(self.dir.with_extension("ready"));
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.places.read().unwrap().listen)
    }

    pub(crate) fn management_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.places.read().unwrap().management)
    }

    pub(crate) fn ways(&self) -> &[Proxy] {
        &self.ways
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// SIGSTOP: it does nothing, and its connections stay.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.lock().unwrap();
        kill_process(Pid::from_child(process.as_ref().unwrap()), signal).unwrap();
    }

    /// Whether it made the first administrator.
    pub(crate) fn bootstrap(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(self.dir.join("bootstrap.json")).ok()?).ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What all of Patron's processes are told.
fn settings(command: &mut Command, database: &str) {
    command.env("PATRON_DATABASE_URL", database).env("PATRON_MASTER_KEY", MASTER_KEY).envs([
        ("PATRON_PUBLIC_URL", "http://patron.test"),
        ("PATRON_RATE_LIMITS_REQUESTS", "0"),
        ("PATRON_RATE_LIMITS_AUTH_FAILURES_PER_CLIENT", "0"),
        ("PATRON_RATE_LIMITS_AUTH_FAILURES_PER_ADDRESS", "0"),
        ("PATRON_PAT_LIMITS_PER_OWNER", "10000"),
    ]);
}

/// All of it. The nodes end before their database does.
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) database: Mutex<Database>,
    admin: PathBuf,
    _dir: TempDir,
}

impl World {
    /// Three nodes, and a standby if it is asked for; the first administrator is `patron bootstrap`'s.
    pub(crate) fn start(with_standby: bool) -> Self {
        let world = Self::prepare(3, with_standby);
        world.admin(&["bootstrap"]);
        world
    }

    /// The nodes begin to serve.
    pub(crate) fn serve(&self) {
        std::thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| node.start());
            }
        });
    }

    /// An empty database, and nodes that do not run yet.
    pub(crate) fn prepare(nodes: usize, with_standby: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let database = Database::start(with_standby);
        let nodes = (0..nodes).map(|number| node(dir.path().join(format!("node{number}")), &database));
        let nodes = nodes.collect();
        Self { nodes, admin: dir.path().join("admin"), database: Mutex::new(database), _dir: dir }
    }

    /// `patron` as an operator runs it, beside the nodes and not through their ways.
    pub(crate) fn try_admin(&self, args: &[&str]) -> Output {
        let url = {
            let database = self.database.lock().unwrap();
            let addresses: Vec<SocketAddr> =
                database.servers.iter().flatten().map(Cluster::address).collect();
            database.url(&addresses)
        };
        let mut command = patron(&self.admin);
        settings(&mut command, &url);
        command.args(args).arg("--json").output().unwrap()
    }

    /// The same, and it must succeed.
    pub(crate) fn admin(&self, args: &[&str]) -> Value {
        let output = self.try_admin(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// What bootstrap made.
    pub(crate) fn bootstrap(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.admin.join("bootstrap.json")).unwrap()).unwrap()
    }

    /// A new standby in place of the server that was killed.
    pub(crate) fn restore_standby(&self) {
        let database = &mut *self.database.lock().unwrap();
        let (place, name) = (1 - database.primary, database.name.clone());
        database.servers[place] = None;
        let standby = follow(database.primary(), &name);
        for node in &self.nodes {
            node.ways[place].target(standby.address());
        }
        database.servers[place] = Some(standby);
    }
}

fn node(dir: PathBuf, database: &Database) -> Node {
    let ways: Vec<Proxy> =
        database.servers.iter().flatten().map(|server| Proxy::to(server.address())).collect();
    let addresses: Vec<SocketAddr> = ways.iter().map(Proxy::address).collect();
    Node { dir, url: database.url(&addresses), ways, process: Mutex::default(), places: RwLock::default() }
}
