//! Remembers what happened last, in a bounded memory: to be read when something went wrong.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use forebear_hooks::wakes::{WakeWatch, watch};
use forebear_hooks::{AsyncHook, AsyncId, Events, Outcome, Reason, Resource};

use super::chrome::ChromeTrace;
use super::names::{Names, Place};
use super::threads;

/// Threads share this many rings, so that they rarely meet. Each forgets its oldest first.
const RINGS: usize = 16;

/// A hook that remembers the last events, as many as fit into so many bytes: about 40 bytes each.
///
/// ```
/// use std::sync::Arc;
/// use forebear_context::observers::FlightRecorder;
/// use forebear_hooks::{AsyncResource, Kind, create_hook};
///
/// let recorder = Arc::new(FlightRecorder::new(1 << 20));
/// let flight = create_hook(recorder.clone()).enable()?;
/// AsyncResource::new(Kind::new("QUERY")).emit_destroy();
/// assert_eq!(recorder.recording().moments().len(), 2);
/// println!("{}", recorder.recording());
/// # drop(flight);
/// # Ok::<(), forebear_hooks::EnableError>(())
/// ```
#[derive(Debug)]
pub struct FlightRecorder {
    start: Instant,
    names: Names,
    rings: [Mutex<Ring>; RINGS],
    ring_max: usize,
    _watch: Option<WakeWatch>,
}

#[derive(Debug, Default)]
struct Ring {
    moments: VecDeque<Moment>,
    forgotten: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// `init`; `by` is its trigger.
    Init,
    /// `before`; `by` is who woke it last, if wakes are recorded.
    Before,
    /// `after`.
    After,
    /// `promise_resolve`.
    PromiseResolve(Outcome),
    /// `destroy`.
    Destroy(Reason),
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When, in nanoseconds since the recorder was made.
    pub at_ns: u64,
    /// Of which resource.
    pub id: AsyncId,
    /// The other resource that has to do with it: see [`What`].
    pub by: Option<AsyncId>,
    /// What it is, as a number of [`Recording::place`].
    pub place: u32,
    /// On which thread, as a number of [`Recording::thread`].
    pub thread: u16,
    /// What happened.
    pub what: What,
}

const _: () = assert!(size_of::<Moment>() <= 40);

