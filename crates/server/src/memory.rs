//! What the hot path reads instead of the database, kept true by the store's change feed.
//!
//! Before a request relies on anything here it calls [`Memory::refresh`]. On a database of this process's own that asks
//! the store whether any process has committed something since; if so, what changed is forgotten first. So a deletion
//! by `patron admin` counts from the next request on, and a database out of reach is an error, never an answer from
//! memory. On a database that several nodes share it asks whether there is a lease ([`crate::trust`]): while there is,
//! no change is answered that [`crate::follower`] has not applied here.
//!
//! A look-up that began before a change and ends after it must not bring the old state back: every loader notes the
//! epoch before it reads, and puts nothing in when the epoch has moved.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use patron_core::clock::{Clock, SteadyClock};
use patron_core::id::{IdentityId, PatId, TenantKey, TokenId};
use patron_core::identity::Identity;
use patron_core::limits::REVOCATION_KEPT_SECONDS;
use patron_core::name::TenantName;
use patron_core::pat::{Terms, moves_last_used};
use patron_core::scope::ScopeList;
use patron_core::secret::SecretHash;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use patron_store::Store;
use patron_store::changes::{Change, Changes, Place};
use patron_store::pats::Credential;
use patron_store::tenants::Tenant;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::config::Settings;
use crate::keys::{Claims, KeyRing, MasterKey};
use crate::limits::{CACHE_SHARES, CACHED, FORGOTTEN_QUICKLY};
use crate::trust::Trust;

/// A tenant as requests see it.
#[derive(Debug)]
pub struct Site {
    /// What rows carry.
    pub key: TenantKey,
    /// Its id as text.
    pub id: String,
    /// Its name.
    pub name: TenantName,
    /// Its public URL without a slash at the end: the `iss` claim, and what every link begins with.
    pub url: String,
    /// The `aud` claim of its access tokens.
    pub audience: String,
}

/// What is known of a PAT that was presented.
pub enum Known {
    /// It is there.
    Present(Arc<PresentPat>),
    /// It was deleted less than 90 days ago.
    Deleted {
        /// Where it was.
        tenant: TenantKey,
        /// The hash of its secret.
        hash: SecretHash,
    },
}

/// A PAT that is there.
pub struct PresentPat {
    /// What decides whether it works.
    pub terms: Terms,
    /// The hash of its secret.
    pub hash: SecretHash,
    /// Its scopes.
    pub scopes: Arc<Scopes>,
    last_used: AtomicI64,
}

/// Scopes, which most PATs have in common with many others.
pub struct Scopes {
    /// Each of them.
    pub list: ScopeList,
    /// All of them, a space between.
    pub joined: String,
}

const NEVER_USED: i64 = i64::MIN;

impl PresentPat {
    fn new(terms: Terms, hash: SecretHash, scopes: Arc<Scopes>, last_used: Option<Timestamp>) -> Self {
        let last_used = AtomicI64::new(last_used.map_or(NEVER_USED, Timestamp::millis));
        Self { terms, hash, scopes, last_used }
    }

