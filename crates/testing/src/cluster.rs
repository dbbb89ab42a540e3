//! Private PostgreSQL clusters.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, fs};

use crate::databases;
use crate::guard::Guard;
use crate::log::Log;
use crate::port::Port;
use crate::processes;
use crate::programs::Programs;

/// The superuser of every cluster.
const SUPERUSER: &str = "patron";
/// The database that is there from the start.
const FIRST_DATABASE: &str = "postgres";
const SYNCHRONOUS_STANDBYS: &str = "synchronous_standby_names";

/// What stands in `postgresql.conf`.
#[derive(Debug, Clone)]
pub struct Settings(BTreeMap<String, String>);

impl Default for Settings {
    /// As fast as it can be where the machine does not lose its power. What PostgreSQL has written it keeps when its
    /// processes are killed, with `fsync` or without.
    fn default() -> Self {
        Self(BTreeMap::new()).with("fsync", "off").with("max_connections", "100")
    }
}

impl Settings {
    /// The same with this line, in place of an older one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    fn text(&self) -> String {
        let lines = self.0.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
        lines.collect::<Vec<_>>().concat()
    }
}

/// A PostgreSQL cluster of one's own, on a free port of 127.0.0.1 and in a temporary folder. It ends when it is
/// dropped, and with this process at the latest.
///
/// Its superuser is `patron`, with a password that nobody else knows. Where PostgreSQL can (from 15), its databases
/// sort as people do and not by bytes, so that a statement which needs the order of bytes has to say so.
pub struct Cluster {
    programs: Programs,
    folder: PathBuf,
    port: Port,
    password: String,
    settings: Settings,
    log: Log,
    postmaster: Option<Child>,
    created: AtomicU64,
    // Dropped last: it removes the folder.
    guard: Guard,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub fn start(settings: Settings) -> Self {
        let mut cluster = Self::prepare(settings, new_password());
        cluster.init();
        cluster.launch();
        cluster
    }

