//! The grammar that all list filters share (contract section 5 "filters", section 11): comparisons joined by
//! `not`, `and`, `or` and parentheses.
//!
//! ```text
//! or     = and *( "or" and )
//! and    = not *( "and" not )
//! not    = "not" not / "(" or ")" / comparison
//! ```
//!
//! What a comparison is, each filter says for itself: it is handed a [`Cursor`] that stands where one is due.
//! Keywords are lowercase. All errors are [`Detail::Value`] and name the field, operator or column (in
//! characters, from 1).

use std::ops::Range;

use crate::error::{Detail, Error, Result, shorten};
use crate::limits::{FILTER_CHARS, FILTER_LEVELS};
use crate::time::Timestamp;

/// What a filter says, over comparisons `C`. Never more than [`FILTER_LEVELS`] negations and parentheses
/// deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression<C> {
    Comparison(C),
    Not(Box<Self>),
    /// `and`; of nothing, it is the empty filter, which holds for everything.
    All(Vec<Self>),
    /// `or`.
    Any(Vec<Self>),
}

impl<C> Expression<C> {
    /// Reads a filter as it stands in the query, percent-decoded. Empty or blank is `All` of nothing.
    ///
    /// Refuses more than [`FILTER_CHARS`] characters, and more than [`FILTER_LEVELS`] parentheses and `not`s
    /// in one another.
    pub(crate) fn parse(text: &str, comparison: impl Fn(&mut Cursor<'_>) -> Result<C>) -> Result<Self> {
        if text.chars().nth(FILTER_CHARS).is_some() {
            return Err(refuse(format_args!("it is longer than {FILTER_CHARS} characters.")));
        }
        let cursor = Cursor { text, tokens: tokens(text)?, next: 0 };
        if cursor.tokens.is_empty() {
            return Ok(Self::All(Vec::new()));
        }
        let mut parser = Parser { cursor, comparison };
        let expression = parser.or(0)?;
        match parser.cursor.peek() {
            None => Ok(expression),
            Some(_) => Err(parser.cursor.expected("'and', 'or' or the end")),
        }
    }

    /// Whether it holds where `is_true` tells of each comparison whether that does.
    pub(crate) fn holds(&self, is_true: &impl Fn(&C) -> bool) -> bool {
        match self {
            Self::Comparison(comparison) => is_true(comparison),
            Self::Not(inner) => !inner.holds(is_true),
            Self::All(parts) => parts.iter().all(|part| part.holds(is_true)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(is_true)),
        }
    }

    /// Comparisons that are all true wherever this holds: those joined by the outermost `and`s.
    pub(crate) fn conjuncts(&self) -> Vec<&C> {
        match self {
            Self::Comparison(comparison) => vec![comparison],
            Self::All(parts) => parts.iter().flat_map(Self::conjuncts).collect(),
            Self::Not(_) | Self::Any(_) => Vec::new(),
        }
    }
}

/// Something that has a name in filters: a field or an operator.
pub(crate) trait Named {
    fn name(&self) -> &'static str;
}

impl Named for &'static str {
    fn name(&self) -> &'static str {
        self
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed<N: Named>(all: &[N], conjunction: &str) -> String {
    let names: Vec<_> = all.iter().map(Named::name).collect();
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => {
            format!("{} {conjunction} {last}", before.join(", "))
        }
        _ => names.concat(),
    }
}

/// What is possible, for the end of an error: `a is`, `a and b are`.
pub(crate) fn listed_are<N: Named>(all: &[N]) -> String {
    format!("{} {}", listed(all, "and"), if all.len() == 1 { "is" } else { "are" })
}

fn refuse(why: std::fmt::Arguments<'_>) -> Error {
    Error::invalid(Detail::Value, format!("Filter: {why}"))
}

