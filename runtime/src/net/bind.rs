//! Binds a socket to the first of some addresses that can be had.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::handle::Handle;
use crate::net::{LookupHost, ToSocketAddrs, runtime_for};

/// A socket that can be bound.
pub trait BindTo: Sized {
    /// Binds one, and lets the runtime watch it.
    fn bind_to(
        address: SocketAddr,
        runtime: &Handle,
        location: &'static Location<'static>,
    ) -> io::Result<Self>;
}

/// The future of [`TcpListener::bind`](crate::net::TcpListener::bind) and
/// [`UdpSocket::bind`](crate::net::UdpSocket::bind).
#[must_use = "futures do nothing unless polled"]
pub struct Bind<T> {
    lookup: LookupHost,
    location: &'static Location<'static>,
    bound: PhantomData<fn() -> T>,
}

impl<T> Bind<T> {
    pub(super) fn new(
        target: &(impl ToSocketAddrs + ?Sized),
        location: &'static Location<'static>,
    ) -> Bind<T> {
        Bind { lookup: LookupHost::new(target, location), location, bound: PhantomData }
    }
}

impl<T: BindTo> Future for Bind<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let addresses = ready!(Pin::new(&mut self.lookup).poll(cx))?;
        let location = self.location;
        let runtime = runtime_for(location);
        Poll::Ready(addresses.first(|address| T::bind_to(address, &runtime, location)))
    }
}

impl<T> fmt::Debug for Bind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind").field("lookup", &self.lookup).finish_non_exhaustive()
    }
}
