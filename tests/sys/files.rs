//! Files and folders: which jobs they are, what these are called, whose they are, how they end.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use forebear::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use forebear::hooks::{Kind, execution_async_id};
use forebear::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use forebear::runtime::Runtime;
use forebear::testing::{Event, assert_quiescent};
use forebear::{AsyncLocal, task};
use futures_lite::StreamExt;

use crate::support::{Folder, Heard, builders, on_each};

const DONE: &str = "init before resolve:Ready after destroy:Completed";

/// Polls a future once, and drops it if it is not ready.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Checks that a call was one job of this label, made by the test on this line of this file.
#[track_caller]
fn is_one_job(heard: &Heard, label: &str, line: u32) {
    let lives = heard.lives(label);
    let [(id, life)] = &lives[..] else { panic!("{label}: {lives:?}") };
    assert_eq!(life, DONE, "{label}");
    let made = heard.location(*id);
    assert_eq!((made.file(), made.line()), (file!(), line), "{label}");
    let init = heard.heard().into_iter().find(|heard| heard.id == *id).unwrap();
    assert_eq!(init.current, execution_async_id(), "the creator of {label}");
    assert_eq!(init.event, Event::Init { is_replayed: false });
    assert!(heard.ids_of_kind(Kind::BLOCKING).contains(id));
}

#[test]
fn every_call_is_a_job_of_its_own_with_its_name_and_place() {
    on_each(|heard| async move {
        let folder = Folder::new();
        let (file, other) = (folder.join("file"), folder.join("other"));
        /// Awaits a call, and checks its job.
        macro_rules! check {
            ($label:literal, $call:expr) => {{
                let line = line!();
                let result = $call.await.unwrap();
                is_one_job(&heard, $label, line);
                result
            }};
        }
        check!("fs::write", fs::write(&file, "text"));
        check!("fs::read", fs::read(&file));
        check!("fs::read_to_string", fs::read_to_string(&file));
        check!("fs::copy", fs::copy(&file, &other));
        check!("fs::canonicalize", fs::canonicalize(&file));
        check!("fs::metadata", fs::metadata(&file));
        check!("fs::symlink_metadata", fs::symlink_metadata(&file));
        check!("fs::try_exists", fs::try_exists(&file));
        check!("fs::rename", fs::rename(&other, folder.join("third")));
        check!("fs::hard_link", fs::hard_link(&file, &other));
        check!("fs::remove_file", fs::remove_file(&other));
        check!("fs::symlink", fs::symlink(&file, &other));
        check!("fs::read_link", fs::read_link(&other));
        let permissions = std::fs::metadata(&file).unwrap().permissions();
        check!("fs::set_permissions", fs::set_permissions(&file, permissions.clone()));
        check!("fs::create_dir", fs::create_dir(folder.join("a")));
        check!("fs::create_dir_all", fs::create_dir_all(folder.join("a/b/c")));
        check!("fs::remove_dir", fs::remove_dir(folder.join("a/b/c")));
        check!("fs::remove_dir_all", fs::remove_dir_all(folder.join("a")));
        check!("fs::DirBuilder::create", DirBuilder::new().create(folder.join("b")));
        let mut entries = check!("fs::read_dir", fs::read_dir(folder.path()));
        let entry = entries.next_entry().await.unwrap().unwrap();
        check!("fs::DirEntry::metadata", entry.metadata());
        // The folder has said it already.
        entry.file_type().await.unwrap();
        assert_eq!(heard.lives("fs::DirEntry::file_type"), []);
        let opened = check!("fs::File::open", File::open(&file));
        check!("fs::File::metadata", opened.metadata());
        check!("fs::File::sync_all", opened.sync_all());
        check!("fs::File::sync_data", opened.sync_data());
        check!("fs::File::set_permissions", opened.set_permissions(permissions));
        check!("fs::File::try_clone", opened.try_clone());
        let now = FileTimes::new().set_modified(SystemTime::now());
        check!("fs::File::set_times", opened.set_times(now));
        let line = line!() + 1;
        assert!(opened.set_len(1).await.is_err());
        is_one_job(&heard, "fs::File::set_len", line);
        let jobs = heard.ids_of_kind(Kind::BLOCKING).len();
        // What is done several times says the same each time.
        opened.set_modified(SystemTime::now()).await.unwrap();
        drop(File::create(&file).await.unwrap());
        drop(File::create_new(folder.join("new")).await.unwrap());
        drop(OpenOptions::new().read(true).open(&file).await.unwrap());
        assert_eq!(heard.lives("fs::File::open").len(), 4);
        assert_eq!(heard.ids_of_kind(Kind::BLOCKING).len(), jobs + 4);
    });
}

