//! Patron as its callers see it. One test binary: a file a noun.

mod bearer;
mod gateway;
mod introspect;
mod limits;
mod metadata;
mod support;
mod token;
mod token_errors;
mod uses;
