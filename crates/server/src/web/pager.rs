//! Parts of a long list, a page each, and links that keep what the list is filtered by.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Form;
use crate::limits::{PAGE_ROWS, PAGES};

/// The query of a link: `?q=x&page=2`, without what is empty.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    let pair =
        |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    format!("?{}", given.map(pair).collect::<Vec<_>>().join("&"))
}

/// Where one is in a list that has a number of pages.
pub struct Pager {
    /// The page that is shown, from 1.
    pub page: u32,
    /// How many pages there are, at least 1.
    pub pages: u32,
    /// How many rows there are on all of them.
    pub total: u64,
    /// Whether there are rows behind the last page, which nobody has counted.
    pub more: bool,
    /// The link to the page before.
    pub previous: Option<String>,
    /// The link to the page behind.
    pub next: Option<String>,
}

impl Pager {
    /// The page that a query asks for; the first when it says nothing that can be read.
    pub fn asked(query: &Form) -> u32 {
        query.text("page").parse().ok().filter(|page| (1..=PAGES).contains(page)).unwrap_or(1)
    }

    /// How many rows stand before a page.
    pub fn offset(page: u32) -> u32 {
        (page - 1).saturating_mul(PAGE_ROWS)
    }

    /// `page` of a list of `total` rows; the last one where there are fewer. `pairs` is what the links keep.
    pub fn new(page: u32, total: u64, pairs: &[(&str, &str)]) -> Self {
        let pages = u32::try_from(total.div_ceil(PAGE_ROWS.into()).max(1)).unwrap_or(PAGES).min(PAGES);
        let page = page.min(pages);
        let link = |page: u32| {
            let page = page.to_string();
            query(&[pairs, &[("page", &page)]].concat())
        };
        Self {
            page,
            pages,
            total,
            more: false,
            previous: (page > 1).then(|| link(page - 1)),
            next: (page < pages).then(|| link(page + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(page: u32, total: u64) -> (u32, u32, Option<String>, Option<String>) {
        let pager = Pager::new(page, total, &[("q", "a&b"), ("sort", "")]);
        (pager.page, pager.pages, pager.previous, pager.next)
    }

    #[test]
    fn pages_have_neighbours_and_an_end() {
        let link = |page: u32| Some(format!("?q=a%26b&page={page}"));
        assert_eq!(pager(1, 0), (1, 1, None, None));
        assert_eq!(pager(1, 50), (1, 1, None, None));
        assert_eq!(pager(1, 51), (1, 2, None, link(2)));
        assert_eq!(pager(2, 150), (2, 3, link(1), link(3)));
        assert_eq!(pager(9, 150), (3, 3, link(2), None));
        assert_eq!(pager(PAGES, u64::MAX).1, PAGES);
        assert_eq!(Pager::offset(3), 100);
    }
}
