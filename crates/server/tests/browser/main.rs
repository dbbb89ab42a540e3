//! Patron's pages in a real browser: Debian's Chromium, driven over WebDriver. One test binary: a file a topic.
//!
//! `cargo xtask test --only browser` installs what it needs and runs it. Screenshots lie in the target folder's
//! `screenshots`.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its functions share too"
)]

mod admin_tokens;
mod audit;
mod browser;
mod checks;
mod docs;
mod driver;
mod identities;
mod keyboard;
mod names;
mod other_sites;
mod pages;
#[path = "../it/process.rs"]
#[allow(dead_code, reason = "the other test binary needs more of it")]
mod process;
mod secrets;
mod sign_in;
mod site;
mod tokens;
