//! Who is asking: access tokens and PATs, judged on every request (contract sections 3, 6 and 8).

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use patron_core::access::Holder;
use patron_core::audit::{Acting, Context, Means, Party};
use patron_core::id::{IdentityId, PatId, TenantKey, TokenId, TrackingId};
use patron_core::identity::Identity;
use patron_core::pat::State;
use patron_core::rights::{Catalogue, RightSet};
use patron_core::scope::ScopeList;
use patron_core::secret::SecretHash;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use patron_store::pats::Use;

use crate::app::App;
use crate::keys::{Claims, JwtError};
use crate::limiter::RetryAfterSeconds;
use crate::memory::{Known, PresentPat};
use crate::oauth::{BasicError, ClientCredentials, parse_basic};

/// An identity acting with a credential that is good.
pub struct Caller {
    /// Its tenant.
    pub tenant: TenantKey,
    /// The identity.
    pub identity: Arc<Identity>,
    /// The PAT that it acts with, or from which its access token was made.
    pub pat: PatId,
    /// The access token that it acts with; `None` for the PAT itself.
    pub token: Option<TokenId>,
    /// The scopes of the credential.
    pub scopes: ScopeList,
    /// The rights of the credential, now.
    pub rights: RightSet,
}

impl Caller {
    /// As the rules of access see it.
    pub fn holder(&self) -> Holder<'_> {
        Holder::of(&self.identity, self.rights, Some(&self.scopes))
    }

    /// As the audit trail names it.
    pub fn context(&self, address: IpAddr, tracking: TrackingId) -> Context {
        let means = Means::Pat {
            pat: self.pat,
            token: self.token,
            pat_scopes: self.token.is_none().then(|| self.scopes.clone()),
        };
        let acting = Acting::of(&self.identity, means);
        let actor = Party::identity(self.identity.id, &self.identity.name);
        Context { actor, acting: Some(acting), address: Some(address), tracking }
    }
}

/// A PAT whose id and secret are right, and its owner.
pub struct Proven {
    /// The PAT.
    pub present: Arc<PresentPat>,
    /// Who owns it.
    pub owner: Arc<Identity>,
    /// When it was proven. What is made from it is dated so: a moment later it may have expired.
    pub at: Timestamp,
}

impl Proven {
    /// The PAT itself as a credential.
    pub fn caller(&self, catalogue: &Catalogue) -> Caller {
        let PresentPat { terms, scopes, .. } = &*self.present;
        Caller {
            tenant: terms.tenant,
            identity: Arc::clone(&self.owner),
            pat: terms.id,
            token: None,
            scopes: scopes.list.clone(),
            rights: catalogue.rights_of(&self.owner.levels, &scopes.list),
        }
    }
}

