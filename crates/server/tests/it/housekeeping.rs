//! What is done now and then, and left alone when the service stops.

use std::sync::Arc;

use patron::housekeeping;
use tokio::sync::watch;

use crate::support::Patron;

#[tokio::test]
async fn a_service_that_stops_keeps_no_house() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    patron.pat_for_millis(&jane, "short", 1_000).await;
    patron.pass_seconds(2);
    let (_stop, stopped) = watch::channel(true);
    housekeeping::run(Arc::clone(&patron.app), stopped).await;
    assert!(patron.events("PERSONAL_ACCESS_TOKEN_EXPIRED").await.is_empty());
    housekeeping::once(&patron.app).await.unwrap();
    assert_eq!(patron.events("PERSONAL_ACCESS_TOKEN_EXPIRED").await.len(), 1);
}
