//! Who may do what with which PAT (contract sections 3 and 5), and which scopes a credential has (section 6).
//!
//! A PAT that the caller may not see is not found; one that it sees but may not change is forbidden. So that the
//! two cannot be mixed up, handlers ask here and nowhere else.

use crate::error::{Detail, Error, Result, shorten};
use crate::id::IdentityId;
use crate::identity::Identity;
use crate::rights::{Catalogue, PAT_RIGHTS, PLATFORM, Right, RightSet};
use crate::scope::{self, ScopeList};

/// Who acts, with what.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The identity that acts.
    pub identity: IdentityId,
    /// Its levels, as they are now.
    pub levels: &'a [String],
    /// The rights of the credential in use: levels cut down to scopes.
    pub rights: RightSet,
    /// The scopes of the credential in use; `None` for a web session, which has all.
    pub scopes: Option<&'a ScopeList>,
}

/// What decides about one PAT.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its owner.
    pub owner: IdentityId,
    /// Whether the platform made it.
    pub managed: bool,
}

/// Whose PATs a list asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// `owner-id=me`.
    Mine,
    /// `owner-id=<an id>`, perhaps nobody's.
    Of(Option<IdentityId>),
    /// No `owner-id`.
    Everyones,
}

/// The text for a PAT that is not there, or that the caller may not know of: the same to the letter.
pub fn no_such_pat() -> Error {
    Error::not_found("There is no such personal access token.")
}

impl<'a> Holder<'a> {
    /// An identity with a credential of these rights and scopes; without scopes for a web session, which has all.
    pub fn of(identity: &'a Identity, rights: RightSet, scopes: Option<&'a ScopeList>) -> Self {
        Self { identity: identity.id, levels: &identity.levels, rights, scopes }
    }

    /// Refuses a caller without `right`.
    pub fn require(&self, catalogue: &Catalogue, right: Right) -> Result<()> {
        self.require_any(catalogue, &[right])
    }

    /// Refuses a caller with none of `rights`; the text names the first.
    pub fn require_any(&self, catalogue: &Catalogue, rights: &[Right]) -> Result<()> {
        if self.rights.has_any(rights) {
            return Ok(());
        }
        let wanted = rights.first().map_or("", |&right| catalogue.name_of(right));
        Err(Error::forbidden(format!("This needs the right '{wanted}'.")))
    }

    /// Refuses a credential that has nothing to do with PATs, before it can learn whether an id is known.
    pub fn require_some_pat_right(&self) -> Result<()> {
        if self.rights.has_any(PAT_RIGHTS) {
            return Ok(());
        }
        Err(Error::forbidden("This needs a right on personal access tokens."))
    }

    /// Whether a list may be answered, and whether managed PATs are in it.
    pub fn list(&self, catalogue: &Catalogue, whose: Whose) -> Result<bool> {
        match whose {
            Whose::Mine => self.require_any(catalogue, &[Right::MY_READ, Right::ALL_READ])?,
            Whose::Of(_) | Whose::Everyones => self.require(catalogue, Right::ALL_READ)?,
        }
        Ok(self.rights.has(Right::MANAGED_READ))
    }

    /// Whether the caller may know that the PAT is there.
    pub fn sees(&self, pat: Target) -> bool {
        let own = pat.owner == self.identity;
        let listed = self.rights.has(Right::ALL_READ) || (own && self.rights.has(Right::MY_READ));
        let platform = pat.managed && self.rights.has(Right::MANAGED_MANAGE);
        platform || (listed && (!pat.managed || self.rights.has(Right::MANAGED_READ)))
    }

    /// Refuses a look at a PAT.
    pub fn read(&self, pat: Target) -> Result<()> {
        if self.sees(pat) { Ok(()) } else { Err(no_such_pat()) }
    }

    /// Refuses a patch: one's own with `my:manage`, managed ones with `managed:manage`.
    pub fn patch(&self, catalogue: &Catalogue, pat: Target) -> Result<()> {
        self.read(pat)?;
        if pat.managed {
            return self.require(catalogue, Right::MANAGED_MANAGE);
        }
        if pat.owner != self.identity {
            return Err(Error::forbidden("Only its owner can patch a personal access token."));
        }
        self.require(catalogue, Right::MY_MANAGE)
    }

