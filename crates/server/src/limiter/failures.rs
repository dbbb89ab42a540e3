//! Wrong guesses at secrets.

use std::net::IpAddr;

use patron_core::time::Timestamp;

use super::{Counter, Key, Keys, RetryAfterSeconds, SlidingWindow};

/// The window of failed authentications, seconds: the contract says "a minute".
const WINDOW_SECONDS: u32 = 60;

/// Wrong guesses, per address and per client id, in a minute (contract section 8).
///
/// Only *wrong* attempts come here: a right secret passes whatever was counted, so nobody can lock another out.
pub struct AuthFailures {
    addresses: SlidingWindow<Key>,
    clients: SlidingWindow<Key>,
    keys: Keys,
}

impl AuthFailures {
    /// So many wrong guesses a minute per client id and per address; 0 is off.
    pub fn new(per_client: u32, per_address: u32, keys: Keys) -> Self {
        Self {
            addresses: SlidingWindow::new(per_address, WINDOW_SECONDS),
            clients: SlidingWindow::new(per_client, WINDOW_SECONDS),
            keys,
        }
    }

    /// Takes note of one wrong attempt: `Ok` when it is to be told that it is wrong (401), `Err` when there were too
    /// many and it is to be told to wait (429). Those told to wait are not counted.
    ///
    /// An IPv6 address stands for its /64, which is what one customer gets. A client id may be any text: it is
    /// kept as a hash of fixed size.
    pub fn wrong(
        &self,
        address: IpAddr,
        client_id: Option<&str>,
        now: Timestamp,
    ) -> Result<(), RetryAfterSeconds> {
        let address = self.keys.of_address(Counter::FailuresOfAddress, address);
        let client = client_id.map(|id| self.keys.key(Counter::FailuresOfClient, &[id.as_bytes()]));
        // Both locks are held over question and note, so that attempts at the same time cannot all be the 20th.
        // The order is always this one, and no other code holds two.
        let mut by_address = self.addresses.is_on().then(|| self.addresses.shard(&address, now));
        let mut by_client =
            client.filter(|_| self.clients.is_on()).map(|key| (key, self.clients.shard(&key, now)));

        let address_waits = by_address.as_mut().and_then(|shard| self.addresses.wait(shard, &address, now));
        let client_waits = by_client.as_mut().and_then(|(key, shard)| self.clients.wait(shard, key, now));
        if let Some(wait) = address_waits.max(client_waits) {
            return Err(wait);
        }
        if let Some(shard) = by_address.as_mut() {
            self.addresses.record(shard, address, now);
        }
        if let Some((key, shard)) = by_client.as_mut() {
            self.clients.record(shard, *key, now);
        }
        Ok(())
    }

    /// What it counts.
    pub(crate) fn windows(&self) -> [(Counter, &SlidingWindow<Key>); 2] {
        [(Counter::FailuresOfAddress, &self.addresses), (Counter::FailuresOfClient, &self.clients)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    #[test]
    fn the_21st_guess_at_a_client_waits_whatever_its_address() {
        let failures = AuthFailures::new(20, 100, Keys::own());
        for n in 0..20 {
            assert_eq!(failures.wrong([192, 0, 2, n].into(), Some("victim"), at(0)), Ok(()));
        }
        assert_eq!(
            failures.wrong([198, 51, 100, 1].into(), Some("victim"), at(500)),
            Err(RetryAfterSeconds(60))
        );
        assert_eq!(failures.wrong([198, 51, 100, 1].into(), Some("another"), at(500)), Ok(()));
        assert_eq!(failures.wrong([198, 51, 100, 1].into(), Some("victim"), at(60_000)), Ok(()));
    }

    #[test]
    fn the_101st_guess_from_an_address_waits_whatever_its_client_id() {
        let failures = AuthFailures::new(20, 100, Keys::own());
        let address: IpAddr = [192, 0, 2, 1].into();
        for n in 0..100 {
            let id = (n % 2 == 0).then(|| format!("guess {n} {}", "x".repeat(n)));
            assert_eq!(failures.wrong(address, id.as_deref(), at(0)), Ok(()));
        }
        assert_eq!(failures.wrong(address, None, at(0)), Err(RetryAfterSeconds(60)));
        assert_eq!(failures.wrong(address, Some("new"), at(0)), Err(RetryAfterSeconds(60)));
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(failures.wrong(mapped, None, at(0)).is_err(), "the same address, written as IPv6");
        assert_eq!(failures.wrong([192, 0, 2, 2].into(), Some("new"), at(0)), Ok(()));
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let failures = AuthFailures::new(20, 100, Keys::own());
        for n in 0..100 {
            let address: IpAddr = format!("2001:db8:0:1::{n:x}").parse().unwrap();
            assert_eq!(failures.wrong(address, None, at(0)), Ok(()));
        }
        assert!(failures.wrong("2001:db8:0:1:ffff::1".parse().unwrap(), None, at(0)).is_err());
        assert!(failures.wrong("2001:db8:0:2::1".parse().unwrap(), None, at(0)).is_ok());
    }

    #[test]
    fn the_longer_wait_of_the_two_is_told() {
        let failures = AuthFailures::new(1, 1, Keys::own());
        failures.wrong([192, 0, 2, 1].into(), None, at(0)).unwrap();
        failures.wrong([192, 0, 2, 2].into(), Some("c"), at(40_000)).unwrap();
        assert_eq!(failures.wrong([192, 0, 2, 1].into(), Some("c"), at(50_000)), Err(RetryAfterSeconds(50)));
    }

    #[test]
    fn off_counts_nothing() {
        let off = AuthFailures::new(0, 0, Keys::own());
        for _ in 0..1_000 {
            assert_eq!(off.wrong([192, 0, 2, 1].into(), Some("x"), at(0)), Ok(()));
        }
    }

    #[test]
    fn threads_together_get_no_more_than_the_limit() {
        let failures = AuthFailures::new(20, 100, Keys::own());
        let one = || failures.wrong([192, 0, 2, 1].into(), Some("c"), at(0)).is_ok();
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..500).filter(|_| one()).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 20);
    }

    #[test]
    fn no_clock_breaks_it() {
        let failures = AuthFailures::new(2, 3, Keys::own());
        for (n, millis) in [i64::MIN, 0, i64::MAX, -1, 1, i64::MAX, i64::MIN].into_iter().enumerate() {
            let client = format!("{}", n % 3);
            failures.wrong([192, 0, 2, 1].into(), Some(&client), Timestamp::from_millis(millis)).ok();
        }
    }
}
