//! Patron as its callers see it. One test binary: a file a noun.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its functions share too"
)]

mod bearer;
mod gateway;
mod introspect;
mod limits;
mod metadata;
mod support;
mod token;
mod token_errors;
mod uses;
