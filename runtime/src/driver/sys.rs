//! Chooses, per platform, how the driver is woken at a point in time.
//!
//! Each side must provide `Alarm` with `new(&mio::Registry)`, `set(Option<Duration>)`, which
//! replaces what was set before and may be called by any thread under a lock, and the constant
//! `IS_ALARM_PRECISE`: whether the alarm ends the driver's sleep by itself. Where it does not,
//! the sleep has to be given the time, which mio rounds up to whole milliseconds, and has to be
//! ended when a sooner deadline comes.
//!
//! And what the system says of streams of bytes: `STREAM_INTEREST`, what they are watched for, and
//! `SHORT_IS_ALL`: whether a read that fills less than the room it was given, or a write that takes
//! less than what it was given, has found the end, so that the next edge will be reported. On Linux
//! that is promised, but for reads that end at urgent data; so that is watched for, too.

pub(crate) use imp::STREAM_INTEREST;
pub(super) use imp::{Alarm, IS_ALARM_PRECISE, SHORT_IS_ALL};

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use mio::Registry;
    use mio::unix::SourceFd;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use crate::driver::reactor::ALARM;
    use crate::io::Interest;

    pub(crate) const STREAM_INTEREST: Interest =
        Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
    pub(crate) const SHORT_IS_ALL: bool = true;
    pub(crate) const IS_ALARM_PRECISE: bool = true;

    /// A timerfd. It is registered edge-triggered, and each expiry is an edge, so it needs no
    /// reading.
    pub(crate) struct Alarm {
        fd: OwnedFd,
        /// It was set, and not disarmed since. It may have gone off.
        is_set: bool,
    }

    impl Alarm {
        pub(crate) fn new(registry: &Registry) -> io::Result<Alarm> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            registry.register(&mut SourceFd(&fd.as_raw_fd()), ALARM, mio::Interest::READABLE)?;
            Ok(Alarm { fd, is_set: false })
        }

        pub(crate) fn set(&mut self, delay: Option<Duration>) {
            // Without timers every sleep would disarm it again, and that is a system call.
            if !std::mem::replace(&mut self.is_set, delay.is_some()) && delay.is_none() {
                return;
            }
            // Zero would disarm it.
            let delay = delay.map_or(Duration::ZERO, |delay| delay.max(Duration::from_nanos(1)));
            let it_value = Timespec {
                tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(delay.subsec_nanos()),
            };
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let spec = Itimerspec { it_interval, it_value };
            if let Err(error) = timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &spec) {
                panic!("the system refuses to set a timer: {error}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::time::Duration;

    use mio::Registry;

    use crate::io::Interest;

    pub(crate) const STREAM_INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);
    pub(crate) const SHORT_IS_ALL: bool = false;
    pub(crate) const IS_ALARM_PRECISE: bool = false;

    pub(crate) struct Alarm;

    impl Alarm {
        pub(crate) fn new(_registry: &Registry) -> io::Result<Alarm> {
            Ok(Alarm)
        }

        pub(crate) fn set(&mut self, _delay: Option<Duration>) {}
    }
}
