//! Answers of commands on stdout.

use std::io::Write as _;

use serde_json::Value;

use super::Failed;

/// Writes a text to stdout; a reader that went away is no failure.
pub(super) fn out(text: &str) -> Result<(), Failed> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// JSON for people and programs alike.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// An object as lines of `field: value`, or a list of objects as a table, with its fields in the order of `columns`.
pub(super) fn table(value: &Value, columns: &[&str]) -> String {
    match value {
        Value::Array(rows) => {
            let cells: Vec<Vec<String>> = std::iter::once(columns.iter().map(|c| (*c).to_owned()).collect())
                .chain(rows.iter().map(|row| columns.iter().map(|column| cell(field(row, column))).collect()))
                .collect();
            let widths: Vec<usize> = (0..columns.len())
                .map(|at| {
                    cells.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max().unwrap_or(0)
                })
                .collect();
            let line = |row: &Vec<String>| {
                let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
                format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
            };
            cells.iter().map(line).collect()
        }
        object => {
            let lines = columns.iter().map(|column| format!("{column}: {}", cell(field(object, column))));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

/// A field of an object; `actor.name` is a field of a field.
fn field<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, name| value.get(name).unwrap_or(&Value::Null))
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    // A name cannot move the cursor.
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
