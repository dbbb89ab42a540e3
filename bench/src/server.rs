//! A server under measurement: alone on its cores, its CPU time and memory read from `/proc`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Deserialize;

use crate::{Failure, Result};

/// Which cores a process may use, of those that this one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The first: the server's, when it is to have one.
    Server,
    /// The second: the load's, when the server has one.
    Load,
    /// Both, for both.
    Both,
}

impl Cores {
    /// This program, on these cores. It ends with this process, however that ends.
    pub(crate) fn command(self, program: &Path) -> Result<Command> {
        let allowed = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let first = allowed.next().ok_or("this process may use no core")?;
        let second = allowed.next().ok_or("load and server need a core each, and there is one");
        let list = match self {
            Self::Server => first.to_string(),
            Self::Load => second?.to_string(),
            Self::Both => format!("{first},{}", second?),
        };
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &list]).arg(program);
        Ok(command)
    }
}

/// A running server. It ends with this value.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// From its start until it answered.
    pub(crate) started_in: Duration,
}

/// How long a Patron may take until it answers, under valgrind for one.
const START_TIMEOUT: Duration = Duration::from_mins(2);

#[derive(Deserialize)]
struct Ready {
    listen: SocketAddr,
}

impl Server {
    /// One of the ceilings of this program.
    pub(crate) fn ceiling(cores: Cores, arguments: &[&str]) -> Result<Self> {
        let mut command = cores.command(&std::env::current_exe()?)?;
        command.arg("serve").args(arguments);
        let (mut server, line) = Self::spoken(command)?;
        let address = line.trim().parse();
        server.address = address.map_err(|_| Failure(format!("the ceiling {arguments:?} did not start")))?;
        Ok(server)
    }

    /// Patron, with what is in this folder.
    pub(crate) fn patron(cores: Cores, patron: &Path, home: &Home) -> Result<Self> {
        Self::patron_by(cores.command(patron)?, home)
    }

    /// Patron, by a command that lacks its arguments only.
    pub(crate) fn patron_by(mut command: Command, home: &Home) -> Result<Self> {
        let ready = home.folder.join("ready.json");
        let log = home.folder.join("patron.log");
        let _ = fs::remove_file(&ready);
        command.arg("serve").arg("--ready-file").arg(&ready);
        command.args(["--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0"]);
        home.configure(&mut command);
        let errors = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut server = Self::begun(command.stdout(Stdio::null()).stderr(errors))?;
        let began = crate::now().1;
        while began.elapsed() < START_TIMEOUT {
            if let Ok(text) = fs::read(&ready) {
                let Ready { listen } = serde_json::from_slice(&text)?;
                (server.address, server.started_in) = (listen, began.elapsed());
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(Failure(format!("patron ended with {status}:\n{log}")).into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(Failure("patron does not become ready".to_owned()).into())
    }

    /// A process that is ended with this value, whatever comes next.
    fn begun(command: &mut Command) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let spawned = command.stdin(Stdio::null()).spawn();
        let child =
            spawned.map_err(|error| Failure(format!("{}: {error}", command.get_program().display())))?;
        Ok(Self { child, address, started_in: Duration::ZERO })
    }

    /// One that says a line when it is ready.
    fn spoken(mut command: Command) -> Result<(Self, String)> {
        let mut server = Self::begun(command.stdout(Stdio::piped()))?;
        let mut line = String::new();
        if let Some(stdout) = server.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        Ok((server, line))
    }

    /// Another program, which answers at `address` once it is ready.
    pub(crate) fn other(command: Command, address: SocketAddr, ready: &str) -> Result<Self> {
        let (mut server, line) = Self::spoken(command)?;
        if line.trim() != ready {
            return Err(Failure(format!("the server for {address} did not start: {line}")).into());
        }
        server.address = address;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where a path is on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The CPU time that it has used, by itself and in the kernel for it, of all its threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, which is in parentheses, may hold anything.
        let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks =
            fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Ok(Duration::from_millis(ticks.sum::<u64>() * 1_000 / rustix::param::clock_ticks_per_second()))
    }

    /// Counts the most that it takes from now on.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        // proc(5): the value 5 sets `VmHWM` back.
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Bytes of memory: now, and at most so far.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(Memory { now: kilobytes("VmRSS:") * 1_024, peak: kilobytes("VmHWM:") * 1_024 })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, if that fails.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Resident memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

/// A folder that a Patron has for itself, and its settings: everything on, limits too high to be met.
pub(crate) struct Home {
    folder: PathBuf,
    database_url: Option<String>,
}

const SETTINGS: &str = "\
[rate_limits]
requests = 1000000
[pat_limits]
per_owner = 10000
";

impl Home {
    /// A new one, with a database of its own there or the one of this URL.
    pub(crate) fn new(folder: PathBuf, database_url: Option<String>) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("patron.toml"), SETTINGS)?;
        Ok(Self { folder, database_url })
    }

    fn configure(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PATRON_") {
                command.env_remove(name);
            }
        }
        command.env("PATRON_CONFIG", self.folder.join("patron.toml"));
        command.env("PATRON_DATA_DIR", self.folder.join("data"));
        if let Some(url) = &self.database_url {
            command.env("PATRON_DATABASE_URL", url);
        }
    }

    /// Its SQLite file.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("data").join("patron.db")
    }

    /// A file of the measurements in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the first start told of the first administrator's token.
    pub(crate) fn administrator(&self) -> Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Made {
            client_id: String,
            client_secret: String,
        }
        let made: Made = serde_json::from_slice(&fs::read(self.folder.join("data").join("bootstrap.json"))?)?;
        Ok(format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            made.client_id, made.client_secret
        ))
    }
}
