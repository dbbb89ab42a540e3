//! One identity: what it is, and its levels.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use patron_core::error::Detail;
use patron_core::identity::Identity;
use patron_core::rights::{Catalogue, Right};
use patron_core::{Error, Result};

use super::{LevelChoice, id_of, level_choices, path_of};
use crate::actor::LevelsChange;
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::web::cookies::Notice;
use crate::web::frame::{self, Frame, Problems};
use crate::web::{Section, Visitor};

#[derive(Template)]
#[template(path = "identity.html")]
struct OnePage {
    frame: Frame,
    identity: Identity,
    id: String,
    levels: Vec<LevelChoice>,
    /// Levels that it has and that the catalogue no longer knows; they have no rights.
    stale: Vec<String>,
    problems: Problems,
    offers: Offers,
}

/// What the visitor may do with the identity.
struct Offers {
    levels: bool,
    switch: Option<Switch>,
    reset: bool,
}

/// Which way `enabled` can be turned.
#[derive(PartialEq, Eq)]
enum Switch {
    Enable,
    Disable,
}

impl Offers {
    fn new(catalogue: &Catalogue, visitor: &Visitor, who: &Identity) -> Self {
        let holder = visitor.holder();
        let may_switch = holder.set_enabled(catalogue, &who.levels, !who.enabled).is_ok();
        Self {
            levels: holder.require(catalogue, Right::AUTH_USER_MANAGE).is_ok(),
            switch: may_switch.then_some(if who.enabled { Switch::Disable } else { Switch::Enable }),
            reset: holder.reset_password(catalogue, who.id, &who.levels).is_ok(),
        }
    }
}

fn one_page(
    request: &Request,
    visitor: &Visitor,
    identity: Identity,
    chosen: &[String],
    problems: Problems,
) -> Result<Answer, Failure> {
    let catalogue = &request.app.catalogue;
    let page = OnePage {
        frame: Frame::new(request, Some(visitor), Section::Identities),
        id: identity.id.to_string(),
        levels: level_choices(catalogue, &visitor.holder(), &identity.levels, chosen),
        stale: identity.levels.iter().filter(|level| !catalogue.knows_level(level)).cloned().collect(),
        offers: Offers::new(catalogue, visitor, &identity),
        identity,
        problems,
    };
    frame::page(request, page.problems.status(), &page)
}

/// `GET …/{id}`: an identity.
pub async fn one(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let identity = visitor.actor(&request).identity(id_of(&request)?).await?;
    let chosen = identity.levels.clone();
    one_page(&request, &visitor, identity, &chosen, Problems::default())
}

/// What becomes of levels that were `before` when the form was made, and of which these are ticked. Their order stays.
fn ticked(now: &[String], before: &[String], chosen: &[String]) -> Result<Vec<String>> {
    let set = |levels: &[String]| -> BTreeSet<String> { levels.iter().cloned().collect() };
    // Otherwise a level that somebody has taken meanwhile would be given back unseen.
    if set(now) != set(before) {
        let text = "The levels have been changed meanwhile.";
        return Err(Error::invalid(Detail::Conflict, text).at("levels"));
    }
    let kept = now.iter().filter(|level| chosen.contains(level));
    let added = chosen.iter().filter(|level| !now.contains(level));
    Ok(kept.chain(added).cloned().collect())
}

/// `POST …/{id}`: sets the levels that are ticked.
pub async fn set_levels(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let actor = visitor.actor(&request);
    let all = |name: &str| -> Vec<String> { visitor.form.all(name).map(str::to_owned).collect() };
    let (before, chosen) = (all("before"), all("level"));
    let change: LevelsChange = {
        let chosen = chosen.clone();
        Arc::new(move |now: &[String]| ticked(now, &before, &chosen))
    };
    match actor.set_levels(id, change).await {
        Ok(_) => Ok(frame::redirect_with(&request, &path_of(id), Notice::of("notice-identity-saved"))),
        Err(error) => {
            let changed = matches!(error, Error::Invalid { detail: Detail::Conflict, .. });
            let mut problems = Problems::default();
            problems.take(error)?;
            let identity = actor.identity(id).await?;
            // Ticks that were meant for other levels are not offered again.
            let chosen = if changed { identity.levels.clone() } else { chosen };
            one_page(&request, &visitor, identity, &chosen, problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn ticks_change_what_they_were_made_for() {
        let ticked = |now: &str, before: &str, chosen: &str| {
            ticked(&levels(now), &levels(before), &levels(chosen)).map(|new| new.join(" ")).ok()
        };
        assert_eq!(ticked("B A", "A B", "A B").as_deref(), Some("B A"), "the order stays");
        assert_eq!(ticked("B A", "B A", "A C").as_deref(), Some("A C"));
        assert_eq!(ticked("", "", "A").as_deref(), Some("A"));
        assert_eq!(ticked("A", "A", "").as_deref(), Some(""));
        for (now, before) in [("A", "A B"), ("A B", "A"), ("", "A"), ("B", "A")] {
            assert_eq!(ticked(now, before, "A B"), None, "{before} became {now}");
        }
    }
}
