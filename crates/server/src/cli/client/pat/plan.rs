//! What `--dry-run` shows: the requests that would be sent, and nothing is.

use patron_client::JsonPatchOperation;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{fault, show};
use super::{Failed, Work};

/// A request that would be sent.
pub(super) struct Request {
    method: &'static str,
    /// What follows the address of all PATs.
    below: Option<String>,
    body: Option<Value>,
}

impl Request {
    pub(super) fn create(body: &impl Serialize) -> Result<Self, Failed> {
        Ok(Self { method: "POST", below: None, body: Some(serde_json::to_value(body)?) })
    }

    pub(super) fn patch(id: &str, patch: &[JsonPatchOperation]) -> Result<Self, Failed> {
        Ok(Self { method: "PATCH", below: Some(id.to_owned()), body: Some(serde_json::to_value(patch)?) })
    }

    pub(super) fn delete(id: &str) -> Self {
        Self { method: "DELETE", below: Some(id.to_owned()), body: None }
    }

    pub(super) fn bulk_update(body: &impl Serialize) -> Result<Self, Failed> {
        let below = Some("bulk-update".to_owned());
        Ok(Self { method: "POST", below, body: Some(serde_json::to_value(body)?) })
    }
}

/// Shows them.
pub(super) fn tell(work: &Work<'_>, requests: &[Request]) -> Result<(), Failed> {
    let url = |request: &Request| work.connection.client.address_of_pats(request.below.as_deref());
    if work.caller.json {
        let written = requests.iter().map(
            |request| json!({ "method": request.method, "url": url(request).as_str(), "body": request.body }),
        );
        let told = json!({ "dryRun": true, "requests": written.collect::<Value>() });
        return show::out(&show::pretty(&told));
    }
    fault::say("Nothing is done. This would be sent:");
    for request in requests {
        let body = request.body.as_ref().map_or_else(String::new, |body| format!("{}\n", show::pretty(body)));
        show::put(&format!("{} {}\n{body}", request.method, url(request)))?;
    }
    Ok(())
}
