//! Patron as its callers see it. One test binary: a file a noun.

mod any_input;
mod bad_input;
mod cli;
mod crash;
mod openapi;
mod secrets;
mod serving;
mod support;
mod usage;
mod wire;
