//! Begins processes whose output is read, and serves pages to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, until this is dropped.
pub(crate) struct Relay {
    child: Child,
    log: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Relay {
    pub(crate) fn begin() -> Relay {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relay"))
            .env("RELAY_ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("request=- address=").unwrap().parse().unwrap();
        Relay { child, log, address }
    }

    pub(crate) fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    }

    /// Ends the program by Ctrl-C, and returns what it has logged.
    pub(crate) fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a line, and returns the answer.
pub(crate) fn ask(client: &mut BufReader<TcpStream>, url: &str) -> String {
    client.get_mut().write_all(format!("{url}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    answer.trim_end().to_owned()
}

/// Serves pages that say their own path, until the process ends. Returns where.
pub(crate) fn serve_pages() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve_connection(stream.unwrap()));
        }
    });
    address
}

fn serve_connection(stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        // The headers end with an empty line.
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let body = format!("this is {path}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = (&stream).write_all((head + &body).as_bytes());
    }
}
