//! The audit trail as a file: CSV for spreadsheets, NDJSON for programs. It is streamed, so that it takes no more
//! memory than a list of [`ROWS`] events, however long the trail is.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use futures_util::stream;
use patron_core::{Error, Result};
use patron_store::audit::Recorded;
use serde_json::Value;

use crate::api;
use crate::limits::ROWS;
use crate::trail::TrailReader;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a line of column names first.
    Csv,
    /// One event a line, as the API writes it.
    Ndjson,
}

/// The columns of a CSV file.
const COLUMNS: [&str; 14] = [
    "created",
    "technicalName",
    "status",
    "actor.type",
    "actor.id",
    "actor.name",
    "target.type",
    "target.id",
    "target.name",
    "ipAddress",
    "operation",
    "trackingNumber",
    "id",
    "attributes",
];

impl Format {
    /// The format of this name, `csv` or `ndjson`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// Its name, which is also what such a file's name ends with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// Its content type: RFC 4180 section 3 for CSV.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What stands before the first event.
    fn opening(self) -> Result<Vec<u8>> {
        match self {
            Self::Csv => csv_lines([COLUMNS.map(Cow::Borrowed)]),
            Self::Ndjson => Ok(Vec::new()),
        }
    }

    fn lines(self, events: &[Recorded], tenant: &str) -> Result<Vec<u8>> {
        match self {
            Self::Csv => csv_lines(events.iter().map(cells)),
            Self::Ndjson => {
                let mut lines = Vec::new();
                for event in events {
                    let event = api::audit::written(event, tenant);
                    serde_json::to_writer(&mut lines, &event).map_err(Error::internal)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

/// Rows as RFC 4180 has them.
pub(crate) fn csv_lines<C: AsRef<str>, const N: usize>(
    rows: impl IntoIterator<Item = [C; N]>,
) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.iter().map(|cell| cell.as_ref().as_bytes())).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

fn cells(event: &Recorded) -> [Cow<'_, str>; COLUMNS.len()] {
    let [actor_kind, actor_id, actor_name] = &event.actor;
    let [target_kind, target_id, target_name] = &event.target;
    let attributes = match &event.attributes {
        Value::Object(attributes) if attributes.is_empty() => String::new(),
        attributes => attributes.to_string(),
    };
    [
        Cow::Owned(event.created.to_string()),
        harmless(&event.technical_name),
        harmless(&event.status),
        harmless(actor_kind),
        harmless(actor_id),
        harmless(actor_name),
        harmless(target_kind),
        harmless(target_id),
        harmless(target_name),
        harmless(event.ip_address.as_deref().unwrap_or_default()),
        harmless(&event.operation),
        Cow::Owned(event.tracking_number.to_string()),
        Cow::Owned(event.id.to_string()),
        Cow::Owned(attributes),
    ]
}

/// A text that a spreadsheet does not run: what it would take for a formula begins with an apostrophe, which shows it
/// as the text that it is (OWASP, "CSV Injection"). People choose the names in the trail.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    // The wide ones are what they stand for to a spreadsheet in Chinese, Japanese or Korean.
    let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if runs { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The file of all that `trail` reads. Its first events are read before this returns, so that an outage shows as one; a
/// failure midway breaks the connection off, and the browser says that the file is not complete.
pub async fn body(format: Format, mut trail: TrailReader, tenant: String) -> Result<Body> {
    let mut opening = format.opening()?;
    let first = trail.next(ROWS).await?;
    opening.append(&mut format.lines(&first, &tenant)?);
    let state = (trail, Some(opening));
    let rest = stream::try_unfold(state, move |(mut trail, opening)| {
        let tenant = tenant.clone();
        async move {
            if let Some(opening) = opening {
                return Ok::<_, Error>(Some((Bytes::from(opening), (trail, None))));
            }
            if trail.is_done() {
                return Ok(None);
            }
            let lines = trail.next(ROWS).await.and_then(|events| format.lines(&events, &tenant));
            let lines = lines.inspect_err(|error| {
                tracing::error!(cause = error.cause(), "an export broke off");
            })?;
            Ok(Some((Bytes::from(lines), (trail, None))))
        }
    });
    Ok(Body::from_stream(rest))
}

#[cfg(test)]
mod tests {
    use patron_core::id::{EventId, TrackingId};
    use patron_core::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn event(name: &str, attributes: Value) -> Recorded {
        let text = str::to_owned;
        Recorded {
            seq: 7,
            id: EventId::from_bytes([1; 16]),
            created: Timestamp::parse("2027-03-01T12:00:00.5Z").unwrap(),
            technical_name: text("IDENTITY_CREATED"),
            actor: [text("SYSTEM"), text("patron-admin"), text("patron admin")],
            target: [text("IDENTITY"), text("id"), text(name)],
            ip_address: None,
            tracking_number: TrackingId::from_bytes([2; 16]),
            operation: text("CREATE"),
            status: text("PASSED"),
            attributes,
        }
    }

    fn written(format: Format, events: &[Recorded]) -> String {
        let mut file = format.opening().unwrap();
        file.append(&mut format.lines(events, "default").unwrap());
        String::from_utf8(file).unwrap()
    }

    #[test]
    fn csv_as_rfc_4180_has_it() {
        let quoted = event("Doe, \"Jane\"", json!({ "levels": ["A", "B"] }));
        let file = written(Format::Csv, &[event("jane", json!({})), quoted]).replace("\r\n", "⏎\n");
        insta::assert_snapshot!(file, @r#"
        created,technicalName,status,actor.type,actor.id,actor.name,target.type,target.id,target.name,ipAddress,operation,trackingNumber,id,attributes⏎
        2027-03-01T12:00:00.500Z,IDENTITY_CREATED,PASSED,SYSTEM,patron-admin,patron admin,IDENTITY,id,jane,,CREATE,02020202020202020202020202020202,01010101010101010101010101010101,⏎
        2027-03-01T12:00:00.500Z,IDENTITY_CREATED,PASSED,SYSTEM,patron-admin,patron admin,IDENTITY,id,"Doe, ""Jane""",,CREATE,02020202020202020202020202020202,01010101010101010101010101010101,"{""levels"":[""A"",""B""]}"⏎
        "#);
    }

    #[test]
    fn ndjson_is_what_the_api_says_a_line_each() {
        let events = [event("a\nb", json!({ "count": 3 })), event("jane", json!({}))];
        let file = written(Format::Ndjson, &events);
        let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected: Vec<Value> = events
            .iter()
            .map(|event| serde_json::to_value(api::audit::written(event, "default")).unwrap())
            .collect();
        assert_eq!(lines, expected);
        assert!(file.ends_with('\n'));
    }

    #[test]
    fn no_cell_is_a_formula() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x"] {
            let file = written(Format::Csv, &[event(name, json!({}))]);
            let mut reader = csv::Reader::from_reader(file.as_bytes());
            let row = reader.records().next().unwrap().unwrap();
            assert_eq!(row.get(8), Some(format!("'{name}").as_str()), "{name:?}");
        }
        // A separator or a quote inside a name opens no cell of its own.
        let file = written(Format::Csv, &[event("x\",\"=1+1", json!({ "=x": "=y" }))]);
        let mut reader = csv::Reader::from_reader(file.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert!(row.iter().all(|cell| !cell.starts_with('=')), "{row:?}");
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!(written(Format::Csv, &[event("1=1", json!({}))]).matches('\'').count(), 0);
    }

    #[test]
    fn formats_have_names() {
        for format in [Format::Csv, Format::Ndjson] {
            assert_eq!(Format::named(format.name()), Some(format));
        }
        assert_eq!(Format::named("CSV"), None);
    }
}
