//! What fails again and again is told when it begins, when it ends, and now and then when the cause is another one.

use patron_core::{Error, Result};
use tokio::time::Instant;

use crate::limits::TOLD_AGAIN;

/// Something that is tried again and again, and whether it fails at present.
#[derive(Debug)]
pub(crate) struct Outage {
    begins: &'static str,
    ends: &'static str,
    /// The cause that was told last, and when, while it lasts.
    told: Option<(String, Instant)>,
}

impl Outage {
    /// None as yet; what the log says when one begins, with its cause, and when it ends.
    pub(crate) fn new(begins: &'static str, ends: &'static str) -> Self {
        Self { begins, ends, told: None }
    }

    /// Whether it failed when it was last tried.
    pub(crate) fn lasts(&self) -> bool {
        self.told.is_some()
    }

    /// It failed.
    pub(crate) fn failed(&mut self, error: &Error) {
        let (cause, now) = (error.cause().unwrap_or_default(), Instant::now());
        let is_known = |(told, at): &(String, Instant)| told == cause || now - *at < TOLD_AGAIN;
        if !self.told.as_ref().is_some_and(is_known) {
            // An outage passes by itself, a mistake of ours does not.
            if let Error::Unavailable { .. } = error {
                tracing::warn!(cause, "{}", self.begins);
            } else {
                tracing::error!(cause, "{}", self.begins);
            }
            self.told = Some((cause.to_owned(), now));
        }
    }

    /// All is well.
    pub(crate) fn over(&mut self) {
        if self.told.take().is_some() {
            tracing::info!("{}", self.ends);
        }
    }

    /// The one or the other.
    pub(crate) fn note<T>(&mut self, outcome: &Result<T>) {
        match outcome {
            Ok(_) => self.over(),
            Err(error) => self.failed(error),
        }
    }
}
