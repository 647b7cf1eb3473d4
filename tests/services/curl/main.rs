//! Tests `forebear::serve` with curl. `tests/run` sees to it that there is one.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where and why")]

#[path = "../serve/app.rs"]
mod app; // what is served
#[path = "../shared/support.rs"]
mod support; // a server on a runtime of its own
#[path = "../shared/tls.rs"]
mod tls; // and one that speaks TLS

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use forebear::serve;

use crate::app::App;
use crate::support::Server;
use crate::tls::Tls;

/// Returns what curl says.
#[track_caller]
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "--max-time", "30"]).args(arguments).output();
    let output = output.expect("there is no curl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl says {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_is_answered_in_either_version() {
    let server = Server::start(|listener| serve(listener, App::default()));
    let url = |path: &str| format!("http://{}{path}", server.address);
    for (option, version) in [("--http1.1", "HTTP/1.1"), ("--http2-prior-knowledge", "HTTP/2.0")] {
        assert_eq!(curl(&[option, &url("/version")]), version);
        // A body that has to be read.
        let body = "x".repeat(100_000);
        assert_eq!(curl(&[option, "-d", &body, &url("/count")]), "100000");
        let wrote = curl(&[option, "-o", "/dev/null", "-w", "%{http_code}", &url("/nothing")]);
        assert_eq!(wrote, "404");
    }
    // Two requests over one connection. (Over HTTP/2 without TLS, curl 7.88 cannot.)
    assert_eq!(curl(&["--http1.1", &url("/hello"), &url("/version")]), "helloHTTP/1.1");
    let ended = server.finish();
    assert_eq!(ended.connections_left, 0);
}

#[test]
fn it_speaks_tls_in_either_version() {
    let tls = Tls::new();
    let server = tls.serve();
    let file = format!("forebear-serve-{}.pem", std::process::id());
    let pem: PathBuf = std::env::temp_dir().join(file);
    fs::write(&pem, &tls.pem).unwrap();
    let port = server.address.port();
    let resolve = format!("localhost:{port}:127.0.0.1");
    let url = format!("https://localhost:{port}/version");
    let pem_path = pem.to_str().unwrap();
    for (option, version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
        let said = curl(&[option, "--cacert", pem_path, "--resolve", &resolve, &url]);
        assert_eq!(said, version);
    }
    fs::remove_file(&pem).unwrap();
    server.finish();
}
