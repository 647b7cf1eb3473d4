//! Holds the methods that sockets of one sort have in common: written once, and put into each type
//! by name, so that each type shows them as its own.
//!
//! | macro | for | needs |
//! |---|---|---|
//! | `waiting` | what reads and writes | `watched()` |
//! | `reading` | what bytes can be read from | [`ReadSide`](crate::net::side::ReadSide) |
//! | `writing` | what bytes can be written to | [`WriteSide`](crate::net::side::WriteSide) |
//! | `messaging` | what carries messages | `watched()`, and the type of addresses |
//! | `ip_settings` | what speaks the internet protocol | `settings()` |

/// Waiting for readiness, and operations of the caller's own.
macro_rules! waiting {
    () => {
        /// Waits until the socket is ready for any of this, and says for what. Several may wait at
        /// once.
        ///
        /// An operation may block all the same: readiness can be out of date. It stays noted until
        /// an operation of this socket finds that it would block.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        ///
        /// # Hooks
        /// Emits nothing: the operation that follows does.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.watched().ready(interest).await
        }

        /// Waits until there may be something to read. Several may wait at once.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        ///
        /// # Hooks
        /// Emits nothing: the operation that follows does.
        pub async fn readable(&self) -> io::Result<()> {
            self.ready(Interest::READABLE).await.map(drop)
        }

        /// Waits until something can probably be written. Several may wait at once.
        ///
        /// # Errors
        /// When the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe.
        ///
        /// # Hooks
        /// Emits nothing: the operation that follows does.
        pub async fn writable(&self) -> io::Result<()> {
            self.ready(Interest::WRITABLE).await.map(drop)
        }

        /// Tries an operation of your own on the socket, if it is ready; else it would block. The
        /// operation must do to this socket what `interest` says, and must say so if it would
        /// block.
        ///
        /// # Errors
        /// The operation's own, and [`WouldBlock`](io::ErrorKind::WouldBlock).
        ///
        /// # Hooks
        /// A pair around the operation.
        pub fn try_io<R>(
            &self,
            interest: Interest,
            f: impl FnOnce() -> io::Result<R>,
        ) -> io::Result<R> {
            // Through mio, which on Windows has to know of operations that would block.
            self.watched().try_io(interest, |attempt| attempt.io.try_io(f))
        }

        /// Waits until the socket is ready, and tries an operation of your own; if that would
        /// block, waits again. See [`try_io`](Self::try_io).
        ///
        /// # Errors
        /// The operation's own, and when the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe: between a try that succeeds and the return there is no waiting.
        ///
        /// # Hooks
        /// A pair around each try.
        pub async fn async_io<R>(
            &self,
            interest: Interest,
            mut f: impl FnMut() -> io::Result<R>,
        ) -> io::Result<R> {
            self.watched().async_io(interest, |attempt| attempt.io.try_io(&mut f)).await
        }

        /// Returns the error that is pending on the socket, which then is not pending any more.
        ///
        /// # Errors
        /// When the system does not say.
        pub fn take_error(&self) -> io::Result<Option<io::Error>> {
            self.watched().io().take_error()
        }

        /// Returns its id.
        #[must_use]
        pub fn id(&self) -> AsyncId {
            self.watched().id()
        }
    };
}

/// Reading bytes.
macro_rules! reading {
    () => {
        /// Waits until there may be something to read.
        ///
        /// One task at a time may read or wait so; any number may wait with
        /// [`readable`](Self::readable).
        ///
        /// # Errors
        /// When the runtime has ended.
        pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.reader().poll_ready(cx, Interest::READABLE)
        }

        /// Reads what is there, or says that it would block. 0 bytes are the end, unless the buffer
        /// has no room.
        ///
        /// # Errors
        /// The system's, and [`WouldBlock`](io::ErrorKind::WouldBlock), also if the system has not
        /// said yet that there is something.
        ///
        /// # Hooks
        /// A pair, unless nothing is known to be there.
        pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reader().try_read(buffer)
        }

        /// As [`try_read`](Self::try_read), to several slices, one after another.
        ///
        /// # Errors
        /// As [`try_read`](Self::try_read).
        ///
        /// # Hooks
        /// As [`try_read`](Self::try_read).
        pub fn try_read_vectored(&self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
            self.reader().try_read_vectored(buffers)
        }

        /// As [`try_read`](Self::try_read), to a buffer that may grow, behind what is in it.
        ///
        /// # Errors
        /// As [`try_read`](Self::try_read).
        ///
        /// # Hooks
        /// As [`try_read`](Self::try_read).
        #[cfg(feature = "io-util")]
        pub fn try_read_buf<B: bytes::BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
            self.reader().try_read_room(&mut crate::io::room::Growing(buffer))
        }

        /// Waits until there is something to read, and reads it. 0 bytes are the end.
        ///
        /// One task at a time may read.
        ///
        /// # Errors
        /// The system's, and when the runtime has ended.
        ///
        /// # Hooks
        /// A pair around each try.
        pub fn poll_read_slice(
            &self,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.reader().poll_read(cx, buffer)
        }

        /// As [`poll_read_slice`](Self::poll_read_slice), to several slices.
        ///
        /// # Errors
        /// The system's, and when the runtime has ended.
        ///
        /// # Hooks
        /// A pair around each try.
        pub fn poll_read_slices(
            &self,
            cx: &mut Context<'_>,
            buffers: &mut [io::IoSliceMut<'_>],
        ) -> Poll<io::Result<usize>> {
            self.reader().poll_read_vectored(cx, buffers)
        }
    };
}

