//! Is the server: a task that accepts, and a task for each connection.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::Exchange;
use crate::peer::Network;

/// As many connections as may come at once: clients do not wait between one and the next.
const BACKLOG: i32 = 4096;

const NAP: Duration = Duration::from_millis(1);

/// Begins to serve, until the runtime ends. Returns where.
pub(crate) fn serve<P: Network>(peer: &P, exchange: Exchange) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    // What std asks for is too little for a crowd.
    rustix::net::listen(&listener, BACKLOG)?;
    let address = listener.local_addr()?;
    P::detach(peer.spawn_from_outside(accept::<P>(listener, exchange)));
    Ok(address)
}

async fn accept<P: Network>(listener: TcpListener, exchange: Exchange) {
    let listener = P::listen(listener).expect("the system has a descriptor for a bench");
    loop {
        let stream = P::accept(&listener).await.expect("clients wait until they are accepted");
        P::detach(P::spawn(converse::<P>(stream, exchange)));
    }
}

fn converse<P: Network>(
    stream: P::Stream,
    exchange: Exchange,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    // How a connection ends is the client's business: it goes away when it has what it wants.
    match exchange {
        Exchange::EchoSmall | Exchange::EchoLarge => Box::pin(async move {
            let _ = echo::<P>(stream, exchange.request().len()).await;
        }),
        Exchange::Hello => Box::pin(http::<P>(stream, false)),
        Exchange::HelloSleep => Box::pin(http::<P>(stream, true)),
    }
}

/// With room for one message, so that idle connections are compared, not their buffers.
async fn echo<P: Network>(mut stream: P::Stream, room: usize) -> io::Result<()> {
    let mut buffer = vec![0; room];
    loop {
        let read = P::read(&mut stream, &mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        P::write_all(&mut stream, &buffer[..read]).await?;
    }
}

/// With hyper's timer, and so with its limit on the time a head may take, as in production.
async fn http<P: Network>(stream: P::Stream, is_slow: bool) {
    let service = service_fn(move |_: Request<Incoming>| async move {
        if is_slow {
            P::spawn(async { P::sleep(NAP).await }).await;
        }
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"Hello, world!"))))
    });
    let mut server = http1::Builder::new();
    let _ = server.timer(P::timer()).serve_connection(P::http(stream), service).await;
}
