//! Serves one connection: the handshake, then HTTP in the version that the peer speaks, then an end
//! that lets the peer read the last answer.
//!
//! Called by `accept.rs`, which makes a task of it.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;

use crate::hooks::AsyncId;
use crate::serve::Limits;
use crate::serve::http2::{self, Http2};
use crate::serve::patience::{Over, Patience};
use crate::serve::request::Desk;
use crate::serve::roster::{Roster, Ticket};
use crate::serve::status::Status;
use crate::serve::trouble::{Report, Slow, Trouble, What};
use crate::serve::welcome::{Maker, Serves, Welcome};
use crate::serve::wire::Wire;

/// What all connections of a server have in common.
pub(super) struct House<W> {
    pub(super) welcome: W,
    pub(super) limits: Limits,
    pub(super) http1: http1::Builder,
    #[cfg_attr(not(feature = "serve-http2"), allow(dead_code, reason = "nobody speaks it"))]
    pub(super) http2: Http2,
    pub(super) roster: Arc<Roster>,
    pub(super) report: Report,
    pub(super) location: &'static Location<'static>,
}

/// Who has come.
pub(super) struct Arrival<T, P> {
    pub(super) stream: T,
    pub(super) id: AsyncId,
    pub(super) peer: P,
    pub(super) status: Arc<Status>,
    pub(super) ticket: Ticket,
    /// For how long it may take nothing, if the system does not see to that.
    pub(super) write_timeout: Option<Duration>,
}

/// What the parts of a connection say when it has gone wrong.
pub(super) type Tell = Arc<dyn Fn(What) + Send + Sync>;

/// The answer to a head that does not come to its end.
const HEAD_TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-length: 0\r\n\
    connection: close\r\n\
    \r\n";

/// Serves a connection until either side has had enough.
pub(super) async fn serve<T, P, M, W>(house: Arc<House<W>>, maker: M, arrival: Arrival<T, P>)
where
    P: fmt::Debug + Send + Sync + 'static,
    M: Maker<P>,
    W: Welcome<T>,
{
    let Arrival { stream, id, peer, status, ticket, write_timeout } = arrival;
    let peer = Arc::new(peer);
    let tell: Tell = {
        let (report, peer) = (house.report.clone(), peer.clone());
        Arc::new(move |what| report.tell(&Trouble::of(id, &*peer, what), true))
    };
    let House { limits, roster, location, .. } = &*house;
    let mut patience = Patience::new(*limits, roster.clone(), status.clone(), location);

    // A handshake has the time of a head.
    status.note_bytes();
    let io = match patience.wait_for(house.welcome.welcome(stream)).await {
        Ok(Ok(io)) => io,
        Ok(Err(error)) => return tell(What::Handshake(error)),
        Err(over) => return tell_over(over, &tell),
    };
    let service = match patience.wait_for(maker.make(&peer)).await {
        Ok(Ok(service)) => service,
        Ok(Err(error)) => return tell(What::NoService(error)),
        Err(over) => return tell_over(over, &tell),
    };
    status.forget_bytes();
    let mut wire = Wire::new(io, (status.clone(), ticket), write_timeout, location);
    let desk = Desk {
        service,
        body_timeout: limits.body,
        location,
        status,
        roster: roster.clone(),
        stalls: None,
    };
    match patience.wait_for(http2::find_out(&mut wire)).await {
        Ok(Ok(None)) => http1(&house, &tell, patience, (wire, desk)).await,
        Ok(Ok(Some(spoken))) => {
            let serve = http2::serve(spoken, &house, &tell, patience, (wire, desk));
            // Few speak it, and it is large.
            Box::pin(serve).await;
        }
        Ok(Err(error)) => tell(What::Handshake(error)),
        Err(over) => {
            tell_over(over, &tell);
            give_up(wire, over).await;
        }
    }
}

/// Serves a connection that speaks HTTP/1.
async fn http1<W, T, S>(
    house: &House<W>,
    tell: &Tell,
    mut patience: Patience,
    (wire, desk): (Wire<T>, Desk<S>),
) where
    T: Read + Write + Unpin + Send + 'static,
    S: Serves,
{
    let status = desk.status.clone();
    let mut connection = house.http1.serve_connection(wire, desk).with_upgrades();
    let mut ended = patience.wait_for(&mut connection).await;
    if matches!(ended, Err(Over::Idle)) {
        // Nothing has come. It closes at once, unless there is something left to be written.
        std::pin::Pin::new(&mut connection).graceful_shutdown();
        patience.expect_end();
        ended = patience.wait_for(&mut connection).await;
    }
    let wire = connection.into_parts().map(|parts| parts.io);
    match ended {
        Ok(Ok(())) => close(wire).await,
        Ok(Err(error)) => {
            tell_broken(error, &status, house.limits, tell);
            close(wire).await;
        }
        Err(over) => {
            tell_over(over, tell);
            if let Some(wire) = wire {
                give_up(wire, over).await;
            }
        }
    }
}

/// Closes what has not been made something else of. The peer may be gone, which is no trouble.
async fn close<T: Read + Write + Unpin>(wire: Option<Wire<T>>) {
    if let Some(wire) = wire {
        let _: io::Result<()> = wire.close(b"").await;
    }
}

async fn give_up<T: Read + Write + Unpin>(wire: Wire<T>, over: Over) {
    if let Over::Slow(_) = over {
        let words = if wire.is_blocked() { b"" } else { HEAD_TOO_SLOW };
        let _: io::Result<()> = wire.close(words).await;
    }
}

pub(super) fn tell_over(over: Over, tell: &Tell) {
    match over {
        Over::Slow(limit) => tell(What::TooSlow(Slow::Head(limit))),
        Over::Abandoned => tell(What::Abandoned),
        Over::Idle | Over::Ending | Over::Stays => {}
    }
}

pub(super) fn tell_broken(error: hyper::Error, status: &Status, limits: Limits, tell: &Tell) {
    match limits.write {
        Some(limit) if status.is_stalled() => tell(What::TooSlow(Slow::Taking(limit))),
        _ => tell(What::Http(error)),
    }
}