    /// Everything but the data.
    fn prepare(settings: Settings, password: String) -> Self {
        let programs = Programs::find();
        // The guard removes it.
        let folder = tempfile::Builder::new().prefix("patron-postgres-").tempdir().unwrap().keep();
        let guard = Guard::over(&folder, &programs);
        programs.give(&folder);
        Self {
            programs,
            folder,
            port: Port::reserve(),
            password,
            settings,
            log: Log::default(),
            postmaster: None,
            created: AtomicU64::new(0),
            guard,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn init(&self) {
        let password_file = self.folder.join("password");
        fs::write(&password_file, &self.password).unwrap();
        self.programs.give(&password_file);
        let mut initdb = self.programs.command("initdb", &self.folder);
        initdb.arg("--pgdata").arg(self.data()).arg("--pwfile").arg(&password_file);
        initdb.args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--no-sync"]);
        initdb.args(["--encoding", "UTF8", "--locale", "C"]);
        if self.programs.major() >= 15 {
            initdb.args(["--locale-provider", "icu", "--icu-locale", "und"]);
        }
        succeed(&mut initdb);
        fs::remove_file(password_file).unwrap();
    }

    /// Starts the postmaster and waits until it says that it is ready.
    fn launch(&mut self) {
        self.write_settings();
        let mark = self.log.mark();
        let mut postgres = self.programs.command("postgres", &self.folder);
        postgres.arg("-D").arg(self.data());
        // Beside the data, so that a copy of these has settings of its own.
        postgres.arg("-c").arg(format!("config_file={}", self.settings_file().display()));
        // A group of its own: Ctrl-C means the test, which ends its cluster itself.
        std::os::unix::process::CommandExt::process_group(&mut postgres, 0);
        let mut postmaster = postgres.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        self.guard.watch(Some(&postmaster));
        self.log.follow(postmaster.stderr.take().unwrap());
        self.postmaster = Some(postmaster);
        self.log.wait_for(mark, "database system is ready to accept");
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.join("postgresql.conf")
    }

    fn write_settings(&self) {
        let ours = Settings(BTreeMap::new())
            .with("listen_addresses", self.address().ip())
            .with("port", self.address().port())
            .with("unix_socket_directories", self.folder.display());
        fs::write(self.settings_file(), self.settings.text() + &ours.text()).unwrap();
        self.programs.give(&self.settings_file());
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The superuser's URL of a database, password included.
    pub fn url(&self, database: &str) -> String {
        self.url_through(self.address(), database)
    }

    /// As [`Cluster::url`], by another address: that of a [`crate::Proxy`].
    pub fn url_through(&self, address: SocketAddr, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@{address}/{database}", self.password)
    }

    /// Makes an empty database with a name of its own, and gives its URL.
    pub fn create_database(&self) -> String {
        let name = format!("database_{}", self.created.fetch_add(1, Ordering::Relaxed));
        databases::create(&self.url(FIRST_DATABASE), &name)
    }

    /// What `psql` prints for these statements, each in a transaction of its own: a line a row, `|` between columns.
    #[track_caller]
    pub fn psql(&self, database: &str, sql: &str) -> String {
        databases::psql_at(&self.url(database), sql)
    }

    /// What it has logged since it was made.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Changes a setting (`None`: back to its default). Every new connection has it, and the processes in the
    /// background have it too. What needs a restart waits for [`Cluster::restart`].
    pub fn configure(&mut self, name: &str, value: Option<&str>) {
        let settings = self.settings.clone();
        self.settings = match value {
            Some(value) => settings.with(name, value),
            None => settings.without(name),
        };
        self.write_settings();
        let mark = self.log.mark();
        processes::reload(self.running());
        // It is said before it is done, but a connection after that is served only when it is done, and a checkpoint
        // that is asked for then is made after the background has read the settings too.
        self.log.wait_for(mark, "received SIGHUP");
        self.psql(FIRST_DATABASE, "CHECKPOINT");
    }

    /// Has it take connections with TLS as well, with a certificate for `name` that is its own authority. Where that
    /// certificate is.
    pub fn enable_tls(&mut self, name: &str) -> PathBuf {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (certificate, key) = (self.folder.join("server.crt"), self.folder.join("server.key"));
        for (path, text) in [(&certificate, made.cert.pem()), (&key, made.signing_key.serialize_pem())] {
            fs::write(path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            self.programs.give(path);
        }
        self.configure("ssl_cert_file", Some(&certificate.display().to_string()));
        self.configure("ssl_key_file", Some(&key.display().to_string()));
        self.configure("ssl", Some("on"));
        certificate
    }

    /// Another cluster that follows this one by streaming replication, and has begun to stream. It takes over this
    /// one's settings as they are now.
    #[must_use]
    pub fn standby(&self) -> Self {
        let name = format!("standby_{}", self.created.fetch_add(1, Ordering::Relaxed));
        let settings = self.settings.clone().without(SYNCHRONOUS_STANDBYS).with("cluster_name", &name);
        let mut standby = Self::prepare(settings, self.password.clone());
        let mut backup = standby.programs.command("pg_basebackup", &standby.folder);
        backup.arg("--pgdata").arg(standby.data()).env("PGPASSWORD", &self.password);
        backup.args(["--host", &self.address().ip().to_string()]);
        backup.args(["--port", &self.address().port().to_string(), "--username", SUPERUSER]);
        // A slot keeps what the standby has not had yet, however long it is paused.
        backup.args(["--create-slot", "--slot", &name, "--write-recovery-conf"]);
        backup.args(["--wal-method", "stream", "--checkpoint", "fast", "--no-sync"]);
        succeed(&mut backup);
        let mark = standby.log.mark();
        standby.launch();
        standby.log.wait_for(mark, "started streaming WAL");
        standby
    }

    /// Has each commit wait until this standby has it on disk as well; `None`: commits wait for nobody.
    pub fn synchronous(&mut self, standby: Option<&Self>) {
        let name = standby.and_then(|standby| standby.settings.0.get("cluster_name")).cloned();
        self.configure(SYNCHRONOUS_STANDBYS, name.as_deref());
    }

    /// Makes a standby a primary. Returns when it takes writes.
    pub fn promote(&self) {
        let promoted = self.psql(FIRST_DATABASE, "SELECT pg_promote()");
        assert_eq!(promoted.trim(), "t", "{}", self.log());
    }

    /// SIGKILL to all of its processes, as a power cut. Returns when none is left.
    pub fn kill(&mut self) {
        processes::kill(self.running());
        self.reap();
    }

    /// SIGSTOP to all of its processes: connections stay and nothing answers. Returns when all have stopped.
    pub fn pause(&self) {
        processes::pause(self.running());
    }

    /// Lets go on what [`Cluster::pause`] stopped.
    pub fn resume(&self) {
        processes::resume(self.running());
    }

    /// Ends it in good order, cutting connections, where it runs; and starts it on the same port.
    pub fn restart(&mut self) {
        if let Some(postmaster) = &self.postmaster {
            processes::end(postmaster);
            self.reap();
        }
        self.launch();
    }

    fn running(&self) -> &Child {
        self.postmaster.as_ref().expect("the cluster was killed and not started again")
    }

    /// Waits for the end of a postmaster that has been told to end.
    fn reap(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            // Left as it is until the guard has been told, so that its number is no other process's.
            processes::await_end(&postmaster);
            self.guard.watch(None);
            postmaster.wait().unwrap();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.postmaster.is_some() {
            self.kill();
        }
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let program = Path::new(command.get_program()).display();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// 128 random bits: others on this machine can reach the port.
fn new_password() -> String {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    format!("{:032x}", u128::from_ne_bytes(bytes))
}
