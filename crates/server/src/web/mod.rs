//! The pages: plain HTML that works without scripts, made by the templates in `templates/`.
//!
//! A page's handler gets a [`Visitor`], who has signed in and whose posted form carried the CSRF token; it acts through
//! [`crate::actor`], as the API does, and answers through [`Frame`].

pub mod account;
pub mod admin_tokens;
pub mod assets;
pub mod audit;
pub mod charts;
pub mod columns;
pub mod cookies;
pub mod dashboard;
pub mod form;
pub mod frame;
pub mod identities;
pub mod moment;
pub mod origin;
pub mod pager;
pub mod sign_in;
pub mod texts;
pub mod tokens;
pub mod visitor;

pub use form::Form;
pub use frame::{Frame, Section};
pub use visitor::Visitor;

/// Whether a page opens for somebody who must choose a new password first: that page does. Signing out is open anyway.
pub fn opens_with_temporary_password(route: &str) -> bool {
    route == "page-password"
}
