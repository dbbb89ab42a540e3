//! The part of a list that is shown, gathered while the list is read.

use crate::body::Page;
use crate::limits::ROWS;

/// Keeps of a list the rows of one page, and counts all of them.
pub(super) struct Window<T> {
    page: Page,
    seen: u64,
    rows: Vec<T>,
}

impl<T> Window<T> {
    /// Nothing was read yet.
    pub(super) fn new(page: Page) -> Self {
        Self { page, seen: 0, rows: Vec::new() }
    }

    /// Takes the next row of the list.
    pub(super) fn push(&mut self, row: T) {
        if (u64::from(self.page.offset)..self.end()).contains(&self.seen) {
            self.rows.push(row);
        }
        self.seen += 1;
    }

    /// Whether further rows would change nothing: the page is full, and nobody asked for the count.
    pub(super) fn is_complete(&self) -> bool {
        !self.page.count && self.seen >= self.end()
    }

    /// How many rows to read next: no more than the page still takes when `all_match`, and at most [`ROWS`].
    pub(super) fn rows_to_read(&self, all_match: bool) -> u32 {
        let left = self.end().saturating_sub(self.seen).max(1);
        if all_match && !self.page.count { u32::try_from(left).unwrap_or(ROWS).min(ROWS) } else { ROWS }
    }

    /// The page, and the number of rows that were taken: of the whole list when the page asks for it.
    pub(super) fn close(self) -> (Vec<T>, u64) {
        (self.rows, self.seen)
    }

    /// The place behind the page's last row.
    fn end(&self) -> u64 {
        u64::from(self.page.offset) + u64::from(self.page.limit.unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(limit: Option<u32>, offset: u32, count: bool) -> Window<u32> {
        Window::new(Page { limit, offset, count })
    }

    #[test]
    fn it_keeps_its_page_and_counts_the_rest() {
        let mut all = window(Some(2), 3, true);
        (0..10_000).for_each(|row| all.push(row));
        assert!(!all.is_complete(), "there may be more to count");
        assert_eq!(all.rows.len(), 2, "what is not shown is not kept");
        assert_eq!(all.close(), (vec![3, 4], 10_000));

        let mut uncounted = window(Some(2), 3, false);
        (0..4).for_each(|row| uncounted.push(row));
        assert!(!uncounted.is_complete());
        uncounted.push(4);
        assert!(uncounted.is_complete());
        assert_eq!(uncounted.close().0, [3, 4]);

        let mut short = window(None, 1, false);
        (0..3).for_each(|row| short.push(row));
        assert_eq!((short.is_complete(), short.close()), (false, (vec![1, 2], 3)));
    }

    #[test]
    fn it_asks_for_no_more_rows_than_it_takes() {
        assert_eq!(window(Some(1), 0, false).rows_to_read(true), 1);
        assert_eq!(window(Some(250), 100, false).rows_to_read(true), 350);
        assert_eq!(window(Some(250), 600, false).rows_to_read(true), ROWS);
        assert_eq!(window(None, i32::MAX.unsigned_abs(), false).rows_to_read(true), ROWS);
        assert_eq!(window(Some(1), 0, true).rows_to_read(true), ROWS);
        assert_eq!(window(Some(1), 0, false).rows_to_read(false), ROWS);
        let mut half = window(Some(10), 0, false);
        (0..4).for_each(|row| half.push(row));
        assert_eq!(half.rows_to_read(true), 6);
    }
}
