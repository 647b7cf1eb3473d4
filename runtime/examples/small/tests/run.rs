//! Runs each of the programs, and does with it what its first lines say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program that listens, until the end of the test.
struct Program {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Program {
    fn start(path: &str, arguments: &[&str]) -> Program {
        let mut child = Command::new(path).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let (_, address) = line.trim_end().split_once("listens on ").unwrap();
        Program { child, output, address: address.to_owned() }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn echo_sends_back_what_comes() {
    let program = Program::start(env!("CARGO_BIN_EXE_echo"), &["127.0.0.1:0"]);
    let mut clients = [program.connect(), program.connect()];
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(format!("hello {number}").as_bytes()).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert_eq!(said, format!("hello {number}"));
    }
}

#[test]
fn chat_tells_everybody_else() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_chat"), &["127.0.0.1:0"]);
    let mut ann = BufReader::new(program.connect());
    ann.get_mut().write_all(b"ann\n").unwrap();
    assert_eq!(program.line(), r#"name=ann line="is here""#);
    let mut bob = BufReader::new(program.connect());
    bob.get_mut().write_all(b"bob\nhello\n").unwrap();
    let read = |who: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        who.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(read(&mut ann), "Who are you? bob: is here\n");
    assert_eq!(read(&mut ann), "bob: hello\n");
    ann.get_mut().write_all(b"hello bob\n").unwrap();
    assert_eq!(read(&mut bob), "Who are you? ann: hello bob\n");
    drop(ann);
    assert_eq!(read(&mut bob), "ann: is gone\n");
}

#[test]
fn the_greeter_and_tls_echo_talk_to_themselves() {
    let said = |path: &str| {
        let output = Command::new(path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let (_, rest) = said.split_once('\n').unwrap();
        rest.to_owned()
    };
    assert_eq!(said(env!("CARGO_BIN_EXE_tls_echo")), "it says hello\n");
    assert_eq!(said(env!("CARGO_BIN_EXE_greeter")), "it says hello world\nit asks who are you?\n");
}
