//! What is looked up, where, and what is not.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};

use forebear::hooks::Kind;
use forebear::net::{TcpListener, TcpStream, UdpSocket, lookup_host};

use crate::support::{ANY, on_each, on_each_heard, poll_once};

#[test]
fn addresses_are_not_looked_up() {
    on_each_heard(|heard| async move {
        let home = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        for found in [
            lookup_host(home).await,
            lookup_host("127.0.0.1:80").await,
            lookup_host(("127.0.0.1", 80)).await,
            lookup_host((Ipv4Addr::LOCALHOST, 80)).await,
            lookup_host(&[home][..]).await,
            lookup_host(String::from("127.0.0.1:80")).await,
        ] {
            assert_eq!(found.unwrap().collect::<Vec<_>>(), [home]);
        }
        drop(TcpListener::bind(ANY).await.unwrap());
        drop(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        assert!(heard.ids_of_kind(Kind::BLOCKING).is_empty());
    });
}

#[test]
fn names_are_looked_up_on_the_blocking_pool() {
    on_each_heard(|heard| async move {
        let found: Vec<SocketAddr> = lookup_host("localhost:80").await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|found| found.ip().is_loopback()));
        assert_eq!(heard.ids_of_kind(Kind::BLOCKING).len(), 1);
        assert_eq!(heard.ids_labelled("lookup localhost:80").len(), 1);
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback());
        assert_eq!(heard.ids_labelled("lookup localhost:0").len(), 1);
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("localhost", port)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        let stream = TcpStream::connect(format!("localhost:{port}")).await.unwrap();
        drop(stream);
        let socket = UdpSocket::bind(("localhost", 0)).await.unwrap();
        let there = socket.local_addr().unwrap();
        let sender = UdpSocket::bind((there.ip(), 0)).await.unwrap();
        sender.send_to(b"ping", ("localhost", there.port())).await.unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 4);
        sender.connect(("localhost", there.port())).await.unwrap();
        assert_eq!(sender.peer_addr().unwrap(), there);
        assert_eq!(heard.ids_of_kind(Kind::BLOCKING).len(), 7);
    });
}

#[test]
fn what_has_no_address_is_an_error() {
    on_each(|| async {
        // The domain is reserved for names that do not exist.
        let unknown = lookup_host("no-such-host.invalid:80").await.unwrap_err();
        assert!(!unknown.to_string().is_empty());
        assert!(TcpStream::connect("no-such-host.invalid:80").await.is_err());
        let portless = TcpStream::connect("localhost").await.unwrap_err();
        assert_eq!(portless.kind(), ErrorKind::InvalidInput);
        assert_eq!(portless.to_string(), "\"localhost\" names no port");
        let worded = TcpListener::bind("localhost:http").await.unwrap_err();
        assert!(worded.to_string().starts_with("the port of \"localhost:http\""), "{worded}");
        assert!(lookup_host("a\0b:80").await.is_err());
    });
}

#[test]
fn nothing_happens_before_the_first_poll() {
    on_each_heard(|heard| async move {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let taken = listener.local_addr().unwrap();
        drop((TcpListener::bind(taken), TcpStream::connect(taken), lookup_host("localhost:1")));
        assert_eq!(heard.ids_of_kind(Kind::TCP_STREAM), []);
        assert_eq!(heard.ids_of_kind(Kind::BLOCKING), []);
        // A future may be made before the runtime that will poll it.
        let text = format!("{:?} {:?}", TcpListener::bind(taken), TcpStream::connect(taken));
        assert!(text.contains("127.0.0.1") && text.contains("Connect"), "{text}");
    });
}

#[test]
fn a_lookup_that_is_given_up_leaves_nothing() {
    on_each_heard(|heard| async move {
        // Whether it is ready at once is a race with the pool.
        drop(poll_once(lookup_host("localhost:80")));
        drop(poll_once(TcpStream::connect("localhost:80")));
        assert_eq!(heard.ids_of_kind(Kind::BLOCKING).len(), 2);
    });
}

#[test]
fn without_a_runtime_the_panic_says_where_the_socket_was_asked_for() {
    let bind = TcpListener::bind(ANY);
    let told = catch_unwind(AssertUnwindSafe(|| poll_once(bind))).unwrap_err();
    let message = told.downcast_ref::<String>().unwrap();
    assert!(message.contains("Runtime::enter") && message.contains("names.rs"), "{message}");
    let name = lookup_host("localhost:80");
    let told = catch_unwind(AssertUnwindSafe(|| poll_once(name))).unwrap_err();
    let message = told.downcast_ref::<String>().unwrap();
    assert!(message.contains("Runtime::enter") && message.contains("names.rs"), "{message}");
    // An address needs none.
    assert!(poll_once(lookup_host("127.0.0.1:80")).is_ready());
}
