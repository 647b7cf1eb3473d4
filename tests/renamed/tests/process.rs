//! Begins programs as a program does that was written for tokio: what it may name, and what it may
//! rely on.
//!
//! The same file is a test of the package `forebear-tests`, where `tokio` is tokio.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Builder;
use tokio::task;
use tokio::time::timeout;

fn is_free<T: Send + Sync + Unpin>() {}

/// Polls a future once, and drops it if it is not ready.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A program that runs until it is told to end, or its input ends.
fn cat() -> Child {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until the system has forgotten a process.
async fn is_forgotten(id: u32) {
    let path = format!("/proc/{id}");
    while Path::new(&path).exists() {
        task::yield_now().await;
    }
}

#[tokio::test]
async fn programs_are_run_to_their_end() {
    is_free::<(Child, ChildStdin, ChildStdout, ChildStderr, Command)>();
    let status = sh("exit 7").status().await.unwrap();
    assert_eq!((status.success(), status.code()), (false, Some(7)));
    let status = sh("kill -9 $$").status().await.unwrap();
    assert_eq!((status.code(), status.signal()), (None, Some(9)));
    let output = sh("echo out; echo err >&2; exit 3").output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    // What is piped is closed, so that nobody waits for it.
    let status = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).status();
    assert!(status.await.unwrap().success());
}

#[tokio::test]
async fn a_command_says_all_that_stds_does() {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .args(["echo $0 $A $B $C $D; pwd", "name"])
        .env("A", "a")
        .envs([("B", "b"), ("C", "c")])
        .env("D", "d")
        .env_remove("D")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    assert_eq!(command.as_std().get_program(), "sh");
    assert!(!command.get_kill_on_drop());
    assert!(command.kill_on_drop(true).get_kill_on_drop());
    let output = command.output().await.unwrap();
    assert_eq!(output.stdout, b"name a b c\n/\n");
    let mut named = Command::new("sh");
    named.arg0("other").args(["-c", "cat /proc/$$/cmdline | head -c 5"]);
    assert_eq!(named.output().await.unwrap().stdout, b"other");
    let mut bare = Command::from(std::process::Command::new("/usr/bin/env"));
    bare.env_clear().as_std_mut().env("ONLY", "this");
    assert_eq!(bare.output().await.unwrap().stdout, b"ONLY=this\n");
    let std = Command::new("echo").into_std();
    assert_eq!(std.get_program(), "echo");
    let (uid, gid) = ("id -u", "id -g");
    let mut user = sh(&format!("{uid}; {gid}"));
    let own = user.output().await.unwrap().stdout;
    let mut ids = str::from_utf8(&own).unwrap().lines().map(|id| id.parse().unwrap());
    user.uid(ids.next().unwrap()).gid(ids.next().unwrap());
    assert_eq!(user.output().await.unwrap().stdout, own);
}

#[tokio::test]
async fn a_closure_runs_before_the_program() {
    let mut command = sh("exit 0");
    let refuse = || Err(std::io::Error::from_raw_os_error(7));
    // The closure does nothing but to return.
    #[allow(unsafe_code, reason = "this is what is tested")]
    // SAFETY: by P1, for which nothing that is forbidden is done.
    unsafe {
        command.pre_exec(refuse);
    }
    assert_eq!(command.spawn().unwrap_err().raw_os_error(), Some(7));
}

