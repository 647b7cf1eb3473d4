//! Implements tokio's I/O traits for our sockets. Nothing of tokio's runtime is in it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::interop::{reading_sides, writing_sides};
use crate::net::side::{ReadSide, WriteSide};

macro_rules! read {
    ($($generics:ident)? => $side:ty) => {
        impl<$($generics: crate::net::stream::Stream)?> AsyncRead for $side {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.reader().poll_read_room(cx, buffer)
            }
        }
    };
}

macro_rules! write {
    ($($generics:ident)? => $side:ty) => {
        impl<$($generics: crate::net::stream::Stream)?> AsyncWrite for $side {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.writer().poll_write(cx, data)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.writer().poll_write_vectored(cx, data)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                // What is written is with the system at once.
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().close())
            }
        }
    };
}

reading_sides!(read);
writing_sides!(write);
