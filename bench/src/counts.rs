//! How many instructions a request takes, by valgrind's callgrind: no clock and no other process has a part in it, so a
//! change of two in a hundred can be seen, and is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

use crate::load::FORM;
use crate::pats::Pats;
use crate::place::{Place, answered};
use crate::server::{Cores, Home, Server};
use crate::{Failure, Result};

/// What is counted, and held against what.
#[derive(Args)]
pub(crate) struct Count {
    /// Patron's program, a release build
    #[arg(long)]
    patron: PathBuf,
    /// The file of budgets: JSON, thousands of instructions by the kind of processor and of request
    #[arg(long)]
    budget: PathBuf,
    /// Where databases and what is sent to servers are put meanwhile: gigabytes, on a disk
    #[arg(long)]
    folder: PathBuf,
    /// Write what was counted into that file
    #[arg(long)]
    write: bool,
    /// Keep what callgrind wrote, a file a kind, for `callgrind_annotate`
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
}

/// How far a count may be from its budget, in percent.
const PERCENT: f64 = 2.0;
/// How often requests of each kind are counted. The least counts: what the service does now and then beside them is in
/// some of the counts, and not in all.
const PARTS: u64 = 3;
/// Requests of each kind that are counted at a time.
const TIMES: u64 = 150;
/// Requests of each kind before that: what happens once has happened then.
const BEFORE: u64 = 100;

const SOME: Pats = Pats { count: 1_000, owners: 100 };

/// Counts, prints a table and says whether all is within its budget.
pub(crate) fn count(asked: &Count) -> Result<ExitCode> {
    let counted = counted(asked)?;
    let mut budgets: BTreeMap<String, BTreeMap<String, f64>> = match fs::read(&asked.budget) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(_) if asked.write => BTreeMap::new(),
        Err(error) => return Err(error.into()),
    };
    let machine = machine();
    let budget = budgets.get(machine).cloned();
    if asked.write {
        let counted = counted.iter().map(|(kind, thousands)| ((*kind).to_owned(), *thousands)).collect();
        budgets.insert(machine.to_owned(), counted);
        fs::write(&asked.budget, serde_json::to_string_pretty(&budgets)? + "\n")?;
    }
    let (mut within, none) = (true, f64::NAN);
    println!("{:<16} {:>10} {:>10} {:>8}", "1000 instructions", "counted", "budget", "percent");
    for (kind, &thousands) in &counted {
        let allowed = budget.as_ref().and_then(|budget| budget.get(*kind).copied()).unwrap_or(none);
        let percent = (thousands / allowed - 1.0) * 100.0;
        within &= percent.abs() <= PERCENT;
        println!("{kind:<16} {thousands:>10.1} {allowed:>10.1} {percent:>+8.1}");
    }
    if budget.is_none() && !asked.write {
        println!("\nThere is no budget for {machine}, and so no verdict.");
        return Ok(ExitCode::SUCCESS);
    }
    if within || asked.write {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "\nMore than {PERCENT} % from the budget. If that is as it must be, or better than it was, note the new numbers \
         in the same commit, by --write."
    );
    Ok(ExitCode::FAILURE)
}

/// The kind of processor that the libraries choose their code by. Counts of another kind are no worse or better.
fn machine() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "x86_64 with AVX2";
    }
    std::env::consts::ARCH
}

fn counted(asked: &Count) -> Result<BTreeMap<&'static str, f64>> {
    let place = Place::new(asked.patron.clone(), &asked.folder)?;
    let home = place.home("counted", SOME)?;
    let server = Counted::start(&place, &home)?;
    let bearer = place.exchange(&server.server, &SOME.form(0))?;
    let form = SOME.form(1);
    let introspect = SOME.introspection(1, &bearer);
    let mut counted = BTreeMap::new();
    for kind in ["exchange", "introspection", "forward-auth", "list", "create"] {
        let ask = |turn: u64| {
            let post = |path: &str| place.http.post(server.server.url(path));
            let get = |path: &str| place.http.get(server.server.url(path)).bearer_auth(&bearer);
            match kind {
                "exchange" => post("/oauth/token").header("content-type", FORM).body(form.clone()),
                "introspection" => {
                    post("/oauth/introspect").header("content-type", FORM).body(introspect.clone())
                }
                "forward-auth" => get("/forward-auth"),
                "list" => get("/personal-access-tokens/v1?owner-id=me"),
                _ => {
                    let draft = format!(r#"{{"name":"counted {turn}","userAwareTokenNeverExpires":true}}"#);
                    let post = post("/personal-access-tokens/v1").bearer_auth(&bearer);
                    post.header("content-type", "application/json").body(draft)
                }
            }
        };
        let run = |turns: std::ops::Range<u64>| {
            place.runtime.block_on(async {
                for turn in turns {
                    answered(ask(turn)).await?;
                }
                Ok::<_, crate::Fault>(())
            })
        };
        run(0..BEFORE)?;
        let mut least = u64::MAX;
        for part in 0..PARTS {
            server.monitor("zero")?;
            let from = BEFORE + part * TIMES;
            run(from..from + TIMES)?;
            let profile = server.dump()?;
            if let Some(folder) = &asked.profiles {
                fs::copy(&profile, folder.join(format!("{kind}.callgrind")))?;
            }
            least = least.min(total(&profile)?);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let each = least as f64 / TIMES as f64 / 1_000.0;
        counted.insert(kind, (each * 10.0).round() / 10.0);
    }
    Ok(counted)
}

/// Patron under callgrind, which is told what to do by `vgdb`.
struct Counted {
    server: Server,
    dumps: PathBuf,
}

impl Counted {
    fn start(place: &Place, home: &Home) -> Result<Self> {
        let dumps = home.file("callgrind");
        let mut command = Cores::Server.command(Path::new("valgrind"))?;
        command
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", dumps.display()));
        command.arg(place.patron.as_os_str());
        Ok(Self { server: Server::patron_by(command, home)?, dumps })
    }

    fn monitor(&self, what: &str) -> Result<()> {
        let output = Command::new("vgdb").arg(format!("--pid={}", self.server.pid())).arg(what).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure(format!("vgdb {what}: {}", String::from_utf8_lossy(&output.stderr))).into())
    }

    /// The file of what was counted since the last time that it was set to zero.
    fn dump(&self) -> Result<PathBuf> {
        let before = self.files()?;
        self.monitor("dump")?;
        let new = self.files()?.into_iter().find(|file| !before.contains(file));
        Ok(new.ok_or("callgrind wrote nothing")?)
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let folder = self.dumps.parent().ok_or("the dumps are in no folder")?;
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.to_string_lossy().starts_with(&*self.dumps.to_string_lossy()) {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// The instructions that a profile is of.
fn total(profile: &Path) -> Result<u64> {
    let text = fs::read_to_string(profile)?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    Ok(total.ok_or("callgrind told no total")?.trim().parse()?)
}
