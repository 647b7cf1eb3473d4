//! Runs whole programs that were written for tokio, and talks to them over sockets.
//!
//! The same files are a test of the package `forebear-tests`, where `tokio` is tokio: what the tests
//! expect is what both do.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

mod support; // begins a program, and talks to it

mod chat; // everybody talks to everybody
mod tinydb; // values under keys
mod proxy; // passes connections on
mod echo_udp; // sends messages back
mod framed; // frames of a codec of its own
mod join_sets; // jobs that end, fail and are cancelled

use std::env;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use support::{PROGRAM, Program};

/// What is begun as a process of its own.
#[test]
fn the_program() {
    let Ok(name) = env::var(PROGRAM) else { return };
    match name.as_str() {
        "chat" => chat::main().unwrap(),
        "tinydb" => tinydb::main().unwrap(),
        "proxy" => proxy::main().unwrap(),
        "echo_udp" => echo_udp::main().unwrap(),
        "framed" => framed::main().unwrap(),
        "join_sets" => join_sets::main().unwrap(),
        _ => unreachable!("{name}"),
    }
}

#[test]
fn everybody_in_the_room_hears_what_is_said() {
    let mut program = Program::begin("chat");
    let mut ann = program.connect();
    ann.hears("who are you?");
    ann.send("ann\n");
    ann.hears("hello ann");
    let mut bob = program.connect();
    bob.hears("who are you?");
    // In two pieces, and with the next line.
    bob.send("bo");
    bob.send("b\nhere I am\n");
    bob.hears("hello bob");
    ann.hears("bob has come");
    ann.hears("bob: here I am");
    ann.send("hi\n");
    bob.hears("ann: hi");
    // Somebody who never says a name is nobody.
    drop(program.connect());
    let mut eve = program.connect();
    eve.send("eve\n");
    ann.hears("eve has come");
    eve.send(vec![b'x'; 4096]);
    program.says("is disconnected: max line length exceeded");
    ann.hears("eve has gone");
    bob.hears("eve has come");
    bob.hears("eve has gone");
    bob.stream.shutdown(Shutdown::Write).unwrap();
    ann.hears("bob has gone");
    assert_eq!(bob.rest(), b"");
}

#[test]
fn values_are_kept_for_everybody() {
    let program = Program::begin("tinydb");
    let mut one = program.connect();
    one.send("GET greeting\nGET nothing\nSET greeting good day\n");
    one.hears("greeting = hello");
    one.hears("error: there is no nothing");
    one.hears("greeting = good day, was Some(\"hello\")");
    let mut other = program.connect();
    other.send("GET greeting\nDEL greeting\nCOUNT\nSET key\nFLY\n");
    other.hears("greeting = good day");
    other.hears("was Some(\"good day\")");
    other.hears("0");
    other.hears("error: SET needs a value");
    other.hears("error: there is no command `FLY`");
    let clients = (0..16).map(|number| {
        let mut client = program.connect();
        thread::spawn(move || {
            for round in 0..50 {
                client.send(format!("SET key{number} {round}\nGET key{number}\n"));
                client.line();
                client.hears(&format!("key{number} = {round}"));
            }
        })
    });
    clients.collect::<Vec<_>>().into_iter().for_each(|client| client.join().unwrap());
    one.send("COUNT\n");
    one.hears("16");
}

#[test]
fn connections_are_passed_on_both_ways() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    // It answers when everything has been said.
    let echo = thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = server.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        }
    });
    let mut program = Program::begin_with("proxy", &[("SERVER", address)]);
    for sent in [b"hello".to_vec(), vec![b'x'; 3_000_000]] {
        let mut client = program.connect();
        client.send(&sent);
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(client.rest() == sent, "{} bytes come back", sent.len());
        program.says(&format!("passed {0} and {0} bytes", sent.len()));
    }
    echo.join().unwrap();
    // Nobody listens there any more.
    let mut client = program.connect();
    assert_eq!(client.rest(), b"");
    program.says("not passed on: Connection refused");
}

#[test]
fn messages_come_back() {
    let mut program = Program::begin("echo_udp");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = vec![0; 70_000];
    for sent in [b"ping".to_vec(), Vec::new(), vec![b'x'; 60_000]] {
        socket.send_to(&sent, program.address).unwrap();
        let (count, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..count], from), (&sent[..], program.address));
        program.says(&format!("{0} of {0} bytes", sent.len()));
    }
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

#[test]
fn frames_are_put_together_and_wrong_ones_refused() {
    let mut program = Program::begin("framed");
    let mut client = program.connect();
    let numbers: Vec<u8> = [1_u32, 2, u32::MAX].iter().flat_map(|n| n.to_be_bytes()).collect();
    let all =
        [frame(b'+', &numbers), frame(b'?', b""), frame(b'+', b""), frame(b'?', b"")].concat();
    // Whatever the pieces are.
    for piece in all.chunks(3) {
        client.send(piece);
    }
    let sum = frame(b'=', &(u64::from(u32::MAX) + 3).to_be_bytes());
    assert_eq!(client.read(26), [&sum[..], &sum[..]].concat());
    for (wrong, said) in [
        (frame(b'+', &[0; 5]), "there is no such frame"),
        (frame(b'!', b""), "there is no such frame"),
        (vec![b'+', 0xff, 0xff, 0xff, 0xff], "the frame is too long"),
        (vec![b'+', 0, 0, 0, 8, 1], "bytes remaining on stream"),
    ] {
        let mut client = program.connect();
        client.send(wrong);
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.rest(), b"");
        program.says(said);
    }
}

#[test]
fn jobs_end_fail_and_are_cancelled() {
    let program = Program::begin("join_sets");
    let mut client = program.connect();
    client.send("run quick 1\n");
    client.hears("quick is done");
    client.send("fail broken\n");
    client.hears("Some(\"broken\") has failed");
    client.send("run long 3600000\nrun longer 3600000\nrun wrong x\nfly\n");
    client.hears("invalid digit found in string");
    client.hears("there is no such command");
    client.send("cancel long\n");
    client.hears("long is cancelled");
    // The end waits for what is left.
    client.send("run last 20\nend\n");
    client.hears("last is done");
    let mut other = program.connect();
    other.send("run theirs 3600000\ncancel nobody\nrun now 0\n");
    other.hears("now is done");
    let mut third = program.connect();
    third.send("run one 3600000\nrun two 3600000\ncancel all\nend\n");
    let mut told = [third.line(), third.line()];
    told.sort();
    assert_eq!(told, ["one leaves off", "two leaves off"]);
    third.hears("nothing is left");
    // Everybody may say a last word when the program is to end.
    client.stream.shutdown(Shutdown::Write).unwrap();
    other.stream.shutdown(Shutdown::Write).unwrap();
    let said = program.end();
    client.hears("longer leaves off");
    client.hears("nothing is left");
    other.hears("theirs leaves off");
    other.hears("nothing is left");
    assert!(said.contains("ended, with"), "{said}");
}