impl FlightRecorder {
    /// Makes one that uses at most about so many bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> FlightRecorder {
        FlightRecorder {
            start: Instant::now(),
            names: Names::new(),
            rings: std::array::from_fn(|_| Mutex::default()),
            ring_max: (max_bytes / size_of::<Moment>() / RINGS).max(1),
            _watch: None,
        }
    }

    /// Makes one that remembers also who woke whom. Each wake costs a reading of the clock then.
    #[must_use]
    pub fn with_wakes(max_bytes: usize) -> FlightRecorder {
        FlightRecorder { _watch: Some(watch()), ..FlightRecorder::new(max_bytes) }
    }

    /// Copies what is remembered.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let (mut moments, mut forgotten) = (Vec::new(), 0);
        for ring in &self.rings {
            let ring = lock(ring);
            moments.extend(ring.moments.iter().copied());
            forgotten += ring.forgotten;
        }
        // Stable: what happened on one thread stays in its order.
        moments.sort_by_key(|moment| moment.at_ns);
        let (places, threads) = (self.names.copy(), threads::names());
        Recording { moments, forgotten, places, threads }
    }

    /// Writes the recording to a file, as a [`ChromeTrace`] in place of the last one, at each panic of
    /// the process if [`install_panic_hook`](crate::inspect::install_panic_hook) was called, and
    /// whenever [`write_recordings`] is.
    pub fn keep_at(self: &Arc<Self>, path: impl Into<PathBuf>) {
        let mut kept = lock(&KEPT);
        kept.retain(|(recorder, _)| recorder.strong_count() > 0);
        kept.push((Arc::downgrade(self), path.into()));
    }

    fn note(&self, r: &Resource<'_>, what: What, by: Option<AsyncId>) {
        let since = r.now().saturating_duration_since(self.start);
        let moment = Moment {
            at_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            id: r.id(),
            by,
            place: self.names.number(r),
            thread: threads::number(),
            what,
        };
        let mut ring = lock(&self.rings[usize::from(moment.thread) % RINGS]);
        if ring.moments.len() >= self.ring_max {
            ring.moments.pop_front();
            ring.forgotten += 1;
        }
        ring.moments.push_back(moment);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Recorders whose recordings are written when something happens, and where.
static KEPT: Mutex<Vec<(Weak<FlightRecorder>, PathBuf)>> = Mutex::new(Vec::new());

/// Writes every recording that is to be [kept](FlightRecorder::keep_at). Returns where they are.
#[must_use]
pub fn write_recordings() -> Vec<PathBuf> {
    let kept = lock(&KEPT).clone();
    let mut written = Vec::new();
    for (recorder, path) in kept {
        let Some(recorder) = recorder.upgrade() else { continue };
        // A full disk is no reason to fail: something else has gone wrong already.
        if write_recording(&recorder.recording(), &path).is_ok() {
            written.push(path);
        }
    }
    written
}

fn write_recording(recording: &Recording, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write!(file, "{}", recording.chrome())?;
    file.flush()
}

impl AsyncHook for FlightRecorder {
    fn events(&self) -> Events {
        Events::ALL
    }

    fn init(&self, r: &Resource<'_>) {
        // What existed before was made some other time.
        if !r.is_replayed() {
            self.note(r, What::Init, r.trigger_id());
        }
    }

    fn before(&self, r: &Resource<'_>) {
        self.note(r, What::Before, r.woken().and_then(|woken| woken.by));
    }

    fn after(&self, r: &Resource<'_>) {
        self.note(r, What::After, None);
    }

    fn promise_resolve(&self, r: &Resource<'_>, outcome: Outcome) {
        self.note(r, What::PromiseResolve(outcome), None);
    }

    fn destroy(&self, r: &Resource<'_>, reason: Reason) {
        self.note(r, What::Destroy(reason), None);
    }
}

/// What a recorder remembered at one time: print it to read it, or print [`chrome`](Recording::chrome)
/// of it to look at it.
#[derive(Clone, Debug)]
pub struct Recording {
    moments: Vec<Moment>,
    forgotten: u64,
    places: Vec<Place>,
    threads: Vec<String>,
}

impl Recording {
    /// Makes one of data.
    #[must_use]
    pub fn of(moments: Vec<Moment>, places: Vec<Place>, threads: Vec<String>) -> Recording {
        Recording { moments, forgotten: 0, places, threads }
    }

    /// Returns what happened, by time.
    #[must_use]
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// Returns how many events were forgotten to make room for these.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Returns what a resource is, by the number of its place.
    #[must_use]
    pub fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(number as usize)
    }

    /// Returns the name of a thread, by its number.
    #[must_use]
    pub fn thread(&self, number: u16) -> &str {
        self.threads.get(usize::from(number)).map_or("unnamed", String::as_str)
    }

    /// Shows it in the format of Chrome, which Perfetto opens.
    #[must_use]
    pub fn chrome(&self) -> ChromeTrace<'_> {
        ChromeTrace::of(self)
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forgotten > 0 {
            writeln!(f, "{} events before these were forgotten", self.forgotten)?;
        }
        for moment in &self.moments {
            let at = Duration::from_nanos(moment.at_ns).as_secs_f64();
            write!(f, "{at:>12.6} {:<16} ", self.thread(moment.thread))?;
            match moment.what {
                What::Init => write!(f, "init            ")?,
                What::Before => write!(f, "before          ")?,
                What::After => write!(f, "after           ")?,
                What::PromiseResolve(outcome) => write!(f, "resolve {outcome:<8?}")?,
                What::Destroy(reason) => write!(f, "destroy {reason:<8?}")?,
            }
            write!(f, " {}", moment.id)?;
            if let Some(place) = self.place(moment.place) {
                write!(f, " {place}")?;
            }
            let by = if moment.what == What::Init { "triggered" } else { "woken" };
            match moment.by {
                Some(id) => writeln!(f, " ({by} by {id})")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
