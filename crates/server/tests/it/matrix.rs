//! The permission matrix (contract sections 3, 5 and 11): every level with every scope at every endpoint, on one's
//! own, another's and managed PATs. The snapshot is the whole of it; a change of one cell is a change of who may do
//! what, and is to be read as such.
//!
//! A cell is the status, behind a colon the rows of a list. Besides, each cell is checked to have changed the
//! database if and only if it says so.

use std::fmt::Write as _;

use patron_core::filter::Filter;
use patron_core::identity::Identity;
use patron_core::name::TenantName;
use patron_core::rights::CustomScope;
use patron_store::pats::Selection;
use serde_json::{Value, json};

use crate::callers::{
    ALL, DEFAULT, RIGHT_SCOPES, UNKNOWN, fresh_name, path_of, replace, respelled, unlimited,
};
use crate::support::{Call, Pat, Patron, Reply, pat_id};

const PATS: &str = "/personal-access-tokens/v1";
/// The name of what requests are tried on.
const TARGET: &str = "target";
/// Patron's own levels that have what everyone has.
const PLAIN: [&str; 7] = [
    "CERT_ADMIN",
    "HELPDESK",
    "REPORT_ADMIN",
    "ROLE_ADMIN",
    "ROLE_SUBADMIN",
    "SOURCE_ADMIN",
    "SOURCE_SUBADMIN",
];

async fn patron() -> Patron {
    Patron::with(|settings| {
        unlimited(settings);
        let right = "idn:all-personal-access-tokens:read".to_owned();
        settings.levels.insert("AUDITOR".to_owned(), vec![right.clone()]);
        let scope = |name: &str, rights: Vec<String>, level: &str| CustomScope {
            name: name.to_owned(),
            description: String::new(),
            rights,
            levels: vec![level.to_owned()],
        };
        settings.scopes =
            vec![scope("demo:orders:read", vec![], "*"), scope("demo:auditing", vec![right], "AUDITOR")];
    })
    .await
}

/// All that a row tries its requests on.
struct Row<'a> {
    patron: &'a Patron,
    caller: Identity,
    other: Identity,
    credential: Pat,
    auth: String,
    /// The caller's own, another's, the caller's managed, another's managed, and one that is not there.
    targets: Vec<String>,
    cells: String,
}

impl<'a> Row<'a> {
    async fn new(
        patron: &'a Patron,
        other: &Identity,
        levels: &[&str],
        scopes: &[&str],
        basic: bool,
    ) -> Self {
        let caller = patron.identity(&fresh_name(), levels).await;
        let credential = patron.pat(&caller, "credential", scopes).await;
        let auth = if basic { credential.basic() } else { patron.bearer(&credential).await };
        let mut row = Row {
            patron,
            caller,
            other: other.clone(),
            credential,
            auth,
            targets: Vec::new(),
            cells: String::new(),
        };
        row.restore().await;
        row
    }

    /// Leaves the credential and four targets, whatever was there before. Targets that are as they were made stay.
    async fn restore(&mut self) {
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for (id, name, scope, expiry) in self.pats().await {
            let as_made = name == TARGET && scope == [DEFAULT] && expiry.is_none();
            if as_made && self.targets.contains(&id) {
                kept.push(id);
            } else if id != self.credential.id && id != self.patron.admin.id {
                gone.push(id);
            }
        }
        for id in gone {
            self.patron.revoke_pat(TenantName::DEFAULT, &id).await;
        }
        if !self.levels_of_other().await.is_empty() {
            self.patron.change(&self.other, |other| other.levels.clear()).await.unwrap();
        }
        let mut targets = Vec::new();
        for managed in [false, true] {
            for owner in [&self.caller, &self.other] {
                let old = self.targets.get(targets.len()).filter(|id| kept.contains(id));
                targets.push(match old {
                    Some(id) => id.clone(),
                    None if managed => self.patron.managed_pat(owner, TARGET, &[DEFAULT]).await.id,
                    None => self.patron.pat(owner, TARGET, &[DEFAULT]).await.id,
                });
            }
        }
        targets.push(UNKNOWN.to_owned());
        self.targets = targets;
    }

    /// Every PAT there is: id, name, scopes, expiry.
    async fn pats(&self) -> Vec<(String, String, Vec<String>, Option<String>)> {
        let tenant = self.caller.tenant;
        let selection = Selection { tenant, owner: None, managed: true, filter: Filter::parse("").unwrap() };
        let all = self.patron.app.store.pats_page(selection, None, 1_000).await.unwrap();
        let told = all.into_iter().map(|pat| {
            let expiry = pat.expiry.date().map(|date| date.to_string());
            (pat.id.to_string(), pat.name, pat.scope.as_slice().to_vec(), expiry)
        });
        told.collect()
    }

