//! Accepts Unix connections.

use std::fmt;
use std::io;
use std::os::unix::net;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::driver::Watch;
use crate::handle::Handle;
use crate::hooks::life::Birth;
use crate::hooks::{AsyncId, Kind};
use crate::io::Interest;
use crate::io::watched::Watched;
use crate::net::Accept;
use crate::net::accept::{Listens, poll_accept};
use crate::net::raw::{numbered, require_nonblocking};
use crate::net::unix::address::name;
use crate::net::unix::{SocketAddr, UnixStream};
use crate::scheduler::Shared;

/// A Unix socket that accepts connections.
///
/// Dropping it leaves the file that names it.
///
/// # Hooks
/// Its label is the path. `init` when it is bound; a pair around each attempt to accept when the
/// system says that a connection is there; `destroy` at its drop. It holds only such context as
/// says that it may outlive the work that made it. The trigger of an accepted connection is its
/// listener.
///
/// # Examples
/// ```
/// use forebear::net::{UnixListener, UnixStream};
///
/// # let folder = std::env::temp_dir().join(format!("forebear-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("listener.sock");
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let listener = UnixListener::bind(&path)?;
/// let near = UnixStream::connect(&path).await?;
/// let (far, _) = listener.accept().await?;
/// assert_eq!(near.peer_addr()?.as_pathname(), Some(&*path));
/// assert!(far.peer_addr()?.is_unnamed());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener {
    watched: Watched<mio::net::UnixListener>,
}

impl UnixListener {
    /// Binds a socket to a path. On Linux a path that begins with a zero byte is a name that no
    /// file has.
    ///
    /// # Errors
    /// When the path cannot be had: there is something there, or it is too long.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::of(path.as_ref())?)
    }

    /// Binds a socket to an address.
    ///
    /// # Errors
    /// When the address cannot be had.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        let listener = mio::net::UnixListener::bind_addr(address.as_std())?;
        UnixListener::register(listener, shared, location)
    }

    /// Takes over a listener of std's. It must be in non-blocking mode.
    ///
    /// # Errors
    /// When it is in blocking mode, or the system refuses to watch it.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        let (shared, location) = (Handle::current().shared().clone(), Location::caller());
        require_nonblocking(&listener)?;
        UnixListener::register(mio::net::UnixListener::from_std(listener), shared, location)
    }

    pub(super) fn register(
        listener: mio::net::UnixListener,
        shared: Arc<Shared>,
        location: &'static Location<'static>,
    ) -> io::Result<UnixListener> {
        let mut birth = Birth::new(Kind::UNIX_LISTENER, || "listener").location(location);
        if let Some(name) = listener.local_addr().ok().as_ref().and_then(name) {
            birth = birth.name(name);
        }
        let watch = Watch::of(Interest::READABLE);
        Ok(UnixListener { watched: Watched::begin(listener, shared, watch, birth)? })
    }

    /// Gives the listener to std. It stays in non-blocking mode.
    ///
    /// # Errors
    /// Never; it returns a `Result` because tokio's does.
    ///
    /// # Hooks
    /// `destroy`.
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        Ok(self.watched.into_io().into())
    }

    /// Waits for a connection. Several may wait at once.
    ///
    /// # Errors
    /// When the system reports one, such as too many open files: it passes; accept again, after a
    /// pause.
    ///
    /// # Cancel safety
    /// Safe: no connection is lost.
    #[track_caller]
    pub fn accept(&self) -> Accept<'_, UnixListener> {
        Accept::new(self, Location::caller())
    }

    /// Waits for a connection. One task at a time may wait so; any number may with
    /// [`accept`](UnixListener::accept).
    ///
    /// # Errors
    /// As [`accept`](UnixListener::accept).
    #[track_caller]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        poll_accept(self, cx, Location::caller())
    }

    /// Returns the address it is bound to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.watched.io().local_addr().map(SocketAddr::from)
    }

    /// Returns the error that is pending on the socket, which then is not pending any more.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.watched.io().take_error()
    }

    /// Returns the listener's id.
    #[must_use]
    pub fn id(&self) -> AsyncId {
        self.watched.id()
    }
}

impl Listens for UnixListener {
    type Source = mio::net::UnixListener;
    type Accepted = mio::net::UnixStream;
    type Stream = UnixStream;
    type Address = SocketAddr;

    fn watched(&self) -> &Watched<mio::net::UnixListener> {
        &self.watched
    }

    fn accept_from(
        source: &mio::net::UnixListener,
    ) -> io::Result<(mio::net::UnixStream, SocketAddr)> {
        source.accept().map(|(stream, peer)| (stream, peer.into()))
    }

    fn admit(
        &self,
        accepted: mio::net::UnixStream,
        location: &'static Location<'static>,
    ) -> io::Result<UnixStream> {
        let shared = self.watched.shared().clone();
        UnixStream::register_accepted(accepted, shared, self.id(), location)
    }
}

numbered!(UnixListener, listener => listener.watched.io());

impl TryFrom<net::UnixListener> for UnixListener {
    type Error = io::Error;

    /// As [`from_std`](UnixListener::from_std).
    #[track_caller]
    fn try_from(listener: net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::from_std(listener)
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener")
            .field("id", &self.id())
            .field("local_addr", &self.local_addr().ok())
            .finish()
    }
}
