//! Takes the time of a stretch of a program: on the wall, and on all processors together.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What a stretch took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// The time that passed.
    pub time: Duration,
    /// The processor time of all threads of this process.
    pub cpu: Duration,
}

/// A stretch that has begun.
pub(crate) struct Watch {
    begun: Instant,
    cpu: Duration,
}

impl Watch {
    pub(crate) fn start() -> Watch {
        // The processors' clock takes a system call, which is not to be in the other's figure.
        let cpu = cpu();
        Watch { begun: Instant::now(), cpu }
    }

    pub(crate) fn stop(&self) -> Took {
        let time = self.begun.elapsed();
        Took { time, cpu: cpu() - self.cpu }
    }
}

/// What all threads of this process have used until now.
pub(crate) fn cpu() -> Duration {
    // Neither part is ever negative, nor the second more than a second.
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}
