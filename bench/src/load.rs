//! The load, by `oha`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde::Deserialize;

use crate::server::Cores;
use crate::{Failure, Result};

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    pub(crate) url: String,
    /// A file with a form or a JSON body a line, of which each request takes one at random; none is a GET.
    pub(crate) bodies: Option<&'a Path>,
    pub(crate) content_type: &'static str,
    /// Of the form `name: value`.
    pub(crate) headers: Vec<String>,
    pub(crate) connections: u32,
    pub(crate) until: Until,
    /// Requests a second at most. Latency is then counted from when a request was due.
    pub(crate) rate: Option<f64>,
}

/// When it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Until {
    Seconds(f64),
    Requests(u64),
}

/// The form of OAuth's requests.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// Answers with the status 200.
    pub(crate) answers: u64,
    pub(crate) seconds: f64,
    pub(crate) p99_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    summary: Summary,
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<String, u64>,
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Summary {
    total: f64,
}

/// What oha calls requests that were under way when its time was over.
const CUT_SHORT: &str = "aborted due to deadline";

/// The load tool.
#[derive(Debug, Clone)]
pub(crate) struct Oha(pub(crate) PathBuf);

impl Oha {
    /// Asks, and waits for the end. Any answer but 200 is a failure, but for as many as `tolerated`.
    pub(crate) fn run(&self, cores: Cores, load: &Load<'_>, tolerated: u64) -> Result<Told> {
        told(self.start(cores, load)?, tolerated)
    }

    /// Begins to ask.
    pub(crate) fn start(&self, cores: Cores, load: &Load<'_>) -> Result<Child> {
        let mut command = cores.command(&self.0)?;
        command.args(["--no-tui", "--output-format", "json", "--redirect", "0"]);
        command.args(["-c", &load.connections.to_string()]);
        match load.until {
            Until::Seconds(seconds) => command.args(["-z", &format!("{}ms", (seconds * 1_000.0).round())]),
            Until::Requests(requests) => command.args(["-n", &requests.to_string()]),
        };
        if let Some(rate) = load.rate {
            command.args(["-q", &rate.round().to_string(), "--latency-correction"]);
        }
        for header in &load.headers {
            command.args(["-H", header]);
        }
        if let Some(bodies) = load.bodies {
            command.args(["-m", "POST", "-T", load.content_type, "-Z"]).arg(bodies);
        }
        Ok(command.arg(&load.url).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
    }
}

/// Waits for its end.
pub(crate) fn told(child: Child, tolerated: u64) -> Result<Told> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(Failure(format!("oha ended with {}", output.status)).into());
    }
    read(&output.stdout, tolerated)
}

fn read(json: &[u8], tolerated: u64) -> Result<Told> {
    let output: Output = serde_json::from_slice(json)?;
    let answers = output.status_code_distribution.get("200").copied().unwrap_or(0);
    let others: u64 = output.status_code_distribution.values().sum::<u64>() - answers;
    let broken: u64 =
        output.error_distribution.iter().filter(|(name, _)| *name != CUT_SHORT).map(|(_, count)| count).sum();
    if answers == 0 || others + broken > tolerated {
        let (statuses, errors) = (output.status_code_distribution, output.error_distribution);
        return Err(Failure(format!("not all were answered 200: {statuses:?}, {errors:?}")).into());
    }
    let p99 = output.latency_percentiles.get("p99").copied().flatten().unwrap_or(f64::NAN);
    Ok(Told { answers, seconds: output.summary.total, p99_ms: p99 * 1_000.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_answered_counts() {
        let json = |statuses: &str, errors: &str| {
            format!(
                r#"{{"summary":{{"total":2.5,"requestsPerSec":1}},"latencyPercentiles":{{"p99":0.004,"p99.9":null}},
                     "statusCodeDistribution":{{{statuses}}},"errorDistribution":{{{errors}}}}}"#
            )
        };
        let told = read(json(r#""200":10"#, r#""aborted due to deadline":64"#).as_bytes(), 0).unwrap();
        assert_eq!(told.answers, 10);
        assert!((told.p99_ms - 4.0).abs() < 1e-9 && (told.seconds - 2.5).abs() < 1e-9);
        for (statuses, errors, tolerated) in [
            (r#""200":10,"401":1"#, "", 0),
            (r#""200":10"#, r#""connection refused":1"#, 0),
            (r#""200":10,"400":2"#, "", 1),
            (r#""503":10"#, "", 100),
        ] {
            assert!(read(json(statuses, errors).as_bytes(), tolerated).is_err(), "{statuses} {errors}");
        }
        assert!(read(json(r#""200":10,"400":2"#, "").as_bytes(), 2).is_ok());
    }
}
