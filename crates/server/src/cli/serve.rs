//! `patron serve`: the service, from an empty folder to the last request.

use std::fs::File;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::lock::lock;
use super::{Failed, Session, bootstrap};
use crate::app::App;
use crate::config::{Settings, Source};
use crate::front::Front;
use crate::limits::RECORD_INTERVAL;
use crate::listener::Bounds;
use crate::system::SystemSteadyClock;
use crate::{follower, housekeeping, listener, management, reconcile, telemetry};

#[derive(Args, Default)]
pub(super) struct Serve {
    /// Write the addresses in use to this file as JSON, once requests are answered
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(super) async fn run(mut session: Session, args: Serve) -> Result<(), Failed> {
    telemetry::start_log(&session.settings)?;
    if let Err(error) = session.guarded {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    let mut signals = Signals::new()?;

    session.data_dir()?;
    let _lock = session.settings.sqlite_path().map(lock_alone).transpose()?;
    let listener = bind("listen", session.settings.listen).await?;
    let management = match session.settings.management_listen {
        Some(address) => Some(bind("management_listen", address).await?),
        None => None,
    };
    let address = listener.local_addr()?;
    name_after(&mut session, address)?;

    let store = session.open_or_create().await?;
    if let Some(answer) = bootstrap::bootstrap(&session, &store, false).await? {
        bootstrap::tell(&session, &answer)?;
    }
    let master = session.master_key(false)?;
    let (clock, entropy) = (Session::clock(), Session::entropy());
    let steady = Arc::new(SystemSteadyClock);
    let app =
        App::build(Arc::clone(&session.settings), store.clone(), master, clock, entropy, steady).await?;
    let app = Arc::new(app);

    let (stop, stopped) = watch::channel(false);
    let (finish, finished) = watch::channel(false);
    // What ends when no more requests are taken, and what serves until the last of them is done.
    let (mut first, mut last) = (Tasks::default(), Tasks::default());
    let front = Front::new(Arc::clone(&app));
    let answer = move |peer, request| {
        let front = front.clone();
        async move { front.answer(peer, request).await }
    };
    let bounds = Bounds::new(session.settings.trusted_proxies.clone());
    first.spawn("listener", listener::serve(listener, answer, bounds, stopped.clone()));
    first.spawn("housekeeping", housekeeping::run(Arc::clone(&app), stopped));
    let management_address = management.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(listener) = management {
        let app = Arc::clone(&app);
        let answer = move |_, request| management::answer(Arc::clone(&app), request);
        let bounds = Bounds::new(Vec::new());
        last.spawn("management listener", listener::serve(listener, answer, bounds, finished.clone()));
    }
    if store.is_shared() {
        last.spawn("follower", follower::run(Arc::clone(&app), finished.clone()));
        last.spawn("reconciler", reconcile::run(Arc::clone(&app), finished.clone()));
    }
    let recorder = Arc::clone(&app.recorder);
    last.spawn("recorder", async move { recorder.run(RECORD_INTERVAL, finished).await });

    tracing::info!(addr = %address, management = ?management_address, "listening");
    let announced = async {
        // Requests that come before that wait for it, but not for long.
        if let Some(trust) = app.memory.trust() {
            trust.held().await;
        }
        match &args.ready_file {
            Some(path) => announce(path, address, management_address),
            None => Ok(()),
        }
    };
    let told = tokio::select! {
        Err(failed) = announced => Err(failed),
        signal = signals.next() => {
            tracing::info!("stopping: {signal}");
            Ok(())
        }
        missing = first.lost() => Err(missing),
        missing = last.lost() => Err(missing),
    };
    // First no new requests and the end of those in flight, then what they left to be written, then the database.
    let stopping = async {
        stop.send_replace(true);
        let first = first.end().await;
        finish.send_replace(true);
        let last = last.end().await;
        store.close().await;
        first.and(last)
    };
    let stopped = tokio::select! {
        stopped = stopping => stopped,
        signal = signals.next() => Err(format!("{signal} once more: stopped without waiting").into()),
    };
    told.and(stopped)?;
    tracing::info!("stopped");
    Ok(())
}

/// The signals that stop the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Tasks that run for as long as the service does. One that panics has its name told.
#[derive(Default)]
struct Tasks(JoinSet<Result<(), &'static str>>);

impl Tasks {
    fn spawn(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move { AssertUnwindSafe(work).catch_unwind().await.map_err(|_| name) });
    }

    /// Waits for one that ends although nobody has told it to. The service must not go on without it.
    async fn lost(&mut self) -> Failed {
        match self.0.join_next().await {
            Some(ended) => failure(ended).unwrap_or_else(|| "a part of the service ended by itself".into()),
            None => std::future::pending().await,
        }
    }

    /// Waits for all of them.
    async fn end(&mut self) -> Result<(), Failed> {
        let mut outcome = Ok(());
        while let Some(ended) = self.0.join_next().await {
            outcome = outcome.and(failure(ended).map_or(Ok(()), Err));
        }
        outcome
    }
}

/// Why a task ended, if not as it should. The panic itself is told on stderr, where it happened.
fn failure(ended: Result<Result<(), &'static str>, JoinError>) -> Option<Failed> {
    let failed = match ended {
        Ok(Ok(())) => return None,
        Ok(Err(name)) => format!("the {name} panicked"),
        Err(error) => error.to_string(),
    };
    tracing::error!("{failed}; the service stops");
    Some(failed.into())
}

/// Keeps other servers off the same file: they would each count rate limits and uses for themselves.
fn lock_alone(database: &Path) -> Result<File, Failed> {
    let taken = || {
        let file = database.display();
        format!("another patron serves {file} already, or migrates it; one server a SQLite file").into()
    };
    lock(database)?.ok_or_else(taken)
}

async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Failed> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("{setting}: {address} cannot be listened on: {error}").into())
}

