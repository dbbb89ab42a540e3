//! Finds what the steps need, and installs what is missing: crates, Python's and npm's packages under the target
//! folder, Debian's packages where the user is root.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use crate::Nodes;
use crate::cluster::Cluster;
use crate::report::Stop;

/// Kept to one version, so that a run today and one in a year judge alike.
const CARGO_DENY: &str = "0.20.2";
/// Its rules change with every version, and so do its findings.
const AXE_CORE: &str = "4.14.1";
/// Two of its versions load a server differently.
const OHA: &str = "1.16.0";
/// As the tables name it.
const OIDC_PROVIDER: &str = "9.13.3";

/// Where the steps work.
pub(crate) struct Workshop {
    root: PathBuf,
    /// Where cargo puts this profile's binaries: beside this one.
    binaries: PathBuf,
    /// Lies in the target folder, so that whatever keeps the one keeps the other.
    tools: PathBuf,
    ci: bool,
    nodes: Nodes,
    /// One for all steps that need it.
    cluster: OnceCell<Cluster>,
}

impl Workshop {
    /// Works out the folders from how cargo started this program. Nothing is baked in at compile time: a target
    /// folder may serve several clones.
    pub(crate) fn find() -> Result<Self, String> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("start me with `cargo xtask`")?;
        let root = Path::new(&manifest).parent().ok_or("the xtask folder has no parent")?.to_owned();
        let program =
            env::current_exe().map_err(|error| format!("where this program lies is unknown: {error}"))?;
        let binaries = program.parent().ok_or("this program lies in no folder")?.to_owned();
        let tools = binaries.parent().ok_or("this program lies in no target folder")?.join("tools");
        let ci = env::var("CI").is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()));
        Ok(Self { root, binaries, tools, ci, nodes: Nodes::default(), cluster: OnceCell::new() })
    }

    /// The same, with what the command line says of the step `nodes`.
    pub(crate) fn with_nodes(self, nodes: Nodes) -> Self {
        Self { nodes, ..self }
    }

    /// How the step `nodes` is to run.
    pub(crate) fn nodes(&self) -> Nodes {
        self.nodes
    }

    /// The workspace's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the environment says `CI=true`.
    pub(crate) fn ci(&self) -> bool {
        self.ci
    }

    /// Where `cargo build` leaves the workspace's binary of this name.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.binaries.join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// Where `cargo build --release` leaves it.
    pub(crate) fn released(&self, name: &str) -> PathBuf {
        self.binaries.with_file_name("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The cargo that started this program, in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// Where measurements may put gigabytes: on the disk, which the system's temporary folder may not be.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.tools.with_file_name("bench")
    }

    /// Whether cargo has this subcommand.
    pub(crate) fn has_cargo(&self, subcommand: &str) -> bool {
        succeeds(self.cargo().args([subcommand, "--version"]))
    }

    /// The superuser's URL of a database on a private PostgreSQL cluster, which lasts as long as this workshop.
    pub(crate) fn postgres(&self) -> Result<&str, Stop> {
        if self.cluster.get().is_none() {
            // Nobody else has put one there meanwhile.
            let _ = self.cluster.set(Cluster::start(self, false)?);
        }
        self.cluster.get().map(Cluster::url).ok_or_else(|| Stop::Failed("there is no cluster".to_owned()))
    }

    /// A subcommand that comes with the toolchain, which is not this program's to change.
    pub(crate) fn need_cargo(&self, subcommand: &str, remedy: &str) -> Result<(), Stop> {
        if self.has_cargo(subcommand) {
            return Ok(());
        }
        Err(Stop::Missing(format!("cargo {subcommand} is not installed: {remedy}")))
    }

    /// cargo-deny, installed first where it is not. It runs for a second or two, so it is not optimised.
    pub(crate) fn cargo_deny(&self) -> Result<Command, Stop> {
        let mut command = Command::new(self.installed("cargo-deny", CARGO_DENY, &["--debug"])?);
        command.current_dir(&self.root);
        Ok(command)
    }

    /// oha, the load tool, installed first where it is not.
    pub(crate) fn oha(&self) -> Result<PathBuf, Stop> {
        self.installed("oha", OHA, &[])
    }

    /// A program from the crates' registry, in this version. Compiling it takes minutes.
    fn installed(&self, name: &str, wanted: &str, options: &[&str]) -> Result<PathBuf, Stop> {
        let program = self.tools.join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX));
        if version_of(&program).as_deref() != Some(wanted) {
            // What an interrupted run has compiled is taken up by the next one.
            let half_done = self.tools.join("build");
            println!("installing {name} {wanted} into {}", self.tools.display());
            let mut install = self.cargo();
            install.args(["install", "--quiet", "--locked", "--force"]).args(options);
            install.args([name, "--version", wanted, "--root"]).arg(&self.tools);
            install.env("CARGO_TARGET_DIR", &half_done).env("CARGO_PROFILE_DEV_DEBUG", "0");
            if let Err(Stop::Failed(why)) = run_shown(&mut install) {
                return Err(Stop::Missing(format!("{name} could not be installed: {why}")));
            }
            // Hundreds of megabytes that nothing needs any more; where they cannot be removed they only take room.
            let _ = fs::remove_dir_all(half_done);
        }
        Ok(program)
    }

    /// A Python that has the packages which `requirements` (a file in the workspace) pins.
    pub(crate) fn python(&self, requirements: &str) -> Result<PathBuf, Stop> {
        let wanted = fs::read_to_string(self.root.join(requirements))
            .map_err(|error| Stop::Failed(format!("{requirements}: {error}")))?;
        let folder = self.tools.join("python");
        let python = folder.join("bin").join("python");
        // Written last, so that an interrupted installation counts as none.
        let receipt = folder.join("installed.txt");
        if fs::read_to_string(&receipt).is_ok_and(|installed| installed == wanted)
            && succeeds(&mut version(&python))
        {
            return Ok(python);
        }
        system_python()?;
        println!("installing the packages of {requirements} into {}", folder.display());
        let missing = |stop| match stop {
            Stop::Failed(why) => {
                Stop::Missing(format!("the packages of {requirements} could not be installed: {why}"))
            }
            other => other,
        };
        run_shown(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).map_err(missing)?;
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--requirement",
        ]);
        run_shown(pip.arg(requirements).current_dir(&self.root)).map_err(missing)?;
        // `--no-deps` takes what the file pins and nothing else, so the file has to be whole.
        run_shown(Command::new(&python).args(["-m", "pip", "check"])).map_err(missing)?;
        fs::write(&receipt, wanted)
            .map_err(|error| Stop::Failed(format!("{}: {error}", receipt.display())))?;
        Ok(python)
    }

    /// The file of axe-core, the accessibility checker, that a page takes in. It is npm's package, and one file
    /// without dependencies, so nothing else of Node is needed to use it.
    pub(crate) fn axe_core(&self) -> Result<PathBuf, Stop> {
        let packages = self.npm("axe", &format!("axe-core@{AXE_CORE}"))?;
        Ok(packages.join("axe-core").join("axe.min.js"))
    }

    /// The folder in which the authorities on Node.js can be started that Patron is measured beside.
    pub(crate) fn peers(&self) -> Result<PathBuf, Stop> {
        const PROGRAM: &str = "oidc-provider.mjs";
        self.npm("peers", &format!("oidc-provider@{OIDC_PROVIDER}"))?;
        let folder = self.tools.join("peers");
        fs::copy(self.root.join("bench").join("peers").join(PROGRAM), folder.join(PROGRAM))
            .map_err(|error| Stop::Failed(format!("{PROGRAM}: {error}")))?;
        Ok(folder)
    }

    /// The packages of npm's in a folder of the tools, with `wanted` among them.
    fn npm(&self, folder: &str, wanted: &str) -> Result<PathBuf, Stop> {
        let folder = self.tools.join(folder);
        let packages = folder.join("node_modules");
        // Written last, so that an interrupted installation counts as none.
        let receipt = folder.join("installed.txt");
        if fs::read_to_string(&receipt).is_ok_and(|installed| installed == wanted) && packages.is_dir() {
            return Ok(packages);
        }
        need_program("npm", "npm")?;
        println!("installing {wanted} into {}", folder.display());
        let mut npm = Command::new("npm");
        npm.args(["install", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]);
        npm.arg("--prefix").arg(&folder).arg(wanted);
        if let Err(Stop::Failed(why)) = run_shown(&mut npm) {
            return Err(Stop::Missing(format!("{wanted} could not be installed: {why}")));
        }
        fs::write(&receipt, wanted)
            .map_err(|error| Stop::Failed(format!("{}: {error}", receipt.display())))?;
        Ok(packages)
    }
}

