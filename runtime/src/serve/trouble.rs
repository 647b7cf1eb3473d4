//! Says what went wrong with connections: one sentence each, for whoever wants to know.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::hooks::AsyncId;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What went wrong: a connection could not be accepted, or was given up.
///
/// Told to whoever asked for it with [`Serve::on_trouble`](crate::serve::Serve::on_trouble), as code
/// of the connection it is about, or of the server.
pub struct Trouble {
    what: What,
    connection: Option<(AsyncId, String)>,
}

#[derive(Debug)]
pub(super) enum What {
    /// None could be accepted; after so long the server tries again.
    Accept(io::Error, Duration),
    /// What has to be done before the first request failed.
    Handshake(io::Error),
    /// No service could be made for it.
    NoService(BoxError),
    /// The peer was too slow.
    TooSlow(Slow),
    /// What came was no HTTP, or the connection broke.
    Http(hyper::Error),
    /// It was still there when the time for the end was over.
    Abandoned,
}

/// With what a peer was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slow {
    /// The handshake, or the head of a request.
    Head(Duration),
    /// Taking what was written.
    Taking(Duration),
}

impl Trouble {
    pub(super) fn accept(error: io::Error, again_in: Duration) -> Trouble {
        Trouble { what: What::Accept(error, again_in), connection: None }
    }

    pub(super) fn of(connection: AsyncId, peer: &impl fmt::Debug, what: What) -> Trouble {
        Trouble { what, connection: Some((connection, format!("{peer:?}"))) }
    }

    /// Says whether a connection could not be accepted; else one that had been was given up.
    #[must_use]
    pub fn is_accept(&self) -> bool {
        matches!(self.what, What::Accept(..))
    }

    /// Says whether a peer was too slow.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.what, What::TooSlow(_))
    }

    /// Returns the id of the connection it is about, which is that of its socket.
    #[must_use]
    pub fn connection(&self) -> Option<AsyncId> {
        self.connection.as_ref().map(|(id, _)| *id)
    }

    /// Returns who was at the other end.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.connection.as_ref().map(|(_, peer)| peer.as_str())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Accept(error, again_in) => {
                write!(f, "no connection can be accepted: {error}; trying again in {again_in:?}")
            }
            What::Handshake(error) => write!(f, "the handshake failed: {error}"),
            What::NoService(error) => write!(f, "no service could be made: {error}"),
            What::TooSlow(Slow::Head(limit)) => {
                write!(f, "the head of a request took longer than {limit:?}")
            }
            What::TooSlow(Slow::Taking(limit)) => {
                write!(f, "the peer took nothing of an answer for {limit:?}")
            }
            What::Http(error) => match error.source() {
                Some(cause) => write!(f, "{error}: {cause}"),
                None => error.fmt(f),
            },
            What::Abandoned => f.write_str("it had not ended when the server did"),
        }
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trouble")
            .field("what", &self.what)
            .field("connection", &self.connection)
            .finish()
    }
}

impl Error for Trouble {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.what {
            What::Accept(error, _) | What::Handshake(error) => Some(error),
            What::NoService(error) => Some(&**error),
            What::Http(error) => Some(error),
            What::TooSlow(_) | What::Abandoned => None,
        }
    }
}

/// Who is told.
#[derive(Clone, Default)]
pub(super) struct Report(Option<Listener>);

type Listener = Arc<dyn Fn(&Trouble) + Send + Sync>;

impl Report {
    pub(super) fn to(listener: impl Fn(&Trouble) + Send + Sync + 'static) -> Report {
        Report(Some(Arc::new(listener)))
    }

    /// Tells it. What keeps a server from accepting is said on standard error if nobody listens,
    /// once until it is over.
    pub(super) fn tell(&self, trouble: &Trouble, is_first: bool) {
        match &self.0 {
            Some(listener) => listener(trouble),
            None if trouble.is_accept() && is_first => {
                // Standard error may be closed, which is no reason to fail.
                let _ = writeln!(io::stderr(), "{trouble}");
            }
            None => {}
        }
    }
}