/// Why an id and a secret are refused.
#[derive(Debug)]
pub enum Refusal {
    /// Unknown id or wrong secret; only the audit trail knows which.
    Wrong,
    /// Wrong, and too often.
    Guessing(RetryAfterSeconds),
    /// Right, but the PAT was deleted.
    Deleted,
    /// Right, but the PAT expired then.
    Expired(Timestamp),
    /// Right, but its owner is disabled.
    OwnerDisabled,
    /// It could not be found out.
    Fault(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl Refusal {
    /// The text for a caller, in OAuth's characters.
    pub fn text(&self) -> String {
        match self {
            Self::Wrong | Self::Guessing(_) => "The client id or the client secret is wrong.".to_owned(),
            Self::Deleted => "The personal access token was deleted.".to_owned(),
            Self::Expired(at) => format!("The personal access token expired at {at}."),
            Self::OwnerDisabled => "The owner of the personal access token is disabled.".to_owned(),
            Self::Fault(error) => error.to_string(),
        }
    }

    /// As one of Patron's errors: 401 with `text`, 429, or the fault that it is.
    pub fn into_error(self, prefix: &str) -> Error {
        match self {
            Self::Guessing(wait) => Error::RateLimited { retry_after: wait.0 },
            Self::Fault(error) => error,
            other => Error::unauthenticated(format!("{prefix}{}", other.text())),
        }
    }
}

/// Where a credential was presented.
#[derive(Debug, Clone, Copy)]
pub struct Presented {
    /// The tenant that was asked; `None` asks the tenant that the credential belongs to.
    pub tenant: Option<TenantKey>,
    /// The tenant whose audit trail tells of failures when the credential is nobody's.
    pub recorded_in: TenantKey,
    /// From where.
    pub address: IpAddr,
}

impl App {
    /// Judges an id and a secret.
    pub async fn prove(&self, presented: &ClientCredentials, at: Presented) -> Result<Proven, Refusal> {
        self.memory.refresh().await?;
        let now = self.clock.now();
        let id = PatId::parse(&presented.client_id);
        let (known, cached) = match id {
            Some(id) => self.memory.pat(id).await?,
            None => (None, false),
        };
        // Another tenant's PAT is nobody's here.
        let known = known.filter(|known| at.tenant.is_none_or(|tenant| tenant == tenant_of(known)));
        let hash = known.as_ref().map_or(SecretHash::NOBODYS, hash_of);
        if !hash.matches(&presented.secret) {
            if cached {
                self.memory.look_for_nobody().await?;
            }
            let reason = if known.is_some() { "WRONG_SECRET" } else { "UNKNOWN_CLIENT" };
            let tenant = known.as_ref().map_or(at.recorded_in, tenant_of);
            self.metrics.auth_failure(reason);
            let counted = self.failures.wrong(at.address, Some(&presented.client_id), now);
            // Once told to wait, a guesser's further tries are one entry of the trail, whatever ids they make up.
            let told = (counted.is_ok() || known.is_some()).then_some(presented.client_id.as_str());
            self.recorder.failed(tenant, told, reason, at.address);
            return Err(counted.map_or_else(Refusal::Guessing, |()| Refusal::Wrong));
        }
        let refuse = |tenant: TenantKey, reason: &'static str, refusal: Refusal| {
            self.recorder.failed(tenant, Some(&presented.client_id), reason, at.address);
            self.metrics.auth_failure(reason);
            Err(refusal)
        };
        let Some(known) = known else { return Err(Refusal::Wrong) };
        let present = match known {
            Known::Present(present) => present,
            Known::Deleted { tenant, .. } => return refuse(tenant, "DELETED", Refusal::Deleted),
        };
        let tenant = present.terms.tenant;
        let Some(owner) = self.memory.identity(present.terms.owner).await? else {
            return refuse(tenant, "DELETED", Refusal::Deleted);
        };
        if !owner.enabled {
            return refuse(tenant, "OWNER_DISABLED", Refusal::OwnerDisabled);
        }
        if let State::Expired(at) = present.terms.expiry.state(now) {
            return refuse(tenant, "EXPIRED", Refusal::Expired(at));
        }
        Ok(Proven { present, owner, at: now })
    }

    /// Takes note of a use, so that `lastUsed` moves when it is due.
    ///
    /// # Errors
    /// Only with the setting `audit.every_use`, when the record cannot be made: then the use must not succeed.
    pub async fn note_use(&self, proven: &Proven, address: IpAddr, tracking: TrackingId) -> Result<()> {
        let (present, now) = (&proven.present, proven.at);
        let always = self.settings.audit.every_use;
        if !present.use_moves(now) && !always {
            return Ok(());
        }
        let actor = Party::identity(proven.owner.id, &proven.owner.name);
        let context = Context { actor, acting: None, address: Some(address), tracking };
        let used = Use { tenant: present.terms.tenant, pat: present.terms.id, at: now, context, always };
        if always {
            return self.store.record_uses(vec![used]).await;
        }
        self.recorder.used(used);
        Ok(())
    }

    /// Who sent these headers, with an access token or with a PAT. For the PAT itself its proof is given as well, so
    /// that its use is noted ([`App::note_use`]) once the request is admitted.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] with the original's texts, [`Error::RateLimited`] after too many wrong guesses,
    /// or a fault.
    pub async fn caller(&self, headers: &HeaderMap, at: Presented) -> Result<(Caller, Option<Proven>)> {
        let mut values = headers.get_all(AUTHORIZATION).into_iter();
        let Some(value) = values.next() else {
            return Err(Error::unauthenticated("JWT validation failed: no Authorization header"));
        };
        if values.next().is_some() {
            return Err(Error::unauthenticated("JWT validation failed: more than one Authorization header"));
        }
        match parse_basic(value) {
            Ok(credentials) => {
                let prefix = "Basic authentication failed: ";
                let proven =
                    self.prove(&credentials, at).await.map_err(|refusal| refusal.into_error(prefix))?;
                Ok((proven.caller(&self.catalogue), Some(proven)))
            }
            Err(BasicError::OtherScheme) => {
                let bearer = value.to_str().ok().and_then(bearer_of);
                let Some(token) = bearer else {
                    return Err(Error::unauthenticated("JWT validation failed: neither Bearer nor Basic"));
                };
                Ok((self.caller_by_token(token, at).await?, None))
            }
            Err(BasicError::Empty) => {
                Err(Error::unauthenticated("Basic authentication failed: the id or the secret is missing."))
            }
            Err(BasicError::Malformed) => {
                Err(Error::unauthenticated("Basic authentication failed: the header is malformed."))
            }
        }
    }

    async fn caller_by_token(&self, token: &str, at: Presented) -> Result<Caller> {
        if token.is_empty() {
            return Err(Error::unauthenticated("JWT validation failed: JWT is empty"));
        }
        self.memory.refresh().await?;
        match self.judge_token(token, at.tenant).await? {
            Ok(live) => Ok(live.caller),
            Err(refusal) => {
                if refusal.is_guess() {
                    self.metrics.auth_failure("INVALID_TOKEN");
                    if let Err(wait) = self.failures.wrong(at.address, None, self.clock.now()) {
                        return Err(Error::RateLimited { retry_after: wait.0 });
                    }
                }
                Err(Error::unauthenticated(format!("JWT validation failed: {refusal}")))
            }
        }
    }

    /// Judges an access token; [`crate::memory::Memory::refresh`] was called before.
    pub async fn judge_token(
        &self,
        token: &str,
        tenant: Option<TenantKey>,
    ) -> Result<Result<LiveToken, TokenRefusal>> {
        let claims = match self.memory.verified(token) {
            Ok(claims) => claims,
            Err(error) => return Ok(Err(TokenRefusal::Jwt(error))),
        };
        let now = self.clock.now();
        if now.seconds() >= claims.exp {
            return Ok(Err(TokenRefusal::Expired));
        }
        let (Some(jti), Some(pat), Some(identity)) = (
            TokenId::parse(&claims.jti),
            PatId::parse(&claims.client_id),
            IdentityId::parse(&claims.identity_id),
        ) else {
            return Ok(Err(TokenRefusal::Jwt(JwtError::Malformed)));
        };
        let (known, _) = self.memory.pat(pat).await?;
        let Some(Known::Present(present)) = known else {
            return Ok(Err(TokenRefusal::PatDeleted));
        };
        if tenant.is_some_and(|tenant| tenant != present.terms.tenant) {
            return Ok(Err(TokenRefusal::OtherTenant));
        }
        if let State::Expired(_) = present.terms.expiry.state(now) {
            return Ok(Err(TokenRefusal::Expired));
        }
        if self.memory.is_revoked(jti) {
            return Ok(Err(TokenRefusal::Revoked));
        }
        let owner = self.memory.identity(identity).await?;
        let Some(owner) = owner.filter(|owner| owner.enabled && owner.generation == jti.generation()) else {
            return Ok(Err(TokenRefusal::OwnerDisabled));
        };
        let scopes = ScopeList::from_kept(claims.scope.iter().map(str::to_owned).collect());
        let rights = self.catalogue.rights_of(&owner.levels, &scopes);
        let ends = present.terms.expiry.cuts_short(claims.exp);
        let caller =
            Caller { tenant: present.terms.tenant, identity: owner, pat, token: Some(jti), scopes, rights };
        Ok(Ok(LiveToken { claims, jti, ends, caller }))
    }
}

fn tenant_of(known: &Known) -> TenantKey {
    match known {
        Known::Present(present) => present.terms.tenant,
        Known::Deleted { tenant, .. } => *tenant,
    }
}

fn hash_of(known: &Known) -> SecretHash {
    match known {
        Known::Present(present) => present.hash,
        Known::Deleted { hash, .. } => *hash,
    }
}

/// What stands behind `Bearer` (RFC 6750 section 2.1); the scheme in any case, and nothing at all is an empty token.
fn bearer_of(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// An access token that works.
pub struct LiveToken {
    /// What it says.
    pub claims: Arc<Claims>,
    /// Its id.
    pub jti: TokenId,
    /// When it ends, seconds since 1970: its `exp`, or sooner when its PAT does.
    pub ends: i64,
    /// Who acts with it.
    pub caller: Caller,
}

/// Why an access token does not work.
#[derive(Debug)]
pub enum TokenRefusal {
    /// It is no token of ours.
    Jwt(JwtError),
    /// It or its PAT has ended.
    Expired,
    /// Its PAT was deleted.
    PatDeleted,
    /// It was revoked.
    Revoked,
    /// Its identity is disabled, or was since it was issued.
    OwnerDisabled,
    /// It is another tenant's.
    OtherTenant,
}

impl TokenRefusal {
    /// Whether somebody's change may be why: one that other nodes may not know of yet.
    pub fn is_by_change(&self) -> bool {
        match self {
            Self::Jwt(_) | Self::OtherTenant => false,
            Self::Expired | Self::PatDeleted | Self::Revoked | Self::OwnerDisabled => true,
        }
    }

    /// Whether it counts as guessing: only what nobody was ever given does. A key that is not known may be one that
    /// is no longer published, so a script with a token from last week is not taken for a guesser.
    fn is_guess(&self) -> bool {
        matches!(self, Self::Jwt(error) if *error != JwtError::UnknownKey)
    }
}

impl std::fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Jwt(error) => error.fmt(f),
            Self::Expired => f.write_str("JWT is expired"),
            Self::PatDeleted => f.write_str("the personal access token was deleted"),
            Self::Revoked => f.write_str("JWT is revoked"),
            Self::OwnerDisabled => f.write_str("the identity is disabled"),
            Self::OtherTenant => f.write_str("JWT is not valid here"),
        }
    }
}
