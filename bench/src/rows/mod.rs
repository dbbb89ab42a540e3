//! The lines of the tables.

pub(crate) mod commits;
mod growth;
mod machine;
mod ratios;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Result;
use crate::load::Oha;
use crate::pats::Pats;
use crate::place::Place;
use crate::report::Table;

/// What a run measures, and with what.
#[derive(Args)]
pub(crate) struct Run {
    /// Patron's program, a release build
    #[arg(long)]
    patron: PathBuf,
    /// The load tool
    #[arg(long)]
    oha: PathBuf,
    /// A PostgreSQL that is empty, by its superuser's URL
    #[arg(long, env = "PATRON_BENCH_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    /// Where the folder of `oidc-provider` is, installed
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Where databases and what is sent to servers are put meanwhile: gigabytes, on a disk
    #[arg(long)]
    folder: PathBuf,
    /// The file that the tables are written to, if all of them are asked for
    #[arg(long)]
    results: PathBuf,
    /// Only these groups of lines
    #[arg(long, value_enum)]
    only: Vec<Group>,
    /// How often each comparison is made
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each side of one lasts
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How many tokens the growth is measured to
    #[arg(long, default_value_t = 10_000_000)]
    many: u64,
    /// How long the load lasts after which memory is looked at
    #[arg(long, default_value_t = 60.0)]
    soak_seconds: f64,
}

/// Lines that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// Exchanges
    Exchange,
    /// Introspection and forward-auth
    Introspection,
    /// The list of ten tokens
    List,
    /// Creation
    Create,
    /// Ten million tokens
    Growth,
}

impl Run {
    fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }
}

/// Measures all that is asked for. The exit code says whether every line reached what it is to reach.
pub(crate) fn run(run: &Run) -> Result<ExitCode> {
    let bench = Bench { run, place: Place::new(run.patron.clone(), &run.folder)?, oha: Oha(run.oha.clone()) };
    let place = &bench.place;
    let before = machine::Stolen::now()?;
    let (mut ratios, mut growth) = (Table::of_ratios(), Table::of_growth());
    let small = place.home("small", SMALL)?;
    if run.wants(Group::Exchange) {
        ratios::exchange(&bench, &small, &mut ratios)?;
    }
    if run.wants(Group::Introspection) {
        ratios::introspection(&bench, &small, &mut ratios)?;
    }
    if run.wants(Group::List) {
        ratios::list(&bench, &small, &mut ratios)?;
    }
    if run.wants(Group::Create) {
        commits::create(&bench, &small, &mut ratios)?;
    }
    if run.wants(Group::Exchange) {
        growth::latency(&bench, &small, &mut growth)?;
    }
    drop(small);
    if run.wants(Group::Growth) {
        growth::growth(&bench, &mut growth)?;
    }
    let text = format!("{}\n{ratios}\n{growth}", machine::told(run, &before)?);
    if run.only.is_empty() {
        fs::write(&run.results, format!("# Results\n\n{text}"))?;
    }
    let missed = ratios.missed() + growth.missed();
    println!("\n{text}\n{missed} lines missed");
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What most lines are measured with.
const SMALL: Pats = Pats { count: 100_000, owners: 10_000 };

/// A run, and what it works with.
struct Bench<'a> {
    run: &'a Run,
    place: Place,
    oha: Oha,
}

impl std::ops::Deref for Bench<'_> {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}