/// The column of a byte position, in characters from 1.
fn column(text: &str, at: usize) -> usize {
    text[..at].chars().count() + 1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Comma,
    /// In double quotes, which its span leaves out. A backslash stands before each quote and backslash in it.
    Quoted,
    /// Anything else up to a blank, a parenthesis, a comma or a quote.
    Word,
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    span: Range<usize>,
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        let after = start + first.len_utf8();
        let (kind, span) = match first {
            blank if blank.is_ascii_whitespace() => continue,
            '(' => (Kind::Open, start..after),
            ')' => (Kind::Close, start..after),
            ',' => (Kind::Comma, start..after),
            '"' => (Kind::Quoted, after..closing_quote(text, start, &mut chars)?),
            _ => {
                let mut end = after;
                while let Some((at, c)) =
                    chars.next_if(|(_, c)| !c.is_ascii_whitespace() && !"(),\"".contains(*c))
                {
                    end = at + c.len_utf8();
                }
                (Kind::Word, start..end)
            }
        };
        tokens.push(Token { kind, span });
    }
    Ok(tokens)
}

/// Goes on to the quote that closes the one at `start`, and tells where that is.
fn closing_quote(text: &str, start: usize, chars: &mut impl Iterator<Item = (usize, char)>) -> Result<usize> {
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok(at),
            // Only these two, so that nobody takes `\n` for a line's end, or for an n.
            '\\' if chars.next().is_some_and(|(_, escaped)| !matches!(escaped, '"' | '\\')) => {
                let at = column(text, at);
                return Err(refuse(format_args!(
                    "the backslash at column {at} stands before neither a quote nor a backslash."
                )));
            }
            _ => {}
        }
    }
    let at = column(text, start);
    Err(refuse(format_args!("the quote opened at column {at} is never closed.")))
}

/// What a quoted text says, without the backslashes of its quotes and backslashes.
fn unescape(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

struct Parser<'a, F> {
    cursor: Cursor<'a>,
    comparison: F,
}

