//! What every request works with.

use std::net::IpAddr;
use std::num::NonZero;
use std::sync::Arc;

use axum::http::request::Parts;
use patron_core::audit::Context;
use patron_core::clock::{Clock, Entropy, SteadyClock};
use patron_core::id::{PatId, TrackingId};
use patron_core::rights::Catalogue;
use patron_core::{Error, Result};
use patron_store::Store;
use sync_wrapper::SyncWrapper;

use crate::actor::Actor;
use crate::auth::{Caller, Presented};
use crate::config::Settings;
use crate::devices::Devices;
use crate::guesses::Guesses;
use crate::keys::MasterKey;
use crate::limiter::{AuthFailures, SlidingWindow};
use crate::memory::{Memory, Site};
use crate::passwords::Passwords;
use crate::paths::PathFacts;
use crate::recorder::Recorder;
use crate::telemetry::Metrics;

/// The running service.
pub struct App {
    /// What is in force.
    pub settings: Arc<Settings>,
    /// Levels, scopes and rights.
    pub catalogue: Catalogue,
    /// The database.
    pub store: Store,
    /// What the hot path reads instead of it.
    pub memory: Memory,
    /// Uses on their way to it.
    pub recorder: Arc<Recorder>,
    /// Requests per client id and API version.
    pub requests: SlidingWindow<(PatId, &'static str)>,
    /// Wrong guesses.
    pub failures: AuthFailures,
    /// Wrong passwords.
    pub guesses: Guesses,
    /// Browsers that somebody signed in with before.
    pub devices: Devices,
    /// Password hashes.
    pub passwords: Passwords,
    /// Counters for `/metrics`.
    pub metrics: Metrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// How the service cannot be put together. For the operator.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The operator's levels or scopes contradict each other.
    #[error("levels and scopes: {0}")]
    Catalogue(#[from] patron_core::rights::CatalogueError),
    /// The database or the keys cannot be read.
    #[error("{}", .0.cause().map_or_else(|| .0.to_string(), str::to_owned))]
    Store(Error),
}

impl App {
    /// Puts the service together over an open, bootstrapped database.
    pub async fn build(
        settings: Arc<Settings>,
        store: Store,
        master: MasterKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        steady: Arc<dyn SteadyClock>,
    ) -> Result<Self, BuildError> {
        let limits = &settings.rate_limits;
        let devices = Devices::new(&master, Arc::clone(&entropy));
        let devices = devices.map_err(|error| BuildError::Store(Error::internal(error)))?;
        // A core is left to everyone else.
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let memory = Memory::load(store.clone(), Arc::clone(&clock), Arc::clone(&settings), master, steady);
        let memory = memory.await.map_err(BuildError::Store)?;
        memory.keys().self_test().map_err(|error| BuildError::Store(Error::internal(error)))?;
        Ok(Self {
            catalogue: Catalogue::new(&settings.levels, &settings.scopes)?,
            recorder: Arc::new(Recorder::new(store.clone(), Arc::clone(&entropy))),
            requests: SlidingWindow::new(limits.requests, limits.window_seconds),
            failures: AuthFailures::new(limits.auth_failures_per_client, limits.auth_failures_per_address),
            guesses: Guesses::default(),
            devices,
            passwords: Passwords::new(cores.saturating_sub(1).max(1), Arc::clone(&entropy)),
            metrics: Metrics::new(),
            memory,
            store,
            settings,
            clock,
            entropy,
        })
    }
}

/// A request on its way to its handler.
pub struct Request {
    /// The service.
    pub app: Arc<App>,
    /// The tenant that was asked, by host name.
    pub site: Arc<Site>,
    /// From where.
    pub address: IpAddr,
    /// Its name in the answer, the log and the audit trail.
    pub tracking: TrackingId,
    /// What its path says.
    pub facts: PathFacts,
    /// What links to this service begin with, for a browser: the path that a proxy has in front of it, or nothing.
    pub base: String,
    /// Whether the browser speaks HTTPS, to Patron or to the proxy in front.
    pub https: bool,
    /// Method, path (slashes made single) and headers.
    pub parts: Parts,
    /// The body, unread; wrapped, because a body cannot be looked at from two threads and need not be.
    pub body: SyncWrapper<axum::body::Body>,
}

impl Request {
    /// The last segment of the path, which names an id where a route has one.
    pub fn last_segment(&self) -> &str {
        self.parts.uri.path().rsplit('/').next().unwrap_or_default()
    }

    /// The segment of the path behind this beginning, which names an id where a route has one there; empty when there
    /// is none.
    pub fn segment_behind(&self, beginning: &str) -> &str {
        let rest = self.parts.uri.path().strip_prefix(beginning).unwrap_or_default();
        rest.trim_start_matches('/').split('/').next().unwrap_or_default()
    }

    /// Where a credential that came with this request was presented.
    pub fn presented(&self) -> Presented {
        Presented { tenant: Some(self.site.key), recorded_in: self.site.key, address: self.address }
    }

    /// Who acts in it, with this credential.
    pub fn actor(&self, caller: Caller) -> Actor {
        let context = self.context(&caller);
        let Caller { tenant, identity, scopes, rights, .. } = caller;
        Actor { app: Arc::clone(&self.app), tenant, identity, rights, scopes: Some(scopes), context }
    }

    /// What every audit event of this request carries.
    pub fn context(&self, caller: &Caller) -> Context {
        caller.context(self.address, self.tracking)
    }

    /// Who sent it, within its rate limit.
    pub async fn caller(&self) -> Result<Caller> {
        let (caller, proven) = self.app.caller(&self.parts.headers, self.presented()).await?;
        self.admit(caller.pat)?;
        if let Some(proven) = proven {
            self.app.note_use(&proven, self.address, self.tracking).await?;
        }
        Ok(caller)
    }

    /// Counts the request for its client id, and refuses it when there were too many.
    pub fn admit(&self, client: PatId) -> Result<()> {
        self.app
            .requests
            .hit((client, self.facts.version), self.app.clock.now())
            .map_err(|wait| Error::RateLimited { retry_after: wait.0 })
    }
}
