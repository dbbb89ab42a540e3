//! Web sessions: what a browser's cookie stands for, from sign-in to sign-out, and the passwords they begin with.

use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::{IdentityId, TenantKey};
use patron_core::identity::Identity;
use patron_core::limits::{SESSION_SEEN_STEP_SECONDS, SESSIONS_PER_IDENTITY};
use patron_core::name::could_be_name;
use patron_core::secret::SessionHash;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::Store;
use crate::acting::Subjects;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change};
use crate::convert;
use crate::driver::Tx;
use crate::identities::{self, NewPassword, no_such_identity};

/// How long web sessions live: the settings `sessions.idle_minutes` and `sessions.absolute_hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Seconds without a request after which one has ended.
    pub idle_seconds: u32,
    /// Seconds after its sign-in at which one has ended in any case.
    pub absolute_seconds: u32,
}

impl SessionLimits {
    /// Whether a session that began and was last seen then has ended. A time in the future, of a clock that was set
    /// back since, has not passed.
    fn ended(self, created: Timestamp, last_seen: Timestamp, now: Timestamp) -> bool {
        now >= last_seen.plus_seconds(self.idle_seconds.into())
            || now >= created.plus_seconds(self.absolute_seconds.into())
    }

    /// Whoever was last seen then, or earlier, has ended.
    pub(crate) fn idle_before(self, now: Timestamp) -> Timestamp {
        now.plus_seconds(-i64::from(self.idle_seconds))
    }

    /// How far apart, in seconds, notes of a session's use are: often enough that one in use does not look idle.
    fn step_seconds(self) -> i64 {
        SESSION_SEEN_STEP_SECONDS.min(self.idle_seconds / 4).into()
    }
}

/// A web session that is good, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The hash of its token.
    pub hash: SessionHash,
    /// Who signed in, as it is now; enabled.
    pub identity: Identity,
    /// When it began.
    pub created: Timestamp,
    /// When it was last noted to be in use.
    pub last_seen: Timestamp,
    /// Whether the identity's password is one that Patron made (bootstrap, a reset), so that a new one is to be asked
    /// for before anything else.
    pub password_temporary: bool,
}

impl Session {
    /// Whether it is time to note again that it is in use.
    pub fn is_due(&self, limits: SessionLimits, now: Timestamp) -> bool {
        // Also when the clock was set back.
        (now.millis() - self.last_seen.millis()).abs() >= limits.step_seconds() * 1_000
    }
}

/// What a password is held against. It has no `Debug`: a hash may be searched.
pub struct Credentials {
    /// Whose it is; perhaps disabled.
    pub identity: Identity,
    /// The hash of the password, a PHC string; `None` when there is none to sign in with.
    pub password_hash: Option<String>,
    /// Whether the password is one that Patron made (bootstrap, a reset).
    pub password_temporary: bool,
}

impl Store {
    /// The session of this hash in the tenant; `None` when there is none, when it has ended by itself, and when its
    /// identity is disabled or was since.
    pub async fn session(
        &self,
        tenant: TenantKey,
        hash: SessionHash,
        limits: SessionLimits,
    ) -> Result<Option<Session>> {
        let now = self.clock.now();
        self.read("session", move |tx| {
            Box::pin(async move {
                let found = find(tx, tenant, hash).await?;
                Ok(found.filter(|session| !limits.ended(session.created, session.last_seen, now)))
            })
        })
        .await
    }

