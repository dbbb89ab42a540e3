//! What the pages look like and do: embedded, and named by what is in them, so that a browser keeps them for good.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use patron_core::Error;
use sha2::{Digest as _, Sha256};

use crate::app::Request;
use crate::respond::{self, Answer, Failure};

/// Where assets are.
pub const PATH: &str = "/ui/assets/{name}";
/// Hex digits of an asset's hash in its name.
const HASH_DIGITS: usize = 16;

struct Asset {
    stem: &'static str,
    extension: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const STYLE: Asset = Asset {
    stem: "style",
    extension: "css",
    content_type: "text/css; charset=utf-8",
    content: include_str!("../../../../assets/style.css"),
};
const SCRIPT: Asset = Asset {
    stem: "app",
    extension: "js",
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("../../../../assets/app.js"),
};
const ICON: Asset = Asset {
    stem: "icon",
    extension: "svg",
    content_type: "image/svg+xml",
    content: include_str!("../../../../assets/icon.svg"),
};

/// The names that pages link to.
pub struct Names {
    /// The style sheet.
    pub style: String,
    /// The script.
    pub script: String,
    /// The icon.
    pub icon: String,
}

static NAMES: LazyLock<Names> =
    LazyLock::new(|| Names { style: STYLE.name(), script: SCRIPT.name(), icon: ICON.name() });

/// The names that pages link to.
pub fn names() -> &'static Names {
    &NAMES
}

impl Asset {
    fn name(&self) -> String {
        let hash = hex::encode(Sha256::digest(self.content));
        format!("{}.{}.{}", self.stem, &hash[..HASH_DIGITS], self.extension)
    }
}

/// `GET /ui/assets/{name}`.
pub async fn get(request: Request) -> Result<Answer, Failure> {
    let wanted = request.last_segment();
    let all = [(&NAMES.style, STYLE), (&NAMES.script, SCRIPT), (&NAMES.icon, ICON)];
    let Some((_, asset)) = all.into_iter().find(|(name, _)| name.as_str() == wanted) else {
        return Err(Error::not_found("There is nothing at this path.").into());
    };
    let content_type = HeaderValue::from_static(asset.content_type);
    let mut answer = respond::with_body(StatusCode::OK, content_type, Body::from(asset.content));
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    answer.headers_mut().insert(CACHE_CONTROL, forever);
    Ok(answer)
}
