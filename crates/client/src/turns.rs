use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::{Error, Result};

/// One caller at a time tries what many want at once. Those who waited while it failed are told of that failure, and
/// do not try once more each: behind a server in an outage the last of them would wait for all the others.
#[derive(Default)]
pub(crate) struct Turns {
    failures: AtomicU64,
    last: Mutex<Option<Error>>,
}

impl Turns {
    /// Makes the attempt when it is this caller's turn. It first looks whether an earlier one has left nothing to do.
    pub(crate) async fn take<T>(&self, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self.failures.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if self.failures.load(Ordering::Acquire) != before
            && let Some(failure) = last.as_ref()
        {
            return Err(failure.clone());
        }
        let result = attempt.await;
        *last = result.as_ref().err().cloned();
        if last.is_some() {
            self.failures.fetch_add(1, Ordering::Release);
        }
        result
    }
}
