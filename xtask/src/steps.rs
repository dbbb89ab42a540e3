//! The steps of `cargo xtask test`, in the order in which they run: cheap ones first.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Nodes;
use crate::cluster::need_postgres;
use crate::report::{Outcome, Report, Stop};
use crate::tools::{Workshop, need_program, run_shown};

/// One thing that is checked.
pub(crate) struct Step {
    /// For `--only` and the table.
    pub(crate) name: &'static str,
    /// For `--list`.
    pub(crate) does: &'static str,
    /// Means nothing once `build` has failed.
    needs_build: bool,
    check: fn(&Workshop) -> Result<(), Stop>,
}

/// Everything that is checked.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "format", does: "cargo fmt --check", needs_build: false, check: format },
    Step { name: "lints", does: "cargo clippy, warnings refused", needs_build: false, check: lints },
    Step {
        name: "dependencies",
        does: "cargo deny: bans, licenses, sources",
        needs_build: false,
        check: dependencies,
    },
    Step {
        name: "advisories",
        does: "cargo deny: known vulnerabilities",
        needs_build: false,
        check: advisories,
    },
    Step {
        name: "package",
        does: "cargo package: the crates that the SDK is published as",
        needs_build: false,
        check: package,
    },
    Step { name: BUILD, does: "builds every crate and its tests", needs_build: false, check: build },
    Step {
        name: "tests",
        does: "every test that needs nothing but cargo, with nextest where it is",
        needs_build: true,
        check: tests,
    },
    Step {
        name: "postgres",
        does: "the tests of store and service once more, on a PostgreSQL cluster of their own",
        needs_build: true,
        check: postgres,
    },
    Step {
        name: "nodes",
        does: "three nodes on one PostgreSQL that fail in every way, against a model",
        needs_build: true,
        check: nodes,
    },
    Step {
        name: "browser",
        does: "the pages in Chromium, with and without JavaScript",
        needs_build: true,
        check: browser,
    },
    Step {
        name: "doc-tests",
        does: "the examples in the documentation",
        needs_build: true,
        check: doc_tests,
    },
    Step {
        name: "python-client",
        does: "the official Python client against the built binary",
        needs_build: true,
        check: python_client,
    },
    Step {
        name: "instructions",
        does: "how many instructions the hot paths take, against bench/instructions.json",
        needs_build: true,
        check: instructions,
    },
    Step {
        name: "sessions",
        does: "the sessions that the documentation shows, as a newcomer runs them",
        needs_build: true,
        check: sessions,
    },
];

const BUILD: &str = "build";

/// The variable that names the run's cluster to what uses it, by a superuser's URL: arguments are printed here, and seen
/// by everybody on the machine.
const POSTGRES: &str = "PATRON_TEST_POSTGRES";

/// How long the advisory database may take to come. Where no host answers, this is what is waited.
const ADVISORIES_WAIT: Duration = Duration::from_mins(1);

/// Runs the steps named in `only`, or all of them, and says how each ended.
pub(crate) fn run(workshop: &Workshop, only: &[String]) -> ExitCode {
    let mut report = Report::default();
    let mut built = true;
    for step in STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)) {
        println!("\n==> {}: {}", step.name, step.does);
        let start = now();
        let result = if step.needs_build && !built {
            Err(Stop::Skipped("the build failed".to_owned()))
        } else {
            (step.check)(workshop)
        };
        let outcome = Outcome::of(result, workshop.ci());
        built &= step.name != BUILD || outcome == Outcome::Passed;
        report.add(step.name, outcome, start.elapsed());
    }
    println!("\n{report}");
    if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a step takes is shown to a person, nothing depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

fn format(workshop: &Workshop) -> Result<(), Stop> {
    workshop.need_cargo("fmt", "rustup component add rustfmt")?;
    run_shown(workshop.cargo().args(["fmt", "--all", "--check"]))
}

