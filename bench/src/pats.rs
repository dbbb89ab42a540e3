//! The tokens that are measured with: made from their numbers, so that nobody has to keep ten million secrets.

use patron_core::clock::Entropy;
use patron_core::secret::Secret;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many tokens of so many owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pats {
    /// How many tokens.
    pub(crate) count: u64,
    /// How many owners. Each has as many tokens as the others.
    pub(crate) owners: u64,
}

impl Pats {
    /// The id of a token: ids rise with the numbers, and look random otherwise.
    pub(crate) fn id(self, number: u64) -> [u8; 16] {
        risen(number, self.count, 1)
    }

    /// Whose token it is. The tokens of one owner are spread over all ids, as random ids are.
    pub(crate) fn owner_of(self, number: u64) -> u64 {
        number % self.owners
    }

    /// The id of an owner.
    pub(crate) fn owner(self, number: u64) -> [u8; 16] {
        risen(number, self.owners, 2)
    }

    /// The form with which a token is exchanged.
    pub(crate) fn form(self, number: u64) -> String {
        format!("grant_type=client_credentials&{}", self.client(number))
    }

    /// The form with which it introspects an access token.
    pub(crate) fn introspection(self, number: u64, token: &str) -> String {
        format!("{}&token={token}", self.client(number))
    }

    fn client(self, number: u64) -> String {
        format!("client_id={}&client_secret={}", hex::encode(self.id(number)), secret(number).expose())
    }
}

/// The secret of a token.
pub(crate) fn secret(number: u64) -> Secret {
    Secret::generate(&Mixed(AtomicU64::new(number.wrapping_mul(8).wrapping_add(3))))
}

/// Random bytes that are the same in every run.
struct Mixed(AtomicU64);

impl Entropy for Mixed {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let random = mixed(self.0.fetch_add(1, Ordering::Relaxed)).to_le_bytes();
            part.copy_from_slice(&random[..part.len()]);
        }
    }
}

/// Sixteen bytes that rise with `number`, evenly over all that can be, the rest of them mixed.
fn risen(number: u64, count: u64, kind: u64) -> [u8; 16] {
    let high = (u128::from(number) << 64) / u128::from(count.max(1));
    let low = mixed(number ^ (kind << 60));
    (high << 64 | u128::from(low)).to_be_bytes()
}

/// A number as random as a test needs it (the finalizer of `SplitMix64`).
pub(crate) const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number from 0 to 1, the 1 left out.
fn unit(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a fraction has")]
    let high = (mixed(number) >> 11) as f64;
    high / 9_007_199_254_740_992.0
}

/// Which tokens are asked for how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Popularity {
    /// Each as often as any other.
    Uniform,
    /// The second half as often as the first, the third a third as often … (Zipf's law).
    Zipf,
}

impl Popularity {
    /// The numbers of the tokens that are asked for in these turns, one after the other.
    pub(crate) fn draw(self, pats: Pats, turns: Range<u64>) -> impl Iterator<Item = u64> {
        turns.map(move |turn| {
            let chance = unit(turn ^ 0x5EED << 40);
            let rank = match self {
                Self::Uniform => whole(chance * fraction(pats.count)),
                // Of the harmonic distribution, the logarithm is the sum, as near as it matters.
                Self::Zipf => whole((chance * fraction(pats.count + 1).ln()).exp()) - 1,
            };
            // The popular ones are not neighbours: a prime that divides no power of ten leads each rank elsewhere.
            let scattered = u128::from(rank) * 2_654_435_761 % u128::from(pats.count);
            u64::try_from(scattered).unwrap_or_default()
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of tokens are far below 2^53")]
fn fraction(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and far below 2^53")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SOME: Pats = Pats { count: 1_000, owners: 100 };

    #[test]
    fn tokens_are_different_and_their_ids_rise() {
        let ids: Vec<_> = (0..SOME.count).map(|number| SOME.id(number)).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
        let secrets: HashSet<_> = (0..SOME.count).map(|number| secret(number).expose().to_owned()).collect();
        assert_eq!(secrets.len(), 1_000);
        assert!(secret(7).is_well_formed());
        assert_eq!(secret(7).expose(), secret(7).expose());
    }

    #[test]
    fn the_popular_are_asked_for_more_often() {
        let count = |popularity: Popularity| {
            let mut times = vec![0_u32; 1_000];
            for number in popularity.draw(SOME, 0..100_000) {
                times[usize::try_from(number).unwrap()] += 1;
            }
            times.sort_unstable_by(|one, other| other.cmp(one));
            times
        };
        let zipf = count(Popularity::Zipf);
        // The first has ln 2 / ln 1001, a tenth, the second ln 1.5 / ln 1001.
        assert!((9_500..10_600).contains(&zipf[0]), "{}", zipf[0]);
        assert!((5_400..6_400).contains(&zipf[1]), "{}", zipf[1]);
        let uniform = count(Popularity::Uniform);
        assert!(uniform[0] < 160 && uniform[999] > 50, "{} {}", uniform[0], uniform[999]);
    }
}