/// Writing bytes.
macro_rules! writing {
    () => {
        /// Waits until something can probably be written.
        ///
        /// One task at a time may write or wait so; any number may wait with
        /// [`writable`](Self::writable).
        ///
        /// # Errors
        /// When the runtime has ended.
        pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.writer().poll_ready(cx, Interest::WRITABLE)
        }

        /// Writes as much as can be written now, or says that it would block.
        ///
        /// # Errors
        /// The system's, and [`WouldBlock`](io::ErrorKind::WouldBlock), also if the system has not
        /// said yet that something can be written.
        ///
        /// # Hooks
        /// A pair, unless nothing is known to fit.
        pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
            self.writer().try_write(data)
        }

        /// As [`try_write`](Self::try_write), from several slices, one after another.
        ///
        /// # Errors
        /// As [`try_write`](Self::try_write).
        ///
        /// # Hooks
        /// As [`try_write`](Self::try_write).
        pub fn try_write_vectored(&self, data: &[io::IoSlice<'_>]) -> io::Result<usize> {
            self.writer().try_write_vectored(data)
        }

        /// Waits until something can be written, and writes some of it.
        ///
        /// One task at a time may write.
        ///
        /// # Errors
        /// The system's, and when the runtime has ended.
        ///
        /// # Hooks
        /// A pair around each try.
        pub fn poll_write_slice(
            &self,
            cx: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.writer().poll_write(cx, data)
        }

        /// As [`poll_write_slice`](Self::poll_write_slice), from several slices.
        ///
        /// # Errors
        /// The system's, and when the runtime has ended.
        ///
        /// # Hooks
        /// A pair around each try.
        pub fn poll_write_slices(
            &self,
            cx: &mut Context<'_>,
            data: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.writer().poll_write_vectored(cx, data)
        }
    };
}

