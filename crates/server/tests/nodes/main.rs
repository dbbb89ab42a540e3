//! Several nodes on one PostgreSQL that fail in every way that can be brought about on one machine, judged by a model.
//! One test binary: `world.rs` has the processes, `model.rs` what must be true of them, `clients.rs` what is asked,
//! `faults.rs` what fails, `report.rs` what is told at the end, `run.rs` the random run, `named.rs` single stories.
//!
//! `cargo xtask test --only nodes` runs it. What the environment can say is in `run.rs`.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its functions share too"
)]

mod clients;
mod faults;
mod history;
mod model;
mod named;
#[path = "../it/process.rs"]
#[allow(dead_code, reason = "the other test binary needs more of it")]
mod process;
mod random;
mod report;
mod run;
mod time;
mod wire;
mod world;
