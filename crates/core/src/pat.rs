//! The personal access token: its fields, its expiry and its state (contract section 4).

use crate::error::{Detail, Error, Result, shorten};
use crate::id::{IdentityId, PatId, TenantKey};
use crate::limits::{LAST_USED_STEP_SECONDS, VALIDITY_MAX_SECONDS, VALIDITY_MIN_SECONDS};
use crate::name;
use crate::patch::{Document, Patched};
use crate::scope::ScopeList;
use crate::time::Timestamp;

/// A personal access token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pat {
    /// The tenant it belongs to.
    pub tenant: TenantKey,
    /// Its id: the `client_id` of an exchange.
    pub id: PatId,
    /// The identity that it acts for.
    pub owner: IdentityId,
    /// The owner's display name.
    pub owner_name: String,
    /// What people call it; unique among the owner's unmanaged PATs.
    pub name: String,
    /// What it is limited to.
    pub scope: ScopeList,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last exchanged or presented; moves at most once in 24 h.
    pub last_used: Option<Timestamp>,
    /// Whether the platform made it.
    pub managed: bool,
    /// How long an access token made from it lives, in seconds.
    pub validity: Validity,
    /// When it stops working.
    pub expiry: Expiry,
    /// Whether its owner acknowledged that it never expires.
    pub user_aware_token_never_expires: bool,
}

/// When a PAT stops working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// At this moment.
    At(Timestamp),
}

/// Whether a PAT works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can be exchanged.
    Live,
    /// It cannot, since this moment.
    Expired(Timestamp),
}

impl Expiry {
    /// The date, if there is one.
    pub fn date(self) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::At(at) => Some(at),
        }
    }

    /// The expiry on this date, or none.
    pub fn from_date(date: Option<Timestamp>) -> Self {
        date.map_or(Self::Never, Self::At)
    }

    /// What comes first, this or `ends`, both in seconds since 1970 as the claim `exp` counts them: no access token
    /// outlives its PAT (contract section 4).
    pub fn cuts_short(self, ends: i64) -> i64 {
        self.date().map_or(ends, |date| ends.min(date.seconds()))
    }

    /// The soonest date of a PAT that works at `now`. In its last second a PAT counts as expired (contract section 11):
    /// an access token made then would be dead on arrival.
    #[must_use]
    pub fn first_live(now: Timestamp) -> Timestamp {
        now.plus_seconds(1)
    }

    /// Whether it has come, or its last second has begun.
    pub fn state(self, now: Timestamp) -> State {
        match self {
            Self::At(at) if at < Self::first_live(now) => State::Expired(at),
            _ => State::Live,
        }
    }
}

/// What of a PAT decides whether it works and how long its access tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Where it is.
    pub tenant: TenantKey,
    /// Its id.
    pub id: PatId,
    /// Who owns it.
    pub owner: IdentityId,
    /// Whether the platform made it.
    pub managed: bool,
    /// How long its access tokens live.
    pub validity: Validity,
    /// When it ends.
    pub expiry: Expiry,
}

impl Terms {
    /// When an access token made at `now` ends, in seconds since 1970: after the PAT's validity, or sooner with the
    /// PAT. At least one second is left of a PAT that is [`State::Live`].
    pub fn access_token_ends(&self, now: Timestamp) -> i64 {
        self.expiry.cuts_short(now.seconds() + i64::from(self.validity.seconds()))
    }
}

/// How long an access token lives: 15 to 43200 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity(u32);

impl Validity {
    /// Reads a number of seconds.
    pub fn from_seconds(seconds: i64) -> Result<Self> {
        match u32::try_from(seconds) {
            Ok(seconds @ VALIDITY_MIN_SECONDS..=VALIDITY_MAX_SECONDS) => Ok(Self(seconds)),
            _ => Err(Error::invalid(
                Detail::Value,
                format!(
                    "Field 'accessTokenValiditySeconds' is from {VALIDITY_MIN_SECONDS} to {VALIDITY_MAX_SECONDS}."
                ),
            )
            .at("accessTokenValiditySeconds")),
        }
    }

    /// The seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self(VALIDITY_MAX_SECONDS)
    }
}

/// Which rules a path follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// `/…/v1`, `/v2025`, `/v2026`: never expiring needs an acknowledgement, and a date has no upper limit.
    Current,
    /// `/v3`, `/v2024`, `/beta`: six months unless sooner, the acknowledgement is ignored.
    Older,
}

/// Calendar months that a PAT lives at most, and by default, on the older paths.
const OLDER_MONTHS: u32 = 6;

/// What a caller asks for in a creation, not yet checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// `name`.
    pub name: Option<String>,
    /// `scope`.
    pub scope: Option<Vec<String>>,
    /// `expirationDate`, as text.
    pub expiration_date: Option<String>,
    /// `userAwareTokenNeverExpires`.
    pub user_aware_token_never_expires: bool,
    /// `accessTokenValiditySeconds`.
    pub access_token_validity_seconds: Option<i64>,
}