#[test]
fn what_goes_through_tokios_traits_says_where_the_file_was_opened() {
    on_each(|heard| async move {
        let folder = Folder::new();
        let mut options = File::options();
        options.read(true).write(true).create(true);
        let (line, opening) = (line!(), options.open(folder.join("file")));
        let mut file = opening.await.unwrap();
        file.write_all(b"one two").await.unwrap();
        file.rewind().await.unwrap();
        let mut read = [0; 7];
        file.read_exact(&mut read).await.unwrap();
        for label in ["fs::File::write", "fs::File::seek", "fs::File::read"] {
            is_one_job(&heard, label, line);
        }
        let std = std::fs::File::open(folder.join("file")).unwrap();
        let (line, mut file) = (line!(), File::from_std(std));
        file.seek(std::io::SeekFrom::End(0)).await.unwrap();
        let last = *heard.ids_labelled("fs::File::seek").last().unwrap();
        assert_eq!(heard.location(last).line(), line);
        let std = std::fs::File::open(folder.join("file")).unwrap();
        let (line, mut file) = (line!(), File::from(std));
        file.seek(std::io::SeekFrom::End(0)).await.unwrap();
        let last = *heard.ids_labelled("fs::File::seek").last().unwrap();
        assert_eq!(heard.location(last).line(), line);
    });
}

#[test]
fn entries_are_read_several_at_a_time() {
    on_each(|heard| async move {
        let folder = Folder::new();
        for number in 0..100 {
            std::fs::write(folder.join(format!("{number}")), "").unwrap();
        }
        // As a stream, too.
        let mut entries = fs::read_dir(folder.path()).await.unwrap();
        let mut count = 0;
        while let Some(entry) = entries.next().await {
            assert!(entry.unwrap().file_type().await.unwrap().is_file());
            count += 1;
        }
        assert_eq!((count, entries.next().await.is_none()), (100, true));
        assert_eq!(heard.lives("fs::ReadDir::next_entry").len(), 3);
        assert_eq!(heard.ids_of_kind(Kind::BLOCKING).len(), 4);
    });
}

#[test]
fn a_job_has_the_context_of_whoever_polls() {
    static KEY: AsyncLocal<u32> = AsyncLocal::named("number");

    /// A hook is code of the job, which itself asks nobody.
    struct Seen;

    impl forebear::hooks::AsyncHook for Seen {
        fn before(&self, resource: &forebear::hooks::Resource<'_>) {
            if resource.kind() == Kind::BLOCKING {
                assert_eq!(KEY.get(), Some(7), "the context of {}", resource.label());
            }
        }
    }

    on_each(|_| async move {
        let runtime = forebear::runtime::Handle::current().id();
        let seen = forebear::hooks::create_hook(Seen).runtime(runtime).enable().unwrap();
        let folder = Folder::new();
        let make = KEY.scope(7, async {
            let mut file = File::create_new(folder.join("file")).await.unwrap();
            file.write_all(b"text").await.unwrap();
            file.rewind().await.unwrap();
            file.read_exact(&mut [0; 4]).await.unwrap();
            let all = fs::read_dir(folder.path()).await.unwrap().count().await;
            assert_eq!(all, 1);
        });
        make.await;
        assert!(seen.fault().is_none(), "{:?}", seen.fault());
    });
}

#[test]
fn nothing_is_asked_before_the_first_poll() {
    on_each(|heard| async move {
        let folder = Folder::new();
        let path = folder.join("file");
        let file = File::create(&path).await.unwrap();
        let jobs = heard.ids_of_kind(Kind::BLOCKING).len();
        let unpolled = (fs::write(&path, "x"), fs::read_dir(&path), File::open(&path));
        let text = format!("{unpolled:?}");
        assert!(text.contains("fs::read_dir") && text.contains("is_begun: false"), "{text}");
        drop((unpolled, file.sync_all(), file.set_len(5), file.metadata(), file.try_clone()));
        assert_eq!(heard.ids_of_kind(Kind::BLOCKING).len(), jobs);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    });
}

