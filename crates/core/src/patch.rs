//! JSON Patch (RFC 6902) over the four fields of a PAT that may change (contract section 5 "JSON Patch",
//! section 11), and over an identity's capabilities, which are its levels (section 2).
//!
//! `json-patch` does the RFC's work on a document of just these fields. What is Patron's own is around it:
//! which paths exist for whom, that an expiry without a value means null, and what may stand in the fields at
//! the end. Only the end is judged: a patch may remove the name and then add another. Whether the values are
//! good is for [`crate::pat`] (lengths, dates, the expiry rule) and [`crate::identity`] (known levels).

use json_patch::PatchOperation;
use json_patch::jsonptr::Pointer;
use serde_json::{Value, json};

use crate::error::{Detail, Error, Result, shorten};
use crate::limits::PATCH_OPERATIONS;
use crate::time::Timestamp;

use self::operation::{first_segment, pointers};

mod operation;

const NAME: &str = "name";
const SCOPE: &str = "scope";
const EXPIRATION_DATE: &str = "expirationDate";
const NEVER_EXPIRES: &str = "userAwareTokenNeverExpires";
const CAPABILITIES: &str = "capabilities";

/// A field of a document that a patch may name.
struct Field {
    name: &'static str,
    /// Whether a patch may name its elements too.
    has_elements: bool,
    /// What stands there after a `remove`, for later operations to find; `None` leaves no field.
    when_removed: Option<Value>,
}

/// A PAT always has an expiry and a flag: what is removed becomes their "nothing". In the order that
/// [`Patchable::fields`] counts on.
static PAT: [Field; 4] = [
    Field { name: NAME, has_elements: false, when_removed: None },
    Field { name: SCOPE, has_elements: true, when_removed: None },
    Field { name: EXPIRATION_DATE, has_elements: false, when_removed: Some(Value::Null) },
    Field { name: NEVER_EXPIRES, has_elements: false, when_removed: Some(Value::Bool(false)) },
];

static IDENTITY: [Field; 1] = [Field { name: CAPABILITIES, has_elements: true, when_removed: None }];

/// The operations of a JSON Patch, well formed and not yet applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch(Vec<PatchOperation>);

/// Which fields a patch may name, in paths, in `from`s and in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patchable {
    /// All four: `PATCH` of one PAT on `v1`, `v2025` and `v2026`.
    All,
    /// `name` and `scope`: the older paths, `v3`, `v2024` and `beta`.
    NameAndScope,
    /// `expirationDate` and `userAwareTokenNeverExpires`: bulk update.
    ExpiryOnly,
}

/// What of a PAT can be patched, as it stands before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The name.
    pub name: String,
    /// The scopes, in their order.
    pub scope: Vec<String>,
    /// When it expires; `None` is never.
    pub expiration_date: Option<Timestamp>,
    /// Whether its owner said that it may never expire.
    pub user_aware_token_never_expires: bool,
}

/// What a patch changes: `Some` for each field that an operation other than `test` names, with its value
/// afterwards, even when that is the value of before. Values are of the right JSON type and otherwise
/// unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patched {
    /// The name, untrimmed and of any length.
    pub name: Option<String>,
    /// The scopes, repeats and all; may be empty.
    pub scope: Option<Vec<String>>,
    /// The text of the date, whatever it is; `Some(None)` when it is removed, null or empty afterwards.
    pub expiration_date: Option<Option<String>>,
    /// The flag; removed and null are `false`.
    pub user_aware_token_never_expires: Option<bool>,
}

