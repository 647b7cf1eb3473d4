//! Counts, gauges and histograms per kind, as text that Prometheus reads; with the feature `metrics`
//! also through the crate of that name, to whatever recorder the program has installed.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use forebear_hooks::{AsyncHook, Events, Kind, Reason, Resource};

use super::histogram::{Histogram, Spread};

/// A hook that counts lives and runs per kind.
///
/// | metric | is |
/// |---|---|
/// | `forebear_resources_made_total{kind}` | how many were made |
/// | `forebear_resources_ended_total{kind,reason}` | how many have ended, and why |
/// | `forebear_resources_alive{kind}` | how many are alive |
/// | `forebear_run_seconds{kind}` | how long their code ran at a time: a histogram |
/// | `forebear_life_seconds{kind}` | how long they lived: a histogram |
///
/// ```
/// use forebear_context::observers::KindMetrics;
/// use forebear_hooks::{AsyncResource, Kind, create_hook};
///
/// let metrics = create_hook(KindMetrics::new()).enable()?;
/// let query = AsyncResource::new(Kind::new("QUERY"));
/// let text = metrics.prometheus();
/// assert!(text.contains("forebear_resources_alive{kind=\"QUERY\"} 1\n"));
/// # drop(query);
/// # Ok::<(), forebear_hooks::EnableError>(())
/// ```
#[derive(Debug, Default)]
pub struct KindMetrics {
    kinds: DashMap<Kind, Arc<OfKind>>,
}

const REASONS: [Reason; 5] =
    [Reason::Completed, Reason::Panicked, Reason::Cancelled, Reason::Dropped, Reason::Shutdown];

/// Relaxed: each number stands for itself.
#[derive(Debug)]
struct OfKind {
    made: AtomicU64,
    ended: [AtomicU64; REASONS.len()],
    runs: Histogram,
    lives: Histogram,
    others: others::OfKind,
}

/// What is kept in a resource.
struct Kept {
    of_kind: Arc<OfKind>,
    made: Instant,
    /// When its code began to run: of a socket, two halves may run at once, and one is counted.
    began: std::sync::Mutex<Option<Instant>>,
}

impl KindMetrics {
    /// Makes one that has counted nothing.
    #[must_use]
    pub fn new() -> KindMetrics {
        KindMetrics::default()
    }

    fn of_kind(&self, kind: Kind) -> Arc<OfKind> {
        let new = || {
            Arc::new(OfKind {
                made: AtomicU64::new(0),
                ended: Default::default(),
                runs: Histogram::default(),
                lives: Histogram::default(),
                others: others::OfKind::new(kind),
            })
        };
        self.kinds.entry(kind).or_insert_with(new).clone()
    }

    /// Returns all numbers, as Prometheus reads them.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut kinds: Vec<(Kind, Arc<OfKind>)> =
            self.kinds.iter().map(|one| (*one.key(), one.value().clone())).collect();
        kinds.sort_by_key(|(kind, _)| kind.name());
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = write_all(&mut text, &kinds);
        text
    }
}

fn write_all(to: &mut String, kinds: &[(Kind, Arc<OfKind>)]) -> fmt::Result {
    let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
    writeln!(to, "# HELP forebear_resources_made_total How many resources were made.")?;
    writeln!(to, "# TYPE forebear_resources_made_total counter")?;
    for (kind, one) in kinds {
        let kind = Value(kind.name());
        writeln!(to, "forebear_resources_made_total{{kind=\"{kind}\"}} {}", load(&one.made))?;
    }
    writeln!(to, "# HELP forebear_resources_ended_total How many have ended, and why.")?;
    writeln!(to, "# TYPE forebear_resources_ended_total counter")?;
    for (kind, one) in kinds {
        let kind = Value(kind.name());
        for (reason, ended) in REASONS.iter().zip(&one.ended) {
            write!(to, "forebear_resources_ended_total{{kind=\"{kind}\",reason=\"{reason:?}\"}} ")?;
            writeln!(to, "{}", load(ended))?;
        }
    }
    writeln!(to, "# HELP forebear_resources_alive How many resources are alive.")?;
    writeln!(to, "# TYPE forebear_resources_alive gauge")?;
    for (kind, one) in kinds {
        // Read first: what ends meanwhile was made before.
        let ended: u64 = one.ended.iter().map(load).sum();
        let alive = load(&one.made).saturating_sub(ended);
        writeln!(to, "forebear_resources_alive{{kind=\"{}\"}} {alive}", Value(kind.name()))?;
    }
    let runs = kinds.iter().map(|(kind, one)| (*kind, one.runs.read()));
    write_histogram(to, "forebear_run_seconds", "How long code ran at a time.", runs)?;
    let lives = kinds.iter().map(|(kind, one)| (*kind, one.lives.read()));
    write_histogram(to, "forebear_life_seconds", "How long resources lived.", lives)
}

