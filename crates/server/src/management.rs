//! The management listener: health and metrics, for the operator's own network.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};

use crate::app::App;
use crate::paths;
use crate::respond::{self, Answer};

/// Answers a request to the management listener.
pub async fn answer(app: Arc<App>, request: Request<Body>) -> Answer {
    let request = request.into_parts().0;
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return respond::json(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({ "status": "GET only" }));
    }
    match &*paths::normal(request.uri.path()) {
        "/health/live" => respond::json(StatusCode::OK, &serde_json::json!({ "status": "UP" })),
        "/health/ready" => ready(&app).await,
        "/metrics" => {
            let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            respond::with_body(StatusCode::OK, text, Body::from(app.metrics.text()))
        }
        _ => respond::json(StatusCode::NOT_FOUND, &serde_json::json!({ "status": "nothing here" })),
    }
}

/// Ready: the database answers, its schema is this program's, and a key signs. Causes go to the log.
async fn ready(app: &Arc<App>) -> Answer {
    let up = |good: bool| if good { "UP" } else { "DOWN" };
    let mut database = app.store.check().await;
    if database.is_ok() {
        database = app.memory.refresh().await;
    }
    if let Err(error) = &database {
        tracing::warn!(cause = error.cause(), "not ready: the database");
    }
    let key = app.memory.keys().signer(app.clock.now()).is_ok();
    let good = database.is_ok() && key;
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({
        "status": up(good),
        "checks": { "database": up(database.is_ok()), "signingKey": up(key) },
    });
    respond::json(status, &body)
}