/// Makes sure that `python3` can make virtual environments; Debian ships that part by itself.
fn system_python() -> Result<(), Stop> {
    let usable = || succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]));
    if !usable() {
        install_debian(&["python3", "python3-venv"])?;
    }
    if usable() { Ok(()) } else { Err(Stop::Missing("python3 cannot make virtual environments".to_owned())) }
}

/// Sees to it that a program is there, by Debian's package when it is not.
pub(crate) fn need_program(name: &str, package: &str) -> Result<(), Stop> {
    if succeeds(Command::new(name).arg("--version")) { Ok(()) } else { install_debian(&[package]) }
}

/// Installs Debian's packages, where this is Debian and the user is root.
pub(crate) fn install_debian(packages: &[&str]) -> Result<(), Stop> {
    let names = packages.join(" ");
    if !succeeds(Command::new("apt-get").arg("--version")) || !is_root() {
        return Err(Stop::Missing(format!("please install {names}")));
    }
    println!("installing Debian's packages {names}");
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        run_shown(command.env("DEBIAN_FRONTEND", "noninteractive").args(["--quiet", "--yes"]).args(arguments))
    };
    apt_get(&["update"])
        .and_then(|()| apt_get(&[&["install", "--no-install-recommends"], packages].concat()))
        .map_err(|_| Stop::Missing(format!("{names} could not be installed")))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn version(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--version");
    command
}