    /// Refuses a deletion: one's own with `my:manage`, anyone's with `all:manage`, managed ones with
    /// `managed:manage` or `all:manage`.
    pub fn delete(&self, catalogue: &Catalogue, pat: Target) -> Result<()> {
        self.read(pat)?;
        match (pat.managed, pat.owner == self.identity) {
            (true, _) => self.require_any(catalogue, &[Right::MANAGED_MANAGE, Right::ALL_MANAGE]),
            (false, true) => self.require_any(catalogue, &[Right::MY_MANAGE, Right::ALL_MANAGE]),
            (false, false) => self.require(catalogue, Right::ALL_MANAGE),
        }
    }

    /// Refuses a creation of any kind, before its request is read.
    pub fn create_something(&self, catalogue: &Catalogue) -> Result<()> {
        self.require_any(catalogue, &[Right::MY_MANAGE, Right::ALL_MANAGE, Right::MANAGED_MANAGE])
    }

    /// Refuses a creation for oneself; its scopes are asked of [`Holder::refuse_excess`].
    pub fn create_own(&self, catalogue: &Catalogue) -> Result<()> {
        self.require_any(catalogue, &[Right::MY_MANAGE, Right::ALL_MANAGE])
    }

    /// Refuses the creation of a managed PAT. The right itself allows any scope: it is its purpose.
    pub fn create_managed(&self, catalogue: &Catalogue) -> Result<()> {
        self.require(catalogue, Right::MANAGED_MANAGE)
    }

    /// Refuses one PAT of a bulk update. An id that the caller cannot see is as good as none, so this answers
    /// `Ok(false)` and the caller says the same of both.
    pub fn bulk_update(&self, catalogue: &Catalogue, pat: Target) -> Result<bool> {
        if !pat.managed {
            return Ok(true);
        }
        if !self.rights.has(Right::MANAGED_READ) {
            return Ok(false);
        }
        self.require(catalogue, Right::MANAGED_MANAGE).map(|()| true)
    }

    /// Refuses the end of an access token: those of the PAT in use (`own`) are the caller's, anyone's take
    /// `all:manage` (contract section 6).
    pub fn revoke(&self, own: bool) -> Result<()> {
        if own || self.rights.has(Right::ALL_MANAGE) {
            return Ok(());
        }
        Err(Error::forbidden("The access token was made from another personal access token."))
    }

    /// Whether the credential has every scope that is open to its owner.
    fn has_all_scopes(&self) -> bool {
        self.scopes.is_none_or(ScopeList::grants_all)
    }

    /// Whether the credential has a scope: it names it, or it has [`scope::ALL`] and the scope is open to the
    /// owner's levels.
    fn has_scope(&self, catalogue: &Catalogue, wanted: &str) -> bool {
        self.scopes.is_some_and(|held| catalogue.names_scope(held, wanted))
            || (self.has_all_scopes() && catalogue.is_open(wanted, self.levels))
    }

    /// Refuses a gateway's request for a scope that the credential does not have, or that grants nothing because it
    /// is not open to the owner's levels (contract section 6, `/forward-auth`).
    pub fn require_scope(&self, catalogue: &Catalogue, wanted: &str) -> Result<()> {
        if self.has_scope(catalogue, wanted) && catalogue.is_open(wanted, self.levels) {
            return Ok(());
        }
        let text = format!("The credential does not have the scope '{}'.", shorten(wanted));
        Err(Error::forbidden(text))
    }

    /// The scopes that a token request narrows its PAT to, spelled as asked: each must be one that the PAT has
    /// (contract section 6). One that is not open to the owner's levels grants nothing, and may be named all the same.
    ///
    /// # Errors
    /// [`Detail::Value`] for a parameter that is no list of scopes, or names one that the PAT lacks.
    pub fn narrowed(&self, catalogue: &Catalogue, asked: &str) -> Result<ScopeList> {
        let malformed = || Error::invalid(Detail::Value, "The scope parameter is malformed.");
        let asked = ScopeList::parse_parameter(asked).ok_or_else(malformed)?;
        match asked.as_slice().iter().find(|wanted| !self.has_scope(catalogue, wanted)) {
            None => Ok(asked),
            Some(excess) => {
                let text =
                    format!("The personal access token does not have the scope '{}'.", shorten(excess));
                Err(Error::invalid(Detail::Value, text))
            }
        }
    }