impl<C, F: Fn(&mut Cursor<'_>) -> Result<C>> Parser<'_, F> {
    fn or(&mut self, level: usize) -> Result<Expression<C>> {
        let first = self.and(level)?;
        self.joined("or", first, Expression::Any, |parser| parser.and(level))
    }

    fn and(&mut self, level: usize) -> Result<Expression<C>> {
        let first = self.not(level)?;
        self.joined("and", first, Expression::All, |parser| parser.not(level))
    }

    /// `first` alone, or with what else this word joins to it.
    fn joined(
        &mut self,
        word: &str,
        first: Expression<C>,
        join: fn(Vec<Expression<C>>) -> Expression<C>,
        part: impl Fn(&mut Self) -> Result<Expression<C>>,
    ) -> Result<Expression<C>> {
        if !self.cursor.take(Kind::Word, word) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.cursor.take(Kind::Word, word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    /// `level` parentheses and `not`s are open around this.
    fn not(&mut self, level: usize) -> Result<Expression<C>> {
        let at = self.cursor.column();
        let is_nested = matches!(self.cursor.peek(), Some((Kind::Open, _) | (Kind::Word, "not")));
        if is_nested && level == FILTER_LEVELS {
            return Err(refuse(format_args!("nested deeper than {FILTER_LEVELS} levels at column {at}.")));
        }
        if self.cursor.take(Kind::Word, "not") {
            return Ok(Expression::Not(Box::new(self.not(level + 1)?)));
        }
        if self.cursor.take(Kind::Open, "(") {
            let expression = self.or(level + 1)?;
            if self.cursor.take(Kind::Close, ")") {
                return Ok(expression);
            }
            let what = format!("'and', 'or' or the ')' for the '(' of column {at}");
            return Err(self.cursor.expected(&what));
        }
        (self.comparison)(&mut self.cursor).map(Expression::Comparison)
    }
}

/// A place in a filter, and what can be read from there on.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
}

impl<'a> Cursor<'a> {
    /// Takes the name of one of these fields.
    pub(crate) fn field<'f, N: Named>(&mut self, fields: &'f [N]) -> Result<&'f N> {
        match self.peek() {
            Some((Kind::Word, given)) if !matches!(given, "and" | "or") => {
                self.one_of(fields, given).ok_or_else(|| {
                    let (given, can) = (shorten(given), listed_are(fields));
                    refuse(format_args!("field '{given}' is not filterable; {can}."))
                })
            }
            _ => Err(self.expected("a field, 'not' or '('")),
        }
    }

    /// Takes one of these operators, which are those of `field`.
    pub(crate) fn operator<'o, N: Named>(&mut self, field: &str, operators: &'o [N]) -> Result<&'o N> {
        match self.peek() {
            Some((Kind::Word, given)) => self.one_of(operators, given).ok_or_else(|| {
                let (given, can) = (shorten(given), listed_are(operators));
                refuse(format_args!("operator '{given}' is not supported for {field}; {can}."))
            }),
            _ => Err(self.expected(&listed(operators, "or"))),
        }
    }

    /// Takes a text: a bare word, or anything in double quotes. Control characters are in no text that Patron
    /// keeps, and not every database can be asked for them.
    pub(crate) fn text(&mut self) -> Result<String> {
        let text = match self.peek() {
            Some((Kind::Quoted, quoted)) => unescape(quoted),
            Some((Kind::Word, word)) => word.to_owned(),
            _ => return Err(self.expected("a text such as \"jane\"")),
        };
        if text.chars().any(char::is_control) {
            let at = self.column();
            return Err(refuse(format_args!("the text at column {at} has a control character.")));
        }
        self.next += 1;
        Ok(text)
    }

    /// Takes 1 to `most` texts in parentheses, with commas between them.
    pub(crate) fn texts(&mut self, most: usize) -> Result<Vec<String>> {
        let at = self.column();
        if !self.take(Kind::Open, "(") {
            return Err(self.expected("a list such as (\"a\", \"b\")"));
        }
        let mut texts = vec![self.text()?];
        while self.take(Kind::Comma, ",") {
            if texts.len() == most {
                return Err(refuse(format_args!("more than {most} texts in the list of column {at}.")));
            }
            texts.push(self.text()?);
        }
        if self.take(Kind::Close, ")") {
            return Ok(texts);
        }
        Err(self.expected(&format!("',' or the ')' for the '(' of column {at}")))
    }

    /// Takes a date-time, bare or in double quotes; a blank may stand where the `+` of its offset was.
    pub(crate) fn date(&mut self) -> Result<Timestamp> {
        const EXPECTED: &str = "a date-time such as 2027-12-31T23:59:59.999Z";
        let Some(Token { kind: Kind::Word | Kind::Quoted, span }) = self.tokens.get(self.next).cloned()
        else {
            return Err(self.expected(EXPECTED));
        };
        // The `+` of an offset, sent as it is, was decoded to one blank. `… 02:00` can mean nothing else.
        if let Some(offset) = self.tokens.get(self.next + 1)
            && offset.kind == Kind::Word
            && let Some(moment) = read_date(&self.text[span.start..offset.span.end])
        {
            self.next += 2;
            return Ok(moment);
        }
        let moment = read_date(&self.text[span]).ok_or_else(|| self.expected(EXPECTED))?;
        self.next += 1;
        Ok(moment)
    }

    /// Takes the next token, which is this word, if one of these is named so.
    fn one_of<'n, N: Named>(&mut self, all: &'n [N], word: &str) -> Option<&'n N> {
        let found = all.iter().find(|known| known.name() == word)?;
        self.next += 1;
        Some(found)
    }

    /// The next token, with what it says.
    fn peek(&self) -> Option<(Kind, &'a str)> {
        self.tokens.get(self.next).map(|token| (token.kind, &self.text[token.span.clone()]))
    }

    /// Takes the next token if it is this one.
    fn take(&mut self, kind: Kind, said: &str) -> bool {
        let is_next = self.peek() == Some((kind, said));
        self.next += usize::from(is_next);
        is_next
    }

    /// The column of the next token, or of the end.
    fn column(&self) -> usize {
        column(self.text, self.tokens.get(self.next).map_or(self.text.len(), |token| token.span.start))
    }

    fn expected(&self, what: &str) -> Error {
        let at = self.column();
        match self.peek() {
            None => refuse(format_args!("expected {what} at column {at}, where it ends.")),
            Some((_, found)) => {
                refuse(format_args!("expected {what} at column {at}, where '{}' stands.", shorten(found)))
            }
        }
    }
}

/// A date-time, with a `+` or a blank before its offset.
fn read_date(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|_| Timestamp::parse(&text.replacen(' ', "+", 1))).ok()
}
