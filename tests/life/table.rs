//! Says what must be told of every resource, however it ends.
//!
//! Each resource but a blocking job lives inside a task, its owner, which is what ends in the way
//! the row says. So a row has two sequences: the owner's, and those of what it owns.

use std::fmt;

/// How the owner ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Ready,
    PendingThenReady,
    PanicsInPoll,
    /// It is ready (or was never started), and its destructor panics.
    PanicsInDrop,
    /// Nobody can take its output, whose destructor panics.
    PanicsInDropOfOutput,
    AbortedBeforeFirstPoll,
    AbortedBetweenPolls,
    AbortedDuringPoll,
    HandleDropped,
    HandleLeaked,
    WakerLeaked,
    /// The waker of whoever joins it panics.
    PanicsInWakerOfJoiner,
    RuntimeDropped,
}

impl Ending {
    pub(crate) const ALL: [Ending; 13] = [
        Ending::Ready,
        Ending::PendingThenReady,
        Ending::PanicsInPoll,
        Ending::PanicsInDrop,
        Ending::PanicsInDropOfOutput,
        Ending::AbortedBeforeFirstPoll,
        Ending::AbortedBetweenPolls,
        Ending::AbortedDuringPoll,
        Ending::HandleDropped,
        Ending::HandleLeaked,
        Ending::WakerLeaked,
        Ending::PanicsInWakerOfJoiner,
        Ending::RuntimeDropped,
    ];

    fn course(self) -> Course {
        match self {
            Ending::Ready => Course::AtOnce,
            Ending::PendingThenReady
            | Ending::PanicsInDropOfOutput
            | Ending::HandleDropped
            | Ending::HandleLeaked
            | Ending::WakerLeaked
            | Ending::PanicsInWakerOfJoiner => Course::Waits,
            Ending::PanicsInPoll => Course::PanicsInPoll,
            Ending::PanicsInDrop => Course::PanicsInDrop,
            Ending::AbortedBeforeFirstPoll => Course::NeverPolled,
            Ending::AbortedBetweenPolls | Ending::AbortedDuringPoll => Course::Aborted,
            Ending::RuntimeDropped => Course::Stopped,
        }
    }
}

/// Endings that look the same from within.
#[derive(Clone, Copy)]
enum Course {
    AtOnce,
    /// The first poll is pending, and a later one ready.
    Waits,
    PanicsInPoll,
    PanicsInDrop,
    NeverPolled,
    Aborted,
    Stopped,
}

/// What lives and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The owner itself.
    Task,
    Blocking,
    /// `flow(..)` around the leaf.
    Flow,
    Sleep,
    Timeout,
    Interval,
    /// A listener, and both ends of a connection.
    Tcp,
    /// The same, within the machine.
    Unix,
    /// A connection that is divided into halves, which are one resource.
    Halves,
    Udp,
    UnixDatagram,
    Pipe,
    /// A descriptor of std's.
    AsyncFd,
    /// A signal that the process sends itself.
    Signal,
    /// A program that was begun.
    Process,
    /// An `AsyncResource` by `run_in_async_scope`.
    RunInAsyncScope,
    /// An `AsyncResource` by `scope` around the leaf.
    Scope,
    /// An `AsyncResource` by `instrument` around the leaf.
    Instrument,
}

impl Subject {
    pub(crate) const ALL: [Subject; 18] = [
        Subject::Task,
        Subject::Blocking,
        Subject::Flow,
        Subject::Sleep,
        Subject::Timeout,
        Subject::Interval,
        Subject::Tcp,
        Subject::Unix,
        Subject::Halves,
        Subject::Udp,
        Subject::UnixDatagram,
        Subject::Pipe,
        Subject::AsyncFd,
        Subject::Signal,
        Subject::Process,
        Subject::RunInAsyncScope,
        Subject::Scope,
        Subject::Instrument,
    ];

    /// Says whether time, or the system, determines how often the owner is polled.
    fn is_waited_for(self) -> bool {
        match self {
            Subject::Sleep | Subject::Timeout | Subject::Interval => true,
            Subject::Tcp | Subject::Unix | Subject::Halves => true,
            Subject::Udp | Subject::UnixDatagram | Subject::Pipe | Subject::AsyncFd => true,
            Subject::Signal | Subject::Process => true,
            Subject::Task | Subject::Blocking | Subject::Flow => false,
            Subject::RunInAsyncScope | Subject::Scope | Subject::Instrument => false,
        }
    }
}

/// Which threads run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The current-thread flavour.
    Current,
    Workers(usize),
}

