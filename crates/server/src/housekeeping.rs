//! What is done now and then: expired PATs are told to the audit trail, and what nobody needs is dropped.

use std::sync::Arc;
use std::time::Duration;

use patron_core::Result;
use patron_core::id::TrackingId;

use crate::app::App;

/// How often: an expiry is recorded within a minute (contract section 11).
const INTERVAL: Duration = Duration::from_secs(20);
/// PATs of one transaction.
const BATCH: u32 = 500;

/// Does it once.
///
/// # Errors
/// When the database is out of reach; the next round does it then.
pub async fn once(app: &App) -> Result<()> {
    app.memory.prune();
    while app.store.record_expired(TrackingId::random(&app.entropy), BATCH).await? == BATCH as usize {}
    app.store.purge().await
}

/// Does it again and again until `stop` says so.
pub async fn run(app: Arc<App>, mut stop: tokio::sync::watch::Receiver<bool>) {
    loop {
        if let Err(error) = once(&app).await {
            tracing::error!(cause = error.cause(), "housekeeping failed; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
