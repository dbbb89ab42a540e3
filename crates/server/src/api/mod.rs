//! The REST API: one file a noun.

pub mod audit;
pub mod identities;
pub mod pats;
pub mod tenant;
mod window;