    async fn levels_of_other(&self) -> Vec<String> {
        let other = self.other.id.to_string();
        self.patron.identity_now(TenantName::DEFAULT, &other).await.unwrap().levels
    }

    async fn ask(&self, call: Call) -> Reply {
        self.patron.send_as(&self.auth, call).await
    }

    /// A cell of a request that changes nothing.
    async fn look(&mut self, uri: &str) {
        let reply = self.ask(Call::get(uri)).await;
        write!(self.cells, " {}", reply.status.as_u16()).unwrap();
        if let Ok(Value::Array(rows)) = serde_json::from_slice(&reply.body) {
            // The trail grows with the matrix itself.
            match rows.len() {
                _ if uri.contains("audit") => {}
                rows => write!(self.cells, ":{rows}").unwrap(),
            }
        } else if uri.contains("owner-id") || uri == PATS {
            self.cells.push_str("  ");
        }
    }

    /// A cell of a request that changes something, or else is refused.
    async fn change(&mut self, call: Call) {
        let what = format!("{} {} of {:?}", call.method, call.uri, self.credential.id);
        let before = (self.pats().await, self.levels_of_other().await);
        let reply = self.ask(call).await;
        let changed = (self.pats().await, self.levels_of_other().await) != before;
        assert_eq!(changed, reply.status.is_success(), "{what}: {} {}", reply.status, reply.text());
        write!(self.cells, " {}", reply.status.as_u16()).unwrap();
        if changed {
            self.restore().await;
        }
    }

    fn gap(&mut self) {
        self.cells.push_str(" |");
    }

    async fn looks(&mut self) {
        let (own, other) = (self.caller.id.to_string(), self.other.id.to_string());
        for owner in ["?owner-id=me", &format!("?owner-id={own}"), &format!("?owner-id={other}")] {
            self.look(&format!("{PATS}{owner}")).await;
        }
        self.look(&format!("{PATS}?owner-id={UNKNOWN}")).await;
        self.look(PATS).await;
        self.gap();
        for target in self.targets.clone() {
            self.look(&path_of(&target)).await;
        }
        self.gap();
        for id in [&own, &other, UNKNOWN] {
            self.look(&format!("/auth-users/v1/{id}")).await;
        }
        self.gap();
        for path in ["/audit-events/v1", "/public-identities/v1", "/tenant/v1"] {
            self.look(path).await;
        }
    }

    async fn changes(&mut self) {
        let unmanaged = json!({ "name": "new", "scope": [DEFAULT], "userAwareTokenNeverExpires": true });
        let mut wide = unmanaged.clone();
        wide["scope"] = Value::Null;
        let mut managed = unmanaged.clone();
        managed["managed"] = true.into();
        managed["ownerId"] = self.other.id.to_string().into();
        for new in [unmanaged, wide, managed] {
            self.change(Call::post(PATS).json(&new)).await;
        }
        self.gap();
        for n in 0..5 {
            let patch = replace("/name", &json!(fresh_name()));
            self.change(Call::new("PATCH", &path_of(&self.targets[n])).json_patch(&patch)).await;
        }
        self.gap();
        for n in 0..5 {
            let patch = replace("/scope", &json!([ALL]));
            self.change(Call::new("PATCH", &path_of(&self.targets[n])).json_patch(&patch)).await;
        }
        self.gap();
        for n in 0..5 {
            self.change(Call::new("DELETE", &path_of(&self.targets[n]))).await;
        }
        self.gap();
        for n in 0..5 {
            let method = if n % 2 == 0 { "PATCH" } else { "POST" };
            let patch = replace("/expirationDate", &json!("2030-01-01T00:00:00.000Z"));
            let body = json!({ "ids": [self.targets[n]], "patch": patch });
            self.change(Call::new(method, &format!("{PATS}/bulk-update")).json(&body)).await;
        }
        self.gap();
        let other = self.other.id.to_string();
        for (id, level) in [(other.as_str(), "CERT_ADMIN"), (&other, "ORG_ADMIN"), (UNKNOWN, "CERT_ADMIN")] {
            let patch = replace("/capabilities", &json!([level]));
            self.change(Call::new("PATCH", &format!("/auth-users/v1/{id}")).json_patch(&patch)).await;
        }
    }

