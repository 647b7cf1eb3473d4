//! Makes the owner of a row, and what it owns.
//!
//! What is aborted before its first poll must own its resource before that, so there the resource is
//! made by whoever spawns the owner; else the owner makes it in its first poll.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;

use forebear::flow;
use forebear::hooks::{AsyncResource, Kind};
use forebear::runtime::Handle;
use forebear::task::{Builder, JoinHandle};
use forebear::time::{Duration, interval, sleep, timeout};

use crate::leaf::{Leaf, OWNER, Output, Payload, Stage, panic_as_planned};
use crate::socket;
use crate::system;
use crate::table::{Ending, Subject};

/// Longer than any row takes.
const NEVER: Duration = Duration::from_secs(3600);

/// Long enough to have to be waited for.
const SOON: Duration = Duration::from_micros(300);

/// Spawns the owner. It is a flow root, which changes nothing but for hooks that sample.
pub(crate) fn spawn(subject: Subject, stage: &Arc<Stage>, runtime: &Handle) -> JoinHandle<Output> {
    let task = Builder::new().name("owner").flow_root();
    if subject == Subject::Blocking {
        let _entered = runtime.enter();
        return task.spawn_blocking(closure(stage));
    }
    task.spawn_on(owner(subject, stage), runtime)
}

fn closure(stage: &Arc<Stage>) -> impl FnOnce() -> Output + Send + use<> {
    // Its destructor is that of what the closure holds.
    let leaf = Leaf::new(stage, OWNER, None);
    let stage = stage.clone();
    move || {
        let _held = leaf;
        stage.see("call", OWNER);
        match stage.ending {
            Ending::PanicsInPoll => panic_as_planned(),
            Ending::AbortedDuringPoll => {
                stage.tell_waiting(Waker::noop().clone());
                stage.wait_for_word();
            }
            _ => {}
        }
        Output { stage: stage.clone() }
    }
}

type Owner = Pin<Box<dyn Future<Output = Output> + Send>>;

fn owner(subject: Subject, stage: &Arc<Stage>) -> Owner {
    let is_made_now = stage.ending == Ending::AbortedBeforeFirstPoll;
    let stage = stage.clone();
    match subject {
        Subject::Task | Subject::Blocking => Box::pin(Leaf::new(&stage, OWNER, None)),
        Subject::Flow => {
            let make = move || {
                let flow = flow("subject", Leaf::new(&stage, "flow", None));
                stage.name("flow", flow.id().unwrap());
                flow
            };
            lazily(is_made_now, make, |flow| flow)
        }
        Subject::Instrument => {
            let make = move || {
                let resource = new_resource(&stage);
                resource.instrument(Leaf::new(&stage, "resource", None))
            };
            lazily(is_made_now, make, |future| future)
        }
        Subject::Scope => {
            // The scope is made by the first poll, so what is never polled is the owner's still.
            let whose = if is_made_now { OWNER } else { "resource" };
            let leaf = Leaf::new(&stage, whose, None);
            let scope = |resource: AsyncResource| async move {
                let output = resource.scope(leaf).await;
                resource.emit_destroy();
                output
            };
            lazily(is_made_now, move || new_resource(&stage), scope)
        }
        _ => Box::pin(Leaf::new(&stage, OWNER, Some(payload(subject, is_made_now, &stage)))),
    }
}

/// Returns a future that makes something, now or when it is first polled, and uses it.
fn lazily<T: Send + 'static, F: Future + Send + 'static>(
    is_made_now: bool,
    make: impl FnOnce() -> T + Send + 'static,
    use_it: impl FnOnce(T) -> F + Send + 'static,
) -> Pin<Box<dyn Future<Output = F::Output> + Send>> {
    if is_made_now {
        let made = make();
        Box::pin(async move { use_it(made).await })
    } else {
        Box::pin(async move { use_it(make()).await })
    }
}

fn new_resource(stage: &Stage) -> AsyncResource {
    let resource = AsyncResource::new(Kind::new("SUBJECT"));
    stage.name("resource", resource.id());
    resource
}

