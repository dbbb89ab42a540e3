//! A part of a count, and how nodes tell each other of it.

use patron_core::time::Timestamp;

use super::hits::SLOTS;

/// Bytes of one that is written: its time, and its hits.
const BYTES: usize = 8 + 4;

/// Some hits of one key, which leave the window together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// When the last of them was, milliseconds since 1970.
    pub last: i64,
    /// How many.
    pub count: u32,
}

impl Tally {
    /// All of one key, as bytes that [`Tally::read`] reads.
    pub fn write(tallies: &[Self]) -> Vec<u8> {
        let one = |tally: &Self| [&tally.last.to_be_bytes()[..], &tally.count.to_be_bytes()].concat();
        tallies.iter().flat_map(one).collect()
    }

    /// Those that were written; `None` for what no window writes.
    pub fn read(bytes: &[u8]) -> Option<Vec<Self>> {
        let (tallies, rest) = bytes.as_chunks::<BYTES>();
        (rest.is_empty() && tallies.len() <= SLOTS).then(|| tallies.iter().map(Self::read_one).collect())
    }

    fn read_one(bytes: &[u8; BYTES]) -> Self {
        let [last @ .., a, b, c, d] = *bytes;
        // A time can be reckoned with only within the calendar.
        let last = Timestamp::from_millis(i64::from_be_bytes(last)).millis();
        Self { last, count: u32::from_be_bytes([a, b, c, d]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let tallies: Vec<Tally> = (0..11).map(|n: u32| Tally { last: i64::from(n) - 5, count: n }).collect();
        assert_eq!(Tally::read(&Tally::write(&tallies)), Some(tallies.clone()));
        assert_eq!(Tally::read(&[]), Some(Vec::new()));
        let far = [Tally { last: i64::MAX, count: u32::MAX }];
        let drawn_in = [Tally { last: Timestamp::MAX.millis(), count: u32::MAX }];
        assert_eq!(Tally::read(&Tally::write(&far)), Some(drawn_in.to_vec()));
        assert_eq!(Tally::read(&Tally::write(&tallies)[1..]), None);
        assert_eq!(Tally::read(&[0; BYTES * (SLOTS + 1)]), None);
    }
}
