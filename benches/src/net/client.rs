//! One connection of a client, which never has more than one request on its way.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::Exchange;

/// More than the largest answer.
const BUFFER_BYTES: usize = 32 * 1024;

/// As many headers as an answer may have.
const HEADERS_MAX: usize = 16;

pub(super) struct Client {
    stream: TcpStream,
    exchange: Exchange,
    /// How much of the request has been sent.
    sent: usize,
    sent_at: Instant,
    /// The answer, as far as it has come.
    answer: Box<[u8]>,
    received: usize,
    /// Whether there is a request whose answer has not come.
    is_waiting: bool,
}

impl Client {
    /// Connects, and waits until that is done.
    pub(super) fn connect(address: SocketAddr, exchange: Exchange) -> io::Result<Client> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Client {
            stream: TcpStream::from_std(stream),
            exchange,
            sent: 0,
            sent_at: Instant::now(),
            answer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            received: 0,
            is_waiting: false,
        })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Begins a request.
    pub(super) fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        (self.sent, self.received, self.is_waiting) = (0, 0, true);
        self.sent_at = Instant::now();
        self.send(request)
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        while self.sent < request.len() {
            match self.stream.write(&request[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does what can be done now. Returns how long the answer took, if it has come to its end.
    pub(super) fn go_on(&mut self, request: &[u8]) -> io::Result<Option<Duration>> {
        if !self.is_waiting {
            return Ok(None);
        }
        self.send(request)?;
        loop {
            match self.stream.read(&mut self.answer[self.received..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.received += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            // Nothing comes behind an answer, so there is no need to read until nothing is there.
            if self.is_answered(request)? {
                self.is_waiting = false;
                return Ok(Some(self.sent_at.elapsed()));
            }
        }
    }

    fn is_answered(&self, request: &[u8]) -> io::Result<bool> {
        let answer = &self.answer[..self.received];
        let length =
            if self.exchange.is_http() { http_length(answer)? } else { Some(request.len()) };
        match length {
            Some(length) if answer.len() > length => Err(wrong("the server says too much")),
            Some(length) if answer.len() == length => {
                let is_right = self.exchange.is_http() || answer == request;
                if is_right { Ok(true) } else { Err(wrong("the echo is another message")) }
            }
            _ => Ok(false),
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// How long an answer is, head and body, as soon as the head is there.
fn http_length(answer: &[u8]) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(answer).map_err(|error| wrong(&error.to_string()))?;
    let httparse::Status::Complete(head) = parsed else { return Ok(None) };
    if response.code != Some(200) {
        return Err(wrong("the server does not say 200"));
    }
    let length = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let body: usize =
        length.ok_or_else(|| wrong("the server does not say how long the body is"))?;
    Ok(Some(head + body))
}

#[cfg(test)]
mod tests {
    use super::http_length;

    #[test]
    fn the_length_of_an_answer_is_known_when_its_head_is_there() {
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        let head = whole.len() - 3;
        for length in 0..whole.len() {
            let want = if length < head { None } else { Some(whole.len()) };
            assert_eq!(http_length(&whole.as_bytes()[..length]).unwrap(), want, "{length} bytes");
        }
        assert!(http_length(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(http_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
