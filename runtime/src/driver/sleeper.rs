//! Knows whether somebody sleeps in the driver, and until when, so that no deadline is slept
//! through.
//!
//! The timers announce a sleep before they look for the first deadline, and look for a sleeper
//! after they have published a deadline that is sooner than before. Who finds a sleeper sets the
//! alarm for it.
//!
//! # Memory ordering
//!
//! Registering: `Publish` (the deadline); fence F1 in [`Sleeper::find`]; `ReadUntil`. Going to
//! sleep: `SayAsleep` in [`Sleeper::announce`]; fence F2 there; `ReadPublished`. Both fences are
//! SeqCst, so one is first: if F1 is, `ReadPublished` sees the deadline; if F2 is, `ReadUntil` sees
//! the sleeper. All accesses are Relaxed: the fences order them. If both sides see each other, the
//! alarm's lock makes *who sets it last* the one who knew the most.

use crate::primitive::{AtomicU64, Mutex, MutexGuard, Ordering, fence};

/// The time of a deadline that does not come.
pub(super) const NEVER_NS: u64 = u64::MAX;

/// Nobody sleeps. It is also a time, which is long over and which nobody sleeps until.
const AWAKE: u64 = 0;

pub(super) struct Sleeper<A> {
    /// When the sleeper gets up by itself, in nanoseconds, or [`AWAKE`].
    until_ns: AtomicU64,
    alarm: Mutex<A>,
}

/// The right to set the alarm, and to say until when the sleeper sleeps.
pub(super) struct AlarmClock<'a, A> {
    until_ns: &'a AtomicU64,
    alarm: MutexGuard<'a, A>,
}

impl<A> Sleeper<A> {
    pub(super) fn new(alarm: A) -> Sleeper<A> {
        Sleeper { until_ns: AtomicU64::new(AWAKE), alarm: Mutex::new(alarm) }
    }

    /// Says that the caller is about to sleep. Only then may it look for the first deadline.
    pub(super) fn announce(&self) -> AlarmClock<'_, A> {
        self.until_ns.store(NEVER_NS, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.alarm_clock()
    }

    /// Says that the sleep is over, or was given up.
    pub(super) fn get_up(&self) {
        self.until_ns.store(AWAKE, Ordering::Relaxed);
    }

    /// Finds the sleeper, if there is one, after a sooner deadline was published.
    #[inline]
    pub(super) fn find(&self) -> Option<AlarmClock<'_, A>> {
        fence(Ordering::SeqCst);
        (self.until_ns.load(Ordering::Relaxed) != AWAKE).then(|| self.alarm_clock())
    }

    fn alarm_clock(&self) -> AlarmClock<'_, A> {
        AlarmClock { until_ns: &self.until_ns, alarm: self.alarm.lock() }
    }
}

impl<A> AlarmClock<'_, A> {
    /// Says whether the sleeper, if it still sleeps, would sleep through this.
    pub(super) fn is_too_late_for(&self, deadline_ns: u64) -> bool {
        deadline_ns < self.until_ns.load(Ordering::Relaxed)
    }

    /// Lets the sleeper sleep until then. The caller sets the alarm that it is given.
    pub(super) fn sleep_until(&mut self, ns: u64) -> &mut A {
        // The sleeper may have got up meanwhile: then the next registration finds nobody to wake
        // here, which is harmless.
        self.until_ns.store(ns.max(AWAKE + 1), Ordering::Relaxed);
        &mut self.alarm
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{NEVER_NS, Sleeper};
    use crate::primitive::{AtomicU64, Ordering};
    use loom::sync::Arc;
    use loom::thread;

    /// An alarm is when it rings.
    struct World {
        sleeper: Sleeper<u64>,
        published: [AtomicU64; 2],
    }

    impl World {
        fn new() -> Arc<World> {
            let published = [AtomicU64::new(NEVER_NS), AtomicU64::new(NEVER_NS)];
            Arc::new(World { sleeper: Sleeper::new(NEVER_NS), published })
        }

        fn next_ns(&self) -> u64 {
            let nexts = self.published.iter().map(|next| next.load(Ordering::Relaxed));
            nexts.min().unwrap_or(NEVER_NS)
        }

        fn register(&self, wheel: usize, deadline_ns: u64) {
            self.published[wheel].store(deadline_ns, Ordering::Relaxed);
            let Some(mut clock) = self.sleeper.find() else { return };
            let next = self.next_ns();
            if clock.is_too_late_for(next) {
                *clock.sleep_until(next) = next;
            }
        }

        fn fall_asleep(&self) {
            let mut clock = self.sleeper.announce();
            let next = self.next_ns();
            *clock.sleep_until(next) = next;
        }

        fn rings_at(&self) -> u64 {
            *self.sleeper.alarm_clock().alarm
        }
    }

    fn register_on_two_threads(world: &Arc<World>) -> [thread::JoinHandle<()>; 2] {
        [(0, 7), (1, 5)].map(|(wheel, deadline_ns)| {
            let world = world.clone();
            thread::spawn(move || world.register(wheel, deadline_ns))
        })
    }

    #[test]
    fn no_deadline_is_slept_through() {
        loom::model(|| {
            let world = World::new();
            let registering = register_on_two_threads(&world);
            world.fall_asleep();
            registering.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(world.rings_at(), 5);
        });
    }

    #[test]
    fn who_sleeps_again_sees_what_was_registered_while_it_was_awake() {
        loom::model(|| {
            let world = World::new();
            let registering = register_on_two_threads(&world);
            world.fall_asleep();
            world.sleeper.get_up();
            world.fall_asleep();
            registering.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(world.rings_at(), 5);
        });
    }
}