    /// No escalation: refuses scopes that the credential in use lacks, apart from those that the PAT already has.
    ///
    /// A credential with [`scope::ALL`] lacks none of its owner's; [`scope::DEFAULT`] exceeds nobody; a scope whose
    /// rights the credential holds exceeds nothing either (contract section 11). A scope that grants no right here may
    /// mean something to another service, so it must be held by name.
    pub fn refuse_excess(
        &self,
        catalogue: &Catalogue,
        wanted: &ScopeList,
        kept: Option<&ScopeList>,
    ) -> Result<()> {
        let Some(held) = self.scopes.filter(|held| !held.grants_all()) else { return Ok(()) };
        let exceeds = |wanted: &&String| {
            let wanted = wanted.as_str();
            let named = |list: &ScopeList| catalogue.names_scope(list, wanted);
            let by_rights = || {
                let entry = catalogue.scope(wanted).filter(|entry| !entry.rights.is_empty());
                entry.is_some_and(|entry| self.rights.contains(entry.rights))
            };
            wanted != scope::DEFAULT && !named(held) && !kept.is_some_and(named) && !by_rights()
        };
        let excess: Vec<String> =
            wanted.as_slice().iter().filter(exceeds).map(|scope| shorten(scope)).collect();
        if excess.is_empty() {
            return Ok(());
        }
        let text =
            format!("The credential in use lacks the scopes that this would grant: {}.", excess.join(", "));
        Err(Error::forbidden(text))
    }

    /// Refuses levels whose rights exceed those of the credential in use. `added` are those the identity does not
    /// have yet.
    pub fn grant_levels(&self, catalogue: &Catalogue, added: &[String]) -> Result<()> {
        if added.iter().any(|level| level == PLATFORM) {
            return Err(Error::forbidden(format!("Level '{PLATFORM}' is given on the command line alone.")));
        }
        if added.is_empty() { Ok(()) } else { self.refuse_excess_levels(catalogue, added) }
    }

    /// Refuses whatever gives an identity of these levels a credential, or its credentials back, when its rights
    /// exceed those of the credential in use.
    fn refuse_excess_levels(&self, catalogue: &Catalogue, levels: &[String]) -> Result<()> {
        let excess = catalogue.rights_of_levels(levels).without(self.rights);
        if excess.is_empty() {
            return Ok(());
        }
        let names = catalogue.names_of(excess);
        Err(Error::forbidden(format!("The credential in use lacks rights that this would grant: {names}.")))
    }

