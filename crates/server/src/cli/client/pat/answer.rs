//! Tokens on stdout, in whichever form was asked for. Lists are written as they arrive, so that it takes no more memory
//! however long they are; a table alone waits for its last row, since its columns are as wide as what they hold.

use patron_client::PersonalAccessToken;
use serde_json::Value;

use super::super::{fault, show};
use super::table::{self, Style};
use super::{Caller, Failed, Output, Work};
use crate::export::{csv_lines, harmless};

/// Bytes that are gathered before they are written.
const GATHERED: usize = 8 * 1024;

/// The columns of CSV.
const COLUMNS: [&str; 11] = [
    "id",
    "name",
    "scope",
    "owner.id",
    "owner.name",
    "created",
    "lastUsed",
    "expirationDate",
    "managed",
    "accessTokenValiditySeconds",
    "userAwareTokenNeverExpires",
];

/// A list on its way to stdout.
pub(super) struct ListWriter {
    form: Form,
    gathered: String,
    rows: usize,
}

enum Form {
    Table(Vec<PersonalAccessToken>, Style),
    Json,
    Jsonl,
    Csv,
}

impl ListWriter {
    /// `owners`: whether a table tells the owners.
    pub(super) fn new(work: &Work<'_>, owners: bool) -> Result<Self, Failed> {
        let form = match work.output {
            Output::Table => Form::Table(Vec::new(), style(work, owners)),
            Output::Json => Form::Json,
            Output::Jsonl => Form::Jsonl,
            Output::Csv => Form::Csv,
            Output::Env => return Err(fault::usage("--output env is for a new token")),
        };
        let mut list = Self { form, gathered: String::new(), rows: 0 };
        if matches!(list.form, Form::Csv) {
            list.gathered = csv_line(COLUMNS)?;
        }
        Ok(list)
    }

    /// The next row.
    pub(super) fn push(&mut self, pat: PersonalAccessToken) -> Result<(), Failed> {
        match &mut self.form {
            Form::Table(rows, _) => {
                rows.push(pat);
                return Ok(());
            }
            Form::Json => {
                self.gathered += if self.rows == 0 { "[\n  " } else { ",\n  " };
                self.gathered += &serde_json::to_string(&pat)?;
            }
            Form::Jsonl => {
                self.gathered += &serde_json::to_string(&pat)?;
                self.gathered.push('\n');
            }
            Form::Csv => self.gathered += &csv_line(cells(&pat))?,
        }
        self.rows += 1;
        if self.gathered.len() < GATHERED {
            return Ok(());
        }
        show::put(&std::mem::take(&mut self.gathered))
    }

    /// The end. A list that is not ended so has broken off, and is no well-formed JSON.
    pub(super) fn finish(mut self) -> Result<(), Failed> {
        match self.form {
            Form::Table(rows, style) if rows.is_empty() && style.look.width.is_some() => {
                fault::say("No tokens.");
            }
            Form::Table(rows, style) => self.gathered = table::table(&rows, style),
            Form::Json => self.gathered += if self.rows == 0 { "[]\n" } else { "\n]\n" },
            Form::Jsonl | Form::Csv => {}
        }
        show::put(&self.gathered)
    }
}

/// How tables are on stdout.
pub(super) fn style(work: &Work<'_>, owners: bool) -> Style {
    Style { look: show::Look::of_stdout(), now: Caller::now(), wide: work.wide, owners }
}

/// One token.
pub(super) fn one(work: &Work<'_>, pat: PersonalAccessToken) -> Result<(), Failed> {
    match work.output {
        Output::Table => show::out(&lines(&serde_json::to_value(&pat)?)),
        Output::Json => show::out(&show::pretty(&serde_json::to_value(&pat)?)),
        Output::Jsonl | Output::Csv | Output::Env => {
            let mut list = ListWriter::new(work, true)?;
            list.push(pat)?;
            list.finish()
        }
    }
}

/// A token's fields, a line each.
pub(super) fn lines(pat: &Value) -> String {
    let fields = [
        "id",
        "secret",
        "name",
        "scope",
        "owner.name",
        "owner.id",
        "created",
        "lastUsed",
        "expirationDate",
        "managed",
        "accessTokenValiditySeconds",
    ];
    let there = |field: &&str| field.split('.').next().is_some_and(|name| pat.get(name).is_some());
    show::table(pat, &fields.into_iter().filter(there).collect::<Vec<_>>())
}

fn cells(pat: &PersonalAccessToken) -> [String; COLUMNS.len()] {
    let date = |at: Option<patron_client::Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    // People choose names, scopes too, and spreadsheets run what looks like a formula.
    let text = |text: &str| harmless(text).into_owned();
    [
        text(&pat.id),
        text(&pat.name),
        text(&pat.scope.join(" ")),
        text(&pat.owner.id),
        text(&pat.owner.name),
        pat.created.to_string(),
        date(pat.last_used),
        date(pat.expiration_date),
        pat.managed.to_string(),
        pat.access_token_validity_seconds.to_string(),
        pat.user_aware_token_never_expires.map_or_else(String::new, |aware| aware.to_string()),
    ]
}

fn csv_line<C: AsRef<str>>(cells: [C; COLUMNS.len()]) -> Result<String, Failed> {
    Ok(String::from_utf8(csv_lines([cells])?)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let pat: PersonalAccessToken = serde_json::from_value(json!({
            "id": "1", "name": "=cmd|' /C calc'!A0", "scope": ["+x", "y"], "created": "2027-05-31T12:00:00Z",
            "owner": { "type": "IDENTITY", "id": "2", "name": "@Jane, \"Doe\"" }, "lastUsed": null,
        }))
        .unwrap();
        let line = csv_line(cells(&pat)).unwrap();
        assert_eq!(
            line,
            "1,'=cmd|' /C calc'!A0,'+x y,2,\"'@Jane, \"\"Doe\"\"\",2027-05-31T12:00:00.000Z,,,false,43200,\r\n"
        );
    }
}
