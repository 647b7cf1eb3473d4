//! Counts polls and times, as long as somebody wants them: switched on and off while the program
//! runs.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use forebear_hooks::wakes::{WakeWatch, watch};
use forebear_hooks::{
    AsyncHook, AsyncId, EnableError, Events, HookHandle, Kind, Reason, Resource, create_hook,
};

use crate::map::SpreadIds;

/// What was counted of a resource, from when somebody wanted it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// How often it was polled.
    pub polls: u64,
    /// How long it ran altogether.
    pub busy: Duration,
    /// How long its longest poll took. One that has not ended yet counts.
    pub longest_poll: Duration,
    /// How often it was woken while it waited.
    pub wakes: u64,
    /// How often it woke itself while it ran.
    pub self_wakes: u64,
    /// How long it was ready before it ran, altogether: since it was woken or, the first time,
    /// since it was made.
    pub delay: Duration,
    /// The longest of these.
    pub longest_delay: Duration,
    /// Whose code woke it last; `None` if it was a timer or the system.
    pub woken_by: Option<AsyncId>,
    /// How long ago its last poll ended, or began if it has not ended.
    pub last_poll: Option<Duration>,
}

/// What is counted: tasks, and what is polled inside of them and has a name of its own.
const COUNTED: [Kind; 4] = [Kind::TASK, Kind::BLOCK_ON, Kind::BLOCKING, Kind::FLOW];

/// So many resources are counted at once; what comes then is not. 130 MB, if all of them are there.
const COUNTED_MAX: usize = 1 << 20;

/// Counts as long as one of these lives.
#[must_use = "counting ends when it is dropped"]
#[derive(Debug)]
pub struct Counting(());

static SWITCH: Mutex<Switch> = Mutex::new(Switch { users: 0, on: None });

struct Switch {
    users: usize,
    on: Option<(HookHandle<Counter>, WakeWatch)>,
}

fn switch() -> MutexGuard<'static, Switch> {
    SWITCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts polls and times from now on: snapshots have them in
/// [`ResourceInfo::counts`](super::ResourceInfo::counts).
///
/// A poll then costs two readings of the clock and about a tenth of a microsecond. Several may
/// count at once; it is done once for all of them.
///
/// # Errors
/// When as many hooks are enabled as can be.
///
/// ```
/// use forebear_context::inspect;
///
/// let counting = inspect::count()?;
/// // …
/// drop(counting);
/// # Ok::<(), forebear_hooks::EnableError>(())
/// ```
pub fn count() -> Result<Counting, EnableError> {
    let mut switch = switch();
    if switch.on.is_none() {
        let hook = create_hook(Counter::default()).kinds(COUNTED).attach_existing().enable()?;
        switch.on = Some((hook, watch()));
    }
    switch.users += 1;
    Ok(Counting(()))
}

impl Drop for Counting {
    fn drop(&mut self) {
        let mut switch = switch();
        switch.users -= 1;
        let off = if switch.users == 0 { switch.on.take() } else { None };
        drop(switch);
        drop(off);
    }
}

/// The counts of all resources, if they are counted.
pub(super) struct AllCounts(Option<(Arc<Counted>, Instant)>);

impl AllCounts {
    pub(super) fn now() -> AllCounts {
        let on = switch().on.as_ref().map(|(hook, _)| hook.counted.clone());
        AllCounts(on.map(|counted| (counted, Instant::now())))
    }

    pub(super) fn of(&self, id: AsyncId) -> Option<Counts> {
        let (counted, now) = self.0.as_ref()?;
        let one = counted.by_id.get(&id).map(|one| one.clone())?;
        Some(one.read(counted.start, *now))
    }
}

/// Numbers of one resource. Relaxed: each stands for itself.
#[derive(Default)]
struct One {
    polls: AtomicU64,
    busy_ns: AtomicU64,
    longest_poll_ns: AtomicU64,
    wakes: AtomicU64,
    self_wakes: AtomicU64,
    delay_ns: AtomicU64,
    longest_delay_ns: AtomicU64,
    woken_by: AtomicU64,
    /// When it was made or last woken, plus one; 0 when that was counted.
    ready_ns: AtomicU64,
    /// When the wake came that was counted last.
    seen_wake_ns: AtomicU64,
    /// When its last poll began, plus one; 0 before the first.
    began_ns: AtomicU64,
    /// When its last poll ended, plus one; 0 while one runs, and before the first.
    ended_ns: AtomicU64,
}

struct Counted {
    start: Instant,
    by_id: DashMap<AsyncId, Arc<One>, SpreadIds>,
    /// How many these are. Relaxed: a bound that two may overstep at once.
    len: AtomicUsize,
}