    /// Whether a use at `now` moves `lastUsed`; says so once, to the first who asks.
    pub fn use_moves(&self, now: Timestamp) -> bool {
        let last = self.last_used.load(Ordering::Relaxed);
        let known = (last != NEVER_USED).then(|| Timestamp::from_millis(last));
        moves_last_used(known, now)
            && self
                .last_used
                .compare_exchange(last, now.millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// What is kept of one kind: at most so many bytes, however large or small its entries are.
type Bounded<K, V> = Cache<K, Arc<V>, InBytes>;

fn bounded<K: Eq + std::hash::Hash, V: Sized>(bytes: u64) -> Bounded<K, V>
where
    InBytes: Weighter<K, Arc<V>>,
{
    Cache::with_weighter(CACHED, bytes, InBytes)
}

/// Weighs entries by what they take in memory, near enough: a PAT's scopes may be 25 KiB or none.
#[derive(Clone, Copy)]
struct InBytes;

/// What a PAT takes beside its scopes, an identity beside its texts, and an access token's claims beside theirs.
const PAT_BYTES: usize = 256;
const IDENTITY_BYTES: usize = 384;
const CLAIMS_BYTES: usize = 768;
/// Lists of scopes that PATs share, and how many bytes each may have with the spaces between: some 6 MB if somebody fills
/// them.
const SHARED_SCOPES: usize = 1_000;
const SHARED_BYTES: usize = 256;
/// What a text in a list takes beside its letters: its place in the list and the allocator's share.
const LISTED_BYTES: usize = 48;

fn bytes(entry: usize, texts: usize) -> u64 {
    u64::try_from(entry + texts).unwrap_or(u64::MAX)
}

fn listed(texts: &[String]) -> usize {
    texts.iter().map(|text| text.len() + LISTED_BYTES).sum()
}

impl Weighter<PatId, Arc<PresentPat>> for InBytes {
    fn weight(&self, _: &PatId, present: &Arc<PresentPat>) -> u64 {
        let Scopes { list, joined } = &*present.scopes;
        // As if it had them to itself: whether it has is for others to say.
        bytes(PAT_BYTES, listed(list.as_slice()) + joined.len())
    }
}

impl Weighter<IdentityId, Arc<Identity>> for InBytes {
    fn weight(&self, _: &IdentityId, identity: &Arc<Identity>) -> u64 {
        let Identity { name, display_name, first_name, last_name, email, levels, .. } = &**identity;
        let texts = [name, display_name, first_name, last_name, email];
        bytes(IDENTITY_BYTES, listed(levels) + texts.into_iter().map(String::len).sum::<usize>())
    }
}

impl Weighter<[u8; 32], Arc<Claims>> for InBytes {
    fn weight(&self, _: &[u8; 32], claims: &Arc<Claims>) -> u64 {
        let scopes: usize = claims.scope.iter().map(|scope| scope.len() + LISTED_BYTES).sum();
        let texts = claims.user_name.len() + claims.iss.len() + claims.aud.len();
        bytes(CLAIMS_BYTES, scopes + listed(&claims.authorities) + texts)
    }
}

/// All tenants.
#[derive(Default)]
struct Sites {
    by_name: HashMap<String, Arc<Site>>,
    by_key: HashMap<TenantKey, Arc<Site>>,
}

/// By what memory is held true.
enum Truth {
    /// The store's version when it was last made true.
    Version(AtomicI64),
    /// A lease.
    Lease(Trust),
}

/// See the module's text.
pub struct Memory {
    store: Store,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    master: MasterKey,
    /// By what it is held true.
    truth: Truth,
    /// Up to where the feed was applied; the lock lets one refresh run at a time.
    seen: tokio::sync::Mutex<Place>,
    /// Moves when something is forgotten. Held while an entry is put in, so that none is put in that was read before.
    epoch: RwLock<u64>,
    pats: Bounded<PatId, PresentPat>,
    /// Those that PATs share.
    scopes: Cache<String, Arc<Scopes>>,
    identities: Bounded<IdentityId, Identity>,
    tokens: Bounded<[u8; 32], Claims>,
    sites: RwLock<Sites>,
    keys: RwLock<Arc<KeyRing>>,
    revoked: RwLock<HashMap<TokenId, Timestamp>>,
}

impl Memory {
    /// A memory that knows what the store holds now.
    pub async fn load(
        store: Store,
        clock: Arc<dyn Clock>,
        settings: Arc<Settings>,
        master: MasterKey,
        steady: Arc<dyn SteadyClock>,
    ) -> Result<Self> {
        let truth = if store.is_shared() {
            Truth::Lease(Trust::new(steady))
        } else {
            Truth::Version(AtomicI64::new(store.version()?))
        };
        let place = store.feed_end().await?;
        let records = store.signing_keys(place).await?;
        let keys = KeyRing::open(&records, &master, clock.now()).map_err(Error::internal)?;
        let [pats, identities, tokens] =
            CACHE_SHARES.map(|share| u64::from(settings.cache.mebibytes) * 1024 * 1024 * share / 100);
        let memory = Self {
            store,
            clock,
            settings,
            master,
            truth,
            seen: tokio::sync::Mutex::new(place),
            epoch: RwLock::new(0),
            pats: bounded(pats),
            scopes: Cache::new(SHARED_SCOPES),
            identities: bounded(identities),
            tokens: bounded(tokens),
            sites: RwLock::default(),
            keys: RwLock::new(Arc::new(keys)),
            revoked: RwLock::default(),
        };
        memory.forget_everything(place).await?;
        Ok(memory)
    }

    /// Up to where the feed was applied when this memory was made, or last refreshed.
    pub async fn place(&self) -> Place {
        *self.seen.lock().await
    }

    /// The lease, where several nodes share the database.
    pub fn trust(&self) -> Option<&Trust> {
        match &self.truth {
            Truth::Version(_) => None,
            Truth::Lease(trust) => Some(trust),
        }
    }

    /// Makes sure that the memory is true: whatever had been answered when this was called is known when it returns.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be asked.
    pub async fn refresh(&self) -> Result<()> {
        match &self.truth {
            Truth::Lease(trust) => trust.require().await,
            Truth::Version(known) if self.store.version()? == known.load(Ordering::Acquire) => Ok(()),
            Truth::Version(known) => self.catch_up(known).await,
        }
    }

    /// The same, without waiting for a lease that is over: for what is good without it, if perhaps not the newest.
    ///
    /// # Errors
    /// As [`Memory::refresh`].
    pub async fn refresh_at_once(&self) -> Result<()> {
        match &self.truth {
            Truth::Lease(trust) if !trust.holds() => Err(Error::unavailable("the lease on memory is over")),
            _ => self.refresh().await,
        }
    }

    async fn catch_up(&self, known: &AtomicI64) -> Result<()> {
        let mut seen = self.seen.lock().await;
        // Asked before the feed is read: what is committed in between shows as another version next time.
        let version = self.store.version()?;
        if version == known.load(Ordering::Acquire) {
            return Ok(());
        }
        let changes = self.store.changes_after(*seen).await?;
        self.apply(&changes).await?;
        *seen = changes.last;
        known.store(version, Ordering::Release);
        Ok(())
    }

    /// Whether it takes long to forget a stretch of the feed, for much of what it names is read anew at once.
    pub fn takes_long(&self, changes: &Changes) -> bool {
        changes.entries.as_ref().is_none_or(|entries| entries.len() > FORGOTTEN_QUICKLY)
    }

    /// Forgets what a stretch of the feed names.
    pub async fn apply(&self, changes: &Changes) -> Result<()> {
        match &changes.entries {
            Some(entries) => self.forget(changes.last, entries).await,
            None => self.forget_everything(changes.last).await,
        }
    }

    async fn forget(&self, place: Place, entries: &[Change]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.move_epoch();
        let (mut tenants, mut keys, mut tokens) = (false, false, Vec::new());
        for entry in entries {
            match entry {
                Change::Pat(id) => drop(self.pats.remove(id)),
                Change::Identity(id) => drop(self.identities.remove(id)),
                Change::Tenant(_) => tenants = true,
                Change::Keys => keys = true,
                Change::Token(id) => tokens.push(*id),
            }
        }
        if !tokens.is_empty() {
            self.note_revoked(self.store.revoked_among(place, tokens).await?);
        }
        if tenants {
            self.load_sites(place).await?;
        }
        if keys {
            self.load_keys(place).await?;
        }
        Ok(())
    }

    async fn forget_everything(&self, place: Place) -> Result<()> {
        self.move_epoch();
        self.pats.clear();
        self.identities.clear();
        self.tokens.clear();
        self.note_revoked(self.store.revoked_tokens(place).await?);
        self.load_sites(place).await?;
        self.load_keys(place).await
    }

    async fn load_sites(&self, place: Place) -> Result<()> {
        let tenants = self.store.tenants(place).await?;
        let mut sites = Sites::default();
        for tenant in &tenants {
            let site = Arc::new(self.site_of(tenant));
            sites.by_key.insert(site.key, Arc::clone(&site));
            sites.by_name.insert(site.name.to_string(), site);
        }
        *self.sites.write().unwrap_or_else(PoisonError::into_inner) = sites;
        Ok(())
    }

    fn site_of(&self, tenant: &Tenant) -> Site {
        let url = self.settings.tenant_url(tenant.name.as_str());
        let audience = self.settings.tokens.audience.clone().unwrap_or_else(|| url.clone());
        Site { key: tenant.key, id: tenant.id.to_string(), name: tenant.name.clone(), url, audience }
    }

    async fn load_keys(&self, place: Place) -> Result<()> {
        let records = self.store.signing_keys(place).await?;
        let ring = match KeyRing::open(&records, &self.master, self.clock.now()) {
            Ok(ring) => ring,
            Err(error) => {
                // Rotated under another master key, by somebody who can write to the database. What is in memory
                // still signs and verifies; the operator has until the next start to mend it.
                tracing::error!(%error, "the signing keys in the database cannot be used; the old ones stay in use");
                return Ok(());
            }
        };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        // Tokens of a key that is gone must not live on as verified.
        self.move_epoch();
        self.tokens.clear();
        Ok(())
    }

    fn note_revoked(&self, tokens: impl IntoIterator<Item = (TokenId, Timestamp)>) {
        self.revoked.write().unwrap_or_else(PoisonError::into_inner).extend(tokens);
    }

    /// Forgets revoked access tokens that have long ended by themselves.
    pub fn prune(&self) {
        let kept = self.clock.now().plus_seconds(-REVOCATION_KEPT_SECONDS);
        self.revoked.write().unwrap_or_else(PoisonError::into_inner).retain(|_, expires| *expires > kept);
    }

    fn move_epoch(&self) {
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn epoch(&self) -> u64 {
        *self.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in what was read since `epoch`, unless something was forgotten since: it may have been this.
    fn keep<K, V>(&self, cache: &Bounded<K, V>, key: K, value: &Arc<V>, epoch: u64)
    where
        K: Eq + std::hash::Hash,
        InBytes: Weighter<K, Arc<V>>,
    {
        let now = self.epoch.read().unwrap_or_else(PoisonError::into_inner);
        if *now == epoch {
            cache.insert(key, Arc::clone(value));
        }
    }

    /// Whether an access token was revoked.
    pub fn is_revoked(&self, id: TokenId) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    /// The tenant of this name.
    pub fn site(&self, name: &str) -> Option<Arc<Site>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    /// The tenant of this key.
    pub fn site_by_key(&self, key: TenantKey) -> Option<Arc<Site>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).by_key.get(&key).cloned()
    }

    /// The signing keys.
    pub fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of a PAT, and whether it was in memory already.
    pub async fn pat(&self, id: PatId) -> Result<(Option<Known>, bool)> {
        if let Some(present) = self.pats.get(&id) {
            return Ok((Some(Known::Present(present)), true));
        }
        let epoch = self.epoch();
        let known = match self.store.credential(id).await? {
            None => None,
            // Not kept: it is dropped after 90 days, which no change tells of.
            Some(Credential::Deleted { tenant, hash }) => Some(Known::Deleted { tenant, hash }),
            Some(Credential::Present { terms, scope, last_used, hash, owner }) => {
                let present = Arc::new(PresentPat::new(terms, hash, self.shared(scope), last_used));
                self.keep(&self.pats, id, &present, epoch);
                // Whoever asks for the one asks for the other next.
                self.keep(&self.identities, terms.owner, &owner, epoch);
                Some(Known::Present(present))
            }
        };
        Ok((known, false))
    }

    /// These scopes, which other PATs may have as well.
    fn shared(&self, list: ScopeList) -> Arc<Scopes> {
        let joined = list.joined();
        if joined.len() > SHARED_BYTES {
            return Arc::new(Scopes { list, joined });
        }
        if let Some(scopes) = self.scopes.get(&joined) {
            return scopes;
        }
        let scopes = Arc::new(Scopes { list, joined: joined.clone() });
        self.scopes.insert(joined, Arc::clone(&scopes));
        scopes
    }

    /// Asks the database for a PAT that nobody has, so that a wrong secret costs what an unknown id costs.
    pub async fn look_for_nobody(&self) -> Result<()> {
        self.store.credential(PatId::from_bytes([0; 16])).await.map(drop)
    }

    /// An identity of any tenant.
    pub async fn identity(&self, id: IdentityId) -> Result<Option<Arc<Identity>>> {
        if let Some(identity) = self.identities.get(&id) {
            return Ok(Some(identity));
        }
        let epoch = self.epoch();
        let Some(found) = self.store.credential_owner(id).await? else { return Ok(None) };
        let identity = Arc::new(found);
        self.keep(&self.identities, id, &identity, epoch);
        Ok(Some(identity))
    }

    /// The claims of an access token whose signature is good. One that was verified before is found by its hash.
    pub fn verified(&self, token: &str) -> Result<Arc<Claims>, crate::keys::JwtError> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(claims) = self.tokens.get(&hash) {
            return Ok(claims);
        }
        let epoch = self.epoch();
        let claims = Arc::new(self.keys().verify(token, self.clock.now())?);
        self.keep(&self.tokens, hash, &claims, epoch);
        Ok(claims)
    }
}