/// Sending and receiving messages.
macro_rules! messaging {
    ($address:ty) => {
        /// Waits until something can probably be sent.
        ///
        /// One task at a time may send or wait so; any number may wait with
        /// [`writable`](Self::writable).
        ///
        /// # Errors
        /// When the runtime has ended.
        pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.watched().poll_ready(cx, Interest::WRITABLE)
        }

        /// Waits until something may be there.
        ///
        /// One task at a time may receive or wait so; any number may wait with
        /// [`readable`](Self::readable).
        ///
        /// # Errors
        /// When the runtime has ended.
        pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.watched().poll_ready(cx, Interest::READABLE)
        }

        /// Sends a message to where the socket is connected to. Several may send at once.
        ///
        /// # Errors
        /// The system's, also one that an earlier message met with; and when the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe: a message is sent whole, in the poll that returns, or not at all.
        ///
        /// # Hooks
        /// A pair around each try.
        pub async fn send(&self, message: &[u8]) -> io::Result<usize> {
            self.watched().async_io(Interest::WRITABLE, |attempt| attempt.io.send(message)).await
        }

        /// As [`send`](Self::send), for one task at a time.
        ///
        /// # Errors
        /// As [`send`](Self::send).
        ///
        /// # Hooks
        /// A pair around each try.
        pub fn poll_send(&self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<usize>> {
            self.watched().poll_io(cx, Interest::WRITABLE, |attempt| attempt.io.send(message))
        }

        /// Sends a message to where the socket is connected to, or says that it would block.
        ///
        /// # Errors
        /// As [`send`](Self::send), and [`WouldBlock`](io::ErrorKind::WouldBlock), also if the
        /// system has not said yet that something can be sent.
        ///
        /// # Hooks
        /// A pair, unless nothing is known to fit.
        pub fn try_send(&self, message: &[u8]) -> io::Result<usize> {
            self.watched().try_io(Interest::WRITABLE, |attempt| attempt.io.send(message))
        }

        /// Receives a message. What does not fit into the buffer is lost. Several may receive at
        /// once; each message goes to one of them.
        ///
        /// # Errors
        /// The system's, also one that an earlier message met with; and when the runtime has ended.
        ///
        /// # Cancel safety
        /// Safe: no message is lost.
        ///
        /// # Hooks
        /// A pair around each try.
        pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.watched().async_io(Interest::READABLE, |attempt| attempt.io.recv(buffer)).await
        }

        /// As [`recv`](Self::recv), for one task at a time.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        ///
        /// # Hooks
        /// A pair around each try.
        #[cfg(feature = "tokio-io")]
        pub fn poll_recv(
            &self,
            cx: &mut Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let receive =
                |attempt: &Attempt<'_, _>| crate::io::filling::receive(attempt.io, buffer);
            self.watched().poll_io(cx, Interest::READABLE, receive).map_ok(drop)
        }

        /// Receives a message that is there, or says that it would block.
        ///
        /// # Errors
        /// As [`recv`](Self::recv), and [`WouldBlock`](io::ErrorKind::WouldBlock), also if the
        /// system has not said yet that something is there.
        ///
        /// # Hooks
        /// A pair, unless nothing is known to be there.
        pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.watched().try_io(Interest::READABLE, |attempt| attempt.io.recv(buffer))
        }

        /// As [`recv`](Self::recv), to a buffer that may grow, behind what is in it.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        ///
        /// # Cancel safety
        /// Safe: no message is lost.
        ///
        /// # Hooks
        /// A pair around each try.
        #[cfg(feature = "io-util")]
        pub async fn recv_buf<B: bytes::BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
            let mut room = crate::io::room::Growing(buffer);
            let receive =
                |attempt: &Attempt<'_, _>| crate::io::filling::receive(attempt.io, &mut room);
            self.watched().async_io(Interest::READABLE, receive).await
        }

        /// As [`try_recv`](Self::try_recv), to a buffer that may grow, behind what is in it.
        ///
        /// # Errors
        /// As [`try_recv`](Self::try_recv).
        ///
        /// # Hooks
        /// As [`try_recv`](Self::try_recv).
        #[cfg(feature = "io-util")]
        pub fn try_recv_buf<B: bytes::BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
            let mut room = crate::io::room::Growing(buffer);
            let receive =
                |attempt: &Attempt<'_, _>| crate::io::filling::receive(attempt.io, &mut room);
            self.watched().try_io(Interest::READABLE, receive)
        }

        /// As [`recv`](Self::recv), and says who sent the message.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        ///
        /// # Cancel safety
        /// Safe: no message is lost.
        ///
        /// # Hooks
        /// A pair around each try.
        pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, $address)> {
            let received =
                self.watched().async_io(Interest::READABLE, |attempt| attempt.io.recv_from(buffer));
            received.await.map(|(count, sender)| (count, sender.into()))
        }

        /// As [`recv_from`](Self::recv_from), for one task at a time.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        ///
        /// # Hooks
        /// A pair around each try.
        #[cfg(feature = "tokio-io")]
        pub fn poll_recv_from(
            &self,
            cx: &mut Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<$address>> {
            let receive =
                |attempt: &Attempt<'_, _>| crate::io::filling::receive_from(attempt.io, buffer);
            let received = self.watched().poll_io(cx, Interest::READABLE, receive);
            received.map_ok(|(_, sender)| sender.into())
        }

        /// As [`try_recv`](Self::try_recv), and says who sent the message.
        ///
        /// # Errors
        /// As [`try_recv`](Self::try_recv).
        ///
        /// # Hooks
        /// As [`try_recv`](Self::try_recv).
        pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, $address)> {
            let received =
                self.watched().try_io(Interest::READABLE, |attempt| attempt.io.recv_from(buffer));
            received.map(|(count, sender)| (count, sender.into()))
        }

        /// As [`recv_from`](Self::recv_from), to a buffer that may grow, behind what is in it.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        ///
        /// # Cancel safety
        /// Safe: no message is lost.
        ///
        /// # Hooks
        /// A pair around each try.
        #[cfg(feature = "io-util")]
        pub async fn recv_buf_from<B: bytes::BufMut>(
            &self,
            buffer: &mut B,
        ) -> io::Result<(usize, $address)> {
            let mut room = crate::io::room::Growing(buffer);
            let receive =
                |attempt: &Attempt<'_, _>| crate::io::filling::receive_from(attempt.io, &mut room);
            let (count, sender) = self.watched().async_io(Interest::READABLE, receive).await?;
            Ok((count, sender.into()))
        }

        /// As [`try_recv_from`](Self::try_recv_from), to a buffer that may grow, behind what is in
        /// it.
        ///
        /// # Errors
        /// As [`try_recv`](Self::try_recv).
        ///
        /// # Hooks
        /// As [`try_recv`](Self::try_recv).
        #[cfg(feature = "io-util")]
        pub fn try_recv_buf_from<B: bytes::BufMut>(
            &self,
            buffer: &mut B,
        ) -> io::Result<(usize, $address)> {
            let mut room = crate::io::room::Growing(buffer);
            let receive =
                |attempt: &Attempt<'_, _>| crate::io::filling::receive_from(attempt.io, &mut room);
            let (count, sender) = self.watched().try_io(Interest::READABLE, receive)?;
            Ok((count, sender.into()))
        }
    };
}

