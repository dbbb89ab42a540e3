//! The keys that sign access tokens: how they are kept, published, changed and used (contract section 6).
//!
//! A key is first published and signs later, and stays published until all that it signed has expired. So a
//! service that verifies Patron's tokens from `/oauth/jwks`, and looks there again after [`JWKS_MAX_AGE_SECONDS`],
//! never meets a token whose key it does not know. Which key does what follows from the records and the time
//! alone: no node has to be told at the moment of a change.
//!
//! [`master`] seals the private keys, [`jwt`] signs and verifies, this file says which key and when.

pub mod jwt;
pub mod master;

use patron_core::clock::Entropy;
use patron_core::limits;
use patron_core::time::Timestamp;

pub use patron_store::keys::StoredKey as KeyRecord;

pub use self::jwt::{Claims, JwtError, ScopeClaim};
use self::jwt::{SigningError, SigningKey, VerifyingKey};
pub use self::master::{MasterKey, MasterKeyError};

/// How long others may keep the published keys, seconds: the `max-age` of the answer of `/oauth/jwks`.
pub const JWKS_MAX_AGE_SECONDS: i64 = 300;
/// How late a node may learn of a change of the keys, seconds: until then it may still publish the old ones.
pub const NODE_LAG_SECONDS: i64 = 60;
/// From a key's creation until it may sign, seconds.
pub const PUBLISH_AHEAD_SECONDS: i64 = JWKS_MAX_AGE_SECONDS + NODE_LAG_SECONDS;
/// From a key's retirement until it is no longer published, seconds: the longest life of what it signed, the lag of
/// a node that signed with it once more, and as much again for clocks that differ.
pub const PUBLISH_AFTER_SECONDS: i64 = limits::VALIDITY_MAX_SECONDS as i64 + 2 * NODE_LAG_SECONDS;

/// What a key does at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyState {
    /// Published, not yet signing.
    Next,
    /// Signs.
    Active,
    /// Signs no longer; what it signed may not have expired, so it is still published.
    Retired,
    /// All that it signed has expired; it is not published and may be deleted.
    Gone,
}

impl KeyState {
    /// Its name, for people and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Gone => "gone",
        }
    }
}

/// A new key that waits for its promotion.
///
/// # Errors
/// [`KeyError`] when the cryptographic library fails.
pub fn generate(now: Timestamp, master: &MasterKey, entropy: &dyn Entropy) -> Result<KeyRecord, KeyError> {
    let (key, pkcs8) = SigningKey::generate().map_err(|cause| KeyError::signing("a new key", cause))?;
    let sealed_private = master
        .seal(&pkcs8, &aad(key.kid()), entropy)
        .map_err(|cause| KeyError::Master { kid: key.kid().to_owned(), cause })?;
    Ok(KeyRecord {
        kid: key.kid().to_owned(),
        created: now,
        activates: None,
        retires: None,
        sealed_private,
        public_jwk: key.public_jwk().to_owned(),
    })
}

/// What it does at `now`.
pub fn state_of(record: &KeyRecord, now: Timestamp) -> KeyState {
    state(record.activates, record.retires, now)
}

/// What a key with these times does at `now`.
fn state(activates: Option<Timestamp>, retires: Option<Timestamp>, now: Timestamp) -> KeyState {
    match (activates, retires) {
        (None, _) => KeyState::Next,
        (Some(activates), _) if now < activates => KeyState::Next,
        (_, Some(retires)) if now >= retires.plus_seconds(PUBLISH_AFTER_SECONDS) => KeyState::Gone,
        (_, Some(retires)) if now >= retires => KeyState::Retired,
        _ => KeyState::Active,
    }
}

/// When a key takes over, when it retires, and its name.
type Times<'a> = (Option<Timestamp>, Option<Timestamp>, &'a str);

/// Of keys with these times the one that signs at `now`: of the active ones the one that became so last. A retired
/// one never does, also where it retires in the moment that it took over. The name decides between two of the same
/// moment, so that every node chooses the same.
fn signing<T>(keys: &[T], now: Timestamp, times: impl Fn(&T) -> Times<'_>) -> Option<&T> {
    let active = |key: &&T| {
        let (activates, retires, _) = times(key);
        state(activates, retires, now) == KeyState::Active
    };
    keys.iter().filter(active).max_by(|a, b| {
        let ((a_since, _, a_kid), (b_since, _, b_kid)) = (times(a), times(b));
        (a_since, a_kid).cmp(&(b_since, b_kid))
    })
}

