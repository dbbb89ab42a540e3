//! A connection that waits for `NOTIFY`.

use std::future::poll_fn;

use patron_core::{Error, Result};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client};

use super::address::Address;
use super::fault::Fault;

/// Says that transactions have entered something in the change feed; see
/// [`Database::notifications`](crate::driver::Database::notifications).
pub struct Notifications {
    /// The connection lives as long as this does.
    _client: Client,
    received: mpsc::Receiver<()>,
}

impl Notifications {
    pub(super) async fn open(address: &Address) -> Result<Self, Fault> {
        let connected = address.servers.connect().await;
        let (client, mut connection) = connected.map_err(|error| Fault::of(&error))?;
        // Many notifications are one: what they tell of is in the feed.
        let (told, received) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if matches!(message, AsyncMessage::Notification(_)) {
                    // Full is as good as told.
                    let _ = told.try_send(());
                }
            }
        });
        client.batch_execute("LISTEN patron_changes").await.map_err(|error| Fault::of(&error))?;
        Ok(Self { _client: client, received })
    }

    /// Waits for the next one; several that came meanwhile are one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the connection is lost: it does not come back by itself.
    pub async fn next(&mut self) -> Result<()> {
        let lost = || Error::unavailable("the connection that listens for changes was lost");
        self.received.recv().await.ok_or_else(lost)
    }
}