    /// Notes that a session is in use. One that has ended meanwhile is none to note.
    pub async fn touch_session(&self, tenant: TenantKey, hash: SessionHash) -> Result<()> {
        let now = self.clock.now();
        self.write("touch_session", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE sessions SET last_seen = $1 WHERE hash = $2 AND tenant = $3";
                tx.execute(sql, &[now.into(), hash.into(), tenant.into()]).await?;
                Ok(())
            })
        })
        .await
    }

    /// What the password of this login name is held against.
    pub async fn credentials_of(&self, tenant: TenantKey, name: String) -> Result<Option<Credentials>> {
        if !could_be_name(&name) {
            return Ok(None);
        }
        self.read("credentials_of", move |tx| {
            let name = name.clone();
            Box::pin(async move {
                let Some(identity) = identities::find_by_name(tx, tenant, &name).await? else {
                    return Ok(None);
                };
                let sql = "SELECT password_hash, password_temporary FROM identities \
                               WHERE id = $1 AND tenant = $2";
                let row = tx.query_opt(sql, &[identity.id.into(), tenant.into()]).await?;
                let row = row.ok_or_else(no_such_identity)?;
                Ok(Some(Credentials {
                    identity,
                    password_hash: row.opt_text(0)?.map(str::to_owned),
                    password_temporary: row.flag(1)?,
                }))
            })
        })
        .await
    }

    /// Begins a session for an identity whose password was right: the one with the hash `expected`. `previous` is the
    /// session that the browser had, which ends.
    ///
    /// `None` when the password has changed meanwhile, and when the identity is disabled or gone.
    pub async fn sign_in(
        &self,
        context: Context,
        tenant: TenantKey,
        id: IdentityId,
        expected: String,
        previous: Option<SessionHash>,
        session: SessionHash,
    ) -> Result<Option<Session>> {
        let about = Subjects::identity(tenant, id);
        self.change("sign_in", context, about, move |tx, store, context| {
            let expected = expected.clone();
            Box::pin(async move {
                let Some(identity) = with_password(tx, tenant, id, &expected).await? else {
                    changes::refer(tx);
                    return Ok(None);
                };
                if let Some(previous) = previous {
                    end(tx, tenant, previous).await?;
                }
                let now = store.clock.now();
                begin(tx, &identity, session, now).await?;
                let event = Event::new(Action::SignInPassed, Party::identity(id, &identity.name));
                audit::record(tx, &store, &Stamp { tenant, context: &context, now }, &event).await?;
                find(tx, tenant, session).await
            })
        })
        .await
    }

    /// Ends a session. One that has ended already is no failure.
    pub async fn sign_out(&self, tenant: TenantKey, hash: SessionHash) -> Result<()> {
        self.write("sign_out", move |tx| Box::pin(async move { end(tx, tenant, hash).await })).await
    }

    /// Ends all sessions of an identity but this one, and answers how many there were.
    ///
    /// # Errors
    /// Not found when the tenant has no such identity.
    pub async fn end_other_sessions(
        &self,
        context: Context,
        tenant: TenantKey,
        id: IdentityId,
        keep: SessionHash,
    ) -> Result<u64> {
        let about = Subjects::identity(tenant, id);
        self.change("end_other_sessions", context, about, move |tx, store, context| {
            Box::pin(async move {
                let who = identities::find(tx, tenant, id).await?.ok_or_else(no_such_identity)?;
                let sql = "DELETE FROM sessions WHERE tenant = $1 AND identity = $2 AND hash <> $3";
                let ended = tx.execute(sql, &[tenant.into(), id.into(), keep.into()]).await?;
                if ended > 0 {
                    let now = store.clock.now();
                    let event = Event::new(Action::IdentityUpdated, Party::identity(id, &who.name))
                        .with("sessionsEnded", ended);
                    audit::record(tx, &store, &Stamp { tenant, context: &context, now }, &event).await?;
                    changes::enter_for_nodes(tx, Change::Identity(id));
                } else {
                    changes::refer(tx);
                }
                Ok(ended)
            })
        })
        .await
    }

    /// Gives an identity a password of its own choice, in the place of the one with the hash `expected`. All its
    /// sessions end, and a new one begins.
    ///
    /// `None` when the password has changed meanwhile, and when the identity is disabled or gone.
    pub async fn change_own_password(
        &self,
        context: Context,
        tenant: TenantKey,
        id: IdentityId,
        expected: String,
        hash: String,
        session: SessionHash,
    ) -> Result<Option<Session>> {
        let about = Subjects::identity(tenant, id);
        self.change("change_own_password", context, about, move |tx, store, context| {
            let (expected, hash) = (expected.clone(), hash.clone());
            Box::pin(async move {
                let Some(identity) = with_password(tx, tenant, id, &expected).await? else {
                    changes::refer(tx);
                    return Ok(None);
                };
                let new = NewPassword { hash, temporary: false };
                identities::set_password(tx, &store, &context, &identity, new).await?;
                begin(tx, &identity, session, store.clock.now()).await?;
                find(tx, tenant, session).await
            })
        })
        .await
    }
}

