//! Checks that a client that behaves badly hurts neither the service nor other clients, and that a
//! service that does, hurts no client.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use forebear_context::inspect::wire::{
    Sort, number_to_bytes, read_frame, read_greeting, write_frame, write_greeting,
};

use crate::support::{Service, folder, run_in};

#[test]
fn nobody_else_may_connect() {
    let service = Service::start(&["healthy"]);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&service.socket()), 0o600);
}

#[test]
fn garbage_is_answered_by_goodbye() {
    let service = Service::start(&["healthy"]);
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"forebear-inspect 1\n\xff\xff\xff"]
    {
        let mut stream = UnixStream::connect(service.socket()).unwrap();
        // It may be gone before all is written.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // Whatever is left to read, it ends.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    service.run(&["tree"]).has(0, &["task client"]);
}

#[test]
fn clients_that_hang_or_flood_leave_room_for_others() {
    let service = Service::start(&["many", "20000"]);
    // They ask without end, and read nothing.
    let floods: Vec<UnixStream> = (0..4)
        .map(|_| {
            let mut stream = UnixStream::connect(service.socket()).unwrap();
            write_greeting(&mut stream).unwrap();
            stream.set_nonblocking(true).unwrap();
            for _ in 0..1000 {
                if write_frame(&mut stream, Sort::Snapshot, &number_to_bytes(0)).is_err() {
                    break;
                }
            }
            stream
        })
        .collect();
    for _ in 0..3 {
        service.run(&["tree"]).has(0, &["x 20,000 task"]);
    }
    drop(floods);
}

#[test]
fn more_clients_than_there_may_be_are_told_so() {
    let service = Service::start(&["healthy"]);
    let greeted = || {
        let mut stream = UnixStream::connect(service.socket()).unwrap();
        read_greeting(&mut stream).unwrap();
        let sort = read_frame(&mut stream, &mut Vec::new()).unwrap();
        (stream, sort)
    };
    let clients: Vec<_> = (0..8).map(|_| greeted()).collect();
    assert!(clients.iter().all(|(_, sort)| *sort == Sort::Hello));
    service.run(&["tree"]).has(3, &["8 others are looking at it already"]);
    drop(clients);
    // They are noticed to have gone when they are.
    let mut said = service.run(&["tree"]);
    while said.code == 3 {
        said = service.run(&["tree"]);
    }
    said.has(0, &["task client"]);
}

/// A service that says this to whoever connects.
fn impostor(says: Vec<u8>) -> (std::path::PathBuf, String) {
    let folder = folder();
    let path = folder.join("x.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&says).unwrap();
        // Until the client has had enough.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn other_versions_and_other_protocols_are_told_apart() {
    let (folder, path) = impostor(b"forebear-inspect 999\n".to_vec());
    run_in(&folder, &["tree", &path]).has(3, &["version 999", "and I speak 1"]);
    let (folder, path) = impostor(b"220 mail.example.org ESMTP\r\n".to_vec());
    run_in(&folder, &["tree", &path]).has(3, &["no forebear service"]);
}

#[test]
fn a_broken_stream_is_refused() {
    let mut says = Vec::new();
    write_greeting(&mut says).unwrap();
    write_frame(&mut says, Sort::Hello, &[1, 0, 0, 0, 0, 0]).unwrap();
    write_frame(&mut says, Sort::Resources, &[0xff; 100]).unwrap();
    let (folder, path) = impostor(says);
    run_in(&folder, &["tree", &path]).has(4, &["the stream is broken"]);
}
