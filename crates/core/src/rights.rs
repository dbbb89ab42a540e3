//! The only table of levels, scopes and rights (contract section 3).
//!
//! An access token's rights are the rights of its identity's levels, as they are now, cut down to what its scopes
//! grant. The operator's file can add levels, rights and scopes; [`Catalogue`] holds them together with Patron's own.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{BitAnd, BitOr};

use crate::limits;
use crate::scope::{self, ScopeList};

/// A right: what an endpoint asks for. Small, as an index into the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right(u8);

macro_rules! built_in_rights {
    ($($index:literal $constant:ident $name:literal includes $($included:ident)?, $doc:literal;)*) => {
        impl Right {
            $(#[doc = $doc] pub const $constant: Self = Self($index);)*
        }

        /// Patron's own rights in the order of their index: name, and the right that it includes.
        const BUILT_IN: &[(&str, Option<Right>)] = &[
            $(($name, built_in_rights!(@included $($included)?)),)*
        ];
    };
    (@included) => { None };
    (@included $right:ident) => { Some(Right::$right) };
}

built_in_rights! {
    0 MY_READ "idn:my-personal-access-tokens:read" includes , "List one's own PATs.";
    1 MY_MANAGE "idn:my-personal-access-tokens:manage" includes MY_READ, "Create, patch and delete one's own PATs.";
    2 ALL_READ "idn:all-personal-access-tokens:read" includes , "List everyone's PATs.";
    3 ALL_MANAGE "idn:all-personal-access-tokens:manage" includes ALL_READ, "Delete anyone's PATs; create one's own.";
    4 ALL_UPDATE "idn:all-personal-access-tokens:update" includes , "Bulk update.";
    5 MANAGED_READ "idn:managed-personal-access-tokens:read" includes , "Managed PATs appear in lists.";
    6 MANAGED_MANAGE "idn:managed-personal-access-tokens:manage" includes MANAGED_READ, "Create managed PATs for another identity, patch and delete them.";
    7 AUDIT_READ "idn:audit-events:read" includes , "Read the audit trail.";
    8 AUTH_USER_READ "idn:auth-user:read" includes , "Read an identity's levels.";
    9 AUTH_USER_MANAGE "idn:auth-user:manage" includes AUTH_USER_READ, "Change an identity's levels.";
}

/// A set of rights, closed under "includes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RightSet(u128);

impl RightSet {
    /// No right.
    pub const NONE: Self = Self(0);

    /// The set of these rights and of those they include.
    pub fn of(rights: &[Right]) -> Self {
        let mut bits = 0_u128;
        for right in rights {
            bits |= 1 << right.0;
            if let Some(included) = BUILT_IN.get(usize::from(right.0)).and_then(|(_, included)| *included) {
                bits |= 1 << included.0;
            }
        }
        Self(bits)
    }

    /// Whether `right` is in it.
    pub fn has(self, right: Right) -> bool {
        self.0 & (1 << right.0) != 0
    }

    /// Whether one of `rights` is in it.
    pub fn has_any(self, rights: &[Right]) -> bool {
        rights.iter().any(|&right| self.has(right))
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in it and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn iter(self) -> impl Iterator<Item = Right> {
        (0..128_u8).map(Right).filter(move |&right| self.has(right))
    }
}

impl BitOr for RightSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for RightSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Every right on PATs: a credential with none of them is refused on every PAT path.
pub const PAT_RIGHTS: &[Right] = &[
    Right::MY_READ,
    Right::MY_MANAGE,
    Right::ALL_READ,
    Right::ALL_MANAGE,
    Right::ALL_UPDATE,
    Right::MANAGED_READ,
    Right::MANAGED_MANAGE,
];

/// Everyone's level.
pub const USER: &str = "USER";
/// The administrator's level.
pub const ORG_ADMIN: &str = "ORG_ADMIN";
/// The level of a workflow engine and its like, given by `patron admin` alone.
pub const PLATFORM: &str = "PLATFORM";

/// Patron's own levels; those not matched in [`built_in_level`] have what everyone has.
const LEVELS: &[&str] = &[
    "CERT_ADMIN",
    "HELPDESK",
    ORG_ADMIN,
    PLATFORM,
    "REPORT_ADMIN",
    "ROLE_ADMIN",
    "ROLE_SUBADMIN",
    "SOURCE_ADMIN",
    "SOURCE_SUBADMIN",
    USER,
];

/// Whether Patron defines this level itself, so that the operator's file cannot.
pub fn is_built_in_level(name: &str) -> bool {
    LEVELS.contains(&name)
}

/// Whether Patron defines this scope itself, in either spelling, so that the operator's file cannot.
pub fn is_built_in_scope(name: &str) -> bool {
    name == scope::ALL || name == scope::DEFAULT || built_in_right_of_scope(name).is_some()
}

fn built_in_right_of_scope(name: &str) -> Option<Right> {
    let rest = name.strip_prefix("sp:").or_else(|| name.strip_prefix("idn:"))?;
    let index = BUILT_IN.iter().position(|(right, _)| right.strip_prefix("idn:") == Some(rest))?;
    u8::try_from(index).ok().map(Right)
}

/// A scope of the catalogue.
#[derive(Debug, Clone)]
pub struct ScopeEntry {
    /// As PATs name it; Patron's own are spelled `sp:…`.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it grants in Patron; none for a scope that only other services ask for.
    pub rights: RightSet,
    /// The levels that may use it; `None` is every level.
    levels: Option<Vec<String>>,
}

/// One scope in the two ways it may be written, those of Patron's own with `sp:` or `idn:` in front; the same text
/// twice when there is but one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spellings(pub String, pub String);

/// A scope as the operator's file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomScope {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Names of rights, Patron's or the operator's own.
    pub rights: Vec<String>,
    /// Names of levels; `*` is every level.
    pub levels: Vec<String>,
}

/// Levels, scopes and rights: Patron's own and the operator's.
#[derive(Debug)]
pub struct Catalogue {
    rights: Vec<String>,
    levels: BTreeMap<String, RightSet>,
    scopes: BTreeMap<String, ScopeEntry>,
    everyone: RightSet,
}

/// A fault in the operator's levels or scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueError(String);

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CatalogueError {}

impl Catalogue {
    /// Patron's own and the operator's levels (name → names of rights) and scopes.
    pub fn new(
        levels: &BTreeMap<String, Vec<String>>,
        scopes: &[CustomScope],
    ) -> Result<Self, CatalogueError> {
        let mut this = Self {
            rights: BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect(),
            levels: BTreeMap::new(),
            scopes: BTreeMap::new(),
            everyone: RightSet::of(&[Right::MY_READ, Right::MY_MANAGE]),
        };
        for names in levels.values().chain(scopes.iter().map(|custom| &custom.rights)) {
            for name in names {
                this.learn_right(name)?;
            }
        }
        for &level in LEVELS {
            this.levels.insert(level.to_owned(), this.built_in_level(level));
        }
        for (level, rights) in levels {
            if is_built_in_level(level) {
                return Err(CatalogueError(format!("level '{level}' is Patron's own")));
            }
            let rights = this.right_set(rights);
            this.levels.insert(level.clone(), rights | this.everyone);
        }
        this.add_built_in_scopes();
        for custom in scopes {
            this.add_custom_scope(custom)?;
        }
        Ok(this)
    }

    /// Patron's own alone.
    pub fn built_in() -> Self {
        // Without the operator's part nothing can be refused, so the fallback is never taken.
        Self::new(&BTreeMap::new(), &[]).unwrap_or_else(|_| Self {
            rights: Vec::new(),
            levels: BTreeMap::new(),
            scopes: BTreeMap::new(),
            everyone: RightSet::NONE,
        })
    }

    fn learn_right(&mut self, name: &str) -> Result<(), CatalogueError> {
        if self.rights.iter().any(|known| known == name) {
            return Ok(());
        }
        if self.rights.len() == limits::RIGHTS {
            return Err(CatalogueError(format!("more than {} rights", limits::RIGHTS)));
        }
        self.rights.push(name.to_owned());
        Ok(())
    }

    fn right_set(&self, names: &[String]) -> RightSet {
        let known = (0_u8..).zip(&self.rights).filter(|(_, known)| names.contains(known));
        RightSet::of(&known.map(|(index, _)| Right(index)).collect::<Vec<_>>())
    }

    fn built_in_level(&self, level: &str) -> RightSet {
        match level {
            ORG_ADMIN => self.right_set(&self.rights).without(RightSet(1 << Right::MANAGED_MANAGE.0)),
            PLATFORM => self.everyone | RightSet::of(&[Right::MANAGED_MANAGE]),
            _ => self.everyone,
        }
    }

    fn add_built_in_scopes(&mut self) {
        let plain = |name: &str, description: &str| ScopeEntry {
            name: name.to_owned(),
            description: description.to_owned(),
            rights: RightSet::NONE,
            levels: None,
        };
        self.scopes.insert(scope::ALL.to_owned(), plain(scope::ALL, "Everything that the owner may do"));
        self.scopes.insert(scope::DEFAULT.to_owned(), plain(scope::DEFAULT, "Only what needs no right"));
        let descriptions = [
            "List one's own personal access tokens",
            "Create, change and delete one's own personal access tokens",
            "List everyone's personal access tokens",
            "Delete anyone's personal access tokens",
            "Set the expiry of many personal access tokens at once",
            "See managed personal access tokens",
            "Create, change and delete managed personal access tokens",
            "Read the audit trail",
            "Read the levels of an identity",
            "Change the levels of an identity",
        ];
        for ((index, (right, _)), description) in (0_u8..).zip(BUILT_IN).zip(descriptions) {
            let name = right.replacen("idn:", "sp:", 1);
            let rights = RightSet::of(&[Right(index)]);
            let may_use =
                self.levels.iter().filter(|(_, has)| has.contains(rights)).map(|(level, _)| level.clone());
            let levels = if self.everyone.contains(rights) { None } else { Some(may_use.collect()) };
            self.scopes.insert(
                name.clone(),
                ScopeEntry { name, description: description.to_owned(), rights, levels },
            );
        }
    }

    fn add_custom_scope(&mut self, custom: &CustomScope) -> Result<(), CatalogueError> {
        if is_built_in_scope(&custom.name) {
            return Err(CatalogueError(format!("scope '{}' is Patron's own", custom.name)));
        }
        let every = custom.levels.iter().any(|level| level == "*");
        if let Some(unknown) = custom.levels.iter().find(|l| *l != "*" && !self.levels.contains_key(*l)) {
            return Err(CatalogueError(format!(
                "scope '{}' names the unknown level '{unknown}'",
                custom.name
            )));
        }
        let entry = ScopeEntry {
            name: custom.name.clone(),
            description: custom.description.clone(),
            rights: self.right_set(&custom.rights),
            levels: (!every).then(|| custom.levels.clone()),
        };
        match self.scopes.insert(custom.name.clone(), entry) {
            None => Ok(()),
            Some(_) => Err(CatalogueError(format!("scope '{}' stands twice", custom.name))),
        }
    }

    /// The name of a right.
    pub fn name_of(&self, right: Right) -> &str {
        self.rights.get(usize::from(right.0)).map_or("", String::as_str)
    }

    /// The names of rights, with a comma between.
    pub fn names_of(&self, rights: RightSet) -> String {
        rights.iter().map(|right| self.name_of(right)).collect::<Vec<_>>().join(", ")
    }

    /// Whether there is such a level.
    pub fn knows_level(&self, level: &str) -> bool {
        self.levels.contains_key(level)
    }

    /// The names of all levels.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.levels.keys().map(String::as_str)
    }

    /// All scopes, by name.
    pub fn scopes(&self) -> impl Iterator<Item = &ScopeEntry> {
        self.scopes.values()
    }

    /// The rights of an identity with these levels. A level that is no longer known adds nothing.
    pub fn rights_of_levels(&self, levels: &[String]) -> RightSet {
        levels.iter().filter_map(|level| self.levels.get(level)).fold(self.everyone, |all, &has| all | has)
    }

    /// The rights of an access token with these scopes whose identity has these levels.
    pub fn rights_of(&self, levels: &[String], scopes: &ScopeList) -> RightSet {
        let held = self.rights_of_levels(levels);
        if scopes.grants_all() {
            return held;
        }
        let granted = scopes.as_slice().iter().filter_map(|scope| self.scope(scope));
        let granted =
            granted.filter(|entry| entry.is_open_to(levels)).fold(RightSet::NONE, |all, e| all | e.rights);
        held & granted
    }

    /// The catalogue's entry of a scope, in either spelling of Patron's own.
    pub fn scope(&self, scope: &str) -> Option<&ScopeEntry> {
        self.scopes.get(scope).or_else(|| {
            let right = built_in_right_of_scope(scope)?;
            self.scopes.get(&self.name_of(right).replacen("idn:", "sp:", 1))
        })
    }

    /// Whether two scopes are the same one, perhaps in two spellings.
    pub fn same_scope(&self, one: &str, other: &str) -> bool {
        one == other
            || built_in_right_of_scope(one).is_some_and(|right| built_in_right_of_scope(other) == Some(right))
    }

    /// A scope in both its spellings.
    pub fn spellings(&self, scope: &str) -> Spellings {
        let other = |from: &str, to: &str| scope.strip_prefix(from).map(|rest| format!("{to}{rest}"));
        let other = other("sp:", "idn:").or_else(|| other("idn:", "sp:"));
        let other = other.filter(|other| self.same_scope(scope, other));
        Spellings(scope.to_owned(), other.unwrap_or_else(|| scope.to_owned()))
    }

    /// Whether one of `scopes` is `wanted`, perhaps in the other spelling.
    pub fn names_scope(&self, scopes: &ScopeList, wanted: &str) -> bool {
        scopes.as_slice().iter().any(|scope| self.same_scope(scope, wanted))
    }

    /// Whether the catalogue lets an identity with these levels use the scope. A scope in no catalogue is open to
    /// nobody.
    pub fn is_open(&self, scope: &str, levels: &[String]) -> bool {
        self.scope(scope).is_some_and(|entry| entry.is_open_to(levels))
    }
}

