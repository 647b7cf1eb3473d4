//! Programs that are begun: which resources they and their pipes are, and that nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Stdio;

use forebear::hooks::Kind;
use forebear::io::AsyncWriteExt;
use forebear::process::Command;
use forebear::runtime::{Handle, Runtime, is_rt_shutdown_err};
use forebear::task;

use crate::support::on_each;

#[test]
fn a_child_is_a_resource_with_the_name_of_its_program() {
    on_each(|heard| async move {
        let mut command = Command::new("/bin/cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let line = line!() + 1;
        let mut child = command.spawn().unwrap();
        let id = child.resource_id();
        assert_eq!(heard.ids_of_kind(Kind::PROCESS), [id]);
        assert_eq!(heard.ids_labelled("cat"), [id]);
        let pipes = [
            (child.stdin.as_ref().unwrap().id(), "stdin"),
            (child.stdout.as_ref().unwrap().id(), "stdout"),
            (child.stderr.as_ref().unwrap().id(), "stderr"),
        ];
        for (pipe, label) in pipes {
            assert_eq!(heard.ids_labelled(label), [pipe]);
            assert_eq!(heard.trigger(pipe), Some(id), "the process caused its {label}");
        }
        for made in heard.ids_of_kind(Kind::PIPE).into_iter().chain([id]) {
            let place = heard.location(made);
            assert_eq!((place.file(), place.line()), (file!(), line));
        }
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"x").await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.stdout, b"x");
        let life = heard.sequence(id);
        assert!(life.ends_with("before resolve:Ready after destroy:Completed"), "{life}");
        for (pipe, label) in pipes {
            let life = heard.sequence(pipe);
            assert!(
                life.starts_with("init before") && life.ends_with("destroy:Dropped"),
                "{label}"
            );
        }
    });
}

#[test]
fn a_child_is_told_to_have_ended_only_if_that_was_seen() {
    on_each(|heard| async move {
        let mut seen = Command::new("true").spawn().unwrap();
        while seen.try_wait().unwrap().is_none() {
            task::yield_now().await;
        }
        let unseen = Command::new("sleep").arg("3600").kill_on_drop(true).spawn().unwrap();
        let ids = [seen.resource_id(), unseen.resource_id()];
        assert!(format!("{seen:?}{unseen:?}").contains("ended"));
        drop((seen, unseen));
        let told = heard.sequence(ids[0]);
        assert!(told.ends_with("before resolve:Ready after destroy:Completed"), "{told}");
        assert_eq!(heard.sequence(ids[1]), "init destroy:Dropped");
    });
}

#[test]
fn what_cannot_be_begun_is_no_resource() {
    on_each(|heard| async move {
        assert!(Command::new("there-is-no-such-program").spawn().is_err());
        assert_eq!(heard.ids_of_kind(Kind::PROCESS), []);
    });
}

/// Waits until the system has forgotten a process, without any runtime.
fn is_forgotten(id: u32) {
    let path = format!("/proc/{id}");
    while Path::new(&path).exists() {
        std::thread::yield_now();
    }
}

#[test]
fn abandoned_children_are_waited_for_even_if_their_runtime_is_gone() {
    let begin = |script: &str| {
        let runtime = Runtime::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped());
        let mut child = runtime.block_on(async { command.spawn().unwrap() });
        let input = child.stdin.take().unwrap().into_owned_fd().unwrap();
        (child.id().unwrap(), input)
    };
    // One goes on while others end, and the thread goes and comes again.
    let (long, long_input) = begin("read line");
    let ids: Vec<u32> = (0..4).map(|_| begin("exit 1").0).collect();
    ids.into_iter().for_each(is_forgotten);
    assert!(Path::new(&format!("/proc/{long}")).exists());
    drop(long_input);
    is_forgotten(long);
    let (last, last_input) = begin("read line");
    drop(last_input);
    is_forgotten(last);
}

#[test]
fn a_child_cannot_be_waited_for_when_its_runtime_has_ended() {
    let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let mut sleep = Command::new("sleep");
    let mut child = one.block_on(async { sleep.arg("3600").kill_on_drop(true).spawn().unwrap() });
    drop(one);
    let error = other.block_on(child.wait()).unwrap_err();
    assert!(is_rt_shutdown_err(&error), "{error}");
}

#[test]
fn without_a_runtime_the_panic_says_where() {
    assert!(Handle::try_current().is_err());
    let begin = || Command::new("true").spawn();
    let payload = catch_unwind(AssertUnwindSafe(begin)).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("Runtime::enter") && message.contains("processes.rs"), "{message}");
}