/// A creation that keeps the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPat {
    /// See [`Pat::name`].
    pub name: String,
    /// See [`Pat::scope`].
    pub scope: ScopeList,
    /// See [`Pat::expiry`].
    pub expiry: Expiry,
    /// See [`Pat::user_aware_token_never_expires`].
    pub user_aware_token_never_expires: bool,
    /// See [`Pat::validity`].
    pub validity: Validity,
}

impl Draft {
    /// Checks it against the rules of contract section 4.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the detail of the first rule broken.
    pub fn check(self, rules: Rules, now: Timestamp) -> Result<NewPat> {
        let name = name::person_given("name", self.name.as_deref().unwrap_or_default())?;
        let scope = ScopeList::from_request(self.scope)?;
        let validity =
            self.access_token_validity_seconds.map_or(Ok(Validity::default()), Validity::from_seconds)?;
        let date = future_date(self.expiration_date.as_deref(), now)?;
        let (expiry, aware) = match rules {
            Rules::Current => {
                if date.is_none() && !self.user_aware_token_never_expires {
                    return Err(needs_acknowledgement());
                }
                (Expiry::from_date(date), self.user_aware_token_never_expires)
            }
            Rules::Older => {
                let latest = now.plus_months(OLDER_MONTHS);
                if date.is_some_and(|date| date > latest) {
                    let text = format!(
                        "Field 'expirationDate' is at most {OLDER_MONTHS} months ahead on this path."
                    );
                    return Err(Error::invalid(Detail::Value, text).at("expirationDate"));
                }
                (Expiry::At(date.unwrap_or(latest)), false)
            }
        };
        Ok(NewPat { name, scope, expiry, user_aware_token_never_expires: aware, validity })
    }
}