/// The second word of what `--version` prints.
fn version_of(program: &Path) -> Option<String> {
    let output = version(program).output().ok()?;
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1).map(str::to_owned)
}

/// Runs a command that only finds something out, unseen.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// As [`succeeds`], but ends a command that takes longer than `limit`.
pub(crate) fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    const PAUSE: Duration = Duration::from_millis(100);
    let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    else {
        return false;
    };
    let mut waited = Duration::ZERO;
    while waited < limit {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(PAUSE),
            Err(_) => break,
        }
        waited += PAUSE;
    }
    // Failing to end it leaves nothing more to do: the answer is no either way.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Runs a command whose output is the reader's to see, after a line that can be pasted to repeat it.
pub(crate) fn run_shown(command: &mut Command) -> Result<(), Stop> {
    let program = Path::new(command.get_program());
    let short = if program.file_stem() == Some("cargo".as_ref()) { Path::new("cargo") } else { program };
    let line = [short.as_os_str()].into_iter().chain(command.get_args());
    let line = line.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    println!("$ {line}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Stop::Failed(format!("{line}: {status}"))),
        Err(error) => Err(Stop::Failed(format!("{line}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named() {
        let Err(Stop::Failed(why)) = run_shown(Command::new("false").arg("x")) else {
            panic!("false passed")
        };
        assert!(why.starts_with("false x: "), "{why}");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        assert!(succeeds_within(&mut Command::new("true"), Duration::from_mins(1)));
        assert!(!succeeds_within(Command::new("sleep").arg("600"), Duration::from_millis(200)));
    }

    #[test]
    fn a_program_that_is_not_there_has_no_version() {
        assert_eq!(version_of(Path::new("/nonexistent/program")), None);
        assert!(!succeeds(&mut Command::new("/nonexistent/program")));
    }
}
