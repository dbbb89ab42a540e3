//! `/tenant/v1`.

use axum::http::StatusCode;
use patron_api::Tenant;

use crate::app::Request;
use crate::auth::Caller;
use crate::respond::{self, Answer, Failure};

/// `GET /tenant/v1`: the tenant that was asked.
pub async fn get(request: Request, _caller: Caller) -> Result<Answer, Failure> {
    let site = &request.site;
    let tenant = Tenant {
        id: site.id.clone(),
        name: site.name.to_string(),
        full_name: site.name.to_string(),
        pod: request.app.settings.pod.clone(),
        region: String::new(),
        description: String::new(),
        products: Vec::new(),
    };
    Ok(respond::json(StatusCode::OK, &tenant))
}