/// The session of this hash, perhaps one that has ended by itself.
async fn find(tx: &mut Tx, tenant: TenantKey, hash: SessionHash) -> Result<Option<Session>> {
    let sql = "SELECT s.identity, s.created, s.last_seen, i.password_temporary FROM sessions s \
               JOIN identities i ON i.id = s.identity AND i.tenant = s.tenant \
               WHERE s.hash = $1 AND s.tenant = $2 AND i.enabled = 1 AND s.generation = i.generation";
    let Some(row) = tx.query_opt(sql, &[hash.into(), tenant.into()]).await? else { return Ok(None) };
    let id = IdentityId::from_bytes(row.fixed(0)?);
    let identity = identities::find(tx, tenant, id).await?;
    Ok(Some(Session {
        hash,
        identity: identity.ok_or_else(|| Error::internal("a session's identity is not there"))?,
        created: convert::time(&row, 1)?,
        last_seen: convert::time(&row, 2)?,
        password_temporary: row.flag(3)?,
    }))
}

/// The identity, if it is enabled and its password still has this hash.
async fn with_password(
    tx: &mut Tx,
    tenant: TenantKey,
    id: IdentityId,
    hash: &str,
) -> Result<Option<Identity>> {
    let sql = "SELECT 1 FROM identities WHERE id = $1 AND tenant = $2 AND enabled = 1 AND password_hash = $3";
    if tx.query_opt(sql, &[id.into(), tenant.into(), hash.into()]).await?.is_none() {
        return Ok(None);
    }
    identities::find(tx, tenant, id).await
}

async fn begin(tx: &mut Tx, who: &Identity, hash: SessionHash, now: Timestamp) -> Result<()> {
    // Room for one more: of too many, those that were seen last the longest ago end.
    let sql = "DELETE FROM sessions WHERE tenant = $1 AND identity = $2 AND hash NOT IN \
               (SELECT hash FROM sessions WHERE tenant = $1 AND identity = $2 \
               ORDER BY last_seen DESC, hash LIMIT $3)";
    tx.execute(sql, &[who.tenant.into(), who.id.into(), (SESSIONS_PER_IDENTITY - 1).into()]).await?;
    let sql = "INSERT INTO sessions (hash, tenant, identity, generation, created, last_seen) \
               VALUES ($1, $2, $3, $4, $5, $5)";
    let values = [hash.into(), who.tenant.into(), who.id.into(), who.generation.into(), now.into()];
    tx.execute(sql, &values).await?;
    Ok(())
}

async fn end(tx: &mut Tx, tenant: TenantKey, hash: SessionHash) -> Result<()> {
    let sql = "DELETE FROM sessions WHERE hash = $1 AND tenant = $2 RETURNING identity";
    match tx.query_opt(sql, &[hash.into(), tenant.into()]).await? {
        // A node on a server that was left behind goes on until its lease is over.
        Some(row) => changes::enter_for_nodes(tx, Change::Identity(IdentityId::from_bytes(row.fixed(0)?))),
        None => changes::refer(tx),
    }
    Ok(())
}

/// Ends all sessions of an identity, in the transaction of what ends them.
pub(crate) async fn end_all(tx: &mut Tx, tenant: TenantKey, id: IdentityId) -> Result<()> {
    let sql = "DELETE FROM sessions WHERE tenant = $1 AND identity = $2";
    tx.execute(sql, &[tenant.into(), id.into()]).await?;
    Ok(())
}

/// Drops the sessions that have ended by being idle. One that is too old is used no more, and so becomes idle.
pub(crate) const PURGE: &str = "DELETE FROM sessions WHERE hash IN \
                                (SELECT hash FROM sessions WHERE last_seen <= $1 ORDER BY last_seen LIMIT $2)";

#[cfg(test)]
mod tests;
