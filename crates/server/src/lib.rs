//! Patron, a personal access token authority: the service, its pages and its command line.
//!
//! `docs/architecture.md` is the map. In short: [`routes`] is the table of endpoints, [`front`] what is the same for
//! all of them, [`auth`] who is asking, [`actor`] what they
//! then do, [`memory`] what the hot path reads, [`cli`] the commands.

pub mod actor;
pub mod api;
pub mod app;
pub mod auth;
pub mod body;
pub mod cli;
pub mod config;
pub mod devices;
pub mod docs;
pub mod export;
pub mod follower;
pub mod forwarded;
pub mod front;
pub mod guesses;
pub mod housekeeping;
mod idle;
pub mod keys;
pub mod limiter;
pub mod limits;
pub mod listener;
pub mod management;
pub mod memory;
pub mod oauth;
pub mod openapi;
mod outage;
pub mod passwords;
pub mod paths;
pub mod process;
pub mod reconcile;
pub mod recorder;
pub mod respond;
pub mod routes;
pub mod sign_in;
pub mod system;
pub mod telemetry;
pub mod trail;
pub mod trust;
pub mod web;