/// Reads an expiry date: none and empty are the same, everything else is a date-time in the future.
fn future_date(given: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>> {
    let Some(given) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    let date = Timestamp::parse(given).map_err(|_| {
        Error::invalid(
            Detail::Value,
            "Field 'expirationDate' is no date-time such as 2027-12-31T23:59:59.999Z.",
        )
        .at("expirationDate")
    })?;
    if date <= now {
        return Err(Error::invalid(Detail::Value, "Field 'expirationDate' is not in the future.")
            .at("expirationDate"));
    }
    Ok(Some(date))
}

/// Who will own a PAT that `caller` asks for: the caller, or for a managed one the identity that `ownerId` names.
/// An empty `ownerId` is none.
///
/// # Errors
/// [`Detail::Value`] for an owner without `managed`, [`Detail::Missing`] for `managed` without an owner,
/// [`Detail::ReferenceNotFound`] for what is no identity's id. Whether there is such an identity the store finds out.
pub fn owner_of(caller: IdentityId, managed: bool, owner_id: Option<&str>) -> Result<IdentityId> {
    match (managed, owner_id.filter(|id| !id.is_empty())) {
        (false, None) => Ok(caller),
        (false, Some(_)) => Err(Error::invalid(
            Detail::Value,
            "Field 'ownerId' goes with \"managed\": true; the owner is the caller.",
        )),
        (true, None) => Err(Error::invalid(Detail::Missing, "A managed token needs the field 'ownerId'.")),
        (true, Some(id)) => IdentityId::parse(id).ok_or_else(|| {
            let text = format!("There is no enabled identity '{}'.", shorten(id));
            Error::invalid(Detail::ReferenceNotFound, text)
        }),
    }
}

/// Refuses one PAT more to an owner who has `count` and may have `most`, managed ones aside.
///
/// # Errors
/// [`Detail::Limit`].
pub fn require_room(count: usize, most: u32) -> Result<()> {
    if count < most as usize {
        return Ok(());
    }
    let text = format!("The owner has {count} personal access tokens, and {most} are allowed.");
    Err(Error::invalid(Detail::Limit, text))
}

fn needs_acknowledgement() -> Error {
    let text =
        "Without 'expirationDate' the token never expires; 'userAwareTokenNeverExpires' must then be true.";
    Error::invalid(Detail::Content, text).at("userAwareTokenNeverExpires")
}

impl Pat {
    /// Whether it works.
    pub fn state(&self, now: Timestamp) -> State {
        self.expiry.state(now)
    }

    /// Its patchable part.
    pub fn document(&self) -> Document {
        Document {
            name: self.name.clone(),
            scope: self.scope.as_slice().to_vec(),
            expiration_date: self.expiry.date(),
            user_aware_token_never_expires: self.user_aware_token_never_expires,
        }
    }

    /// This PAT after a patch. What the patch does not name stays as it was, a past expiry too.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the detail of the first rule broken; nothing has changed then.
    pub fn patched(&self, patch: Patched, now: Timestamp) -> Result<Self> {
        let mut pat = self.clone();
        if let Some(name) = patch.name {
            pat.name = name::person_given("name", &name)?;
        }
        if let Some(scope) = patch.scope {
            pat.scope = ScopeList::from_request(Some(scope))?;
        }
        if let Some(date) = patch.expiration_date {
            pat.expiry = Expiry::from_date(future_date(date.as_deref(), now)?);
            if pat.expiry == Expiry::Never && patch.user_aware_token_never_expires != Some(true) {
                return Err(needs_acknowledgement());
            }
        }
        if let Some(aware) = patch.user_aware_token_never_expires {
            if !aware && pat.expiry == Expiry::Never {
                return Err(needs_acknowledgement());
            }
            pat.user_aware_token_never_expires = aware;
        }
        Ok(pat)
    }
}

/// Whether a use at `now` moves `lastUsed`: the first one ever, and then once in 24 h.
pub fn moves_last_used(last_used: Option<Timestamp>, now: Timestamp) -> bool {
    last_used.is_none_or(|last| last.plus_seconds(LAST_USED_STEP_SECONDS) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    const NOW: &str = "2026-08-31T12:00:00Z";

    fn draft() -> Draft {
        Draft {
            name: Some("ci".into()),
            expiration_date: Some("2027-01-01T00:00:00Z".into()),
            ..Draft::default()
        }
    }

    fn refused(draft: Draft, rules: Rules) -> Detail {
        match draft.check(rules, at(NOW)) {
            Err(Error::Invalid { detail, .. }) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_of_a_creation() {
        let made = draft().check(Rules::Current, at(NOW)).unwrap();
        assert_eq!(made.scope, ScopeList::all());
        assert_eq!(made.validity.seconds(), 43_200);
        assert!(!made.user_aware_token_never_expires);
    }

    #[test]
    fn never_needs_the_acknowledgement() {
        for nothing in [None, Some(String::new())] {
            let without = Draft { expiration_date: nothing.clone(), ..draft() };
            assert_eq!(refused(without.clone(), Rules::Current), Detail::Content);
            let with = Draft { user_aware_token_never_expires: true, ..without };
            assert_eq!(with.check(Rules::Current, at(NOW)).unwrap().expiry, Expiry::Never);
        }
    }

    #[test]
    fn dates_are_in_the_future() {
        for wrong in ["yesterday", "2026-08-31T12:00:00Z", "2020-01-01T00:00:00Z", " "] {
            let draft = Draft { expiration_date: Some(wrong.into()), ..draft() };
            assert_eq!(refused(draft, Rules::Current), Detail::Value, "{wrong}");
        }
        let far = Draft { expiration_date: Some("9999-12-31T23:59:59.999Z".into()), ..draft() };
        assert!(far.check(Rules::Current, at(NOW)).is_ok());
    }

    #[test]
    fn the_older_rule_is_six_calendar_months() {
        let date = |text: Option<&str>| Draft { expiration_date: text.map(str::to_owned), ..draft() };
        let aware = Draft { user_aware_token_never_expires: true, ..date(None) };
        let made = aware.check(Rules::Older, at(NOW)).unwrap();
        assert_eq!(made.expiry, Expiry::At(at("2027-02-28T12:00:00Z")));
        assert!(!made.user_aware_token_never_expires);
        assert!(date(Some("2027-02-28T12:00:00Z")).check(Rules::Older, at(NOW)).is_ok());
        assert_eq!(refused(date(Some("2027-02-28T12:00:00.001Z")), Rules::Older), Detail::Value);
    }

    #[test]
    fn validity_has_both_ends() {
        for (seconds, good) in
            [(14, false), (15, true), (43_200, true), (43_201, false), (-1, false), (i64::MAX, false)]
        {
            let draft = Draft { access_token_validity_seconds: Some(seconds), ..draft() };
            assert_eq!(draft.check(Rules::Current, at(NOW)).is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn the_last_second_counts_as_expired() {
        let expiry = Expiry::At(at("2027-01-01T00:00:00Z"));
        assert_eq!(expiry.state(at("2026-12-31T23:59:59.000Z")), State::Live);
        assert!(matches!(expiry.state(at("2026-12-31T23:59:59.001Z")), State::Expired(_)));
        assert!(matches!(expiry.state(at("2027-06-01T00:00:00Z")), State::Expired(_)));
        assert_eq!(Expiry::Never.state(Timestamp::MAX), State::Live);
        // What never expires by the original's clients is a date too, and stays alive.
        assert!(matches!(Expiry::At(Timestamp::MAX).state(at(NOW)), State::Live));
    }

    fn pat() -> Pat {
        Pat {
            tenant: TenantKey(1),
            id: PatId::from_bytes([1; 16]),
            owner: IdentityId::from_bytes([2; 16]),
            owner_name: "Jane".into(),
            name: "ci".into(),
            scope: ScopeList::all(),
            created: at("2026-01-01T00:00:00Z"),
            last_used: None,
            managed: false,
            validity: Validity::default(),
            expiry: Expiry::At(at("2026-02-01T00:00:00Z")),
            user_aware_token_never_expires: false,
        }
    }

    fn terms(validity: Validity, expiry: Expiry) -> Terms {
        let Pat { tenant, id, owner, managed, .. } = pat();
        Terms { tenant, id, owner, managed, validity, expiry }
    }

    fn patch_error(pat: &Pat, patch: Patched) -> Detail {
        match pat.patched(patch, at(NOW)) {
            Err(Error::Invalid { detail, .. }) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_patch_leaves_what_it_does_not_name() {
        let renamed =
            pat().patched(Patched { name: Some(" new ".into()), ..Patched::default() }, at(NOW)).unwrap();
        assert_eq!(renamed, Pat { name: "new".into(), ..pat() });
        let aware = Patched { user_aware_token_never_expires: Some(true), ..Patched::default() };
        assert_eq!(pat().patched(aware, at(NOW)).unwrap().expiry, pat().expiry);
    }

    #[test]
    fn clearing_the_date_needs_the_flag_in_the_same_patch() {
        let clear = |flag| Patched {
            expiration_date: Some(None),
            user_aware_token_never_expires: flag,
            ..Patched::default()
        };
        let already_aware = Pat { user_aware_token_never_expires: true, ..pat() };
        assert_eq!(patch_error(&already_aware, clear(None)), Detail::Content);
        assert_eq!(patch_error(&pat(), clear(Some(false))), Detail::Content);
        let never = pat().patched(clear(Some(true)), at(NOW)).unwrap();
        assert_eq!(never.expiry, Expiry::Never);
        let drop_flag = Patched { user_aware_token_never_expires: Some(false), ..Patched::default() };
        assert_eq!(patch_error(&never, drop_flag.clone()), Detail::Content);
        assert!(pat().patched(drop_flag, at(NOW)).is_ok());
    }

    #[test]
    fn an_owner_may_have_so_many_and_no_more() {
        assert!(require_room(9, 10).is_ok());
        for count in [10, 11] {
            let refused = require_room(count, 10).unwrap_err();
            assert!(matches!(refused, Error::Invalid { detail: Detail::Limit, .. }));
            let text = format!("The owner has {count} personal access tokens, and 10 are allowed.");
            assert_eq!(refused.to_string(), text);
        }
    }

    #[test]
    fn last_used_moves_once_a_day() {
        let first = at(NOW);
        assert!(moves_last_used(None, first));
        assert!(!moves_last_used(Some(first), first.plus_seconds(86_399)));
        assert!(moves_last_used(Some(first), first.plus_seconds(86_400)));
    }

    #[test]
    fn no_access_token_outlives_its_pat() {
        let now = at("2026-08-31T12:00:00.900Z");
        let left = |expiry, seconds| {
            let validity = Validity::from_seconds(seconds).unwrap();
            terms(validity, expiry).access_token_ends(now) - now.seconds()
        };
        let expires = |text| Expiry::At(at(text));
        assert_eq!(left(Expiry::Never, 900), 900);
        assert_eq!(left(expires("2026-08-31T12:15:00Z"), 900), 900);
        assert_eq!(left(expires("2026-08-31T12:14:59.999Z"), 900), 899);
        // The last moment of a PAT that still works.
        let last = expires("2026-08-31T12:00:01.900Z");
        assert_eq!((last.state(now), left(last, 900)), (State::Live, 1));
        assert_eq!(
            expires("2026-08-31T12:00:00Z").cuts_short(i64::MAX),
            at("2026-08-31T12:00:00Z").seconds()
        );
    }

    #[test]
    fn a_managed_pat_names_its_owner_and_no_other_does() {
        let (me, other) = (IdentityId::from_bytes([1; 16]), IdentityId::from_bytes([2; 16]));
        let id = other.to_string();
        assert_eq!(owner_of(me, false, None).unwrap(), me);
        assert_eq!(owner_of(me, false, Some("")).unwrap(), me);
        assert_eq!(owner_of(me, true, Some(&id)).unwrap(), other);
        let refused = |managed, owner_id| match owner_of(me, managed, owner_id) {
            Err(Error::Invalid { detail, .. }) => detail,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(false, Some(&id)), Detail::Value);
        assert_eq!(refused(true, None), Detail::Missing);
        assert_eq!(refused(true, Some("")), Detail::Missing);
        assert_eq!(refused(true, Some(&id[1..])), Detail::ReferenceNotFound);
    }
}