/// How what was asked for ends, by what happens to who asked: the table of this module.
#[test]
fn jobs_end_as_is_said() {
    on_each(|heard| async move {
        let folder = Folder::new();
        let path = folder.join("file");
        // The caller is gone; the call is made.
        while poll_once(fs::write(&path, "written")).is_ready() {}
        // So is a task that is aborted while it waits.
        let theirs = path.clone();
        let task = forebear::spawn(async move { fs::read(theirs).await });
        task::yield_now().await;
        task.abort();
        drop(task.await);
        for (id, life) in [heard.lives("fs::write"), heard.lives("fs::read")].concat() {
            while heard.alive().contains(&id) {
                task::yield_now().await;
            }
            assert_eq!(heard.sequence(id), DONE, "{life}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"written");
    });
}

/// Holds up the only thread of a pool until the sender goes.
fn hold(runtime: &Runtime) -> mpsc::Sender<()> {
    let (release, is_released) = mpsc::channel::<()>();
    let (here, is_here) = mpsc::channel();
    drop(runtime.spawn_blocking(move || {
        here.send(()).unwrap();
        // It fails when the test lets go.
        let _ = is_released.recv();
    }));
    is_here.recv().unwrap();
    release
}

#[test]
fn the_end_of_a_runtime_drops_what_waits_but_for_writes() {
    for mut builder in builders() {
        let runtime = builder.max_blocking_threads(1).build().unwrap();
        let id = runtime.id();
        let heard = Heard::of(&runtime);
        let folder = Folder::new();
        let (asked, written) = (folder.join("asked"), folder.join("written"));
        let mut file = runtime.block_on(File::create(&written)).unwrap();
        let release = hold(&runtime);
        let theirs = asked.clone();
        let task = runtime.spawn(async move { fs::write(theirs, "lost").await });
        runtime.block_on(async {
            file.write_all(b"kept").await.unwrap();
            while heard.ids_labelled("fs::write").is_empty() {
                task::yield_now().await;
            }
        });
        drop(file);
        runtime.shutdown_background();
        drop(release);
        while !heard.alive().is_empty() {
            std::thread::yield_now();
        }
        assert!(task.is_finished());
        let dropped = "init before resolve:Cancelled after destroy:Shutdown";
        assert_eq!(heard.lives("fs::write")[0].1, dropped);
        assert_eq!(heard.lives("fs::File::write")[0].1, DONE);
        assert!(!asked.exists());
        assert_eq!(std::fs::read(&written).unwrap(), b"kept");
        heard.assert_ended();
        assert_quiescent(id);
    }
}

#[test]
fn an_aborted_subtree_keeps_its_promises() {
    for mut builder in builders() {
        let runtime = builder.max_blocking_threads(1).build().unwrap();
        let heard = Heard::of(&runtime);
        let folder = Folder::new();
        let path = folder.join("file");
        let mut file = runtime.block_on(File::create(&path)).unwrap();
        let release = hold(&runtime);
        let task = runtime.spawn(async move {
            file.write_all(b"kept").await.unwrap();
            std::future::pending::<()>().await;
        });
        runtime.block_on(async {
            while heard.ids_labelled("fs::File::write").is_empty() {
                task::yield_now().await;
            }
            task::abort_subtree(task.id());
            assert!(task.await.unwrap_err().is_cancelled());
        });
        drop(release);
        drop(runtime);
        assert_eq!(heard.lives("fs::File::write")[0].1, DONE);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }
}

#[test]
fn without_a_runtime_the_panic_says_what_was_asked_for_and_where() {
    let told = |asked: fs::Operation<Vec<u8>>| {
        let payload = catch_unwind(AssertUnwindSafe(|| poll_once(asked))).unwrap_err();
        payload.downcast_ref::<String>().unwrap().clone()
    };
    let message = told(fs::read("Cargo.toml"));
    assert!(message.contains("Runtime::enter"), "{message}");
    assert!(message.contains("fs::read was asked for at") && message.contains("files.rs"));
}

#[test]
fn an_operation_is_not_polled_after_it_has_returned() {
    on_each(|_| async move {
        let mut read = fs::read("Cargo.toml");
        (&mut read).await.unwrap();
        assert!(format!("{read:?}").contains("is_done"));
        assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut read))).is_err());
    });
}

#[test]
fn many_work_at_once_on_files_of_their_own() {
    on_each(|_| async move {
        let folder = Folder::new();
        let mut tasks = task::JoinSet::new();
        for number in 0..64_u64 {
            let path = folder.join(format!("{number}"));
            tasks.spawn(async move {
                let mut file = File::create_new(&path).await.unwrap();
                for round in 0..8 {
                    file.write_all(&(number * round).to_le_bytes()).await.unwrap();
                }
                file.rewind().await.unwrap();
                let mut sum = 0;
                for _ in 0..8 {
                    sum += file.read_u64_le().await.unwrap();
                }
                assert_eq!(sum, number * 28);
                fs::remove_file(path).await.unwrap();
            });
        }
        tasks.join_all().await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    });
}
