//! Patron as its callers see it. One test binary: a file a noun.

mod audit;
mod callers;
mod escalation;
mod identities;
mod matrix;
mod support;
mod tenants;
mod unauthorized;
