//! Patron as its callers see it. One test binary: a file a noun.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its functions share too"
)]

mod bearer;
mod bulk;
mod gateway;
mod introspect;
mod limits;
mod lists;
mod managed;
mod metadata;
mod older;
mod pat_access;
mod pat_audit;
mod pat_life;
mod patch;
mod pats;
mod support;
mod token;
mod token_errors;
mod uses;
