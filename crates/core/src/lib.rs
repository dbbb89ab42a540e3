//! Patron's rules, free of I/O: what a personal access token (PAT) is, what it may do, and what is refused.
//!
//! A reader finds a rule by its noun: a PAT's fields and expiry in [`pat`], who may do what in [`rights`] and
//! [`access`], list filters in [`filter`] and [`criteria`], JSON Patch in [`patch`] and [`bulk`], when a node may rely
//! on its memory in [`coherence`], what an error is in [`error`]. Nothing here reads a clock, draws randomness or touches the network: both are handed in as
//! [`clock::Clock`] and [`clock::Entropy`].

pub mod access;
pub mod audit;
pub mod bulk;
pub mod clock;
pub mod coherence;
pub mod criteria;
pub mod error;
mod expression;
pub mod filter;
pub mod id;
pub mod identity;
pub mod json;
pub mod limits;
pub mod name;
pub mod pat;
pub mod patch;
pub mod rights;
pub mod scope;
pub mod secret;
pub mod time;

pub use error::{Error, Result};
