//! A bare HTTP server: it reads the form that it is sent, and answers always the same.

use std::path::Path;

use axum::extract::{Form, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Router, body::Bytes};

use crate::Result;

/// Answers every form, and every GET, with the bytes of this file.
pub(crate) async fn run(answer: &Path) -> Result<()> {
    let answer = Bytes::from(std::fs::read(answer)?);
    super::serve(Router::new().route("/", post(form).get(get)).with_state(answer)).await
}

async fn form(State(answer): State<Bytes>, Form(_): Form<Vec<(String, String)>>) -> impl IntoResponse {
    json(answer)
}

async fn get(State(answer): State<Bytes>) -> impl IntoResponse {
    json(answer)
}

fn json(answer: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], answer)
}
