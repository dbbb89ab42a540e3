//! Creation, which is durable with its record before it is answered, beside the same rows without a service.

use std::path::Path;
use std::process::Command;

use super::{Bench, SMALL};
use crate::database;
use crate::load::{Load, Until, told};
use crate::pats::Pats;
use crate::place::text_of;
use crate::report::{By, Pair, Rate, Table};
use crate::server::{Cores, Home, Server};
use crate::{Failure, Result, now};

/// How many create at once, each with a credential of its own, as many people do.
const CREATORS: u64 = 64;
/// Names that each of them draws from. One that is drawn twice is refused, so there are far more than are used.
const NAMES: u64 = 50_000;

/// On both engines, where there is a PostgreSQL.
pub(super) fn create(bench: &Bench<'_>, home: &Home, table: &mut Table) -> Result<()> {
    let raw = bench.path("raw.db");
    std::fs::copy(home.database(), &raw)?;
    compare(bench, home, &["sqlite", text_of(&raw)?], SMALL, "create, SQLite", table)?;
    if let Some(url) = &bench.run.postgres {
        let home = Home::new(bench.path("postgres"), Some(url.clone()))?;
        drop(bench.patron(Cores::Both, &home)?);
        bench.runtime.block_on(database::fill_server(url, SMALL))?;
        compare(bench, &home, &["postgres"], SMALL, "create, PostgreSQL", table)?;
    }
    Ok(())
}

fn compare(
    bench: &Bench<'_>,
    home: &Home,
    raw: &[&str],
    pats: Pats,
    what: &str,
    table: &mut Table,
) -> Result<()> {
    let patron = bench.patron(Cores::Server, home)?;
    let mut pair = Pair::default();
    for round in 0..u64::from(bench.run.rounds) {
        // Owners from all over the table, not neighbours; others each round, for each makes as many PATs as some people
        // together may have, and those that an owner has are counted whenever there is to be one more.
        let creators = (0..CREATORS).map(|creator| creator * pats.owners / CREATORS + round);
        let bearers: Vec<String> =
            creators.map(|owner| bench.exchange(&patron, &pats.form(owner))).collect::<Result<_>>()?;
        pair.patron.push(all_create(bench, &patron, &bearers)?);
        pair.other.push(all_commit(bench, raw)?);
    }
    table.compare(what, "the same rows, committed in groups", &pair, By::Clock, 0.6);
    Ok(())
}

fn all_create(bench: &Bench<'_>, patron: &Server, bearers: &[String]) -> Result<Rate> {
    let round = now().0;
    let drafts = (0..NAMES).map(|name| {
        format!(r#"{{"name":"{round} {name}","scope":["sp:scopes:all"],"userAwareTokenNeverExpires":true}}"#)
    });
    let drafts = bench.lines("drafts.txt", drafts)?;
    let before = patron.cpu()?;
    let creators = bearers.iter().map(|bearer| {
        let load = Load {
            url: patron.url("/personal-access-tokens/v1"),
            bodies: Some(&drafts),
            content_type: "application/json",
            headers: vec![format!("authorization: Bearer {bearer}")],
            connections: 1,
            until: Until::Seconds(bench.run.seconds),
            rate: None,
        };
        bench.oha.start(Cores::Load, &load)
    });
    let (mut created, mut by_clock) = (0, 0.0);
    for creator in creators.collect::<Result<Vec<_>>>()? {
        let told = told(creator, NAMES / 1_000)?;
        created += told.answers;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let answers = told.answers as f64;
        by_clock += answers / told.seconds;
    }
    let used = patron.cpu()?.saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let created = created as f64;
    Ok(Rate { by_clock, by_core: created / used.as_secs_f64() })
}

/// In a process of its own, as Patron is.
fn all_commit(bench: &Bench<'_>, raw: &[&str]) -> Result<Rate> {
    let mut command: Command = Cores::Server.command(&std::env::current_exe()?)?;
    command.arg("commit").args(["--seconds", &bench.run.seconds.to_string()]).args(raw);
    if let Some(url) = &bench.run.postgres {
        command.env("PATRON_BENCH_POSTGRES", url);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers[..] {
        [by_clock, by_core] => Ok(Rate { by_clock, by_core }),
        _ => Err(Failure(format!("raw commits failed: {}", String::from_utf8_lossy(&output.stderr))).into()),
    }
}

/// Where raw commits go.
pub(crate) enum Raw<'a> {
    Sqlite(&'a Path),
    Postgres(&'a str),
}

/// Commits for so long, and prints how many a second, by the clock and by the CPU time of this process.
pub(crate) fn commit(raw: &Raw<'_>, lasts: std::time::Duration) -> Result<()> {
    use crate::ceiling::commits;
    let committed = match raw {
        Raw::Sqlite(file) => commits::sqlite(file, database::some_owner(file)?, lasts)?,
        Raw::Postgres(url) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let owners = database::some_owners_of(url, commits::PRODUCERS).await?;
                commits::postgres(url, &owners, lasts).await
            })?
        }
    };
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (count, seconds) = (committed.count as f64, used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
    println!("{} {}", count / committed.took.as_secs_f64(), count / seconds);
    Ok(())
}
