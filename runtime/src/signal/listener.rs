//! Hears a signal through a socket, which the handler writes to and the driver watches.

use std::io::{self, Read};
use std::os::unix::net;
use std::sync::Arc;

use mio::net::UnixStream;
use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};

use crate::driver::{Registration, Watch};
use crate::scheduler::Shared;

/// Hears a signal until it is dropped. It is no resource: whoever has it is.
pub(crate) struct Listener {
    registration: Registration<UnixStream>,
    handler: SigId,
}

impl Listener {
    pub(crate) fn new(number: i32, shared: Arc<Shared>, watch: Watch) -> io::Result<Listener> {
        if signal_hook::consts::FORBIDDEN.contains(&number) {
            let message = format!("signal {number} cannot be listened to");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (ours, handlers) = net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        handlers.set_nonblocking(true)?;
        let registration = Registration::new(UnixStream::from_std(ours), shared, watch)?;
        let handler = pipe::register(number, handlers)?;
        Ok(Listener { registration, handler })
    }

    pub(crate) fn registration(&self) -> &Registration<UnixStream> {
        &self.registration
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        unregister(self.handler);
    }
}

/// Takes all bytes that are there: several signals count as one.
pub(crate) fn drain(io: &mut impl Read) -> io::Result<()> {
    let mut bytes = [0; 64];
    let mut has_any = false;
    loop {
        match io.read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => has_any = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && has_any => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
