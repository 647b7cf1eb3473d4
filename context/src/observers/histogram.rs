//! Counts how long things took, in buckets that double.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::inspect::text::Age;

/// The first bucket ends at 1 µs, the last but one at 2^29 µs, which is nine minutes.
pub(super) const BUCKETS: usize = 31;

const FIRST_NS: u64 = 1_000;

/// Times, counted. Relaxed: each number stands for itself.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl Histogram {
    pub(super) fn add(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let doubled = (ns / FIRST_NS).checked_ilog2().map_or(0, |log| log as usize + 1);
        self.buckets[doubled.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
        self.max_ns.fetch_max(ns, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Spread {
        Spread {
            buckets: self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)),
            max: Duration::from_nanos(self.max_ns.load(Ordering::Relaxed)),
        }
    }
}

/// How times were spread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    buckets: [u64; BUCKETS],
    sum: Duration,
    max: Duration,
}

impl Spread {
    /// Returns how many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns all of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns the longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Returns a time that a part of them did not exceed, such as 0.99: at most twice too much.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "of more than 2^53 times a few do not matter"
        )]
        let rank = (self.count() as f64 * part.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (nth, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return bound(nth).map_or(self.max, |bound| bound.min(self.max));
            }
        }
        self.max
    }

    /// Returns the upper end of each bucket, and how many are up to there; of the last, which has no
    /// end, it is `None`.
    pub(super) fn cumulated(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        self.buckets.iter().enumerate().scan(0, |seen, (nth, count)| {
            *seen += count;
            Some((bound(nth), *seen))
        })
    }
}

fn bound(bucket: usize) -> Option<Duration> {
    (bucket + 1 < BUCKETS).then(|| Duration::from_nanos(FIRST_NS << bucket))
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, high) = (self.quantile(0.5), self.quantile(0.99));
        write!(f, "p50 {} p99 {} max {}", Age(median), Age(high), Age(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram};
    use std::time::Duration;

    #[test]
    fn times_are_counted_in_buckets_that_double() {
        let histogram = Histogram::default();
        for ns in [0, 999, 1000, 1999, 2000, 5_000_000, u64::MAX] {
            histogram.add(Duration::from_nanos(ns));
        }
        let spread = histogram.read();
        assert_eq!((spread.count(), spread.buckets[..3].to_vec()), (7, vec![2, 2, 1]));
        assert_eq!(spread.max(), Duration::from_nanos(u64::MAX));
        assert_eq!(spread.cumulated().last(), Some((None, 7)));
        assert_eq!(spread.cumulated().count(), BUCKETS);
        assert_eq!(spread.quantile(0.5), Duration::from_micros(2));
        assert_eq!(spread.quantile(1.0), spread.max());
        assert_eq!(Histogram::default().read().quantile(0.5), Duration::ZERO);
    }
}
