//! What was measured on, and what the machine's host took meanwhile.

use std::fs;
use std::process::Command;

use super::Run;
use crate::Result;

/// CPU time of all cores, in ticks: that the host withheld, and all.
pub(super) struct Stolen {
    withheld: u64,
    all: u64,
}

impl Stolen {
    pub(super) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_ascii_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // The last two are parts of the first two (proc(5)).
        Ok(Self { withheld: ticks.get(7).copied().unwrap_or(0), all: ticks.iter().take(8).sum() })
    }

    /// What part of it was withheld since then, in percent.
    fn percent(&self) -> Result<u64> {
        let now = Self::now()?;
        Ok((now.withheld - self.withheld) * 100 / (now.all - self.all).max(1))
    }
}

/// The heading of the results.
pub(super) fn told(run: &Run, before: &Stolen) -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    let said = |program: &std::path::Path| {
        let output = Command::new(program).arg("--version").output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    Ok(format!(
        "{} cores of {}; the host withheld {} % of their time. {}, {}. Each comparison: {} rounds of {} s a side, in \
         turn.\n",
        std::thread::available_parallelism()?,
        cpu.unwrap_or("an unknown kind"),
        before.percent()?,
        said(&run.patron),
        said(&run.oha),
        run.rounds,
        run.seconds
    ))
}
