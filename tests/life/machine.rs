//! Is the runtime of a row: its threads can be held up, and its end can be asked for.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use forebear::Lineage;
use forebear::runtime::{Builder, Handle, Runtime, UnhandledPanic};

use crate::table::{Hooks, Subject, Threads};

pub(crate) struct Machine {
    handle: Handle,
    state: State,
    threads: Threads,
    is_for_blocking: bool,
    /// Dropping a sender lets one thread go.
    held: Vec<mpsc::Sender<()>>,
}

enum State {
    Standing(Runtime),
    /// The current-thread flavour, on a thread that runs it until it is told to stop.
    Driven {
        stop: Stop,
        driver: thread::JoinHandle<Runtime>,
    },
    Ended,
}

impl Machine {
    pub(crate) fn new(subject: Subject, threads: Threads, hooks: Hooks) -> Machine {
        let mut builder = match threads {
            Threads::Current => Builder::new_current_thread(),
            Threads::Workers(_) => Builder::new_multi_thread(),
        };
        if let Threads::Workers(workers) = threads {
            builder.worker_threads(workers);
        }
        let lineage = if hooks == Hooks::None { Lineage::Off } else { Lineage::Full };
        builder.lineage(lineage).unhandled_panic(UnhandledPanic::Ignore);
        let runtime = builder.max_blocking_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        let is_for_blocking = subject == Subject::Blocking;
        Machine { handle, state: State::Standing(runtime), threads, is_for_blocking, held: vec![] }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Lets nothing run that comes from now on, until [`release`](Machine::release).
    pub(crate) fn hold(&mut self) {
        let (here, is_here) = mpsc::channel();
        let mut block = || {
            let (release, is_released) = mpsc::channel::<()>();
            self.held.push(release);
            let here = here.clone();
            move || {
                here.send(()).unwrap();
                // It fails when the row lets go.
                let _ = is_released.recv();
            }
        };
        let threads = if self.is_for_blocking {
            drop(self.handle.spawn_blocking(block()));
            1
        } else if let Threads::Workers(workers) = self.threads {
            for _ in 0..workers {
                let block = block();
                drop(self.handle.spawn(async move { block() }));
            }
            workers
        } else {
            // Nobody drives it yet.
            0
        };
        (0..threads).for_each(|_| is_here.recv().unwrap());
    }

    /// Lets everything run.
    pub(crate) fn release(&mut self) {
        self.held.clear();
        if self.threads == Threads::Current {
            let State::Standing(runtime) = std::mem::replace(&mut self.state, State::Ended) else {
                return;
            };
            let stop = Stop::default();
            let told = stop.clone();
            let driver = thread::spawn(move || {
                runtime.block_on(told.wait());
                runtime
            });
            self.state = State::Driven { stop, driver };
        }
    }

    /// Ends the runtime, as dropping it does. While the pool is held up, that is done without
    /// waiting for it: it is let go behind that.
    pub(crate) fn end(&mut self) {
        let runtime = match std::mem::replace(&mut self.state, State::Ended) {
            State::Standing(runtime) => runtime,
            State::Driven { stop, driver } => {
                stop.stop();
                driver.join().unwrap()
            }
            State::Ended => return,
        };
        if self.held.is_empty() {
            drop(runtime);
        } else {
            runtime.shutdown_background();
            self.held.clear();
        }
    }
}

#[derive(Clone, Default)]
struct Stop(Arc<Mutex<(bool, Option<Waker>)>>);

impl Stop {
    fn stop(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
