//! Signing in with a login name and a password, and what a session is good for: the rules, without any page.

use std::net::IpAddr;

use patron_core::audit::{Context, Party};
use patron_core::id::{TenantKey, TrackingId};
use patron_core::identity;
use patron_core::secret::{Password, SessionHash, SessionToken};
use patron_core::{Error, Result};
use patron_store::sessions::Session;

use crate::app::App;
use crate::guesses::Guesser;
use crate::limiter::RetryAfterSeconds;

/// Somebody who wants to sign in.
pub struct Attempt<'a> {
    /// The tenant that was asked.
    pub tenant: TenantKey,
    /// The login name, as it was typed.
    pub name: &'a str,
    /// The password.
    pub password: Password,
    /// From where.
    pub address: IpAddr,
    /// In which request.
    pub tracking: TrackingId,
    /// The session that the browser has, which ends when this one begins.
    pub previous: Option<SessionHash>,
    /// The browser's device cookie ([`crate::devices`]), whatever is in it.
    pub device: Option<&'a str>,
}

/// Somebody who signed in.
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Its token, for the cookie.
    pub token: SessionToken,
    /// The value of the browser's device cookie from now on.
    pub device: String,
}

/// Why nobody signed in.
#[derive(Debug)]
pub enum SignInRefusal {
    /// There is no such login name, the password is wrong, or there is none to sign in with; only the audit trail
    /// knows which.
    Wrong,
    /// Too many tries: this one was not looked at. How long to wait.
    Throttled(RetryAfterSeconds),
    /// The password is right, and the identity disabled.
    Disabled,
    /// It could not be found out.
    Fault(Error),
}

impl From<Error> for SignInRefusal {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

/// Why a password was not changed.
#[derive(Debug)]
pub enum ChangeRefusal {
    /// The current password is wrong.
    WrongCurrent,
    /// The new password is none that is taken: [`Error::Invalid`], with what to change.
    New(Error),
    /// Too many tries at the current one: this one was not looked at. How long to wait.
    Throttled(RetryAfterSeconds),
    /// It could not be found out, or the session has ended.
    Fault(Error),
}

impl From<Error> for ChangeRefusal {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl App {
    /// Signs somebody in. Names that are unknown, passwords that are wrong and passwords that are not there take the
    /// same time and have the same answer.
    pub async fn sign_in(&self, attempt: Attempt<'_>) -> Result<SignedIn, SignInRefusal> {
        let Attempt { tenant, password, address, tracking, previous, device, .. } = attempt;
        // A node that is cut off does not know what has changed.
        self.memory.refresh().await?;
        // As names are kept.
        let name = attempt.name.trim();
        let found = self.store.credentials_of(tenant, name.to_owned()).await?;
        let who = found.as_ref().map(|found| &found.identity);
        let known = found.as_ref().zip(device).and_then(|(found, device)| {
            self.devices.read(device, tenant, found.identity.id, found.password_hash.as_deref()?)
        });
        let guesser = known.map_or(Guesser::Stranger { tenant, name, address }, Guesser::Known);
        let refused = |reason: &'static str| {
            self.metrics.auth_failure(reason);
            self.recorder.failed_sign_in(tenant, who, reason, address);
        };
        let counted = match self.guesses.count(guesser, self.clock.now()) {
            Ok(counted) => counted,
            Err(wait) => {
                refused("TOO_MANY_TRIES");
                return Err(SignInRefusal::Throttled(wait));
            }
        };
        let hash = found.as_ref().and_then(|found| found.password_hash.clone());
        let right = self.passwords.verify(password, hash.clone()).await;
        let (Some(who), Some(hash), Ok(true)) = (who, hash, &right) else {
            match right {
                Ok(_) => refused(match &found {
                    None => "UNKNOWN_NAME",
                    Some(found) if found.password_hash.is_none() => "NO_PASSWORD",
                    Some(_) => "WRONG_PASSWORD",
                }),
                Err(error) => {
                    self.guesses.give_back(counted);
                    return Err(error.into());
                }
            }
            return Err(SignInRefusal::Wrong);
        };
        self.guesses.give_back(counted);
        if !who.enabled {
            refused("DISABLED");
            return Err(SignInRefusal::Disabled);
        }
        let token = SessionToken::generate(&self.entropy);
        let actor = Party::identity(who.id, &who.name);
        let context = Context { actor, acting: None, address: Some(address), tracking };
        let device = self.devices.issue(tenant, who.id, &hash);
        let session = self.store.sign_in(context, tenant, who.id, hash, previous, token.hash()).await?;
        let Some(session) = session else {
            // Changed, disabled or deleted in the meantime.
            refused("WRONG_PASSWORD");
            return Err(SignInRefusal::Wrong);
        };
        Ok(SignedIn { session, token, device })
    }

    /// The session of this token in the tenant, noted to be in use; `None` when there is none that is good.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn session(&self, tenant: TenantKey, token: &SessionToken) -> Result<Option<Session>> {
        // A node that is cut off does not know which have ended.
        self.memory.refresh().await?;
        let limits = self.settings.sessions.limits();
        let session = self.store.session(tenant, token.hash(), limits).await?;
        if let Some(session) = &session
            && session.is_due(limits, self.clock.now())
            && let Err(error) = self.store.touch_session(tenant, session.hash).await
        {
            // What is read need not fail for what cannot be written; the session ends a little early at worst.
            tracing::warn!(cause = error.cause(), "the use of a session was not noted");
        }
        Ok(session)
    }

    /// Gives whoever is in a session a password of its own choice. All its sessions end, and a new one begins.
    /// `context` is the session's own.
    pub async fn change_password(
        &self,
        session: &Session,
        context: Context,
        current: Password,
        new: Password,
    ) -> Result<SignedIn, ChangeRefusal> {
        identity::check_new_password(&new, &current).map_err(ChangeRefusal::New)?;
        let who = &session.identity;
        let counted = self
            .guesses
            .count(Guesser::SignedIn(session.hash), self.clock.now())
            .map_err(ChangeRefusal::Throttled)?;
        let found = self.store.credentials_of(who.tenant, who.name.clone()).await?;
        let expected = found.and_then(|found| found.password_hash);
        let right = self.passwords.verify(current, expected.clone()).await;
        let (Some(expected), true) = (expected, *right.as_ref().unwrap_or(&false)) else {
            if let Err(error) = right {
                self.guesses.give_back(counted);
                return Err(error.into());
            }
            self.metrics.auth_failure("WRONG_PASSWORD");
            if let Some(address) = context.address {
                self.recorder.failed_sign_in(who.tenant, Some(who), "WRONG_PASSWORD", address);
            }
            return Err(ChangeRefusal::WrongCurrent);
        };
        self.guesses.give_back(counted);
        let hash = self.passwords.hash(new).await?;
        let token = SessionToken::generate(&self.entropy);
        let device = self.devices.issue(who.tenant, who.id, &hash);
        let changed =
            self.store.change_own_password(context, who.tenant, who.id, expected, hash, token.hash()).await?;
        // Changed by somebody else in the meantime, which has ended this session too.
        let session = changed.ok_or(ChangeRefusal::WrongCurrent)?;
        Ok(SignedIn { session, token, device })
    }
}