/// Settings of the internet protocol that go beyond mio's.
macro_rules! ip_settings {
    () => {
        /// Returns the type of service that its packets ask for, with IPv4.
        ///
        /// # Errors
        /// When the system does not say.
        #[cfg(not(any(
            target_os = "fuchsia",
            target_os = "redox",
            target_os = "solaris",
            target_os = "illumos",
            target_os = "haiku"
        )))]
        pub fn tos_v4(&self) -> io::Result<u32> {
            self.settings().tos_v4()
        }

        /// Sets the type of service that its packets ask for, with IPv4.
        ///
        /// # Errors
        /// When the system refuses.
        #[cfg(not(any(
            target_os = "fuchsia",
            target_os = "redox",
            target_os = "solaris",
            target_os = "illumos",
            target_os = "haiku"
        )))]
        pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
            self.settings().set_tos_v4(tos)
        }

        /// Is now called [`tos_v4`](Self::tos_v4).
        ///
        /// # Errors
        /// When the system does not say.
        #[cfg(not(any(
            target_os = "fuchsia",
            target_os = "redox",
            target_os = "solaris",
            target_os = "illumos",
            target_os = "haiku"
        )))]
        #[deprecated = "it is called `tos_v4`"]
        #[doc(hidden)]
        pub fn tos(&self) -> io::Result<u32> {
            self.tos_v4()
        }

        /// Is now called [`set_tos_v4`](Self::set_tos_v4).
        ///
        /// # Errors
        /// When the system refuses.
        #[cfg(not(any(
            target_os = "fuchsia",
            target_os = "redox",
            target_os = "solaris",
            target_os = "illumos",
            target_os = "haiku"
        )))]
        #[deprecated = "it is called `set_tos_v4`"]
        #[doc(hidden)]
        pub fn set_tos(&self, tos: u32) -> io::Result<()> {
            self.set_tos_v4(tos)
        }

        /// Returns the traffic class that its packets ask for, with IPv6.
        ///
        /// # Errors
        /// When the system does not say, as of a socket for IPv4.
        #[cfg(any(
            target_os = "android",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "fuchsia",
            target_os = "linux",
            target_os = "macos",
            target_os = "netbsd",
            target_os = "openbsd"
        ))]
        pub fn tclass_v6(&self) -> io::Result<u32> {
            self.settings().tclass_v6()
        }

        /// Sets the traffic class that its packets ask for, with IPv6.
        ///
        /// # Errors
        /// When the system refuses, as for a socket for IPv4.
        #[cfg(any(
            target_os = "android",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "fuchsia",
            target_os = "linux",
            target_os = "macos",
            target_os = "netbsd",
            target_os = "openbsd"
        ))]
        pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
            self.settings().set_tclass_v6(class)
        }

        /// Returns the network device that it is bound to, if any.
        ///
        /// # Errors
        /// When the system does not say.
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
            self.settings().device()
        }

        /// Binds it to a network device, or with `None` to no one in particular.
        ///
        /// # Errors
        /// When there is no such device, or the process may not.
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
            self.settings().bind_device(interface)
        }
    };
}

pub(super) use {ip_settings, messaging, reading, waiting, writing};