impl Patch {
    /// Reads the operations.
    ///
    /// Refuses as [`Detail::Syntax`], naming the operation by its index from 0, what is no patch: not an
    /// array of objects, more than [`PATCH_OPERATIONS`] of them, an `op` that is missing or unknown, a `path`
    /// (or the `from` of a move or copy) that is missing or no JSON pointer (RFC 6901), a missing `value`
    /// where one is due. `replace` on `/expirationDate` without one means null. Other members are ignored
    /// (RFC 6902 section 4).
    pub fn parse(body: &Value) -> Result<Self> {
        let syntax = |text: String| Error::invalid(Detail::Syntax, text);
        let Value::Array(operations) = body else {
            return Err(syntax("The patch is not an array of operations.".to_owned()));
        };
        if operations.len() > PATCH_OPERATIONS {
            let given = operations.len();
            return Err(syntax(format!(
                "The patch has {given} operations; at most {PATCH_OPERATIONS} are taken."
            )));
        }
        operations
            .iter()
            .enumerate()
            .map(|(index, given)| {
                operation::read(given).map_err(|why| syntax(format!("Operation {index} of the patch {why}.")))
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether there is no operation at all, which is allowed and changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies all operations in their order to a copy of `to`, or fails as a whole.
    ///
    /// # Errors
    /// [`Detail::Content`] for a field that is not patchable, whatever the operation; a failed `test`; a
    /// place that is not there; a scope removed. [`Detail::Missing`] for a name removed. [`Detail::Value`]
    /// for a value of the wrong JSON type. [`Detail::Length`] for copies of copies without end.
    pub fn apply(&self, to: &Document, patchable: Patchable) -> Result<Patched> {
        let fields = self.applied(to.fields(), patchable.fields())?;
        let named = |field: &str| self.changes(field).then(|| &fields[field]);
        Ok(Patched {
            name: named(NAME).map(name).transpose()?,
            scope: named(SCOPE).map(|scope| strings(SCOPE, scope)).transpose()?,
            expiration_date: named(EXPIRATION_DATE).map(expiration_date).transpose()?,
            user_aware_token_never_expires: named(NEVER_EXPIRES).map(never_expires).transpose()?,
        })
    }

    /// Applies all operations in their order to a copy of these levels, as `/capabilities`, the only field
    /// that they may name, or fails as a whole. Answers the levels afterwards, repeats and unknown ones and
    /// all.
    ///
    /// # Errors
    /// Those of [`Self::apply`], for the capabilities as for a scope.
    pub fn apply_to_capabilities(&self, levels: &[String]) -> Result<Vec<String>> {
        let fields = self.applied(json!({ CAPABILITIES: levels }), &IDENTITY)?;
        strings(CAPABILITIES, &fields[CAPABILITIES])
    }

    /// The document after all operations, of which these fields are open.
    fn applied(&self, mut document: Value, open: &[Field]) -> Result<Value> {
        // Before any is applied, so that a test cannot hide that a field is out of bounds.
        self.0.iter().flat_map(pointers).try_for_each(|pointer| admit(pointer, open))?;
        let mut copied = 0;
        for (index, operation) in self.0.iter().enumerate() {
            operation::step(&mut document, open, operation, &mut copied).map_err(|(detail, why)| {
                Error::invalid(detail, format!("Operation {index} of the patch: {why}."))
            })?;
        }
        Ok(document)
    }

    /// Whether an operation other than `test` names the field or an element of it.
    fn changes(&self, field: &str) -> bool {
        self.0.iter().any(|operation| match operation {
            PatchOperation::Test(_) => false,
            PatchOperation::Copy(copy) => first_segment(&copy.path) == field,
            _ => pointers(operation).any(|pointer| first_segment(pointer) == field),
        })
    }
}

impl Patchable {
    fn fields(self) -> &'static [Field] {
        match self {
            Self::All => &PAT,
            Self::NameAndScope => &PAT[..2],
            Self::ExpiryOnly => &PAT[2..],
        }
    }
}

/// Refuses a pointer to anything but an open field, or an element of one that has elements.
fn admit(pointer: &Pointer, open: &[Field]) -> Result<()> {
    let given = first_segment(pointer);
    let levels = |field: &Field| if field.has_elements { 2 } else { 1 };
    if open.iter().any(|field| field.name == given && pointer.count() <= levels(field)) {
        return Ok(());
    }
    Err(Error::invalid(Detail::Content, format!("Field '{}' is not patchable.", shorten(&given))))
}

impl Document {
    fn fields(&self) -> Value {
        json!({
            NAME: self.name,
            SCOPE: self.scope,
            EXPIRATION_DATE: self.expiration_date.map(|at| at.to_string()),
            NEVER_EXPIRES: self.user_aware_token_never_expires,
        })
    }
}

fn name(value: &Value) -> Result<String> {
    match value {
        Value::String(name) => Ok(name.clone()),
        Value::Null => Err(Error::invalid(Detail::Missing, "Field 'name' is required.")),
        _ => Err(Error::invalid(Detail::Value, "Field 'name' must be a string.")),
    }
}

fn strings(field: &str, value: &Value) -> Result<Vec<String>> {
    if value.is_null() {
        return Err(Error::invalid(Detail::Content, format!("Field '{field}' cannot be removed.")));
    }
    value
        .as_array()
        .and_then(|elements| elements.iter().map(|element| element.as_str().map(str::to_owned)).collect())
        .ok_or_else(|| Error::invalid(Detail::Value, format!("Field '{field}' must be an array of strings.")))
}

fn expiration_date(value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(date) => Ok(Some(date.clone()).filter(|date| !date.is_empty())),
        _ => Err(Error::invalid(Detail::Value, "Field 'expirationDate' must be a date-time or null.")),
    }
}

fn never_expires(value: &Value) -> Result<bool> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(*flag),
        _ => Err(Error::invalid(Detail::Value, "Field 'userAwareTokenNeverExpires' must be true or false.")),
    }
}

#[cfg(test)]
mod tests;
