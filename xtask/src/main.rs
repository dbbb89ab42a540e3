//! `cargo xtask`: what the README, CI and people run.
//!
//! `main.rs` reads the arguments, `steps.rs` says what is checked and in which order, `bench.rs` starts the measurements,
//! `tools.rs` finds and installs what they need, `cluster.rs` runs a database server for them, `report.rs` prints and counts.

mod bench;
mod cluster;
mod report;
mod steps;
mod tools;

use std::process::ExitCode;

use steps::STEPS;

const USAGE: &str = "\
Usage: cargo xtask test [--only STEP]... [--seconds N] [--seed N] [--list]
       cargo xtask bench [--peers] [OPTION]...

  test          checks everything: format, lints, dependencies, tests on SQLite and PostgreSQL, several nodes that
                fail, the pages in a browser, the official client
  --only STEP   only this step; may be repeated
  --seconds N   how long three nodes are made to fail in the step `nodes`: 60 unless it is said
  --seed N      which random run that is, as an earlier one printed it
  --list        lists the steps and does nothing

  bench         measures a release build against ceilings, prints tables and writes bench/results.md
  --peers       another authority as well, from npm
  OPTION        as `cargo xtask bench --help` tells: which lines, how often, how long

Missing tools are installed under the target folder, and Debian's packages where root may. A step whose tool
is missing is skipped, and fails where the environment says CI=true.
Exit codes: 0 all passed, 1 a step failed or a number was not reached, 2 wrong usage.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match read(&arguments) {
        Ok(Asked::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Asked::List) => {
            for step in STEPS {
                println!("{:<14} {}", step.name, step.does);
            }
            ExitCode::SUCCESS
        }
        Ok(Asked::Test { only, nodes }) => at_work(|workshop| steps::run(&workshop.with_nodes(nodes), &only)),
        Ok(Asked::Bench { peers, options }) => at_work(|workshop| bench::run(&workshop, peers, &options)),
        Err(why) => {
            eprintln!("xtask: {why}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn at_work(work: impl FnOnce(tools::Workshop) -> ExitCode) -> ExitCode {
    tools::Workshop::find().map_or_else(
        |why| {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        },
        work,
    )
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    List,
    /// Run these steps; none named means all.
    Test {
        only: Vec<String>,
        nodes: Nodes,
    },
    /// Measure.
    Bench {
        peers: bool,
        /// For the program that measures.
        options: Vec<String>,
    },
}

/// How the step `nodes` is to run, where it is not as it always does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Nodes {
    seconds: Option<u64>,
    seed: Option<u64>,
}

fn read(arguments: &[String]) -> Result<Asked, String> {
    let mut arguments = arguments.iter().map(String::as_str);
    match arguments.next() {
        Some("test") => {}
        Some("bench") => {
            let (peers, options): (Vec<_>, Vec<_>) =
                arguments.map(str::to_owned).partition(|argument| argument == "--peers");
            return Ok(Asked::Bench { peers: !peers.is_empty(), options });
        }
        Some("help" | "--help" | "-h") => return Ok(Asked::Help),
        Some(other) => return Err(format!("there is no command '{other}'")),
        None => return Err("a command is missing".to_owned()),
    }
    let (mut only, mut nodes, mut list) = (Vec::new(), Nodes::default(), false);
    while let Some(argument) = arguments.next() {
        match argument {
            "--help" | "-h" => return Ok(Asked::Help),
            "--list" => list = true,
            "--only" => {
                let name = arguments.next().ok_or("--only needs the name of a step")?;
                if !STEPS.iter().any(|step| step.name == name) {
                    return Err(format!("there is no step '{name}'; --list names them"));
                }
                only.push(name.to_owned());
            }
            "--seconds" => nodes.seconds = Some(number(argument, arguments.next())?),
            "--seed" => nodes.seed = Some(number(argument, arguments.next())?),
            other => return Err(format!("'{other}' is not known here")),
        }
    }
    Ok(if list { Asked::List } else { Asked::Test { only, nodes } })
}

fn number(flag: &str, text: Option<&str>) -> Result<u64, String> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{flag} needs a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Asked, String> {
        read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read() {
        let nodes = Nodes::default();
        assert_eq!(read_line("test"), Ok(Asked::Test { only: vec![], nodes }));
        assert_eq!(read_line("test --list"), Ok(Asked::List));
        assert_eq!(
            read_line("test --only format --only tests"),
            Ok(Asked::Test { only: vec!["format".to_owned(), "tests".to_owned()], nodes })
        );
        let nodes = Nodes { seconds: Some(600), seed: Some(7) };
        assert_eq!(
            read_line("test --only nodes --seconds 600 --seed 7"),
            Ok(Asked::Test { only: vec!["nodes".to_owned()], nodes })
        );
        assert_eq!(read_line("help"), Ok(Asked::Help));
        let options = vec!["--rounds".to_owned(), "1".to_owned()];
        assert_eq!(read_line("bench --rounds --peers 1"), Ok(Asked::Bench { peers: true, options }));
    }

    #[test]
    fn a_misspelt_step_runs_nothing() {
        for line in [
            "",
            "tests",
            "test --only",
            "test --only formt",
            "test --quick",
            "test --seconds",
            "test --seed x",
        ] {
            assert!(read_line(line).is_err(), "{line:?} was taken");
        }
    }
}
