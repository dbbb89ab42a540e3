//! How long something is waited for, where a limit is for what does not come and not for a machine that stands still.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// What is waited at a time. Whoever wakes much later has stood still meanwhile.
const STRETCH: Duration = Duration::from_millis(100);

/// How long somebody goes on waiting.
///
/// Time in which this process stood still, with its machine or by itself, counts for no more than a tenth of a second:
/// what is waited for may have stood still as well, or have been there for long without anybody who looked. Whatever
/// must be over by a time on the clock, such as a lease, is none of this.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    left: Duration,
}

impl Patience {
    /// So much of it.
    pub fn new(left: Duration) -> Self {
        Self { left }
    }

    /// Whether there is none left.
    pub fn is_over(&self) -> bool {
        self.left.is_zero()
    }

    /// Waits for `work`; `None` when that takes longer than there is patience left. Several, one after the other, share it.
    pub async fn wait<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        while !self.is_over() {
            let (began, stretch) = (Instant::now(), STRETCH.min(self.left));
            let outcome = timeout(stretch, &mut work).await;
            self.left -= began.elapsed().min(stretch);
            if let Ok(outcome) = outcome {
                return Some(outcome);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_and_several_share_it() {
        let mut patience = Patience::new(Duration::from_millis(250));
        assert_eq!(patience.wait(async { 1 }).await, Some(1));
        assert_eq!(patience.wait(sleep(Duration::from_millis(150))).await, Some(()));
        assert!(!patience.is_over());
        assert_eq!(patience.wait(sleep(Duration::from_millis(150))).await, None);
        assert!(patience.is_over());
        assert_eq!(patience.wait(async { 1 }).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_the_process_stands_still_is_not_counted() {
        let stands_still = async {
            for _ in 0..3 {
                advance(Duration::from_secs(10)).await;
            }
        };
        assert_eq!(Patience::new(Duration::from_secs(1)).wait(stands_still).await, Some(()));
    }
}
