//! Who looks at a page: an identity with a session.

use std::sync::Arc;

use axum::http::Method;
use patron_core::access::Holder;
use patron_core::audit::{Acting, Context, Means, Party};
use patron_core::identity::Identity;
use patron_core::rights::RightSet;
use patron_core::secret::SessionToken;
use patron_core::{Error, Result};
use patron_store::sessions::Session;
use subtle::ConstantTimeEq as _;

use super::{Form, cookies};
use crate::actor::Actor;
use crate::app::Request;

/// The field of every form that proves that it came from this browser's page.
pub const CSRF: &str = "csrf";

/// An identity that has signed in.
pub struct Visitor {
    /// The identity.
    pub identity: Arc<Identity>,
    /// Its rights, all of them: a session has no scopes.
    pub rights: RightSet,
    /// Its session.
    pub session: Session,
    /// What was posted; empty for a page that is only looked at.
    pub form: Form,
    token: SessionToken,
}

impl Visitor {
    /// Who sent a request, if their session is alive.
    pub async fn of(request: &Request) -> Result<Option<Self>> {
        let Some(token) = cookies::session(request) else { return Ok(None) };
        let app = &request.app;
        let Some(session) = app.session(request.site.key, &token).await? else { return Ok(None) };
        let identity = Arc::new(session.identity.clone());
        let rights = app.catalogue.rights_of_levels(&identity.levels);
        Ok(Some(Self { identity, rights, session, form: Form::default(), token }))
    }

    /// Reads what was posted, which must carry this session's CSRF token.
    pub async fn take_form(&mut self, request: &mut Request) -> Result<()> {
        if request.parts.method == Method::GET || request.parts.method == Method::HEAD {
            return Ok(());
        }
        let form = Form::posted(request).await?;
        check_csrf(&form, &self.token)?;
        self.form = form;
        Ok(())
    }

    /// What a form of this session carries in [`CSRF`].
    pub fn csrf(&self) -> String {
        self.token.csrf()
    }

    /// As the rules of access see them.
    pub fn holder(&self) -> Holder<'_> {
        Holder::of(&self.identity, self.rights, None)
    }

    /// As whoever makes a change.
    pub fn actor(&self, request: &Request) -> Actor {
        let context = Context {
            actor: Party::identity(self.identity.id, &self.identity.name),
            acting: Some(Acting::of(&self.identity, Means::Session(self.session.hash))),
            address: Some(request.address),
            tracking: request.tracking,
        };
        Actor {
            app: Arc::clone(&request.app),
            tenant: self.identity.tenant,
            identity: Arc::clone(&self.identity),
            rights: self.rights,
            scopes: None,
            context,
        }
    }
}

/// Refuses a form that did not come from a page of this browser's.
pub fn check_csrf(form: &Form, token: &SessionToken) -> Result<()> {
    let same: bool = form.text(CSRF).as_bytes().ct_eq(token.csrf().as_bytes()).into();
    if same {
        return Ok(());
    }
    Err(Error::forbidden("This form did not come from a page that you opened here. Open the page again."))
}
