//! The client against a server that answers what each test tells it to.

mod calls;
mod double;
mod lists;
mod repetitions;
mod tokens;
