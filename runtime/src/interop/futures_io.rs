//! Implements the I/O traits of futures-io for our sockets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::interop::{reading_sides, writing_sides};
use crate::net::side::{ReadSide, WriteSide};

macro_rules! read {
    ($($generics:ident)? => $side:ty) => {
        impl<$($generics: crate::net::stream::Stream)?> AsyncRead for $side {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.reader().poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [io::IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.reader().poll_read_vectored(cx, buffers)
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

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                // What is written is with the system at once.
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().close())
            }
        }
    };
}

reading_sides!(read);
writing_sides!(write);
