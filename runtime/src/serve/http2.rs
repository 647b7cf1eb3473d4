//! Speaks HTTP/2 with whoever begins with it.
//!
//! What this file and `without_http2.rs` must provide: [`Http2`], the settings; [`Spoken`], the
//! proof that it is spoken; [`find_out`] and [`serve`].

use std::future::{Future, poll_fn};
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::rt::{Executor, Read, ReadBuf, Write};
use hyper::server::conn::http2;

use crate::enter;
use crate::hooks::Kind;
use crate::hooks::life::Birth;
use crate::interop::hyper::ForebearTimer;
use crate::serve::connection::{House, Tell, tell_broken, tell_over};
use crate::serve::patience::{Over, Patience};
use crate::serve::request::Desk;
use crate::serve::stall::{self, Stalls};
use crate::serve::trouble::{Slow, What};
use crate::serve::welcome::Serves;
use crate::serve::wire::Wire;
use crate::spawn::spawn_on;

/// How HTTP/2 is spoken.
#[derive(Clone)]
pub(super) struct Http2(pub(super) http2::Builder<StreamExecutor>);

impl Http2 {
    pub(super) fn new(location: &'static Location<'static>) -> Http2 {
        let mut builder = http2::Builder::new(StreamExecutor { location });
        // Websockets over HTTP/2 begin so.
        builder.timer(ForebearTimer::new()).enable_connect_protocol();
        Http2(builder)
    }
}

/// The peer has begun with what only HTTP/2 begins with.
pub(super) struct Spoken(());

/// What it begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// So much is read at once: more than most heads have, so that nothing is read in two parts for it.
const READ_BYTES: usize = 1024;

/// Finds out what the peer speaks, by the first thing it says.
pub(super) async fn find_out<T: Read + Write + Unpin>(
    wire: &mut Wire<T>,
) -> io::Result<Option<Spoken>> {
    let mut said: Vec<u8> = Vec::new();
    loop {
        let read = poll_fn(|cx| {
            let mut room = [0; READ_BYTES];
            let mut room = ReadBuf::new(&mut room);
            let read = Pin::new(&mut *wire).poll_read(cx, room.unfilled());
            read.map_ok(|()| {
                said.extend_from_slice(room.filled());
                room.filled().len()
            })
        });
        let is_at_end = read.await? == 0;
        let is_preface = PREFACE.starts_with(&said[..said.len().min(PREFACE.len())]);
        if is_at_end || !is_preface || said.len() >= PREFACE.len() {
            wire.unread(Bytes::from(said));
            return Ok((is_preface && !is_at_end).then_some(Spoken(())));
        }
    }
}

/// Serves a connection that speaks HTTP/2.
pub(super) async fn serve<W, T, S>(
    Spoken(()): Spoken,
    house: &House<W>,
    tell: &Tell,
    mut patience: Patience,
    (mut wire, mut desk): (Wire<T>, Desk<S>),
) where
    T: Read + Write + Unpin + Send + 'static,
    S: Serves,
{
    patience.expect_streams();
    wire.linger_at_shutdown();
    desk.stalls = house.limits.write.map(|limit| {
        let tell = tell.clone();
        let tell = Arc::new(move || tell(What::TooSlow(Slow::Taking(limit))));
        Stalls { limit, location: house.location, tell }
    });
    let status = desk.status.clone();
    let mut connection = house.http2.0.serve_connection(wire, desk);
    loop {
        match patience.wait_for(&mut connection).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => return tell_broken(error, &status, house.limits, tell),
            Err(Over::Idle | Over::Ending) => {
                Pin::new(&mut connection).graceful_shutdown();
                patience.expect_end();
            }
            Err(over) => return tell_over(over, tell),
        }
    }
}

/// Makes tasks of the streams of connections that speak HTTP/2.
///
/// They are named for it, and children of the connection's task.
#[derive(Clone, Debug)]
pub struct StreamExecutor {
    location: &'static Location<'static>,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let birth = Birth::new(Kind::TASK, || "http2 stream").location(self.location);
        let stream = stall::Stream::new(stream, stall::take_next());
        enter::with_current(|shared| drop(spawn_on(shared, birth, stream)));
    }
}
