//! Tells the time to within a few milliseconds, for a fraction of what the exact time costs.
//!
//! For ages that people read. On Linux, with the feature `coarse-clock`, it is the time of the
//! kernel's last tick (`clock_gettime(2)`, `CLOCK_MONOTONIC_COARSE`), elsewhere the exact time.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

/// A point in time, to within a few milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coarse {
    /// Since some time before the process began.
    ns: u64,
}

/// A point in time in four bytes, of which none is zero: it tells 208 days apart, after which it
/// stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoarseTick(NonZeroU32);

/// Ticks are of 2^22 ns: 4.2 ms, as long as those of most kernels.
const TICK_NS_SHIFT: u32 = 22;

/// The time when ticks were first counted.
static START: OnceLock<Coarse> = OnceLock::new();

impl Coarse {
    /// Returns the present.
    #[must_use]
    #[inline]
    pub fn now() -> Coarse {
        Coarse { ns: imp::now_ns() }
    }

    /// Returns how long after `earlier` it is; nothing if it is before.
    #[must_use]
    pub fn since(self, earlier: Coarse) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(earlier.ns))
    }
}

impl CoarseTick {
    /// Returns the present.
    #[must_use]
    #[inline]
    pub fn now() -> CoarseTick {
        let now = Coarse::now();
        let start = START.get_or_init(|| now);
        let ticks = now.ns.saturating_sub(start.ns) >> TICK_NS_SHIFT;
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        CoarseTick(NonZeroU32::MIN.saturating_add(ticks))
    }
}

impl From<CoarseTick> for Coarse {
    fn from(tick: CoarseTick) -> Coarse {
        let start = START.get_or_init(Coarse::now);
        let ticks = u64::from(tick.0.get() - 1);
        Coarse { ns: start.ns.saturating_add(ticks << TICK_NS_SHIFT) }
    }
}

#[cfg(all(target_os = "linux", feature = "coarse-clock"))]
mod imp {
    use rustix::time::{ClockId, clock_gettime};

    #[inline]
    pub(super) fn now_ns() -> u64 {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        // The clock counts from when the machine was started: nothing is negative.
        now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
    }
}

#[cfg(not(all(target_os = "linux", feature = "coarse-clock")))]
mod imp {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn now_ns() -> u64 {
        u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Coarse, CoarseTick};
    use std::time::{Duration, Instant};

    #[test]
    fn the_coarse_time_goes_with_the_exact_time() {
        // What a kernel ticks at the slowest, and what a tick is.
        let slack = Duration::from_millis(10) + Duration::from_nanos(1 << super::TICK_NS_SHIFT);
        let (exact, coarse, tick) = (Instant::now(), Coarse::now(), CoarseTick::now());
        while exact.elapsed() < Duration::from_millis(40) {
            std::hint::spin_loop();
        }
        let took = exact.elapsed();
        let now = Coarse::now();
        for measured in [now.since(coarse), now.since(tick.into())] {
            assert!(measured + slack >= took && measured <= took + slack, "{measured:?} {took:?}");
        }
        assert_eq!(coarse.since(now), Duration::ZERO);
    }
}
