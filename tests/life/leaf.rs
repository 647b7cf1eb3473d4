//! Is the innermost future of a row: it does what the ending asks for, and notes what it sees.
//!
//! It meets the row on a [`Stage`]: there it leaves its waker when it waits, and there it waits for
//! a word when the row has something to do in the middle of a poll.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};

use forebear::AsyncLocal;
use forebear::hooks::{AsyncId, execution_async_id};
use forebear::testing::Recorder;

use crate::table::Ending;

/// The context of every row. Its count shows which frames are alive.
pub(crate) static CONTEXT: AsyncLocal<Arc<()>> = AsyncLocal::named("row");

/// Panics without a word on standard error: it is part of the row.
pub(crate) fn panic_as_planned() -> ! {
    resume_unwind(Box::new("as planned"))
}

/// What a piece of the row's code saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) place: &'static str,
    /// Whose code it is: the owner's, or that of the resource with this name.
    pub(crate) whose: &'static str,
    pub(crate) current: Option<AsyncId>,
    pub(crate) has_context: bool,
    /// What had been told of the current resource by then.
    pub(crate) heard: Option<String>,
}

pub(crate) const OWNER: &str = "owner";

/// What the row and its leaf share.
pub(crate) struct Stage {
    pub(crate) ending: Ending,
    /// What hears everything, unless nobody listens.
    truth: Option<Arc<Recorder>>,
    waiting: mpsc::Sender<Waker>,
    word: Mutex<mpsc::Receiver<()>>,
    /// The row has done what it does to a task that waits.
    may_end: AtomicBool,
    /// The payload will not be ready any more.
    is_stuck: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    owned: Mutex<Vec<(&'static str, AsyncId)>>,
}

/// The row's side of a stage.
pub(crate) struct Director {
    waiting: mpsc::Receiver<Waker>,
    word: mpsc::Sender<()>,
}

impl Director {
    /// Waits until the leaf waits, and returns its waker.
    pub(crate) fn wait(&self) -> Waker {
        self.waiting.recv().expect("the leaf comes to wait")
    }

    /// Lets a leaf go on that waits in the middle of a poll.
    pub(crate) fn give_word(&self) {
        self.word.send(()).expect("the leaf waits for a word");
    }
}

impl Stage {
    pub(crate) fn new(ending: Ending, truth: Option<Arc<Recorder>>) -> (Arc<Stage>, Director) {
        let (waiting, is_waiting) = mpsc::channel();
        let (give, word) = mpsc::channel();
        let stage = Stage {
            ending,
            truth,
            waiting,
            word: Mutex::new(word),
            may_end: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
            seen: Mutex::default(),
            owned: Mutex::default(),
        };
        (Arc::new(stage), Director { waiting: is_waiting, word: give })
    }

    /// Notes what is seen here.
    pub(crate) fn see(&self, place: &'static str, whose: &'static str) {
        let has_context = CONTEXT.with(|value| value.is_some());
        let current = execution_async_id();
        let heard = self.truth.as_ref().zip(current).map(|(truth, id)| truth.sequence(id));
        let seen = Seen { place, whose, current, has_context, heard };
        self.seen.lock().unwrap().push(seen);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Lets a leaf end that waits: time or the system may wake it before the row does. Release, for
    /// the Acquire of the leaf, so that it finds done what the row did.
    pub(crate) fn let_end(&self) {
        self.may_end.store(true, Ordering::Release);
    }

    /// Says what a resource is called.
    pub(crate) fn name(&self, name: &'static str, id: AsyncId) {
        self.owned.lock().unwrap().push((name, id));
    }

    pub(crate) fn owned(&self) -> Vec<(&'static str, AsyncId)> {
        self.owned.lock().unwrap().clone()
    }

    pub(crate) fn wait_for_word(&self) {
        self.word.lock().unwrap().recv().expect("a word is given");
    }

    pub(crate) fn tell_waiting(&self, waker: Waker) {
        self.waiting.send(waker).expect("the row waits for this");
    }

    /// Waits, and says that it will be for ever. Relaxed: the leaf looks on the same thread.
    pub(crate) async fn stick(&self) {
        self.is_stuck.store(true, Ordering::Relaxed);
        std::future::pending().await
    }

    fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed)
    }
}

/// What the leaf polls before it does its own.
pub(crate) type Payload = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Leaf {
    stage: Arc<Stage>,
    whose: &'static str,
    /// `None` when it is done.
    payload: Option<Payload>,
    has_waited: bool,
}

impl Leaf {
    /// A leaf whose code is that of the resource with this name.
    pub(crate) fn new(stage: &Arc<Stage>, whose: &'static str, payload: Option<Payload>) -> Leaf {
        Leaf { stage: stage.clone(), whose, payload, has_waited: false }
    }

    fn output(&self) -> Poll<Output> {
        Poll::Ready(Output { stage: self.stage.clone() })
    }

    /// The first time, tells the row that it waits. Says whether it is the first time.
    fn tell_once(&mut self, cx: &Context<'_>) -> bool {
        let is_first = !std::mem::replace(&mut self.has_waited, true);
        if is_first {
            self.stage.tell_waiting(cx.waker().clone());
        }
        is_first
    }
}

impl Future for Leaf {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let leaf = &mut *self;
        leaf.stage.see("poll", leaf.whose);
        if let Some(payload) = &mut leaf.payload {
            if payload.as_mut().poll(cx).is_ready() {
                leaf.payload = None;
            }
        }
        let is_done = leaf.payload.is_none();
        let has_come_far = is_done || leaf.stage.is_stuck();
        match leaf.stage.ending {
            Ending::Ready if is_done => leaf.output(),
            Ending::PanicsInPoll if has_come_far => panic_as_planned(),
            Ending::PanicsInDrop if has_come_far => leaf.output(),
            Ending::AbortedBetweenPolls | Ending::RuntimeDropped if has_come_far => {
                leaf.tell_once(cx);
                Poll::Pending
            }
            Ending::AbortedDuringPoll if has_come_far => {
                if leaf.tell_once(cx) {
                    leaf.stage.wait_for_word();
                }
                Poll::Pending
            }
            Ending::Ready
            | Ending::PanicsInPoll
            | Ending::PanicsInDrop
            | Ending::AbortedBetweenPolls
            | Ending::RuntimeDropped
            | Ending::AbortedDuringPoll => Poll::Pending,
            Ending::AbortedBeforeFirstPoll => unreachable!("it was aborted before"),
            Ending::PendingThenReady
            | Ending::PanicsInDropOfOutput
            | Ending::HandleDropped
            | Ending::HandleLeaked
            | Ending::WakerLeaked
            | Ending::PanicsInWakerOfJoiner => {
                if leaf.tell_once(cx) {
                    if leaf.stage.ending == Ending::WakerLeaked {
                        std::mem::forget(cx.waker().clone());
                    }
                    Poll::Pending
                } else if is_done && leaf.stage.may_end.load(Ordering::Acquire) {
                    leaf.output()
                } else {
                    Poll::Pending
                }
            }
        }
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        self.stage.see("drop", self.whose);
        if self.stage.ending == Ending::PanicsInDrop {
            panic_as_planned();
        }
    }
}

/// What the owner returns.
pub(crate) struct Output {
    pub(crate) stage: Arc<Stage>,
}

impl Drop for Output {
    fn drop(&mut self) {
        match self.stage.ending {
            Ending::HandleDropped => self.stage.see("drop of the output", OWNER),
            Ending::PanicsInDropOfOutput => {
                self.stage.see("drop of the output", OWNER);
                panic_as_planned();
            }
            _ => {}
        }
    }
}
