//! Lets crates that were written for other runtimes run on this one.

#[cfg(feature = "futures-io")]
mod futures_io; // the I/O traits of futures-io
#[cfg(feature = "hyper")]
pub mod hyper; // hyper's executor, timers, and I/O traits
#[cfg(feature = "tokio-bridge")]
pub use crate::bridge::present as tokio_bridge; // what insists on tokio's runtime
#[cfg(feature = "client")]
pub mod client; // hyper-util's client
#[cfg(feature = "tower")]
pub mod tower; // tower's layers that need a timer
#[cfg(feature = "tokio-io")]
mod tokio_io; // tokio's I/O traits

/// Calls a macro with each type that bytes can be read from, as `parameter => type`: the parameter
/// is a connection's type, where there is one.
#[cfg(any(feature = "futures-io", feature = "hyper", feature = "tokio-io"))]
macro_rules! reading_sides {
    ($implement:ident) => {
        $implement!(=> crate::net::TcpStream);
        $implement!(S => crate::net::split::ReadHalf<'_, S>);
        $implement!(S => crate::net::split::OwnedReadHalf<S>);
        #[cfg(unix)]
        $implement!(=> crate::net::UnixStream);
        #[cfg(unix)]
        $implement!(=> crate::net::unix::pipe::Receiver);
        #[cfg(all(unix, feature = "process"))]
        $implement!(=> crate::process::ChildStdout);
        #[cfg(all(unix, feature = "process"))]
        $implement!(=> crate::process::ChildStderr);
    };
}

/// As [`reading_sides`], for what bytes can be written to.
#[cfg(any(feature = "futures-io", feature = "hyper", feature = "tokio-io"))]
macro_rules! writing_sides {
    ($implement:ident) => {
        $implement!(=> crate::net::TcpStream);
        $implement!(S => crate::net::split::WriteHalf<'_, S>);
        $implement!(S => crate::net::split::OwnedWriteHalf<S>);
        #[cfg(unix)]
        $implement!(=> crate::net::UnixStream);
        #[cfg(unix)]
        $implement!(=> crate::net::unix::pipe::Sender);
        #[cfg(all(unix, feature = "process"))]
        $implement!(=> crate::process::ChildStdin);
    };
}

#[cfg(any(feature = "futures-io", feature = "hyper", feature = "tokio-io"))]
pub(crate) use {reading_sides, writing_sides};
