//! Starts the measurements: builds what is measured as it is released, and finds the load tool.

use std::process::{Command, ExitCode};

use crate::cluster::Cluster;
use crate::report::Stop;
use crate::tools::{Workshop, need_program, run_shown};

/// Builds, measures and says how it ended. The crate `patron-bench` does the measuring and knows the options.
pub(crate) fn run(workshop: &Workshop, peers: bool, options: &[String]) -> ExitCode {
    match measure(workshop, peers, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Failed(why) | Stop::Missing(why) | Stop::Skipped(why)) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(workshop: &Workshop, peers: bool, options: &[String]) -> Result<(), Stop> {
    need_program("taskset", "util-linux")?;
    let mut build = workshop.cargo();
    run_shown(build.args([
        "build",
        "--locked",
        "--release",
        "--package",
        "patron",
        "--package",
        "patron-bench",
    ]))?;
    let mut command = Command::new(workshop.released("patron-bench"));
    command.arg("run");
    if options.iter().any(|option| option == "--help") {
        return run_shown(command.arg("--help"));
    }
    command.arg("--patron").arg(workshop.released("patron")).arg("--oha").arg(workshop.oha()?);
    command.arg("--results").arg(workshop.root().join("bench").join("results.md"));
    command.arg("--folder").arg(workshop.scratch()).args(options);
    if peers {
        command.arg("--peers").arg(workshop.peers()?);
    }
    let only: Vec<&str> =
        options.windows(2).filter(|two| two[0] == "--only").map(|two| two[1].as_str()).collect();
    // It ends with this function.
    let cluster =
        (only.is_empty() || only.contains(&"create")).then(|| Cluster::start(workshop, true)).transpose()?;
    if let Some(cluster) = &cluster {
        command.env("PATRON_BENCH_POSTGRES", cluster.url());
    }
    run_shown(&mut command)
}