/// The hook: one like any user's.
struct Counter {
    counted: Arc<Counted>,
}

impl Default for Counter {
    fn default() -> Counter {
        let (start, by_id) = (Instant::now(), DashMap::with_hasher(SpreadIds));
        Counter { counted: Arc::new(Counted { start, by_id, len: AtomicUsize::new(0) }) }
    }
}

impl Counter {
    fn one(&self, r: &Resource<'_>) -> Option<Arc<One>> {
        if let Some(one) = r.slot::<Arc<One>>() {
            return Some((*one).clone());
        }
        if self.counted.len.load(Ordering::Relaxed) >= COUNTED_MAX {
            return None;
        }
        self.counted.len.fetch_add(1, Ordering::Relaxed);
        let one = Arc::new(One::default());
        self.counted.by_id.insert(r.id(), one.clone());
        r.set_slot(one.clone());
        Some(one)
    }

    fn ns(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.counted.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl AsyncHook for Counter {
    fn events(&self) -> Events {
        Events::INIT | Events::BEFORE | Events::AFTER | Events::DESTROY
    }

    fn init(&self, r: &Resource<'_>) {
        // What existed before was made some other time.
        if !r.is_replayed() {
            if let Some(one) = self.one(r) {
                one.ready_ns.store(self.ns(r.now()) + 1, Ordering::Relaxed);
            }
        }
    }

    fn before(&self, r: &Resource<'_>) {
        let Some(one) = self.one(r) else { return };
        let now_ns = self.ns(r.now());
        one.polls.fetch_add(1, Ordering::Relaxed);
        one.ended_ns.store(0, Ordering::Relaxed);
        one.began_ns.store(now_ns + 1, Ordering::Relaxed);
        if let Some(woken) = r.woken() {
            let at_ns = self.ns(woken.at);
            // The same wake as before: it was polled again for another reason.
            if at_ns > one.seen_wake_ns.swap(at_ns, Ordering::Relaxed) {
                one.ready_ns.store(at_ns + 1, Ordering::Relaxed);
                one.woken_by.store(woken.by.map_or(0, AsyncId::get), Ordering::Relaxed);
            }
        }
        if let Some(ready_ns) = one.ready_ns.swap(0, Ordering::Relaxed).checked_sub(1) {
            let delay_ns = now_ns.saturating_sub(ready_ns);
            one.delay_ns.fetch_add(delay_ns, Ordering::Relaxed);
            one.longest_delay_ns.fetch_max(delay_ns, Ordering::Relaxed);
        }
    }

    fn after(&self, r: &Resource<'_>) {
        let Some(one) = r.slot::<Arc<One>>() else { return };
        let now_ns = self.ns(r.now());
        let began_ns = one.began_ns.load(Ordering::Relaxed).saturating_sub(1);
        let took_ns = now_ns.saturating_sub(began_ns);
        one.busy_ns.fetch_add(took_ns, Ordering::Relaxed);
        one.longest_poll_ns.fetch_max(took_ns, Ordering::Relaxed);
        one.ended_ns.store(now_ns + 1, Ordering::Relaxed);
        let (wakes, self_wakes) = r.wakes();
        one.wakes.store(wakes, Ordering::Relaxed);
        one.self_wakes.store(self_wakes, Ordering::Relaxed);
    }

    fn destroy(&self, r: &Resource<'_>, _reason: Reason) {
        if self.counted.by_id.remove(&r.id()).is_some() {
            self.counted.len.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl One {
    fn read(&self, start: Instant, now: Instant) -> Counts {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let time = |number: &AtomicU64| Duration::from_nanos(load(number));
        let ago = |at_ns: u64| {
            let since = now.saturating_duration_since(start);
            since.saturating_sub(Duration::from_nanos(at_ns))
        };
        let (began, ended) = (load(&self.began_ns), load(&self.ended_ns));
        // A poll that runs counts as far as it has come.
        let running = if began > 0 && ended == 0 { ago(began - 1) } else { Duration::ZERO };
        Counts {
            polls: load(&self.polls),
            busy: time(&self.busy_ns) + running,
            longest_poll: time(&self.longest_poll_ns).max(running),
            wakes: load(&self.wakes),
            self_wakes: load(&self.self_wakes),
            delay: time(&self.delay_ns),
            longest_delay: time(&self.longest_delay_ns),
            woken_by: AsyncId::from_u64(load(&self.woken_by)),
            last_poll: ended.max(began).checked_sub(1).map(ago),
        }
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("counted", &self.counted.len).finish_non_exhaustive()
    }
}
