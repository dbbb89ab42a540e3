//! What a run of the steps says: a heading for each, then a table, then the counts alone on the last line.

use std::fmt;
use std::time::Duration;

/// Why a step did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// What was checked is not right.
    Failed(String),
    /// A tool is not here and could not be installed: nobody looked. Fails in CI.
    Missing(String),
    /// Cannot be done here, and need not be, in CI neither.
    Skipped(String),
}

/// How a step ended, once it is known whether this is CI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, and right.
    Passed,
    /// Not right, or not done where it must be.
    Failed(String),
    /// Not done.
    Skipped(String),
}

impl Outcome {
    /// In CI nobody reads a skip, so there a missing tool is a failure.
    pub(crate) fn of(result: Result<(), Stop>, ci: bool) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(Stop::Failed(why)) => Self::Failed(why),
            Err(Stop::Missing(why)) if ci => Self::Failed(why),
            Err(Stop::Missing(why) | Stop::Skipped(why)) => Self::Skipped(why),
        }
    }
}

/// All steps of a run, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Takes a step's end and prints it.
    pub(crate) fn add(&mut self, step: &'static str, outcome: Outcome, took: Duration) {
        let took_text = seconds(took);
        match &outcome {
            Outcome::Passed => println!("ok {step} ({took_text})"),
            Outcome::Failed(why) => println!("FAIL {step}: {why} ({took_text})"),
            Outcome::Skipped(why) => println!("SKIP {step}: {why}"),
        }
        self.lines.push((step, outcome, took));
    }

    /// Whether any step failed.
    pub(crate) fn failed(&self) -> bool {
        self.lines.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        writeln!(f, "==> summary")?;
        for (step, outcome, took) in &self.lines {
            let (word, why) = match outcome {
                Outcome::Passed => {
                    passed += 1;
                    ("ok", "")
                }
                Outcome::Failed(why) => {
                    failed += 1;
                    ("FAIL", why.as_str())
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    ("SKIP", why.as_str())
                }
            };
            let line = format!("{step:<14} {word:<4} {:>9}  {why}", seconds(*took));
            writeln!(f, "{}", line.trim_end())?;
        }
        write!(f, "\n{passed} passed, {failed} failed, {skipped} skipped")
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_fails_in_ci_alone() {
        let missing = || Err(Stop::Missing("no python3".to_owned()));
        assert_eq!(Outcome::of(missing(), false), Outcome::Skipped("no python3".to_owned()));
        assert_eq!(Outcome::of(missing(), true), Outcome::Failed("no python3".to_owned()));
    }

    #[test]
    fn an_allowed_skip_stays_one_in_ci() {
        let skipped = Err(Stop::Skipped("no internet".to_owned()));
        assert_eq!(Outcome::of(skipped, true), Outcome::Skipped("no internet".to_owned()));
    }

    #[test]
    fn the_counts_are_alone_on_the_last_line() {
        let mut report = Report::default();
        report.add("format", Outcome::Passed, Duration::from_millis(1250));
        report.add("lints", Outcome::Failed("exit status: 101".to_owned()), Duration::from_secs(75));
        report.add("advisories", Outcome::Skipped("no internet".to_owned()), Duration::ZERO);
        assert!(report.failed());
        let expected = "\
==> summary
format         ok       1.2 s
lints          FAIL    75.0 s  exit status: 101
advisories     SKIP     0.0 s  no internet

1 passed, 1 failed, 1 skipped";
        assert_eq!(report.to_string(), expected);
    }
}
