//! The heads of the columns that a table can be sorted by; `column` in `templates/parts.html` shows one.

/// The head of a column.
pub struct Column {
    /// The id of its text.
    pub text: String,
    /// The link that sorts the table by it, or turns it round.
    pub href: String,
    /// The value of `aria-sort` where the table is sorted by it.
    pub sorted: Option<&'static str>,
}

impl Column {
    /// The column of this name. `sorted` says which way the table is sorted by it, if it is.
    pub fn new(name: &str, href: String, sorted: Option<&'static str>) -> Self {
        Self { text: format!("column-{name}"), href, sorted }
    }
}

/// A way of sorting as `aria-sort` has it.
pub fn way(descending: bool) -> &'static str {
    if descending { "descending" } else { "ascending" }
}
