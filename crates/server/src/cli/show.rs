//! Answers of commands on stdout.

use std::io::Write as _;
use std::os::fd::AsFd;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use patron_core::name::moves_cursor;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::Failed;
use super::fault::ReaderGone;

/// Writes a text to stdout, and the end of its last line.
pub(super) fn out(text: &str) -> Result<(), Failed> {
    put(text)?;
    if text.ends_with('\n') { Ok(()) } else { put("\n") }
}

/// Writes a text to stdout as it is.
pub(super) fn put(text: &str) -> Result<(), Failed> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        other => Ok(other?),
    }
}

/// JSON for people and programs alike.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// How stdout shows a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Columns that a terminal has; what is no terminal takes lines of any length.
    pub(super) width: Option<u16>,
    /// Whether it shows colours, and nobody asked for none (`NO_COLOR`, `CLICOLOR`).
    pub(super) colour: bool,
}

/// What a terminal is taken to have that does not tell.
const USUAL_WIDTH: u16 = 80;

impl Look {
    /// That of stdout.
    pub(super) fn of_stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    /// That of stderr, for what is shown before something is done.
    pub(super) fn of_stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    fn of(stream: &(impl AsFd + RawStream)) -> Self {
        let width = stream.is_terminal().then(|| {
            let told = rustix::termios::tcgetwinsize(stream).map_or(0, |size| size.ws_col);
            if told == 0 { USUAL_WIDTH } else { told }
        });
        Self { width, colour: AutoStream::choice(stream) != ColorChoice::Never }
    }
}

/// What a cell means, where there is colour to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    /// Like any other.
    #[default]
    Plain,
    /// It asks for a look soon.
    Soon,
    /// It works no more.
    Ended,
}

/// A table: its columns' names, and rows of as many cells.
pub(super) struct Grid {
    columns: Vec<String>,
    rows: Vec<Vec<(String, Tone)>>,
    /// Names of columns that are not wrapped.
    whole: Vec<String>,
}

impl Grid {
    pub(super) fn new(columns: &[&str]) -> Self {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        // Ids are there to be copied.
        let is_id = |name: &&String| *name == "id" || name.ends_with("Id");
        let whole = columns.iter().filter(is_id).cloned().collect();
        Self { columns, rows: Vec::new(), whole }
    }

    /// Leaves the cells of these columns in one piece.
    pub(super) fn whole(&mut self, columns: &[&str]) {
        self.whole = columns.iter().map(|column| (*column).to_owned()).collect();
    }

    /// Adds a row; its texts may be anything that people chose.
    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        self.rows.push(cells.into_iter().map(|(text, tone)| (harmless(&text), tone)).collect());
    }

    /// The lines of the table. On a terminal what does not fit is wrapped within its cell; where even that would leave
    /// columns of a few letters, each row is a paragraph.
    pub(super) fn text(&self, look: Look) -> String {
        if look.width.is_some_and(|width| self.least_width() > usize::from(width)) {
            return self.paragraphs();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty().style_text_only();
        if let Some(width) = look.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        if look.colour {
            table.enforce_styling();
        }
        table.set_header(self.columns.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        for row in &self.rows {
            table.add_row(row.iter().map(|(text, tone)| match tone {
                Tone::Plain => Cell::new(text),
                Tone::Soon => Cell::new(text).fg(Color::Yellow),
                Tone::Ended => Cell::new(text).fg(Color::Red),
            }));
        }
        for (column, name) in table.column_iter_mut().zip(&self.columns) {
            column.set_padding((0, 2));
            if self.whole.contains(name) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        format!("{}\n", table.trim_fmt())
    }

    /// The columns of a terminal that the table can be read on.
    fn least_width(&self) -> usize {
        let widest = |at: usize, name: &String| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|(text, _)| text.width());
            cells.chain([name.width()]).max().unwrap_or(0)
        };
        let least = |(at, name): (usize, &String)| {
            let widest = widest(at, name);
            GAP + if self.whole.contains(name) { widest } else { widest.min(WRAPPED_WIDTH) }
        };
        self.columns.iter().enumerate().map(least).sum::<usize>().saturating_sub(GAP)
    }

    /// A line a field, an empty one between rows.
    fn paragraphs(&self) -> String {
        let line = |(name, (text, _)): (&String, &(String, Tone))| format!("{name}: {text}\n");
        let paragraph = |row: &Vec<_>| self.columns.iter().zip(row).map(line).collect::<String>();
        self.rows.iter().map(paragraph).collect::<Vec<_>>().join("\n")
    }
}

/// Columns between two cells.
const GAP: usize = 2;
/// What a cell that may be wrapped is given at least, if it needs it.
const WRAPPED_WIDTH: usize = 10;

/// An object as lines of `field: value`, or a list of objects as a table, with its fields in the order of `columns`.
pub(super) fn table(value: &Value, columns: &[&str]) -> String {
    match value {
        Value::Array(list) => {
            let mut rows = Grid::new(columns);
            for object in list {
                rows.push(columns.iter().map(|column| (cell(field(object, column)), Tone::Plain)));
            }
            rows.text(Look::of_stdout())
        }
        object => {
            let lines = columns.iter().map(|column| format!("{column}: {}\n", cell(field(object, column))));
            lines.collect()
        }
    }
}

/// A field of an object; `actor.name` is a field of a field.
fn field<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// A value as people read it.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    harmless(&text)
}

/// A text that neither moves the cursor nor turns its line round: people choose names.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if moves_cursor(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Grid {
        let mut rows = Grid::new(&["id", "name", "expires"]);
        let text = |text: &str| (text.to_owned(), Tone::Plain);
        rows.push([text("0123456789abcdef"), text("one two three four five"), text("never")]);
        rows.push([text("00"), text("名前"), ("gone".to_owned(), Tone::Ended)]);
        rows
    }

    #[test]
    fn lines_are_as_long_as_they_are_where_no_terminal_is() {
        insta::assert_snapshot!(rows().text(Look { width: None, colour: false }), @r"
        id                name                     expires
        0123456789abcdef  one two three four five  never
        00                名前                     gone
        ");
    }

    #[test]
    fn a_terminal_wraps_all_but_ids() {
        let text = rows().text(Look { width: Some(45), colour: false });
        assert!(text.lines().all(|line| line.chars().count() <= 45), "{text}");
        assert!(text.contains("0123456789abcdef  ") && !text.contains("three four"), "{text}");
    }

    #[test]
    fn a_terminal_too_narrow_for_columns_has_paragraphs() {
        let narrow = rows().text(Look { width: Some(36), colour: false });
        insta::assert_snapshot!(narrow, @r"
        id: 0123456789abcdef
        name: one two three four five
        expires: never

        id: 00
        name: 名前
        expires: gone
        ");
        assert!(rows().text(Look { width: Some(37), colour: false }).starts_with("id "));
    }

    #[test]
    fn colour_is_there_where_it_is_shown_alone() {
        let text = rows().text(Look { width: None, colour: true });
        assert!(
            text.contains("\u{1b}[1mname") && text.lines().last().unwrap().contains("m\u{67}one\u{1b}["),
            "{text:?}"
        );
        assert!(!rows().text(Look { width: None, colour: false }).contains('\u{1b}'));
    }

    #[test]
    fn names_neither_move_the_cursor_nor_turn_their_line_round() {
        let mut rows = Grid::new(&["name"]);
        rows.push([("a\u{1b}[2J\r\u{9b}\u{202e}b\nc\u{2028}".to_owned(), Tone::Plain)]);
        let text = rows.text(Look { width: None, colour: false });
        assert_eq!(text, "name\na\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}\n");
    }
}