/// Where the system chose the port and nobody said by which name the service is reached, it is reached there.
fn name_after(session: &mut Session, address: SocketAddr) -> Result<(), Failed> {
    let unset = matches!(session.loaded.sources.get("public_url"), None | Some(Source::Default));
    if session.settings.listen.port() == 0 && unset {
        let url = format!("http://{address}").parse()?;
        session.settings = Arc::new(Settings { public_url: url, ..(*session.settings).clone() });
    }
    Ok(())
}

/// Written whole under another name first, so that who waits for the file never reads half of it.
fn announce(path: &Path, listen: SocketAddr, management: Option<SocketAddr>) -> Result<(), Failed> {
    let text = serde_json::json!({
        "listen": listen.to_string(),
        "management": management.map(|address| address.to_string()),
        "pid": std::process::id(),
    });
    let temporary = path.with_extension("unfinished");
    std::fs::write(&temporary, text.to_string())?;
    Ok(std::fs::rename(&temporary, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_told_by_name() {
        let mut tasks = Tasks::default();
        tasks.spawn("one that lives", std::future::pending());
        tasks.spawn("one that dies", async { panic!("on purpose") });
        assert_eq!(tasks.lost().await.to_string(), "the one that dies panicked");

        // Also one that dies while it ends; the others are waited for.
        let (finish, mut finished) = watch::channel(false);
        let mut tasks = Tasks::default();
        tasks.spawn("one that dies", async { panic!("on purpose") });
        tasks.spawn("one that ends", async move { drop(finished.wait_for(|finished| *finished).await) });
        let told = async {
            tokio::task::yield_now().await;
            finish.send_replace(true);
        };
        let (ended, ()) = tokio::join!(tasks.end(), told);
        assert_eq!(ended.unwrap_err().to_string(), "the one that dies panicked");
        assert!(tasks.end().await.is_ok());
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_missed() {
        let mut tasks = Tasks::default();
        assert!(tasks.lost().now_or_never().is_none());
        tasks.spawn("one that ends", async {});
        assert_eq!(tasks.lost().await.to_string(), "a part of the service ended by itself");
    }
}
