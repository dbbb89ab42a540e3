//! Patron as its callers see it. One test binary: a file a noun.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its functions share too"
)]

mod audit;
mod audit_events;
mod callers;
mod escalation;
mod identities;
mod matrix;
mod support;
mod tenants;
mod unauthorized;
