//! Adds numbers up that come in frames: a byte that says what it is, a length, and so many bytes.

use std::io::{self, ErrorKind};

use bytes::{Buf, BufMut, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Decoder, Encoder, Framed};

/// A frame that claims to be longer is a mistake, or an attack.
const FRAME_MAX_BYTES: usize = 4096;

const HEADER_BYTES: usize = 5;

#[derive(Debug)]
enum Frame {
    /// Numbers to add up.
    Add(Vec<u32>),
    /// Asks for the sum.
    Total,
    /// Says the sum.
    Sum(u64),
}

struct Frames;

impl Decoder for Frames {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Frame>> {
        if bytes.len() < HEADER_BYTES {
            return Ok(None);
        }
        let mut header = &bytes[..HEADER_BYTES];
        let (tag, length) = (header.get_u8(), header.get_u32());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > FRAME_MAX_BYTES {
            return Err(io::Error::new(ErrorKind::InvalidData, "the frame is too long"));
        }
        if bytes.len() < HEADER_BYTES + length {
            bytes.reserve(HEADER_BYTES + length - bytes.len());
            return Ok(None);
        }
        bytes.advance(HEADER_BYTES);
        let mut body = bytes.split_to(length);
        match (tag, length) {
            (b'+', length) if length % 4 == 0 => {
                Ok(Some(Frame::Add((0..length / 4).map(|_| body.get_u32()).collect())))
            }
            (b'?', 0) => Ok(Some(Frame::Total)),
            _ => Err(io::Error::new(ErrorKind::InvalidData, "there is no such frame")),
        }
    }
}

impl Encoder<Frame> for Frames {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, bytes: &mut BytesMut) -> io::Result<()> {
        match frame {
            Frame::Sum(sum) => {
                bytes.put_u8(b'=');
                bytes.put_u32(8);
                bytes.put_u64(sum);
                Ok(())
            }
            other => Err(io::Error::other(format!("a server does not send {other:?}"))),
        }
    }
}

async fn serve(stream: TcpStream) -> io::Result<()> {
    let mut frames = Framed::new(stream, Frames);
    let mut sum = 0;
    while let Some(frame) = frames.next().await {
        match frame? {
            Frame::Add(numbers) => sum += numbers.into_iter().map(u64::from).sum::<u64>(),
            Frame::Total => frames.send(Frame::Sum(sum)).await?,
            other => return Err(io::Error::other(format!("a client does not send {other:?}"))),
        }
    }
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::support::announce(listener.local_addr()?);
    loop {
        let (stream, address) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(stream).await {
                crate::support::log(format_args!("{address} is disconnected: {error}"));
            }
        });
    }
}
