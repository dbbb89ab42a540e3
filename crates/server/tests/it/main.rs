//! Patron as its callers see it. One test binary: a file a noun.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its functions share too"
)]

mod any_input;
mod audit;
mod audit_events;
mod bad_input;
mod bad_paths;
mod bearer;
mod bulk;
mod callers;
mod cli;
mod client_login;
mod client_manual;
mod client_many;
mod client_pats;
mod client_terminal;
mod client_token;
mod clients;
mod crash;
mod database;
mod escalation;
mod front;
mod gateway;
mod home;
mod housekeeping;
mod identities;
mod introspect;
mod limits;
mod lists;
mod managed;
mod matrix;
mod meanwhile;
mod metadata;
mod migrate;
mod older;
mod openapi;
mod original;
mod outages;
mod pat_access;
mod pat_audit;
mod pat_life;
mod patch;
mod pats;
mod powershell;
mod process;
mod reference;
mod secrets;
mod serving;
mod sessions;
mod sign_in;
mod support;
mod tenants;
mod token;
mod token_errors;
mod unauthorized;
mod usage;
mod uses;
mod visit;
mod web_access;
mod web_admin_bulk;
mod web_admin_tokens;
mod web_audit;
mod web_identities;
mod web_tokens;
mod wire;
