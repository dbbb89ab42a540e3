//! What fails again and again is told when it begins and when it ends, not each time.

use patron_core::Error;

/// Something that is tried again and again, and whether it fails at present.
#[derive(Debug)]
pub(crate) struct Outage {
    begins: &'static str,
    ends: &'static str,
    lasts: bool,
}

impl Outage {
    /// None as yet; what the log says when one begins, with its cause, and when it ends.
    pub(crate) fn new(begins: &'static str, ends: &'static str) -> Self {
        Self { begins, ends, lasts: false }
    }

    /// It failed.
    pub(crate) fn failed(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.lasts, true) {
            tracing::warn!(cause = error.cause(), "{}", self.begins);
        }
    }

    /// All is well.
    pub(crate) fn over(&mut self) {
        if std::mem::replace(&mut self.lasts, false) {
            tracing::info!("{}", self.ends);
        }
    }

    /// The one or the other.
    pub(crate) fn note<T>(&mut self, outcome: &patron_core::Result<T>) {
        match outcome {
            Ok(_) => self.over(),
            Err(error) => self.failed(error),
        }
    }
}
