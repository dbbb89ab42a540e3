//! The client against a server that answers what each test tells it to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod double;
mod lists;
mod repetitions;
mod tokens;
mod verify;
