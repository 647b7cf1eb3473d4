//! Makes one call of the file system, which blocks, as a job of the blocking pool.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::blocking::outcome;
use crate::io::request::Request;
use crate::task::JoinHandle;

impl Request {
    /// Makes a call, from the first poll on.
    pub(super) fn call<T>(
        self,
        call: impl FnOnce() -> io::Result<T> + Send + Sync + 'static,
    ) -> Operation<T> {
        Operation { request: self, state: State::Asked(Box::new(call)) }
    }
}

/// The future of the functions of this module, which make one call each.
///
/// It does nothing before its first poll. Once polled, the call is made even if it is dropped,
/// unless its runtime ends before a thread is free for it.
#[must_use = "futures do nothing unless polled"]
pub struct Operation<T> {
    request: Request,
    state: State<T>,
}

enum State<T> {
    Known(io::Result<T>),
    Asked(Call<T>),
    Begun(JoinHandle<io::Result<T>>),
    Done,
}

type Call<T> = Box<dyn FnOnce() -> io::Result<T> + Send + Sync>;

impl<T> Operation<T> {
    /// An operation for which nothing has to be asked.
    pub(super) fn done(request: Request, result: io::Result<T>) -> Operation<T> {
        Operation { request, state: State::Known(result) }
    }
}

impl<T> Unpin for Operation<T> {}

impl<T: Send + 'static> Future for Operation<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let mut job = match std::mem::replace(&mut self.state, State::Done) {
            State::Known(result) => return Poll::Ready(result),
            State::Asked(call) => self.request.begin(call),
            State::Begun(job) => job,
            State::Done => panic!("{} was polled after it had returned", (self.request.label)()),
        };
        let Poll::Ready(joined) = Pin::new(&mut job).poll(cx) else {
            self.state = State::Begun(job);
            return Poll::Pending;
        };
        Poll::Ready(outcome(joined)?)
    }
}

impl<T> fmt::Debug for Operation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Operation");
        f.field("label", &(self.request.label)());
        match &self.state {
            State::Known(_) | State::Asked(_) => f.field("is_begun", &false),
            State::Begun(job) => f.field("job", job),
            State::Done => f.field("is_done", &true),
        };
        f.finish()
    }
}