/// Says whether what the leaf waits for comes: else it waits for ever, having come so far.
pub(crate) fn comes(ending: Ending) -> bool {
    !matches!(
        ending,
        Ending::PanicsInPoll
            | Ending::PanicsInDrop
            | Ending::AbortedBeforeFirstPoll
            | Ending::AbortedBetweenPolls
            | Ending::AbortedDuringPoll
            | Ending::RuntimeDropped
    )
}

fn payload(subject: Subject, is_made_now: bool, stage: &Arc<Stage>) -> Payload {
    let (its, stage) = (stage.clone(), stage.clone());
    let (ending, is_at_once) = (stage.ending, stage.ending == Ending::Ready);
    match subject {
        Subject::Sleep => {
            let wait = if is_at_once { Duration::ZERO } else { SOON };
            let make = move || {
                let timer = sleep(if comes(ending) { wait } else { NEVER });
                its.name("timer", timer.id().unwrap());
                timer
            };
            lazily(is_made_now, make, move |timer| async move {
                beside(&stage, timer).await;
            })
        }
        Subject::Timeout => {
            let make = move || {
                let limited = async move {
                    if !is_at_once {
                        std::future::pending().await
                    }
                };
                timeout(if comes(ending) && !is_at_once { SOON } else { NEVER }, limited)
            };
            lazily(is_made_now, make, move |timer| async move {
                let elapsed = beside(&stage, timer).await.is_err();
                assert_ne!(elapsed, is_at_once);
            })
        }
        Subject::Interval => {
            let make = move || {
                let ticks = interval(if comes(ending) { SOON } else { NEVER });
                its.name("interval", ticks.id());
                ticks
            };
            lazily(is_made_now, make, move |mut ticks| async move {
                ticks.tick().await;
                if !is_at_once {
                    beside(&stage, ticks.tick()).await;
                }
            })
        }
        Subject::Tcp => {
            let make = move || socket::tcp_listener(&its);
            lazily(is_made_now, make, move |listener| socket::tcp(stage, listener))
        }
        Subject::Unix => {
            let make = move || socket::unix_listener(&its);
            lazily(is_made_now, make, move |listener| socket::unix(stage, listener))
        }
        Subject::Halves => {
            let make = move || socket::unix_pair(&its);
            lazily(is_made_now, make, move |pair| socket::halves(stage, pair))
        }
        Subject::Udp => {
            let make = move || socket::udp_pair(&its);
            lazily(is_made_now, make, move |pair| socket::udp(stage, pair))
        }
        Subject::UnixDatagram => {
            let make = move || socket::datagram_pair(&its);
            lazily(is_made_now, make, move |pair| socket::datagram(stage, pair))
        }
        Subject::Pipe => {
            let make = move || socket::pipe(&its);
            lazily(is_made_now, make, move |ends| socket::through_pipe(stage, ends))
        }
        Subject::AsyncFd => {
            let make = move || socket::async_fd(&its);
            lazily(is_made_now, make, move |pair| socket::through_fd(stage, pair))
        }
        Subject::Signal => {
            let make = move || system::listener(&its);
            lazily(is_made_now, make, move |listener| system::signal_comes(stage, listener))
        }
        Subject::Process => {
            let make = move || system::child(&its);
            lazily(is_made_now, make, move |child| system::process_ends(stage, child))
        }
        Subject::RunInAsyncScope => lazily(
            is_made_now,
            move || new_resource(&its),
            move |resource| async move {
                resource.run_in_async_scope(|| {
                    stage.see("scope", "resource");
                    if ending == Ending::PanicsInPoll {
                        panic_as_planned();
                    }
                });
                if !comes(ending) {
                    stage.stick().await;
                }
                assert!(resource.resolve());
                assert!(!resource.resolve());
                resource.emit_destroy();
            },
        ),
        Subject::Task
        | Subject::Blocking
        | Subject::Flow
        | Subject::Scope
        | Subject::Instrument => unreachable!("it has no payload"),
    }
}

/// Waits for `future`; if it does not come, says so once it has been polled.
pub(crate) async fn beside<F: Future>(stage: &Stage, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut stuck = std::pin::pin!(stage.stick());
    poll_fn(move |cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() && !comes(stage.ending) {
            assert!(stuck.as_mut().poll(cx).is_pending());
        }
        polled
    })
    .await
}
