//! Patron as its callers see it. One test binary: a file a noun.

mod bulk;
mod lists;
mod managed;
mod older;
mod pat_access;
mod pat_audit;
mod pat_life;
mod patch;
mod pats;
mod support;