#[tokio::test]
async fn what_a_child_reads_and_writes_is_piped() {
    let mut child = cat();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for word in ["one\n", "two\n"] {
        stdin.write_all(word.as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
        line.clear();
        stdout.read_line(&mut line).await.unwrap();
        assert_eq!(line, word);
    }
    assert_eq!(child.try_wait().unwrap(), None);
    // Shutting it down is not closing it; dropping it is.
    stdin.shutdown().await.unwrap();
    stdin.write_all(b"three").await.unwrap();
    drop(stdin);
    line.clear();
    stdout.read_to_string(&mut line).await.unwrap();
    assert_eq!(line, "three");
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn more_than_a_pipe_holds_goes_through() {
    let mut child = cat();
    let mut stdin = child.stdin.take().unwrap();
    let sent = vec![b'x'; 1 << 20];
    let theirs = sent.clone();
    let writer = tokio::spawn(async move { stdin.write_all(&theirs).await });
    let output = child.wait_with_output().await.unwrap();
    writer.await.unwrap().unwrap();
    assert!(output.stdout == sent && output.stderr.is_empty() && output.status.success());
    // Both at once, each more than there is room for.
    let many = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; head -c 9 /dev/zero";
    let output = sh(many).output().await.unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (300_009, 300_000));
}

#[tokio::test]
async fn a_child_that_reads_no_more_is_an_error() {
    let mut child = sh("exec <&-; exit 0").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut result = Ok(());
    while result.is_ok() {
        result = stdin.write_all(&[0; 4096]).await;
    }
    assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn waiting_closes_the_input_and_can_be_given_up_and_repeated() {
    let mut child = cat();
    let id = child.id().unwrap();
    assert!(timeout(Duration::from_secs(60), child.wait()).await.unwrap().unwrap().success());
    assert!(child.wait().await.unwrap().success());
    assert!(child.try_wait().unwrap().unwrap().success());
    assert_eq!((child.id(), child.stdin.is_none()), (None, true));
    child.start_kill().unwrap();
    child.kill().await.unwrap();
    is_forgotten(id).await;
    let mut child = Command::new("sleep").arg("3600").spawn().unwrap();
    assert!(poll_once(child.wait()).is_pending());
    assert!(timeout(Duration::from_millis(1), child.wait()).await.is_err());
    child.kill().await.unwrap();
    assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    let mut child = Command::new("sleep").arg("3600").spawn().unwrap();
    child.start_kill().unwrap();
    assert_eq!(child.wait().await.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn dropping_a_child_lets_it_go_on_unless_told_otherwise() {
    // It goes on, and is waited for all the same.
    let mut child = cat();
    let (id, mut stdin) = (child.id().unwrap(), child.stdin.take().unwrap());
    let mut stdout = child.stdout.take().unwrap();
    drop(child);
    stdin.write_all(b"alive").await.unwrap();
    stdout.read_exact(&mut [0; 5]).await.unwrap();
    assert!(Path::new(&format!("/proc/{id}")).exists());
    drop((stdin, stdout));
    // tokio looks after it when a child is waited for the next time.
    assert!(sh("exit 0").status().await.unwrap().success());
    is_forgotten(id).await;
    let child = Command::new("sleep").arg("3600").kill_on_drop(true).spawn().unwrap();
    let id = child.id().unwrap();
    drop(child);
    assert!(sh("exit 0").status().await.unwrap().success());
    is_forgotten(id).await;
    // So it is when what waits is dropped.
    let marker = format!("3{}", std::process::id());
    let status = Command::new("sleep").arg(&marker).kill_on_drop(true).status();
    assert!(timeout(Duration::from_millis(5), status).await.is_err());
    let runs = || {
        let mut all = fs::read_dir("/proc").unwrap().flatten();
        let wanted = format!("sleep\0{marker}\0");
        all.any(|entry| {
            let line = fs::read(entry.path().join("cmdline"));
            line.is_ok_and(|line| line == wanted.as_bytes())
        })
    };
    while runs() {
        task::yield_now().await;
    }
}

#[tokio::test]
async fn pipes_are_given_to_others() {
    let mut first = sh("echo through").stdout(Stdio::piped()).spawn().unwrap();
    let stdout: Stdio = first.stdout.take().unwrap().try_into().unwrap();
    let output = Command::new("cat").stdin(stdout).output().await.unwrap();
    assert_eq!(output.stdout, b"through\n");
    assert!(first.wait().await.unwrap().success());
    let mut std = std::process::Command::new("cat");
    std.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = std.spawn().unwrap();
    let mut stdin = ChildStdin::from_std(child.stdin.take().unwrap()).unwrap();
    let mut stdout = ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
    let stderr = ChildStderr::from_std(child.stderr.take().unwrap()).unwrap();
    assert_eq!(stdin.as_fd().as_raw_fd(), stdin.as_raw_fd());
    assert_ne!(stdout.as_raw_fd(), stderr.as_raw_fd());
    stdin.write_all(b"std").await.unwrap();
    let mut read = [0; 3];
    stdout.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"std");
    // In blocking mode, and still the same pipe.
    let mut blocking = fs::File::from(stdin.into_owned_fd().unwrap());
    std::io::Write::write_all(&mut blocking, b"file").unwrap();
    drop(blocking);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut fs::File::from(stdout.into_owned_fd().unwrap()), &mut rest)
        .unwrap();
    assert_eq!(rest, "file");
    drop(stderr);
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn what_cannot_be_begun_is_an_error() {
    let missing = Command::new("there-is-no-such-program").spawn().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let refused = Command::new("/proc/self/status").output().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let nowhere = sh("exit 0").current_dir("/there/is/no/such/folder").status().await;
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::NotFound);
}

/// The program runs from the call on, whether or not somebody waits for it.
#[tokio::test]
async fn a_program_begins_when_it_is_asked_for() {
    let marker = std::env::temp_dir().join(format!("renamed-process-{}", std::process::id()));
    let unpolled = sh("echo begun > \"$0\"").arg(&marker).status();
    while !marker.exists() {
        task::yield_now().await;
    }
    assert!(unpolled.await.unwrap().success());
    fs::remove_file(marker).unwrap();
}

#[tokio::test]
async fn many_run_at_once() {
    let mut tasks = task::JoinSet::new();
    for number in 0..40 {
        tasks.spawn(async move {
            let output = sh("echo $0").arg(number.to_string()).output().await.unwrap();
            assert_eq!(str::from_utf8(&output.stdout).unwrap().trim().parse(), Ok(number));
            number
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<i32>(), 780);
}

#[test]
fn without_a_runtime_nothing_is_begun() {
    let spawned = catch_unwind(AssertUnwindSafe(|| sh("exit 0").spawn()));
    assert!(spawned.is_err());
}

#[test]
fn a_child_is_waited_for_on_another_runtime_than_its_own() {
    let build = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (one, other) = (build(), build());
    let mut child = one.block_on(async { cat() });
    let waited = other.block_on(async { child.wait().await });
    assert!(waited.unwrap().success());
}