impl ScopeEntry {
    fn is_open_to(&self, levels: &[String]) -> bool {
        // Everyone is a USER, also an identity that was given no level.
        let may = |allowed: &Vec<String>| allowed.iter().any(|level| level == USER || levels.contains(level));
        self.levels.as_ref().is_none_or(may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(scopes: &[&str]) -> ScopeList {
        ScopeList::from_kept(scopes.iter().map(|&s| s.to_owned()).collect())
    }

    fn levels(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    #[test]
    fn the_table_of_levels() {
        let catalogue = Catalogue::built_in();
        for level in LEVELS.iter().filter(|l| ![ORG_ADMIN, PLATFORM].contains(l)) {
            let rights = catalogue.rights_of_levels(&levels(&[level]));
            assert_eq!(rights, RightSet::of(&[Right::MY_MANAGE]), "{level}");
        }
        let admin = catalogue.rights_of_levels(&levels(&[ORG_ADMIN]));
        for index in 0..BUILT_IN.len() {
            let right = Right(u8::try_from(index).unwrap());
            assert_eq!(admin.has(right), right != Right::MANAGED_MANAGE, "{}", catalogue.name_of(right));
        }
        let platform = catalogue.rights_of_levels(&levels(&[PLATFORM]));
        assert_eq!(platform, RightSet::of(&[Right::MY_MANAGE, Right::MANAGED_MANAGE]));
        assert_eq!(catalogue.rights_of_levels(&[]), RightSet::of(&[Right::MY_MANAGE]));
    }

    #[test]
    fn scopes_limit_and_never_add() {
        let catalogue = Catalogue::built_in();
        let user = levels(&[]);
        assert!(catalogue.rights_of(&user, &list(&["sp:all-personal-access-tokens:read"])).is_empty());
        assert!(catalogue.rights_of(&user, &list(&["sp:scopes:default", "no:such"])).is_empty());
        let mine = RightSet::of(&[Right::MY_MANAGE]);
        assert_eq!(catalogue.rights_of(&user, &list(&["sp:scopes:default", "sp:scopes:all"])), mine);
        for spelling in ["sp:my-personal-access-tokens:manage", "idn:my-personal-access-tokens:manage"] {
            assert_eq!(catalogue.rights_of(&user, &list(&[spelling])), mine);
        }
        // Only Patron's own prefixes are spellings of each other.
        assert!(
            catalogue
                .rights_of(&user, &list(&["my-personal-access-tokens:manage", "idn:scopes:all"]))
                .is_empty()
        );
    }

    #[test]
    fn a_scope_has_both_its_spellings() {
        let catalogue = Catalogue::built_in();
        let both = |scope: &str| {
            let Spellings(one, other) = catalogue.spellings(scope);
            (one, other)
        };
        let (sp, idn) = (
            "sp:all-personal-access-tokens:read".to_owned(),
            "idn:all-personal-access-tokens:read".to_owned(),
        );
        assert_eq!(both(&sp), (sp.clone(), idn.clone()));
        assert_eq!(both(&idn), (idn.clone(), sp));
        for alone in ["demo:orders:read", "sp:", "idn:demo:orders", "sp:scopes:all"] {
            assert_eq!(both(alone), (alone.to_owned(), alone.to_owned()));
        }
    }

    #[test]
    fn the_operators_part() {
        let mut extra = BTreeMap::new();
        extra.insert(
            "AUDITOR".to_owned(),
            vec!["idn:all-personal-access-tokens:read".to_owned(), "x:read".to_owned()],
        );
        let custom = |name: &str, levels: &[&str]| CustomScope {
            name: name.to_owned(),
            description: "d".to_owned(),
            rights: vec!["x:read".to_owned()],
            levels: levels.iter().map(|&l| l.to_owned()).collect(),
        };
        let catalogue =
            Catalogue::new(&extra, &[custom("demo:x", &["AUDITOR"]), custom("demo:y", &["*"])]).unwrap();
        let auditor = levels(&["AUDITOR"]);
        assert!(catalogue.rights_of_levels(&auditor).has(Right::ALL_READ));
        assert!(!catalogue.rights_of(&auditor, &list(&["demo:x"])).is_empty());
        assert!(catalogue.is_open("sp:all-personal-access-tokens:read", &auditor));
        assert!(!catalogue.is_open("demo:x", &[]) && catalogue.is_open("demo:y", &[]));
        assert!(
            catalogue.rights_of(&[], &list(&["demo:y"])).is_empty(),
            "open, but the level lacks the right"
        );
        assert!(!catalogue.rights_of(&levels(&[ORG_ADMIN]), &list(&["demo:y"])).is_empty());
        assert!(Catalogue::new(&extra, &[custom("demo:x", &["NOBODY"])]).is_err());
        assert!(Catalogue::new(&extra, &[custom("idn:auth-user:read", &["*"])]).is_err());
        extra.insert(USER.to_owned(), vec![]);
        assert!(Catalogue::new(&extra, &[]).is_err());
    }
}
