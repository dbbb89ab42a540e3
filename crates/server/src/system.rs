//! The system's clock and randomness: the only places where either is taken from thin air.

pub use patron_client::SystemClock;
use patron_core::clock::Entropy;

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