    /// Ends the row, so that the next one counts only its own.
    async fn end(self) -> String {
        let store = &self.patron.app.store;
        store.delete_identity(crate::support::operator(), self.caller.tenant, self.caller.id).await.unwrap();
        assert!(!self.patron.exists(TenantName::DEFAULT, &pat_id(&self.credential.id).to_string()).await);
        self.cells
    }
}

/// `sp:my-personal-access-tokens:read` is `my:read`, to keep a row on a line.
fn short(scopes: &[&str]) -> String {
    let one = |scope: &&str| {
        let scope = scope.replace("-personal-access-tokens", "");
        scope.strip_prefix("sp:").filter(|rest| !rest.starts_with("scopes")).unwrap_or(&scope).to_owned()
    };
    scopes.iter().map(one).collect::<Vec<_>>().join("+")
}

const LOOKS: &str = concat!(
    "                              | list                          | get                 | auth-users  | aud ids   ten\n",
    "                              | me    own   other noone all   | own oth owM otM non | own oth non |",
);
#[rustfmt::skip]
const CHANGES: &str = concat!(
    "                              | create      | patch name          | patch scope to all  | delete              | bulk update         | give level\n",
    "                              | def all mgd | own oth owM otM non | own oth owM otM non | own oth owM otM non | own oth owM otM non | cer org non",
);

#[tokio::test]
async fn who_may_do_what() {
    let patron = patron().await;
    let other = patron.identity("other", &[]).await;
    let respelled: Vec<String> = RIGHT_SCOPES[..5].iter().map(|scope| respelled(scope)).collect();
    let [my_read, my_manage, all_read, all_manage, all_update, managed_read, managed_manage, ..] =
        RIGHT_SCOPES;
    let mut scopes: Vec<Vec<&str>> = [ALL, DEFAULT].into_iter().map(|scope| vec![scope]).collect();
    scopes.extend(RIGHT_SCOPES.iter().copied().map(|scope| vec![scope]));
    scopes.extend(respelled.iter().map(|scope| vec![scope.as_str()]));
    scopes.extend(["demo:orders:read", "demo:auditing", "nobody:knows:this"].map(|scope| vec![scope]));
    // Rights that mean more together than each alone.
    scopes.extend([
        vec![my_read, managed_read],
        vec![my_manage, managed_read],
        vec![all_read, managed_read],
        vec![all_manage, managed_read],
        vec![all_update, managed_read],
        vec![all_update, managed_manage],
        vec![DEFAULT, my_read],
    ]);
    let mut text = String::new();
    for levels in [&["USER"][..], &["ORG_ADMIN"], &["PLATFORM"], &["AUDITOR"], &["ORG_ADMIN", "PLATFORM"]] {
        let (mut looks, mut changes) = (String::new(), String::new());
        for (at, scopes) in scopes.iter().enumerate() {
            let name = short(scopes);
            // By turns with an access token and with the PAT itself, which may do the same.
            let mut row = Row::new(&patron, &other, levels, scopes, at % 2 == 1).await;
            row.looks().await;
            writeln!(looks, "{name:29} |{}", std::mem::take(&mut row.cells)).unwrap();
            row.changes().await;
            writeln!(changes, "{name:29} |{}", row.end().await).unwrap();
        }
        let levels = levels.join(" and ");
        writeln!(text, "{levels}\n{LOOKS}\n{looks}\n{CHANGES}\n{changes}").unwrap();
    }
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(trimmed.join("\n"));
}

/// The matrix has one row for all levels that have what everyone has; this is why that is enough.
#[tokio::test]
async fn levels_without_rights_of_their_own_are_as_user() {
    let patron = patron().await;
    let other = patron.identity("other", &[]).await;
    let mut rows = Vec::new();
    for levels in [&[][..], &["USER"], &PLAIN].into_iter().chain(PLAIN.iter().map(std::slice::from_ref)) {
        let mut row = Row::new(&patron, &other, levels, &[ALL], false).await;
        row.looks().await;
        row.changes().await;
        rows.push((levels.to_vec(), row.end().await));
    }
    let user = rows[0].1.clone();
    for (levels, row) in rows {
        assert_eq!(row, user, "{levels:?}");
    }
    // No level is missing above.
    let mut all: Vec<&str> = patron.app.catalogue.levels().collect();
    all.retain(|level| !PLAIN.contains(level));
    assert_eq!(all, ["AUDITOR", "ORG_ADMIN", "PLATFORM", "USER"]);
}