fn lints(workshop: &Workshop) -> Result<(), Stop> {
    workshop.need_cargo("clippy", "rustup component add clippy")?;
    for targets in [&["--workspace", "--all-targets"][..], BROWSER, NODES] {
        let mut command = workshop.cargo();
        command.args(["clippy", "--locked"]).args(targets).args(["--", "-D", "warnings"]);
        run_shown(&mut command)?;
    }
    Ok(())
}

fn dependencies(workshop: &Workshop) -> Result<(), Stop> {
    let mut deny = workshop.cargo_deny()?;
    run_shown(deny.args(["--locked", "check", "bans", "licenses", "sources"]))
}

/// The database lies beyond the package registries, so a machine that reaches only those skips this, CI too.
fn advisories(workshop: &Workshop) -> Result<(), Stop> {
    let mut fetch = workshop.cargo_deny()?;
    if !crate::tools::succeeds_within(fetch.args(["fetch", "db"]), ADVISORIES_WAIT) {
        return Err(Stop::Skipped("the advisory database is out of reach".to_owned()));
    }
    run_shown(workshop.cargo_deny()?.args(["--locked", "check", "advisories"]))
}

/// Without building them once more: what they are built from is in this workspace and is built anyway.
fn package(workshop: &Workshop) -> Result<(), Stop> {
    let mut command = workshop.cargo();
    command.args(["package", "--locked", "--no-verify", "--allow-dirty", "--no-metadata", "--quiet"]);
    for name in ["patron-core", "patron-api", "patron-client"] {
        command.args(["--package", name]);
    }
    run_shown(&mut command)
}

fn build(workshop: &Workshop) -> Result<(), Stop> {
    run_shown(test_command(workshop, EVERYTHING).arg("--no-run"))?;
    run_shown(test_command(workshop, BROWSER).arg("--no-run"))?;
    run_shown(test_command(workshop, NODES).arg("--no-run"))
}

fn tests(workshop: &Workshop) -> Result<(), Stop> {
    run_shown(&mut ON_SQLITE.command(workshop))
}

fn postgres(workshop: &Workshop) -> Result<(), Stop> {
    let cluster = workshop.postgres()?;
    let mut command = ON_POSTGRES.command(workshop);
    // One after the other: servers, services and tests beside each other on two CPUs stand still for longer than a
    // database may that is not out of order.
    command.arg("--test-threads=1");
    run_shown(command.env(POSTGRES, cluster).env("PATRON_TEST_ENGINE", "postgres"))
}

/// The tests that are run on one engine of the database. What is about one engine alone is in a module of its name.
struct Suite {
    /// Which packages, for nextest. It is given the whole workspace, so that nothing is built once more with the
    /// features of fewer packages.
    packages: &'static str,
    /// Which packages, for cargo.
    cargo: &'static [&'static str],
    other_engine: &'static str,
}

const ON_SQLITE: Suite = Suite {
    packages: "not package(patron-testing)",
    cargo: &["--workspace", "--exclude", "patron-testing"],
    other_engine: "postgres",
};

const ON_POSTGRES: Suite = Suite {
    packages: "(package(patron-store) or package(patron-testing) or binary_id(patron::it))",
    cargo: &["--package", "patron-store", "--package", "patron-testing", "--package", "patron"],
    other_engine: "sqlite",
};

impl Suite {
    fn command(&self, workshop: &Workshop) -> Command {
        let Self { packages, cargo, other_engine } = self;
        if workshop.has_cargo("nextest") {
            let mut command = test_command(workshop, EVERYTHING);
            command.arg("--filterset").arg(format!("{packages} and not test(/(^|::){other_engine}::/)"));
            command
        } else {
            let mut command = test_command(workshop, cargo);
            command.args(WITHOUT_DOCUMENTATION).args(["--", "--skip", &format!("{other_engine}::")]);
            command
        }
    }
}

