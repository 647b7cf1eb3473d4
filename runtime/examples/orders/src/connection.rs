//! Serves one connection: HTTP/1.1 with keep-alive, one request after the other.
//!
//! Called by `server.rs`, which makes a task of it.

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forebear::interop::hyper::ForebearTimer;
use forebear::net::TcpStream;
use forebear::time::{Duration, timeout};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::select;
use tokio::sync::watch;

use crate::log;
use crate::reply::HEAD_TOO_SLOW;
use crate::routes::{self, Service};
use crate::stream::ClientStream;

/// The head of a request must fit in here; hyper answers 431 if it does not.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// How much more, and for how long, is taken from a client that was told to go.
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// Serves a connection until either side has had enough, or until the service ends.
pub(crate) async fn serve(
    (stream, client): (TcpStream, SocketAddr),
    service: Arc<Service>,
    mut ending: watch::Receiver<bool>,
) {
    let limits = service.limits;
    let has_begun = AtomicBool::new(false);
    let answer = service_fn(|request| {
        // Relaxed: read by the same task that writes it.
        has_begun.store(true, Ordering::Relaxed);
        Box::pin(routes::answer(service.clone(), request))
    });
    let mut connection = http1::Builder::new()
        .timer(ForebearTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(ClientStream::new(stream, limits.write_timeout), answer);
    let ended = select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
        _ = ending.wait_for(|ending| *ending) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        // hyper would wait for a first request.
        None if !has_begun.load(Ordering::Relaxed) => Ok(()),
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        }
    };
    let parts = connection.into_parts();
    let stream = parts.io.into_inner();
    if let Err(error) = ended {
        // A client that was idle is let go without a word, one in the middle of a head is told.
        let is_idle = error.is_timeout() && parts.read_buf.is_empty();
        if !is_idle {
            log::info("connection given up", &[("client", &client), ("why", &error)]);
        }
        if error.is_timeout() && !is_idle {
            let _ = timeout(limits.write_timeout, write_all(&stream, HEAD_TOO_SLOW)).await;
        }
    }
    let _ = timeout(LINGER, linger(&stream)).await;
}

async fn write_all(stream: &TcpStream, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match poll_fn(|cx| stream.poll_write_slice(cx, data)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => data = &data[written..],
        }
    }
    Ok(())
}

/// Reads on until the client has closed its end.
///
/// A socket that is closed with bytes unread resets the connection, and the client loses the answer
/// that told it to go.
async fn linger(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown_std(Shutdown::Write)?;
    let mut thrown_away = 0;
    let mut buffer = [0; 4096];
    while thrown_away < LINGER_BYTES_MAX {
        match poll_fn(|cx| stream.poll_read_slice(cx, &mut buffer)).await? {
            0 => return Ok(()),
            read => thrown_away += read,
        }
    }
    Ok(())
}
