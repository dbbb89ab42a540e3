//! Patron as its callers see it. One test binary: a file a noun.

mod support;