    /// Refuses a change of levels from `old` to `new`. Levels are given, and taken, by those who have their rights: who
    /// could take an administrator's levels could then set its password, and have what comes back with them.
    pub fn set_levels(&self, catalogue: &Catalogue, old: &[String], new: &[String]) -> Result<()> {
        self.require(catalogue, Right::AUTH_USER_MANAGE)?;
        let beyond = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|level| !those.contains(level)).cloned().collect()
        };
        self.grant_levels(catalogue, &beyond(new, old))?;
        let everyones = catalogue.rights_of_levels(&[]);
        let taken = catalogue.rights_of_levels(&beyond(old, new)).without(everyones).without(self.rights);
        if taken.is_empty() {
            return Ok(());
        }
        let names = catalogue.names_of(taken);
        Err(Error::forbidden(format!("The credential in use lacks rights that this would take: {names}.")))
    }

    /// Refuses the creation of an identity of these levels, whose first password the caller learns: no rights are
    /// had so that the credential in use lacks.
    pub fn create_identity(&self, catalogue: &Catalogue, levels: &[String]) -> Result<()> {
        self.set_levels(catalogue, &[], levels)?;
        self.refuse_excess_levels(catalogue, levels)
    }

    /// Refuses to disable an identity, or to enable it. Enabling brings its rights back, so they must not exceed those
    /// of the credential in use.
    pub fn set_enabled(&self, catalogue: &Catalogue, levels: &[String], enabled: bool) -> Result<()> {
        self.require(catalogue, Right::AUTH_USER_MANAGE)?;
        if enabled { self.refuse_excess_levels(catalogue, levels) } else { Ok(()) }
    }

    /// Refuses a new password for an identity of these levels, which the caller learns: the way to its rights, so
    /// they must not exceed those of the credential in use. One's own is changed by whoever knows the old one.
    pub fn reset_password(
        &self,
        catalogue: &Catalogue,
        identity: IdentityId,
        levels: &[String],
    ) -> Result<()> {
        self.require(catalogue, Right::AUTH_USER_MANAGE)?;
        if identity == self.identity {
            return Err(Error::forbidden("One's own password is changed, not reset."));
        }
        self.refuse_excess_levels(catalogue, levels)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rights::{CustomScope, ORG_ADMIN};

    const ME: IdentityId = IdentityId::from_bytes([1; 16]);
    const OTHER: IdentityId = IdentityId::from_bytes([2; 16]);

    struct Someone {
        levels: Vec<String>,
        scopes: ScopeList,
    }

    impl Someone {
        fn new(level: &str, scopes: &[&str]) -> Self {
            let scopes = scopes.iter().map(|&s| s.to_owned()).collect();
            Self { levels: vec![level.to_owned()], scopes: ScopeList::from_kept(scopes) }
        }

        fn holder(&self, catalogue: &Catalogue) -> Holder<'_> {
            let rights = catalogue.rights_of(&self.levels, &self.scopes);
            Holder { identity: ME, levels: &self.levels, rights, scopes: Some(&self.scopes) }
        }
    }

    fn wanted(scopes: &[&str]) -> ScopeList {
        ScopeList::from_kept(scopes.iter().map(|&s| s.to_owned()).collect())
    }

    #[test]
    fn hidden_is_not_found_and_seen_is_forbidden() {
        let catalogue = Catalogue::built_in();
        let user = Someone::new("USER", &[scope::ALL]);
        let user = user.holder(&catalogue);
        let theirs = Target { owner: OTHER, managed: false };
        assert!(matches!(user.patch(&catalogue, theirs), Err(Error::NotFound { .. })));
        assert!(matches!(user.delete(&catalogue, theirs), Err(Error::NotFound { .. })));
        let mine_managed = Target { owner: ME, managed: true };
        assert!(matches!(user.delete(&catalogue, mine_managed), Err(Error::NotFound { .. })));
        let admin = Someone::new(ORG_ADMIN, &[scope::ALL]);
        let admin = admin.holder(&catalogue);
        assert!(matches!(admin.patch(&catalogue, theirs), Err(Error::Forbidden { .. })));
        assert!(admin.delete(&catalogue, theirs).is_ok());
        assert!(admin.delete(&catalogue, mine_managed).is_ok());
        assert!(matches!(admin.patch(&catalogue, mine_managed), Err(Error::Forbidden { .. })));
    }

    #[test]
    fn nobody_gives_what_he_lacks() {
        let catalogue = Catalogue::built_in();
        let narrow = Someone::new(ORG_ADMIN, &["sp:my-personal-access-tokens:manage", "demo:x"]);
        let narrow = narrow.holder(&catalogue);
        let excess = |scopes: &[&str], kept: Option<&ScopeList>| {
            narrow.refuse_excess(&catalogue, &wanted(scopes), kept).err().map(|e| e.to_string())
        };
        assert_eq!(excess(&["demo:x", "idn:my-personal-access-tokens:read", scope::DEFAULT], None), None);
        for too_much in [scope::ALL, "demo:y", "sp:all-personal-access-tokens:read"] {
            assert!(excess(&["demo:x", too_much], None).unwrap().contains(too_much));
            assert_eq!(excess(&["demo:x", too_much], Some(&wanted(&[too_much]))), None, "kept");
        }
        let broad = Someone::new("USER", &["demo:x", scope::ALL]);
        assert!(
            broad.holder(&catalogue).refuse_excess(&catalogue, &wanted(&["any", scope::ALL]), None).is_ok()
        );
    }

    #[test]
    fn levels_are_granted_within_ones_own_rights() {
        let catalogue = Catalogue::built_in();
        let levels = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let admin = Someone::new(ORG_ADMIN, &[scope::ALL]);
        assert!(admin.holder(&catalogue).grant_levels(&catalogue, &levels(&[ORG_ADMIN, "HELPDESK"])).is_ok());
        assert!(admin.holder(&catalogue).grant_levels(&catalogue, &levels(&[PLATFORM])).is_err());
        let narrow = Someone::new(ORG_ADMIN, &["idn:auth-user:manage"]);
        assert!(narrow.holder(&catalogue).grant_levels(&catalogue, &levels(&[ORG_ADMIN])).is_err());
        assert!(narrow.holder(&catalogue).grant_levels(&catalogue, &[]).is_ok());
    }

    #[test]
    fn nobody_comes_by_rights_through_another_identity() {
        let helpers = BTreeMap::from([("DESK".to_owned(), vec!["idn:auth-user:manage".to_owned()])]);
        let catalogue = Catalogue::new(&helpers, &[]).unwrap();
        let levels = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let text = |refused: Result<()>| match refused {
            Ok(()) => String::new(),
            Err(Error::Forbidden { text }) => text,
            Err(other) => panic!("{other:?}"),
        };
        let lacks =
            |names: &str| format!("The credential in use lacks rights that this would grant: {names}.");
        let managed = lacks("idn:managed-personal-access-tokens:manage");
        let platform = format!("Level '{PLATFORM}' is given on the command line alone.");
        let needs = "This needs the right 'idn:auth-user:manage'.".to_owned();
        let own = "One's own password is changed, not reset.".to_owned();
        let admin_lacks = lacks(
            "idn:all-personal-access-tokens:read, idn:all-personal-access-tokens:manage, \
             idn:all-personal-access-tokens:update, idn:managed-personal-access-tokens:read, idn:audit-events:read",
        );
        let ok = String::new;
        for (level, scope, of, created, enabled, reset) in [
            (ORG_ADMIN, scope::ALL, ORG_ADMIN, ok(), ok(), ok()),
            (ORG_ADMIN, scope::ALL, "USER", ok(), ok(), ok()),
            (ORG_ADMIN, scope::ALL, PLATFORM, platform.clone(), managed.clone(), managed.clone()),
            (PLATFORM, scope::ALL, "USER", needs.clone(), needs.clone(), needs.clone()),
            ("USER", scope::ALL, "USER", needs.clone(), needs.clone(), needs),
            ("DESK", scope::ALL, "USER", ok(), ok(), ok()),
            ("DESK", scope::ALL, "DESK", ok(), ok(), ok()),
            ("DESK", scope::ALL, ORG_ADMIN, admin_lacks.clone(), admin_lacks.clone(), admin_lacks),
        ] {
            let someone = Someone::new(level, &[scope]);
            let holder = someone.holder(&catalogue);
            let of_levels = levels(&[of]);
            let case = format!("{level} on {of}");
            assert_eq!(text(holder.create_identity(&catalogue, &of_levels)), created, "{case}");
            assert_eq!(text(holder.set_enabled(&catalogue, &of_levels, true)), enabled, "{case}");
            assert_eq!(text(holder.reset_password(&catalogue, OTHER, &of_levels)), reset, "{case}");
            // Disabling takes no more than the right to manage; whoever takes a level has its rights.
            let may = holder.rights.has(Right::AUTH_USER_MANAGE);
            assert_eq!(holder.set_enabled(&catalogue, &of_levels, false).is_ok(), may, "{case}");
            let beyond = matches!((level, of), ("DESK", ORG_ADMIN) | (_, PLATFORM));
            assert_eq!(holder.set_levels(&catalogue, &of_levels, &[]).is_ok(), may && !beyond, "{case}");
            if may {
                assert_eq!(text(holder.reset_password(&catalogue, ME, &levels(&[level]))), own, "{case}");
            }
        }
        // Everyone has rights on their own PATs, which this credential lacks.
        let narrow = Someone::new(ORG_ADMIN, &["idn:auth-user:manage"]);
        let narrow = narrow.holder(&catalogue);
        let mine = lacks("idn:my-personal-access-tokens:read, idn:my-personal-access-tokens:manage");
        assert_eq!(text(narrow.create_identity(&catalogue, &[])), mine);
        assert_eq!(text(narrow.set_enabled(&catalogue, &[], true)), mine);
        assert_eq!(text(narrow.reset_password(&catalogue, OTHER, &[])), mine);
    }

    /// Of every level `demo:x`, of `CERT_ADMIN` alone `demo:y`.
    fn with_demo_scopes() -> Catalogue {
        let custom = |name: &str, level: &str| CustomScope {
            name: name.to_owned(),
            description: String::new(),
            rights: Vec::new(),
            levels: vec![level.to_owned()],
        };
        Catalogue::new(&BTreeMap::new(), &[custom("demo:x", "*"), custom("demo:y", "CERT_ADMIN")]).unwrap()
    }

    #[test]
    fn a_token_is_narrowed_to_what_its_pat_has() {
        let catalogue = with_demo_scopes();
        let narrowed = |scopes: &[&str], asked: &str| {
            let user = Someone::new("USER", scopes);
            let narrowed = user.holder(&catalogue).narrowed(&catalogue, asked);
            narrowed.map(|list| list.joined()).map_err(|error| error.to_string())
        };
        let lacks =
            |scope: &str| Err(format!("The personal access token does not have the scope '{scope}'."));
        let malformed = Err("The scope parameter is malformed.".to_owned());
        // By name: spelled as asked, in either spelling of Patron's own, also where it grants nothing.
        let named = ["sp:my-personal-access-tokens:read", "demo:y", "nobody:knows"];
        for asked in ["idn:my-personal-access-tokens:read demo:y", "nobody:knows"] {
            assert_eq!(narrowed(&named, asked), Ok(asked.to_owned()));
        }
        assert_eq!(narrowed(&named, "demo:y demo:x"), lacks("demo:x"));
        assert_eq!(narrowed(&named, scope::ALL), lacks(scope::ALL));
        // With all scopes: what is open to the owner's levels.
        for open in ["demo:x", scope::ALL, scope::DEFAULT, "idn:my-personal-access-tokens:manage"] {
            assert_eq!(narrowed(&[scope::ALL], open), Ok(open.to_owned()));
        }
        for closed in ["demo:y", "sp:audit-events:read", "nobody:knows"] {
            assert_eq!(narrowed(&[scope::ALL], closed), lacks(closed));
        }
        for wrong in ["", "  ", "a\"b"] {
            assert_eq!(narrowed(&[scope::ALL], wrong), malformed, "{wrong:?}");
        }
        let long = "x".repeat(100);
        assert_eq!(narrowed(&["a"], &long), lacks(&shorten(&long)));
    }

    #[test]
    fn a_gateway_grants_what_is_held_and_open() {
        let catalogue = with_demo_scopes();
        let granted = |level: &str, scopes: &[&str], wanted: &str| {
            let someone = Someone::new(level, scopes);
            match someone.holder(&catalogue).require_scope(&catalogue, wanted) {
                Ok(()) => true,
                Err(Error::Forbidden { text }) => {
                    assert_eq!(text, format!("The credential does not have the scope '{wanted}'."));
                    false
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        for (level, scopes, wanted, expected) in [
            ("USER", "demo:x", "demo:x", true),
            ("USER", "demo:x", "demo:y", false),
            ("USER", scope::ALL, "demo:x", true),
            ("USER", scope::ALL, "demo:y", false),
            ("CERT_ADMIN", scope::ALL, "demo:y", true),
            ("CERT_ADMIN", "demo:y", "demo:y", true),
            ("USER", "demo:y", "demo:y", false),
            ("USER", "nobody:knows", "nobody:knows", false),
            ("USER", "sp:my-personal-access-tokens:read", "idn:my-personal-access-tokens:read", true),
        ] {
            assert_eq!(granted(level, &[scopes], wanted), expected, "{level} with {scopes} wants {wanted}");
        }
    }

    #[test]
    fn ones_own_access_tokens_are_revoked_or_anyones_with_the_right() {
        let catalogue = Catalogue::built_in();
        let may = |level: &str, scope: &str, own| {
            Someone::new(level, &[scope]).holder(&catalogue).revoke(own).is_ok()
        };
        assert!(may("USER", scope::DEFAULT, true));
        assert!(!may("USER", scope::ALL, false));
        assert!(may(ORG_ADMIN, scope::ALL, false));
        assert!(may(ORG_ADMIN, "sp:all-personal-access-tokens:manage", false));
        assert!(!may(ORG_ADMIN, "sp:all-personal-access-tokens:read", false));
    }
}
