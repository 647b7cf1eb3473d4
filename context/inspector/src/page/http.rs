//! Reads one request from a connection and answers it. Enough of HTTP for one page: each connection
//! is closed after its answer.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A request line and its headers have at most so many bytes.
const HEAD_MAX_BYTES: usize = 16 * 1024;

const HEADERS_MAX: usize = 64;

/// Who says or reads nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    query: Vec<(String, String)>,
    pub(super) host: String,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no request, or too long.
    Bad,
    /// It wants to change something.
    NotGet,
}

impl Request {
    /// Reads a request.
    pub(super) fn read(stream: &mut TcpStream) -> io::Result<Result<Request, Refusal>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (mut head, mut part) = (Vec::new(), [0; 2048]);
        loop {
            let read = stream.read(&mut part)?;
            head.extend_from_slice(&part[..read]);
            match Request::parse(&head) {
                Ok(Some(request)) => return Ok(Ok(request)),
                Err(refusal) => return Ok(Err(refusal)),
                Ok(None) if read == 0 || head.len() > HEAD_MAX_BYTES => {
                    return Ok(Err(Refusal::Bad));
                }
                Ok(None) => {}
            }
        }
    }

    /// Understands what has come so far; `None` if more must come.
    fn parse(head: &[u8]) -> Result<Option<Request>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(head).map_err(|_| Refusal::Bad)?.is_partial() {
            return Ok(None);
        }
        if request.method != Some("GET") {
            return Err(Refusal::NotGet);
        }
        let target = request.path.unwrap_or("/");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        let is_host = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("host");
        let host = request.headers.iter().find(is_host).map_or(&b""[..], |header| header.value);
        Ok(Some(Request {
            path: path.to_owned(),
            query: query.collect(),
            host: String::from_utf8_lossy(host).into_owned(),
        }))
    }

    /// Returns what the address says about this, or nothing.
    pub(super) fn get(&self, key: &str) -> &str {
        let found = self.query.iter().find(|(known, _)| known == key);
        found.map_or("", |(_, value)| value)
    }
}

/// Decodes a part of an address. What is no escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits
            .filter(|two| *byte == b'%' && two.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match escaped {
            Some(escaped) => {
                decoded.push(escaped);
                at += 3;
            }
            None => {
                decoded.push(if *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Answers with a document.
pub(super) fn answer(
    stream: &mut TcpStream,
    status: &str,
    sort: &str,
    body: &[u8],
) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {sort}; charset=utf-8\r\nContent-Length: {}\r\n\
         {COMMON}\r\n",
        body.len()
    )?;
    stream.write_all(body)
}

/// Begins a stream of events.
pub(super) fn begin_events(stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{COMMON}\r\n")
}

/// Sends an event, whose data is one line.
pub(super) fn send_event(stream: &mut TcpStream, name: &str, data: &str) -> io::Result<()> {
    write!(stream, "event: {name}\ndata: {data}\n\n")?;
    stream.flush()
}

/// Nothing is kept by caches, nothing but this server is asked, nobody may show the page in a frame,
/// and the address with the token is told to nobody.
const COMMON: &str = "Connection: close\r\nCache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
    Content-Security-Policy: default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

#[cfg(test)]
mod tests {
    use super::{Refusal, Request, decode};

    #[test]
    fn requests_are_understood() {
        let head = b"GET /rows?token=ab%2Fc&filter=kind:timer+age%3E1s&x HTTP/1.1\r\nhOsT: localhost:1\r\n\r\n";
        let request = Request::parse(head).unwrap().unwrap();
        assert_eq!((request.path.as_str(), request.host.as_str()), ("/rows", "localhost:1"));
        assert_eq!((request.get("token"), request.get("filter")), ("ab/c", "kind:timer age>1s"));
        assert_eq!((request.get("x"), request.get("y")), ("", ""));
        assert_eq!(Request::parse(&head[..20]), Ok(None));
        assert_eq!(Request::parse(b"POST / HTTP/1.1\r\n\r\n"), Err(Refusal::NotGet));
        assert_eq!(Request::parse(b"\x16\x03\x01\x02\r\n\r\n"), Err(Refusal::Bad));
    }

    #[test]
    fn broken_escapes_stay() {
        for (text, want) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("a%41%c3%a4", "aAä")] {
            assert_eq!(decode(text), want);
        }
        assert_eq!(decode("%+1"), "% 1");
    }
}