fn write_histogram(
    to: &mut String,
    name: &str,
    help: &str,
    kinds: impl Iterator<Item = (Kind, Spread)>,
) -> fmt::Result {
    writeln!(to, "# HELP {name} {help}\n# TYPE {name} histogram")?;
    for (kind, spread) in kinds {
        let kind = Value(kind.name());
        for (bound, count) in spread.cumulated() {
            let le = bound.map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            writeln!(to, "{name}_bucket{{kind=\"{kind}\",le=\"{le}\"}} {count}")?;
        }
        writeln!(to, "{name}_sum{{kind=\"{kind}\"}} {}", spread.sum().as_secs_f64())?;
        writeln!(to, "{name}_count{{kind=\"{kind}\"}} {}", spread.count())?;
    }
    Ok(())
}

/// The value of a label, between whose quotes nothing may end it.
struct Value<'a>(&'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' => f.write_str("\\\""),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

impl AsyncHook for KindMetrics {
    fn events(&self) -> Events {
        Events::INIT | Events::BEFORE | Events::AFTER | Events::DESTROY
    }

    fn init(&self, r: &Resource<'_>) {
        let of_kind = self.of_kind(r.kind());
        of_kind.made.fetch_add(1, Ordering::Relaxed);
        of_kind.others.made();
        r.set_slot(Kept { of_kind, made: r.now(), began: std::sync::Mutex::new(None) });
    }

    fn before(&self, r: &Resource<'_>) {
        if let Some(kept) = r.slot::<Kept>() {
            *kept.began.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(r.now());
        }
    }

    fn after(&self, r: &Resource<'_>) {
        let Some(kept) = r.slot::<Kept>() else { return };
        let began = kept.began.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(began) = began {
            let ran = r.now().saturating_duration_since(began);
            kept.of_kind.runs.add(ran);
            kept.of_kind.others.ran(ran);
        }
    }

    fn destroy(&self, r: &Resource<'_>, reason: Reason) {
        let Some(kept) = r.slot::<Kept>() else { return };
        let lived = r.now().saturating_duration_since(kept.made);
        kept.of_kind.lives.add(lived);
        if let Some(place) = REASONS.iter().position(|known| *known == reason) {
            kept.of_kind.ended[place].fetch_add(1, Ordering::Relaxed);
        }
        kept.of_kind.others.ended(reason, lived);
    }
}

/// The same numbers through the crate `metrics`, or nothing. Each side has `OfKind` with these methods.
#[cfg(feature = "metrics")]
mod others {
    use std::fmt;
    use std::time::Duration;

    use forebear_hooks::{Kind, Reason};
    use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

    /// Looked up once per kind, because that takes a lock.
    pub(super) struct OfKind {
        made: Counter,
        ended: [Counter; super::REASONS.len()],
        alive: Gauge,
        runs: Histogram,
        lives: Histogram,
    }

    impl OfKind {
        pub(super) fn new(kind: Kind) -> OfKind {
            let kind = kind.name();
            OfKind {
                made: counter!("forebear_resources_made_total", "kind" => kind),
                ended: super::REASONS.map(|reason| {
                    let reason = format!("{reason:?}");
                    counter!("forebear_resources_ended_total", "kind" => kind, "reason" => reason)
                }),
                alive: gauge!("forebear_resources_alive", "kind" => kind),
                runs: histogram!("forebear_run_seconds", "kind" => kind),
                lives: histogram!("forebear_life_seconds", "kind" => kind),
            }
        }

        pub(super) fn made(&self) {
            self.made.increment(1);
            self.alive.increment(1.0);
        }

        pub(super) fn ran(&self, time: Duration) {
            self.runs.record(time);
        }

        pub(super) fn ended(&self, reason: Reason, lived: Duration) {
            self.alive.decrement(1.0);
            self.lives.record(lived);
            if let Some(place) = super::REASONS.iter().position(|known| *known == reason) {
                self.ended[place].increment(1);
            }
        }
    }

    impl fmt::Debug for OfKind {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("OfKind").finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod others {
    use std::time::Duration;

    use forebear_hooks::{Kind, Reason};

    #[derive(Debug)]
    pub(super) struct OfKind;

    impl OfKind {
        pub(super) fn new(_kind: Kind) -> OfKind {
            OfKind
        }

        pub(super) fn made(&self) {}

        pub(super) fn ran(&self, _time: Duration) {}

        pub(super) fn ended(&self, _reason: Reason, _lived: Duration) {}
    }
}
