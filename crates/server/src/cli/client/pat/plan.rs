//! What `--dry-run` shows: the requests that would be sent, and nothing is.

use patron_client::JsonPatchOperation;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{fault, show};
use super::{Failed, Work};

/// A request that would be sent.
pub(super) struct Request {
    method: &'static str,
    path: String,
    body: Option<Value>,
}

const PATS: &str = "/personal-access-tokens/v1";

impl Request {
    pub(super) fn create(body: &impl Serialize) -> Result<Self, Failed> {
        Ok(Self { method: "POST", path: PATS.to_owned(), body: Some(serde_json::to_value(body)?) })
    }

    pub(super) fn patch(id: &str, patch: &[JsonPatchOperation]) -> Result<Self, Failed> {
        Ok(Self { method: "PATCH", path: format!("{PATS}/{id}"), body: Some(serde_json::to_value(patch)?) })
    }

    pub(super) fn delete(id: &str) -> Self {
        Self { method: "DELETE", path: format!("{PATS}/{id}"), body: None }
    }

    pub(super) fn bulk_update(body: &impl Serialize) -> Result<Self, Failed> {
        let path = format!("{PATS}/bulk-update");
        Ok(Self { method: "POST", path, body: Some(serde_json::to_value(body)?) })
    }
}

/// Shows them.
pub(super) fn tell(work: &Work<'_>, requests: &[Request]) -> Result<(), Failed> {
    let base = &work.connection.credential.base_url;
    if work.is_json() {
        let written = requests.iter().map(|request| {
            json!({ "method": request.method, "url": format!("{base}{}", request.path), "body": request.body })
        });
        let told = json!({ "dryRun": true, "requests": written.collect::<Value>() });
        return show::out(&show::pretty(&told));
    }
    fault::say("Nothing is done. This would be sent:");
    for request in requests {
        let body = request.body.as_ref().map_or_else(String::new, |body| format!("{}\n", show::pretty(body)));
        show::put(&format!("{} {base}{}\n{body}", request.method, show::harmless(&request.path)))?;
    }
    Ok(())
}
