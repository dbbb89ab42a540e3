//! `patron serve`: the service, from an empty folder to the last request.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Failed, Session, bootstrap};
use crate::app::App;
use crate::config::{Settings, Source};
use crate::front::Front;
use crate::listener::Bounds;
use crate::{housekeeping, listener, management, process, telemetry};

#[derive(Args, Default)]
pub(super) struct Serve {
    /// Write the addresses in use to this file as JSON, once requests are answered
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(super) async fn run(mut session: Session, args: Serve) -> Result<(), Failed> {
    telemetry::start_log(&session.settings)?;
    process::guard_secrets();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    session.data_dir()?;
    let _lock = lock(session.settings.sqlite_path())?;
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
    let app = App::build(Arc::clone(&session.settings), store.clone(), master, clock, entropy).await?;
    let app = Arc::new(app);

    let (stop, stopped) = watch::channel(false);
    let (finish, finished) = watch::channel(false);
    let front = Front::new(Arc::clone(&app));
    let serving = tokio::spawn(listener::serve(
        listener,
        move |peer, request| {
            let front = front.clone();
            async move { front.answer(peer, request).await }
        },
        Bounds::new(session.settings.trusted_proxies.clone()),
        stopped.clone(),
    ));
    let management_address = management.as_ref().map(TcpListener::local_addr).transpose()?;
    let managing = management.map(|listener| {
        let app = Arc::clone(&app);
        let answer = move |_, request| management::answer(Arc::clone(&app), request);
        tokio::spawn(listener::serve(listener, answer, Bounds::new(Vec::new()), finished.clone()))
    });
    let recorder = Arc::clone(&app.recorder);
    let recording = tokio::spawn(async move { recorder.run(finished).await });
    let keeping = tokio::spawn(housekeeping::run(Arc::clone(&app), stopped));

    tracing::info!(addr = %address, management = ?management_address, "listening");
    if let Some(path) = &args.ready_file {
        announce(path, address, management_address)?;
    }

    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
    }
    // First no new requests and the end of those in flight, then what they left to be written, then the database.
    stop.send_replace(true);
    serving.await?;
    keeping.await?;
    finish.send_replace(true);
    recording.await?;
    if let Some(managing) = managing {
        managing.await?;
    }
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Keeps other servers off the same file: they would each count rate limits and uses for themselves.
fn lock(database: &Path) -> Result<File, Failed> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| format!("{} cannot be opened: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(format!("another patron serves {} already; one server a SQLite file", database.display())
                .into())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(format!("{} cannot be locked: {error}", path.display()).into())
        }
    }
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
