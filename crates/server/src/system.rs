//! The system's clock and randomness: the only places where either is taken from thin air.

pub use patron_client::SystemClock;
use patron_core::clock::{Entropy, SteadyClock};
use patron_core::coherence::Steady;
use rustix::time::{ClockId, clock_gettime};

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the randomness that everything else is given"
        )]
        getrandom::fill(bytes).expect("an operating system without randomness is no place for secrets");
    }
}

/// How time passes on this machine, also while the process is stopped or the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub struct SystemSteadyClock;

impl SteadyClock for SystemSteadyClock {
    fn steady(&self) -> Steady {
        let since = clock_gettime(ClockId::Boottime);
        let millis = since.tv_sec.unsigned_abs() * 1_000 + since.tv_nsec.unsigned_abs() / 1_000_000;
        Steady(millis)
    }
}
