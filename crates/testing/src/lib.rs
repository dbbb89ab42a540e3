//! What tests need around Patron and none of them should make by hand: private PostgreSQL clusters ([`Cluster`]), a
//! fresh database for each test ([`Engine::empty_database`]), a proxy that breaks connections on purpose ([`Proxy`]), and
//! connections that hold what others want ([`Session`]).
//!
//! All of it fails by panicking, as tests do, and all of it ends with the process that began it, however that ends.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "only tests use this, and a test fails by panicking"
)]

mod cluster;
mod databases;
mod engine;
mod guard;
mod log;
mod port;
mod processes;
pub mod programs;
mod proxy;
mod session;

pub use cluster::{Cluster, Settings};
pub use databases::{CLUSTER, database_url, dump, psql_at};
pub use engine::{ENGINE, Engine};
pub use proxy::Proxy;
pub use session::Session;