impl Threads {
    pub(crate) const ALL: [Threads; 4] =
        [Threads::Current, Threads::Workers(1), Threads::Workers(2), Threads::Workers(8)];
}

/// Who listens. Wherever anybody does, one recorder hears everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hooks {
    /// Nobody, the map included.
    None,
    One,
    Three,
    /// Another is enabled and disabled by another thread all the time.
    Toggled,
    /// Another is told half of all flows; the owner is a flow root.
    Sampled,
    /// Five others panic, each at another event.
    Panicking,
}

impl Hooks {
    pub(crate) const ALL: [Hooks; 6] =
        [Hooks::None, Hooks::One, Hooks::Three, Hooks::Toggled, Hooks::Sampled, Hooks::Panicking];
}

/// What must be told: patterns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) owner: Pattern,
    pub(crate) owned: &'static [(&'static str, &'static str)],
}

/// A pattern of an owner, in which `…` stands for the polls that come before the last, if the
/// resource determines how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    text: &'static str,
    is_waited_for: bool,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self.text.replace('…', if self.is_waited_for { "[before after]*" } else { "" }),
        )
    }
}

pub(crate) fn told(subject: Subject, ending: Ending) -> Result<Told, &'static str> {
    if subject == Subject::Blocking {
        let pattern = Pattern { text: blocking(ending)?, is_waited_for: false };
        return Ok(Told { owner: pattern, owned: &[] });
    }
    let course = ending.course();
    let text = match (subject, course) {
        // Its destructor runs inside the poll of the owner, which does not catch it.
        (Subject::Scope, Course::PanicsInDrop) => task(Course::PanicsInPoll),
        _ => task(course),
    };
    let owned = match subject {
        Subject::Task | Subject::Blocking => &[],
        Subject::Flow => flow(course),
        Subject::Sleep => sleep(course),
        Subject::Timeout => timeout(course),
        Subject::Interval => interval(course),
        Subject::Tcp | Subject::Unix => connection(course),
        Subject::Halves | Subject::Udp | Subject::UnixDatagram | Subject::Pipe => pair(course),
        Subject::AsyncFd => one(course),
        Subject::Signal => signal(course),
        Subject::Process => process(course),
        Subject::RunInAsyncScope => run_in_async_scope(course),
        Subject::Scope => scope(course),
        Subject::Instrument => instrument(course),
    };
    Ok(Told { owner: Pattern { text, is_waited_for: subject.is_waited_for() }, owned })
}

fn task(course: Course) -> &'static str {
    match course {
        Course::AtOnce | Course::PanicsInDrop => {
            "init … before resolve:Ready after destroy:Completed"
        }
        Course::Waits => "init before after … before resolve:Ready after destroy:Completed",
        Course::PanicsInPoll => "init … before resolve:Panicked after destroy:Panicked",
        Course::NeverPolled => "init before resolve:Cancelled after destroy:Cancelled",
        Course::Aborted => "init … before after before resolve:Cancelled after destroy:Cancelled",
        Course::Stopped => "init … before after before resolve:Cancelled after destroy:Shutdown",
    }
}

fn blocking(ending: Ending) -> Result<&'static str, &'static str> {
    match ending {
        Ending::Ready
        | Ending::HandleDropped
        | Ending::HandleLeaked
        | Ending::PanicsInDropOfOutput
        | Ending::PanicsInWakerOfJoiner
        // Once it has started, nothing stops it.
        | Ending::AbortedDuringPoll => Ok("init before resolve:Ready after destroy:Completed"),
        Ending::PanicsInPoll => Ok("init before resolve:Panicked after destroy:Panicked"),
        Ending::AbortedBeforeFirstPoll | Ending::PanicsInDrop => {
            Ok("init before resolve:Cancelled after destroy:Cancelled")
        }
        Ending::RuntimeDropped => Ok("init before resolve:Cancelled after destroy:Shutdown"),
        Ending::PendingThenReady | Ending::AbortedBetweenPolls => Err("a closure is run once"),
        Ending::WakerLeaked => Err("a closure gets no waker"),
    }
}

type Owned = &'static [(&'static str, &'static str)];

fn flow(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::PanicsInDrop => {
            &[("flow", "init before resolve:Ready after destroy:Completed")]
        }
        Course::Waits => {
            &[("flow", "init before after before resolve:Ready after destroy:Completed")]
        }
        Course::PanicsInPoll => &[("flow", "init before resolve:Panicked after destroy:Panicked")],
        Course::NeverPolled => &[("flow", "init before resolve:Cancelled after destroy:Cancelled")],
        Course::Aborted | Course::Stopped => {
            &[("flow", "init before after before resolve:Cancelled after destroy:Cancelled")]
        }
    }
}

