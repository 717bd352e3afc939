//! `Shard`: one of several machines that share a universe of symbols and a quota.

use std::fmt;
use std::str::FromStr;

use super::policy::RateLimit;
use super::series::Symbol;

/// One of `count` shards, each of which has its own database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0 up to, not including, `count`.
    index: u32,
    /// At least 1.
    count: u32,
}

impl Shard {
    /// Whether a symbol is this shard's: each is exactly one's, on every machine and in every version.
    #[must_use]
    pub fn holds(self, symbol: &Symbol) -> bool {
        stable_hash(symbol.as_str().as_bytes()) % u64::from(self.count) == u64::from(self.index)
    }

    /// This shard's part of a limit. The parts of all shards add up to no more than the whole, whenever
    /// each of them sends. With more shards than requests each has one request in a longer time, and only the
    /// average holds: as shards know nothing of each other, all of them may send theirs in one window.
    #[must_use]
    pub fn share(self, rate: RateLimit) -> RateLimit {
        let part = |whole: u32| whole / self.count + u32::from(self.index < whole % self.count);
        let burst = rate.burst.map(|burst| part(burst).max(1));
        let slower = |times: u32| rate.per.saturating_mul(times);
        match burst {
            // A bucket grows at an even share of the speed; what is shared out is its capacity.
            Some(_) => RateLimit { per: slower(self.count), burst, ..rate },
            None if rate.requests < self.count => {
                let per = slower(self.count.div_ceil(rate.requests));
                RateLimit { requests: 1, per, burst }
            }
            None => RateLimit { requests: part(rate.requests), ..rate },
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    /// `K/N`. Schedulers count from 0 or from 1: N stands for 0, so that either way all are covered.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is no shard; expected K/N with K from 0 to N-1, or from 1 to N, as in 0/4"
            )
        };
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let (index, count): (u32, u32) =
            (index.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?);
        if count == 0 || index > count {
            return Err(wrong());
        }
        Ok(Self { index: index % count, count })
    }
}

/// FNV-1a, and `MurmurHash3`'s last step to spread it: fixed for good, or symbols would change machines.
/// Sources: the FNV page of Landon Curt Noll; Austin Appleby's `fmix64`.
fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn shards(count: u32) -> Vec<Shard> {
        (0..count).map(|index| format!("{index}/{count}").parse().unwrap()).collect()
    }

    #[test]
    fn counting_from_one_covers_the_same() {
        assert_eq!("4/4".parse::<Shard>(), "0/4".parse());
        assert_eq!("1/1".parse::<Shard>(), "0/1".parse());
        for wrong in ["5/4", "1/0", "1", "-1/4", "a/b", "1/4/2", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_symbol_never_changes_its_shard() {
        let of = |symbol: &str| {
            let symbol = symbol.parse().unwrap();
            shards(16).iter().position(|shard| shard.holds(&symbol))
        };
        assert_eq!(
            ["AAPL", "MSFT", "BTC-USD", "X:BTCUSD"].map(of),
            [Some(7), Some(3), Some(10), Some(13)]
        );
    }

    proptest! {
        #[test]
        fn each_symbol_is_exactly_ones_and_the_shares_are_even(count in 1u32..12) {
            let shards = shards(count);
            let mut held = vec![0u32; count as usize];
            for index in 0..2_000 {
                let symbol = format!("S{index}").parse().unwrap();
                let owners: Vec<usize> = (0..shards.len()).filter(|at| shards[*at].holds(&symbol)).collect();
                prop_assert_eq!(owners.len(), 1);
                held[owners[0]] += 1;
            }
            let even = 2_000 / count;
            prop_assert!(held.iter().all(|n| (even * 3 / 4..=even * 4 / 3 + 1).contains(n)), "{:?}", held);
        }

        #[test]
        fn the_shares_of_a_limit_add_up_to_no_more_than_it(
            count in 1u32..12, requests in 1u32..40, burst in proptest::option::of(1u32..40),
        ) {
            let rate = RateLimit { requests, per: Duration::from_secs(60), burst };
            let shares: Vec<RateLimit> = shards(count).iter().map(|shard| shard.share(rate)).collect();
            let speed = |rate: &RateLimit| f64::from(rate.requests) / rate.per.as_secs_f64();
            let sum: f64 = shares.iter().map(speed).sum();
            prop_assert!(sum <= speed(&rate) + 1e-9, "{} of {}", sum, speed(&rate));
            let at_once: u32 = shares.iter().map(|rate| rate.burst.unwrap_or(rate.requests)).sum();
            if count <= burst.unwrap_or(requests) {
                prop_assert_eq!(at_once, burst.unwrap_or(requests));
            }
        }
    }
}