fn browser(workshop: &Workshop) -> Result<(), Stop> {
    need_program("chromium", "chromium")?;
    need_program("chromedriver", "chromium-driver")?;
    let axe = workshop.axe_core()?;
    let mut command = test_command(workshop, BROWSER);
    if !workshop.has_cargo("nextest") {
        // As many browsers at once as `.config/nextest.toml` allows.
        command.args(["--", "--test-threads=2"]);
    }
    run_shown(command.env("PATRON_AXE", axe))
}

/// Counted in a release build: what is not optimised says nothing.
fn instructions(workshop: &Workshop) -> Result<(), Stop> {
    need_program("valgrind", "valgrind")?;
    need_program("taskset", "util-linux")?;
    run_shown(workshop.cargo().args(["build", "--locked", "--release", "--package", "patron"]))?;
    run_shown(workshop.cargo().args(["build", "--locked", "--package", "patron-bench"]))?;
    let mut command = Command::new(workshop.built("patron-bench"));
    command.arg("count").arg("--patron").arg(workshop.released("patron"));
    command.arg("--budget").arg(workshop.root().join("bench").join("instructions.json"));
    command.arg("--folder").arg(workshop.scratch());
    run_shown(&mut command)
}

/// Each test starts what it needs and looks at how long things take, so they run one after the other.
fn nodes(workshop: &Workshop) -> Result<(), Stop> {
    need_postgres(workshop)?;
    let mut command = test_command(workshop, NODES);
    if workshop.has_cargo("nextest") {
        command.arg("--no-capture");
    } else {
        command.args(["--", "--nocapture", "--test-threads=1"]);
    }
    let Nodes { seconds, seed } = workshop.nodes();
    for (name, number) in [("PATRON_NODES_SECONDS", seconds), ("PATRON_NODES_SEED", seed)] {
        if let Some(number) = number {
            command.env(name, number.to_string());
        }
    }
    run_shown(&mut command)
}

/// Every test but those in a browser and those of several nodes.
const EVERYTHING: &[&str] = &["--workspace"];
/// The tests in a browser, which `crates/server/Cargo.toml` keeps out of the others.
const BROWSER: &[&str] = &["--workspace", "--test", "browser"];
/// The tests of several nodes that fail, which are kept out of the others as well.
const NODES: &[&str] = &["--workspace", "--test", "nodes"];
/// What nextest runs of a package: not the doc tests, which have a step of their own, and no benches.
const WITHOUT_DOCUMENTATION: &[&str] = &["--lib", "--bins", "--tests", "--examples"];

fn test_command(workshop: &Workshop, targets: &[&str]) -> Command {
    let mut command = workshop.cargo();
    if workshop.has_cargo("nextest") {
        let profile = if workshop.ci() { "ci" } else { "default" };
        command.args(["nextest", "run", "--locked", "--profile", profile]).args(targets);
    } else {
        command.args(["test", "--locked", "--no-fail-fast"]).args(targets);
    }
    command
}

fn doc_tests(workshop: &Workshop) -> Result<(), Stop> {
    run_shown(workshop.cargo().args(["test", "--doc", "--workspace", "--locked"]))
}

fn python_client(workshop: &Workshop) -> Result<(), Stop> {
    against_binary(workshop, "e2e/python_client.py", &[])
}

fn sessions(workshop: &Workshop) -> Result<(), Stop> {
    need_program("bash", "bash")?;
    need_program("curl", "curl")?;
    let cluster = workshop.postgres()?;
    against_binary(workshop, "e2e/sessions.py", &[(POSTGRES, cluster)])
}

/// Runs a script against the binary, which is built by itself, with the features that a user's has and no test's.
fn against_binary(workshop: &Workshop, script: &str, environment: &[(&str, &str)]) -> Result<(), Stop> {
    let python = workshop.python("e2e/requirements.txt")?;
    run_shown(workshop.cargo().args(["build", "--package", "patron", "--bin", "patron", "--locked"]))?;
    let mut command = Command::new(python);
    command.arg(script).arg("--patron").arg(workshop.built("patron"));
    run_shown(command.envs(environment.iter().copied()).current_dir(workshop.root()))
}
