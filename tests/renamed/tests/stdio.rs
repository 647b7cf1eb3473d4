//! Reads standard input and writes to standard outputs as a program does that was written for tokio.
//!
//! The same file is a test of the package `forebear-tests`, where `tokio` is tokio. The program is
//! this one: a test runs it again, with the name of a test that does what is asked for by a variable
//! of the environment, and does nothing without it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::env;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Output, Stdio};

use tokio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Stderr, Stdin, Stdout, stderr, stdin,
    stdout,
};
use tokio::runtime::Builder;

const PROGRAM: &str = "RENAMED_STDIO_PROGRAM";

/// What the framework of tests says comes before this, and is no business of ours.
const MARK: &str = "\n>>>\n";

fn begin(program: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_program", "--nocapture", "--test-threads=1"])
        .env(PROGRAM, program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Gives a program something to read, and returns what it wrote to either output.
fn run(program: &str, input: &[u8]) -> (String, String) {
    let mut child = begin(program);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{program}: {out}{err}");
    drop(writer.join().unwrap());
    let after = |text: &str| {
        let from = text.find(MARK).map_or(0, |at| at + MARK.len());
        let to = text[from..].find("\ntest result").map_or(text.len(), |at| from + at);
        text[from..to].to_owned()
    };
    (after(&out), after(&err))
}

/// What is run again.
#[test]
fn the_program() {
    let Ok(program) = env::var(PROGRAM) else { return };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut out = stdout();
        out.write_all(MARK.as_bytes()).await.unwrap();
        out.flush().await.unwrap();
        match program.as_str() {
            "echo" => echo().await,
            "lines" => lines().await,
            "promise" => promise().await,
            "given up" => given_up().await,
            "numbers" => numbers(),
            _ => unreachable!("{program}"),
        }
    });
    drop(runtime);
    // Whatever the framework would say now is not asked for; what was buffered is.
    std::io::stdout().flush().unwrap();
}

async fn echo() {
    let (mut out, mut err) = (stdout(), stderr());
    let read = tokio::io::copy(&mut stdin(), &mut out).await.unwrap();
    out.flush().await.unwrap();
    err.write_all(format!("{read} bytes").as_bytes()).await.unwrap();
    err.shutdown().await.unwrap();
}

async fn lines() {
    let mut out = stdout();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        out.write_all(format!("< {}\n", line.to_uppercase()).as_bytes()).await.unwrap();
    }
    out.flush().await.unwrap();
}

/// Nobody waits for what is written, and the runtime ends.
async fn promise() {
    let mut out = stdout();
    out.write_all(b"promised\n").await.unwrap();
}

/// A read whose asker is gone reads for the next.
async fn given_up() {
    let mut input = stdin();
    let given_up = async {
        let mut byte = [0; 1];
        let read = input.read(&mut byte);
        tokio::time::timeout(std::time::Duration::ZERO, read).await.is_err()
    };
    let is_given_up = given_up.await;
    let mut out = stdout();
    out.write_all(b"go on\n").await.unwrap();
    out.flush().await.unwrap();
    let mut all = String::new();
    input.read_to_string(&mut all).await.unwrap();
    out.write_all(format!("{is_given_up} {all}").as_bytes()).await.unwrap();
    out.flush().await.unwrap();
}

fn numbers() {
    fn is_free<T: Send + Sync + Unpin>(value: T) -> T {
        value
    }
    let (input, out, err): (Stdin, Stdout, Stderr) =
        (is_free(stdin()), is_free(stdout()), is_free(stderr()));
    assert_eq!((input.as_raw_fd(), out.as_raw_fd(), err.as_raw_fd()), (0, 1, 2));
    assert_eq!(input.as_fd().as_raw_fd(), 0);
    assert_eq!(out.as_fd().as_raw_fd() + 1, err.as_fd().as_raw_fd());
    assert!(format!("{input:?}{out:?}{err:?}").contains("Stderr"));
}

#[test]
fn what_is_read_is_written() {
    let sent = "0123456789".repeat(50_000);
    let (out, err) = run("echo", sent.as_bytes());
    assert!(out.starts_with(&sent), "{} bytes came back", out.len());
    assert!(err.contains("500000 bytes"), "{err}");
}

#[test]
fn lines_are_read_as_they_come() {
    let (out, _) = run("lines", b"one\ntwo\nthree");
    assert!(out.starts_with("< ONE\n< TWO\n< THREE\n"), "{out}");
}

#[test]
fn what_was_taken_over_is_written() {
    for _ in 0..8 {
        let (out, _) = run("promise", b"");
        assert!(out.starts_with("promised\n"), "{out}");
    }
}

#[test]
fn what_was_read_for_nobody_is_read_by_the_next() {
    let mut child = begin("given up");
    let mut out = child.stdout.take().unwrap();
    let mut seen = String::new();
    while !seen.contains("go on") {
        let mut bytes = [0; 256];
        let count = out.read(&mut bytes).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(str::from_utf8(&bytes[..count]).unwrap());
    }
    child.stdin.take().unwrap().write_all(b"all of it").unwrap();
    out.read_to_string(&mut seen).unwrap();
    assert!(seen.contains("true all of it"), "{seen}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn they_have_the_numbers_that_the_system_gave_them() {
    run("numbers", b"");
}