fn sleep(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::Waits => {
            &[("timer", "init before resolve:Ready after destroy:Completed")]
        }
        _ => &[("timer", "init destroy:Dropped")],
    }
}

fn timeout(course: Course) -> Owned {
    match course {
        // What it limits is ready, and so it never elapses.
        Course::AtOnce => &[("timer", "init destroy:Dropped")],
        _ => sleep(course),
    }
}

fn interval(course: Course) -> Owned {
    match course {
        Course::Waits => &[("interval", "init before after before after destroy:Dropped")],
        Course::NeverPolled => &[("interval", "init destroy:Dropped")],
        _ => &[("interval", "init before after destroy:Dropped")],
    }
}

/// Attempts that find nothing have a pair, too, so their number is the system's.
fn connection(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::Waits => &[
            ("listener", "init [before after]+ destroy:Dropped"),
            ("connected", "init [before after]+ destroy:Dropped"),
            ("accepted", "init [before after]+ destroy:Dropped"),
        ],
        Course::NeverPolled => &[("listener", "init destroy:Dropped")],
        _ => &[
            ("listener", "init [before after]+ destroy:Dropped"),
            ("connected", "init [before after]+ destroy:Dropped"),
            // It waits for something to read, and nothing comes.
            ("accepted", "init [before after]* destroy:Dropped"),
        ],
    }
}

/// One end writes to the other.
fn pair(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::Waits => &[
            ("near", "init [before after]+ destroy:Dropped"),
            ("far", "init [before after]+ destroy:Dropped"),
        ],
        Course::NeverPolled => &[("near", "init destroy:Dropped"), ("far", "init destroy:Dropped")],
        // The near end does nothing, and the far end waits for something to read.
        _ => &[("near", "init destroy:Dropped"), ("far", "init [before after]* destroy:Dropped")],
    }
}

fn one(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::Waits => &[("far", "init [before after]+ destroy:Dropped")],
        Course::NeverPolled => &[("far", "init destroy:Dropped")],
        _ => &[("far", "init [before after]* destroy:Dropped")],
    }
}

fn signal(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::Waits => &[("signal", "init [before after]+ destroy:Dropped")],
        Course::NeverPolled => &[("signal", "init destroy:Dropped")],
        _ => &[("signal", "init [before after]* destroy:Dropped")],
    }
}

/// Looks that find that it still runs have a pair, too.
fn process(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::Waits => {
            &[("process", "init [before after]* before resolve:Ready after destroy:Completed")]
        }
        Course::NeverPolled => &[("process", "init destroy:Dropped")],
        _ => &[("process", "init [before after]* destroy:Dropped")],
    }
}

fn run_in_async_scope(course: Course) -> Owned {
    match course {
        // `resolve` outside its scope opens a pair of its own.
        Course::AtOnce | Course::Waits => {
            &[("resource", "init before after before resolve:Ready after destroy:Completed")]
        }
        Course::NeverPolled => &[("resource", "init destroy:Dropped")],
        _ => &[("resource", "init before after destroy:Dropped")],
    }
}

/// Where the leaf is dropped unfinished, that has a pair.
fn scope(course: Course) -> Owned {
    match course {
        Course::AtOnce => &[("resource", "init before after destroy:Completed")],
        Course::Waits => &[("resource", "init before after before after destroy:Completed")],
        Course::PanicsInDrop => &[("resource", "init before after destroy:Dropped")],
        Course::NeverPolled => &[("resource", "init destroy:Dropped")],
        Course::PanicsInPoll | Course::Aborted | Course::Stopped => {
            &[("resource", "init before after before after destroy:Dropped")]
        }
    }
}

fn instrument(course: Course) -> Owned {
    match course {
        Course::AtOnce | Course::PanicsInDrop => {
            &[("resource", "init before resolve:Ready after destroy:Completed")]
        }
        Course::Waits => {
            &[("resource", "init before after before resolve:Ready after destroy:Completed")]
        }
        Course::PanicsInPoll => &[("resource", "init before after before after destroy:Panicked")],
        Course::NeverPolled => &[("resource", "init before after destroy:Cancelled")],
        Course::Aborted | Course::Stopped => {
            &[("resource", "init before after before after destroy:Cancelled")]
        }
    }
}
