//! The limits of the rules: how much, how long and how many. [`PATS_PER_OWNER`] is the default of a setting; the others
//! cannot be set.
//!
//! What bounds the service's own time and memory is in `server/src/limits.rs`; which values a setting takes, in its row
//! of `server/src/config/table.rs`. A number that one rule alone counts on, such as the six months of the older paths,
//! stands beside that rule.

/// PATs that an owner may have, managed ones aside. Setting `pat_limits.per_owner`.
pub const PATS_PER_OWNER: u32 = 10;
/// Characters of a PAT's name, a login name or a display name.
pub const NAME_CHARS: usize = 255;
/// Scopes of one PAT.
pub const SCOPES_PER_PAT: usize = 100;
/// Characters of one scope.
pub const SCOPE_CHARS: usize = 255;
/// Shortest life of an access token, seconds.
pub const VALIDITY_MIN_SECONDS: u32 = 15;
/// Longest life of an access token, and its default, seconds.
pub const VALIDITY_MAX_SECONDS: u32 = 43_200;
/// PATs that one bulk update may name.
pub const BULK_IDS: usize = 25;
/// Operations in one JSON Patch.
pub const PATCH_OPERATIONS: usize = 200;
/// What all `copy` operations of one JSON Patch may copy, in bytes of text plus one a value: more than
/// [`PATCH_OPERATIONS`] copies of a longest name. Every other value comes out of the request's body, which is
/// limited; copies of `/scope` into itself would double it two hundred times.
pub const PATCH_COPY_BYTES: usize = 4 * BODY_BYTES;
/// Characters of a list filter.
pub const FILTER_CHARS: usize = 2_000;
/// Nested parentheses and negations of a list filter.
pub const FILTER_LEVELS: usize = 32;
/// Texts that one `in` of a list filter may name.
pub const IN_TEXTS: usize = 100;
/// Highest `limit` of a paged list.
pub const PAGE_MAX: u32 = 250;
/// Bytes of a request's body.
pub const BODY_BYTES: usize = 64 * 1024;
/// Parts of a multipart form, and pairs of an urlencoded one.
pub const FORM_FIELDS: usize = 64;
/// Characters of a tenant's name: a DNS label.
pub const TENANT_NAME_CHARS: usize = 63;
/// Levels that one identity may have.
pub const LEVELS_PER_IDENTITY: usize = 32;
/// Rights that the catalogue can know, the operator's own included.
pub const RIGHTS: usize = 128;
/// Characters of a password; argon2id reads all of them.
pub const PASSWORD_CHARS: usize = 1_024;
/// Fewest characters of a password that a person sets.
pub const PASSWORD_MIN_CHARS: usize = 12;
/// Web sessions of one identity; a new one beyond that ends the one that was seen last the longest ago.
pub const SESSIONS_PER_IDENTITY: u32 = 50;
/// How often it is noted that a web session is in use: once a minute.
pub const SESSION_SEEN_STEP_SECONDS: u32 = 60;
/// How often a PAT's `lastUsed` may move: once in 24 h.
pub const LAST_USED_STEP_SECONDS: i64 = 24 * 3_600;
/// How long a deleted PAT's id and secret hash are kept, so that its holder is told.
pub const TOMBSTONE_SECONDS: i64 = 90 * 24 * 3_600;
/// Up to how many PATs that match a search are counted: to count millions takes seconds.
pub const COUNTED_PATS: u32 = 10_000;
/// Days that the PAT made by bootstrap lives.
pub const BOOTSTRAP_PAT_DAYS: i64 = 30;
/// How long a revoked access token is remembered beyond its end, seconds: one clock that is ahead must not bring it back on
/// another that is right.
pub const REVOCATION_KEPT_SECONDS: i64 = 24 * 60 * 60;
