//! Logs and metrics.

use std::time::Instant;

use axum::http::StatusCode;
use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};

/// Starts the log: to stderr, since stdout is for answers.
///
/// # Errors
/// When the setting `log` is no filter.
pub fn start_log(settings: &Settings) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&settings.log)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    }
}

/// Counters for `/metrics`.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    auth_failures: IntCounterVec,
    rate_limited: IntCounter,
}

/// What requests are counted under that came to no endpoint.
const UNMATCHED: &str = "unmatched";

/// Upper bounds of the duration histogram, seconds: an exchange is tens of microseconds, a password hash tens of
/// milliseconds.
const BOUNDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

impl Metrics {
    /// Counters that stand at zero.
    ///
    /// # Panics
    /// Never: names and labels are constants that the tests register once.
    pub fn new() -> Self {
        let constant = "metric names are constants";
        let requests = Opts::new("patron_http_requests_total", "Requests by endpoint and status.");
        let requests = IntCounterVec::new(requests, &["endpoint", "status"]).expect(constant);
        let durations =
            HistogramOpts::new("patron_http_request_seconds", "Time until an answer began, by endpoint.");
        let durations = HistogramVec::new(durations.buckets(BOUNDS.to_vec()), &["endpoint"]).expect(constant);
        let auth_failures = Opts::new("patron_auth_failures_total", "Refused credentials by reason.");
        let auth_failures = IntCounterVec::new(auth_failures, &["reason"]).expect(constant);
        let rate_limited = "Requests over a rate limit: a client's, or that of wrong guesses.";
        let rate_limited = IntCounter::new("patron_rate_limited_total", rate_limited).expect(constant);
        let registry = Registry::new();
        registry.register(Box::new(requests.clone())).expect(constant);
        registry.register(Box::new(durations.clone())).expect(constant);
        registry.register(Box::new(auth_failures.clone())).expect(constant);
        registry.register(Box::new(rate_limited.clone())).expect(constant);
        Self { registry, requests, durations, auth_failures, rate_limited }
    }

    /// A request arrives.
    pub fn request(&self) -> RequestTimer<'_> {
        #[expect(clippy::disallowed_methods, reason = "a duration for people, that no rule depends on")]
        let started = Instant::now();
        RequestTimer { metrics: self, started }
    }

    /// A credential was refused.
    pub fn auth_failure(&self, reason: &'static str) {
        self.auth_failures.with_label_values(&[reason]).inc();
    }

    /// A guesser was not heard, and told so otherwise than by the status 429, which is counted by itself.
    pub fn guess_limited(&self) {
        self.rate_limited.inc();
    }

    /// The counters in Prometheus' text format.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A request that is being timed.
pub struct RequestTimer<'a> {
    metrics: &'a Metrics,
    started: Instant,
}

impl RequestTimer<'_> {
    /// The answer begins. `endpoint` is its route's name, if it came to one.
    pub fn done(self, endpoint: Option<&'static str>, status: StatusCode) {
        let Self { metrics, started } = self;
        let endpoint = endpoint.unwrap_or(UNMATCHED);
        metrics.durations.with_label_values(&[endpoint]).observe(started.elapsed().as_secs_f64());
        metrics.requests.with_label_values(&[endpoint, status.as_str()]).inc();
        if status == StatusCode::TOO_MANY_REQUESTS {
            metrics.rate_limited.inc();
        }
    }
}
