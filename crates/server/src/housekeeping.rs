//! What is done now and then: expired PATs are told to the audit trail, and what nobody needs is dropped.

use std::sync::Arc;

use patron_core::Result;
use patron_core::id::TrackingId;
use tokio::sync::watch;

use crate::app::App;
use crate::limits::{EXPIRED_AT_ONCE, HOUSEKEEPING_INTERVAL};
use crate::outage::Outage;

/// Does it once.
///
/// # Errors
/// When the database is out of reach; the next round does it then.
pub async fn once(app: &App) -> Result<()> {
    round(app, || false).await
}

/// Does it once, or as much of it as is done when `stopping` says that there is no more time.
async fn round(app: &App, stopping: impl Fn() -> bool) -> Result<()> {
    app.memory.prune();
    let recorded = record_expired(app, &stopping).await;
    // What keeps one of them from being done need not keep the other.
    let purged = if stopping() { Ok(()) } else { app.store.purge(app.settings.sessions.limits()).await };
    recorded.and(purged)
}

async fn record_expired(app: &App, stopping: impl Fn() -> bool) -> Result<()> {
    while !stopping() {
        let recorded = app.store.record_expired(TrackingId::random(&app.entropy), EXPIRED_AT_ONCE).await?;
        if recorded < EXPIRED_AT_ONCE as usize {
            break;
        }
    }
    Ok(())
}

/// Does it again and again until `stop` says so.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut outage = Outage::new("housekeeping failed; it is tried again", "housekeeping is done again");
    loop {
        let done = async {
            // A node that has just started connects anew when it joins the others.
            app.memory.refresh().await?;
            round(&app, || *stop.borrow()).await
        };
        outage.note(&done.await);
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING_INTERVAL) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
