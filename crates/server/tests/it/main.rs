//! Patron as its callers see it. One test binary: a file a noun.
#![allow(clippy::panic, clippy::unwrap_used, reason = "clippy knows a test's own function, not its helpers")]

mod any_input;
mod bad_input;
mod bad_paths;
mod cli;
mod clients;
mod crash;
mod openapi;
mod secrets;
mod serving;
mod support;
mod usage;
mod wire;