/// What is authenticated with a sealed private key, so that it opens as the key of this `kid` alone.
fn aad(kid: &str) -> Vec<u8> {
    [b"patron signing key\0", kid.as_bytes()].concat()
}

/// Why the signing keys cannot be used. For the log and the operator.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A private key does not open.
    #[error("signing key {kid}: {cause}")]
    Master {
        /// Which key.
        kid: String,
        /// Why.
        cause: MasterKeyError,
    },
    /// A key is no key, or does not sign.
    #[error("signing key {kid}: {cause}")]
    Signing {
        /// Which key.
        kid: String,
        /// Why.
        cause: SigningError,
    },
    /// What opened is another key than the record says.
    #[error("signing key {kid}: the private and the public key do not belong together")]
    Mismatch {
        /// Which key.
        kid: String,
    },
    /// What a key signed does not verify.
    #[error("signing key {kid}: what it signs does not verify: {cause}")]
    SelfTest {
        /// Which key.
        kid: String,
        /// Why.
        cause: JwtError,
    },
    /// No key signs now.
    #[error("no signing key is active")]
    NoneActive,
}

impl KeyError {
    fn signing(kid: &str, cause: SigningError) -> Self {
        Self::Signing { kid: kid.to_owned(), cause }
    }
}

/// The keys of a new installation: one that signs from `now` on, and the next one.
///
/// # Errors
/// [`KeyError`] when the cryptographic library fails.
pub fn bootstrap(
    now: Timestamp,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<[KeyRecord; 2], KeyError> {
    // Nobody can have read the published keys before, so nobody has to be waited for.
    let active = KeyRecord { activates: Some(now), ..generate(now, master, entropy)? };
    Ok([active, generate(now, master, entropy)?])
}

/// What a rotation changes; all of it in one transaction.
#[derive(Clone)]
pub struct Rotation {
    /// Keys to add: as a rule one, the next next one.
    pub added: Vec<KeyRecord>,
    /// The key whose `activates` becomes `at`; it may be among the added ones.
    pub promoted: String,
    /// The key whose `retires` becomes `at`.
    pub retired: String,
    /// When the one takes over from the other.
    pub at: Timestamp,
}

/// Why the keys are not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// An earlier rotation is still under way.
    #[error("key {kid} takes over at {at}; rotate again after that")]
    Pending {
        /// The key that will sign.
        kid: String,
        /// When.
        at: Timestamp,
    },
    /// The keys cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Plans that the next key takes over: now, if it has been published for [`PUBLISH_AHEAD_SECONDS`], or else as soon
/// as it has. A new next key is made at once, so that the rotation after this one need not wait.
///
/// # Errors
/// [`RotateError::Pending`] while the rotation before waits for its moment; [`KeyError::NoneActive`] when there is
/// nothing to rotate.
pub fn rotate(
    records: &[KeyRecord],
    now: Timestamp,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<Rotation, RotateError> {
    let pending = records.iter().find_map(|key| key.activates.filter(|&at| at > now).map(|at| (key, at)));
    if let Some((key, at)) = pending {
        return Err(RotateError::Pending { kid: key.kid.clone(), at });
    }
    let retired =
        signing(records, now, |key| (key.activates, key.retires, &key.kid)).ok_or(KeyError::NoneActive)?;
    let mut added = vec![generate(now, master, entropy)?];
    let waiting = records.iter().filter(|key| key.activates.is_none());
    let (promoted, created) = if let Some(next) = waiting.min_by_key(|key| key.created) {
        (next.kid.clone(), next.created)
    } else {
        // Somebody removed it by hand: one made now takes its place, and is waited for.
        let next = generate(now, master, entropy)?;
        let promoted = (next.kid.clone(), now);
        added.push(next);
        promoted
    };
    let at = now.max(created.plus_seconds(PUBLISH_AHEAD_SECONDS));
    Ok(Rotation { added, promoted, retired: retired.kid.clone(), at })
}

/// What the records become by a rotation: those to write, and the names of those that are gone.
///
/// # Errors
/// [`patron_core::error::Detail::Content`] while an earlier rotation is pending, and when `master` is not the key
/// that sealed the records: a record sealed under another would keep every node from opening them. Or a fault.
pub fn rotated(
    records: &[KeyRecord],
    now: Timestamp,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> patron_core::Result<(Vec<KeyRecord>, Vec<String>)> {
    let refused = |text: String| patron_core::Error::invalid(patron_core::error::Detail::Content, text);
    KeyRing::open(records, master, now).map_err(|error| refused(error.to_string()))?;
    let rotation = rotate(records, now, master, entropy).map_err(|error| match error {
        RotateError::Pending { .. } => refused(error.to_string()),
        RotateError::Key(_) => patron_core::Error::internal(error),
    })?;
    let (gone, mut kept): (Vec<_>, Vec<_>) =
        records.iter().cloned().partition(|record| state_of(record, now) == KeyState::Gone);
    kept.extend(rotation.added);
    for record in &mut kept {
        if record.kid == rotation.promoted {
            record.activates = Some(rotation.at);
        }
        if record.kid == rotation.retired {
            record.retires = Some(rotation.at);
        }
    }
    Ok((kept, gone.into_iter().map(|record| record.kid).collect()))
}

/// A key in use.
struct RingKey {
    signing: SigningKey,
    created: Timestamp,
    activates: Option<Timestamp>,
    retires: Option<Timestamp>,
}

impl RingKey {
    fn open(record: &KeyRecord, master: &MasterKey) -> Result<Self, KeyError> {
        let kid = &record.kid;
        let pkcs8 = master
            .open(&record.sealed_private, &aad(kid))
            .map_err(|cause| KeyError::Master { kid: kid.clone(), cause })?;
        let signing = SigningKey::from_pkcs8(&pkcs8).map_err(|cause| KeyError::signing(kid, cause))?;
        let (public_kid, _) =
            VerifyingKey::from_jwk(&record.public_jwk).map_err(|cause| KeyError::signing(kid, cause))?;
        // The kid is the thumbprint of the public key, so equal names are equal keys.
        if signing.kid() != kid || public_kid != *kid {
            return Err(KeyError::Mismatch { kid: kid.clone() });
        }
        let KeyRecord { created, activates, retires, .. } = *record;
        Ok(Self { signing, created, activates, retires })
    }

    fn is_published(&self, now: Timestamp) -> bool {
        state(self.activates, self.retires, now) != KeyState::Gone
    }
}

/// The keys as one reading of the database found them. It never changes; which key signs moves with the time that
/// each call is given. It has no `Debug`.
pub struct KeyRing(Vec<RingKey>);

impl KeyRing {
    /// Opens the keys that are not gone at `now`.
    ///
    /// Verifying ones are opened as well: a public key that somebody slipped into the database, without the master
    /// key, verifies nothing.
    ///
    /// # Errors
    /// [`KeyError`]: a key does not open under `master`, is another than its record says, or none signs.
    pub fn open(records: &[KeyRecord], master: &MasterKey, now: Timestamp) -> Result<Self, KeyError> {
        let kept = records.iter().filter(|record| state_of(record, now) != KeyState::Gone);
        let mut keys = kept.map(|record| RingKey::open(record, master)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| (a.created, a.signing.kid()).cmp(&(b.created, b.signing.kid())));
        let ring = Self(keys);
        ring.signer(now)?;
        Ok(ring)
    }

    /// The key that signs at `now`.
    ///
    /// # Errors
    /// [`KeyError::NoneActive`] when the clock stands before the first key's moment.
    pub fn signer(&self, now: Timestamp) -> Result<&SigningKey, KeyError> {
        let key = signing(&self.0, now, |key| (key.activates, key.retires, key.signing.kid()));
        key.map(|key| &key.signing).ok_or(KeyError::NoneActive)
    }

    /// The published key of this name.
    pub fn verifier(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        // A handful of keys: looking at each is faster than hashing the name.
        let key = self.0.iter().find(|key| key.signing.kid() == kid)?;
        key.is_published(now).then(|| key.signing.verifying())
    }

    /// An access token that says `claims`, signed by the key that signs at `now`.
    ///
    /// # Errors
    /// [`KeyError::NoneActive`], or [`KeyError::Signing`].
    pub fn sign(&self, claims: &Claims, now: Timestamp) -> Result<String, KeyError> {
        let key = self.signer(now)?;
        key.sign(claims).map_err(|cause| KeyError::signing(key.kid(), cause))
    }

    /// What an access token says, if a key that is published at `now` signed it; see [`jwt::verify`].
    ///
    /// # Errors
    /// [`JwtError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, JwtError> {
        jwt::verify(token, |kid| self.verifier(kid, now))
    }

    /// The keys published at `now`, oldest first, as a JWK Set (RFC 7517 section 5).
    pub fn jwks_json(&self, now: Timestamp) -> String {
        let published: Vec<_> =
            self.0.iter().filter(|key| key.is_published(now)).map(|key| key.signing.public_jwk()).collect();
        format!(r#"{{"keys":[{}]}}"#, published.join(","))
    }

    /// Signs with every key and verifies the result, as a service should before it takes requests.
    ///
    /// # Errors
    /// [`KeyError::Signing`] or [`KeyError::SelfTest`], naming the key.
    pub fn self_test(&self) -> Result<(), KeyError> {
        let claims = Claims {
            iss: "self-test".to_owned(),
            sub: String::new(),
            aud: "self-test".to_owned(),
            iat: 0,
            exp: 0,
            jti: String::new(),
            client_id: String::new(),
            scope: ScopeClaim::Text(String::new()),
            tenant_id: String::new(),
            org: String::new(),
            pod: String::new(),
            identity_id: String::new(),
            user_name: String::new(),
            authorities: Vec::new(),
            strong_auth: false,
            strong_auth_supported: false,
            internal: true,
        };
        for RingKey { signing: key, .. } in &self.0 {
            let kid = || key.kid().to_owned();
            let token = key.sign(&claims).map_err(|cause| KeyError::signing(key.kid(), cause))?;
            let find = |named: &str| (named == key.kid()).then(|| key.verifying());
            let verified =
                jwt::verify(&token, find).map_err(|cause| KeyError::SelfTest { kid: kid(), cause })?;
            if verified != claims {
                return Err(KeyError::SelfTest { kid: kid(), cause: JwtError::Malformed });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU8, Ordering};

    use proptest::prelude::*;

    use super::jwt::tests::claims;
    use super::*;

    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    static ENTROPY: Counting = Counting(AtomicU8::new(0));
    static MASTER: LazyLock<MasterKey> = LazyLock::new(|| master("01"));

    fn master(byte: &str) -> MasterKey {
        MasterKey::from_text(&byte.repeat(32)).ok().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).plus_seconds(seconds)
    }

    fn fresh(now: Timestamp) -> Vec<KeyRecord> {
        bootstrap(now, &MASTER, &ENTROPY).ok().unwrap().into()
    }

    /// What the store does with a rotation.
    fn apply(records: &mut Vec<KeyRecord>, rotation: Rotation) {
        records.extend(rotation.added);
        for record in records {
            if record.kid == rotation.promoted {
                record.activates = Some(rotation.at);
            }
            if record.kid == rotation.retired {
                record.retires = Some(rotation.at);
            }
        }
    }

    fn ring(records: &[KeyRecord], now: Timestamp) -> KeyRing {
        KeyRing::open(records, &MASTER, now).ok().unwrap()
    }

    fn published(records: &[KeyRecord], now: Timestamp) -> Vec<String> {
        let jwks: serde_json::Value = serde_json::from_str(&ring(records, now).jwks_json(now)).unwrap();
        jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_new_installation_signs_at_once_and_has_the_next_key_published() {
        let records = fresh(at(0));
        assert_eq!(
            records.iter().map(|key| state_of(key, at(0))).collect::<Vec<_>>(),
            [KeyState::Active, KeyState::Next]
        );
        let ring = ring(&records, at(0));
        assert_eq!(ring.signer(at(0)).ok().unwrap().kid(), records[0].kid);
        assert_eq!(published(&records, at(0)).len(), 2);
        ring.self_test().unwrap();
        assert!(matches!(ring.signer(at(-1)), Err(KeyError::NoneActive)));
        assert!(matches!(KeyRing::open(&[], &MASTER, at(0)), Err(KeyError::NoneActive)));
    }

    #[test]
    fn the_life_of_a_key() {
        let mut records = fresh(at(0));
        let (first, second) = (records[0].kid.clone(), records[1].kid.clone());
        let rotation = rotate(&records, at(10), &MASTER, &ENTROPY).ok().unwrap();
        assert_eq!((&rotation.promoted, &rotation.retired), (&second, &first));
        assert_eq!(rotation.at, at(PUBLISH_AHEAD_SECONDS));
        apply(&mut records, rotation);
        let third = records[2].kid.clone();

        let error = rotate(&records, at(11), &MASTER, &ENTROPY).err().unwrap();
        assert_eq!(
            error.to_string(),
            format!("key {second} takes over at {}; rotate again after that", at(360))
        );
        // One snapshot follows the time.
        let ring = ring(&records, at(11));
        assert_eq!(ring.signer(at(359)).ok().unwrap().kid(), first);
        let last = ring.sign(&claims(), at(359)).ok().unwrap();
        assert_eq!(ring.signer(at(360)).ok().unwrap().kid(), second);
        let states = |now| records.iter().map(|key| state_of(key, now)).collect::<Vec<_>>();
        assert_eq!(states(at(359)), [KeyState::Active, KeyState::Next, KeyState::Next]);
        assert_eq!(states(at(360)), [KeyState::Retired, KeyState::Active, KeyState::Next]);
        let gone = at(360 + PUBLISH_AFTER_SECONDS);
        let before = gone.plus_seconds(-1);
        assert_eq!(states(before)[0], KeyState::Retired);
        assert_eq!(states(gone)[0], KeyState::Gone);
        let mut names = vec![first.clone(), second.clone(), third.clone()];
        names[..2].sort();
        assert_eq!(published(&records, before), names, "oldest first, then by name");
        assert!(ring.verify(&last, before).is_ok());
        assert_eq!(ring.verify(&last, gone), Err(JwtError::UnknownKey));
        assert!(!published(&records, gone).contains(&first));

        // The third key has been published long enough by then.
        let rotation = rotate(&records, gone, &MASTER, &ENTROPY).ok().unwrap();
        assert_eq!((rotation.at, &rotation.promoted, &rotation.retired), (gone, &third, &second));
    }

    #[test]
    fn a_key_that_retires_as_it_took_over_does_not_sign() {
        let mut records = fresh(at(0));
        for (signs, retired) in [(0, 1), (1, 0)] {
            records[signs].activates = Some(at(0));
            records[signs].retires = None;
            records[retired].activates = Some(at(0));
            records[retired].retires = Some(at(0));
            assert_eq!(ring(&records, at(0)).signer(at(0)).ok().unwrap().kid(), records[signs].kid);
        }
    }

    #[test]
    fn a_lost_next_key_is_made_anew_and_waited_for() {
        let mut records = fresh(at(0));
        records.pop();
        let rotation = rotate(&records, at(5_000), &MASTER, &ENTROPY).ok().unwrap();
        assert_eq!((rotation.added.len(), rotation.at), (2, at(5_000 + PUBLISH_AHEAD_SECONDS)));
        apply(&mut records, rotation);
        assert_eq!(records.iter().filter(|key| key.activates.is_none()).count(), 1);
        assert!(matches!(rotate(&[], at(0), &MASTER, &ENTROPY), Err(RotateError::Key(KeyError::NoneActive))));
    }

    #[test]
    fn another_master_key_is_refused_in_words_that_help() {
        let other = master("02");
        let error = KeyRing::open(&fresh(at(0)), &other, at(0)).err().unwrap().to_string();
        let told = format!(
            "sealed under the master key {}, but the one given is {}",
            MASTER.fingerprint(),
            other.fingerprint()
        );
        assert!(error.ends_with(&told), "{error}");
    }

    #[test]
    fn a_tampered_record_is_refused() {
        let records = fresh(at(0));
        let refused = |change: &dyn Fn(&mut KeyRecord)| {
            let mut records = records.clone();
            change(&mut records[1]);
            KeyRing::open(&records, &MASTER, at(0)).err().unwrap()
        };
        let altered = |error| matches!(error, KeyError::Master { cause: MasterKeyError::Altered, .. });
        assert!(altered(refused(&|key| *key.sealed_private.last_mut().unwrap() ^= 1)));
        assert!(altered(refused(&|key| key.sealed_private.truncate(20))));
        assert!(altered(refused(&|key| key.sealed_private.clone_from(&records[0].sealed_private))));
        assert!(altered(refused(&|key| key.kid.clone_from(&records[0].kid))));
        let other = SigningKey::generate().ok().unwrap().0;
        assert!(matches!(
            refused(&|key| other.public_jwk().clone_into(&mut key.public_jwk)),
            KeyError::Mismatch { .. }
        ));
        assert!(matches!(refused(&|key| "{}".clone_into(&mut key.public_jwk)), KeyError::Signing { .. }));
        let slipped_in = |key: &mut KeyRecord| {
            other.kid().clone_into(&mut key.kid);
            other.public_jwk().clone_into(&mut key.public_jwk);
        };
        assert!(altered(refused(&slipped_in)));
        // What is gone is not even opened.
        let mut records = records;
        records[1].activates = Some(at(-2 * PUBLISH_AFTER_SECONDS));
        records[1].retires = Some(at(-PUBLISH_AFTER_SECONDS));
        records[1].sealed_private.clear();
        assert_eq!(published(&records, at(0)), [records[0].kid.clone()]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// A random history of rotations, seen by a verifier elsewhere that keeps the JWKS for its whole max-age.
        #[test]
        fn no_rotation_ever_breaks_a_client(
            steps in prop::collection::vec((prop_oneof![0..400_i64, 0..60_000_i64], any::<bool>()), 1..14)
        ) {
            let mut records = fresh(at(0));
            let mut now = 0;
            // When each key was first published, and every token with the second in which it was issued.
            let mut seen: Vec<_> = published(&records, at(0)).into_iter().map(|kid| (kid, 0)).collect();
            let mut tokens: Vec<(String, i64)> = Vec::new();
            let mut moments = Vec::new();
            for (step, turn) in steps {
                now += step;
                if turn {
                    let pending = records.iter().any(|key| key.activates.is_some_and(|start| start > at(now)));
                    match rotate(&records, at(now), &MASTER, &ENTROPY) {
                        Ok(rotation) => {
                            prop_assert!(!pending);
                            moments.push((rotation.at.millis() - at(0).millis()) / 1_000);
                            apply(&mut records, rotation);
                        }
                        Err(error) => prop_assert!(pending, "{}", error),
                    }
                }
                for kid in published(&records, at(now)) {
                    if seen.iter().all(|(known, _)| *known != kid) {
                        seen.push((kid, now));
                    }
                }
                // Now, and around the takeovers that the records foresee up to the next step.
                let ring = ring(&records, at(now));
                let look = moments.iter().flat_map(|&moment| [moment - 1, moment, moment + 1]).filter(|&moment| moment > now);
                for moment in [now].into_iter().chain(look.collect::<Vec<_>>()) {
                    let active = records.iter().filter(|key| state_of(key, at(moment)) == KeyState::Active).count();
                    prop_assert_eq!(active, 1, "at {}", moment);
                    let signer = ring.signer(at(moment)).unwrap().kid();
                    let published = seen.iter().find(|(kid, _)| kid == signer).unwrap().1;
                    let known = moment - published >= JWKS_MAX_AGE_SECONDS || signer == records[0].kid;
                    prop_assert!(known, "published at {}, signs at {}", published, moment);
                    if moment == now {
                        tokens.push((ring.sign(&claims(), at(now)).unwrap(), now));
                    }
                }
                for (token, issued) in &tokens {
                    if now - issued <= i64::from(limits::VALIDITY_MAX_SECONDS) {
                        prop_assert!(ring.verify(token, at(now)).is_ok(), "issued {} now {}", issued, now);
                    }
                }
            }
        }
    }
}
