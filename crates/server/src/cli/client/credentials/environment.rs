//! The variables that the original product's clients read.

use super::super::super::fault;
use super::super::surroundings::Surroundings;
use super::{Failed, Found};

const NAMES: [&str; 3] = ["SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET"];

/// What they give: all of it or nothing. Some of it alone is a slip that must not lead to another server.
pub(super) fn read(around: &Surroundings) -> Result<Option<Found>, Failed> {
    let values = [around.variable(NAMES[0])?, around.variable(NAMES[1])?, around.variable(NAMES[2])?];
    let missing: Vec<&str> =
        NAMES.iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    match values {
        [Some(base_url), Some(client_id), Some(secret)] => {
            Ok(Some(Found { base_url, client_id, client_secret: secret.into() }))
        }
        [None, None, None] => Ok(None),
        _ => Err(fault::usage(format!(
            "{} {} not set: of SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET all are needed, or none",
            missing.join(" and "),
            if missing.len() == 1 { "is" } else { "are" }
        ))),
    }
}
