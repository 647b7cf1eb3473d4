//! Works with files and folders as a program does that was written for tokio: what it may name, and
//! what it may rely on.
//!
//! The same file is a test of the package `forebear-tests`, where `tokio` is tokio.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::env;
use std::fs::Permissions;
use std::future::Future;
use std::io::{ErrorKind, IoSlice, Read, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use tokio::fs::{self, DirBuilder, DirEntry, File, FileTimes, OpenOptions, ReadDir};
use tokio::io::{AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Builder;

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: all that counts is that no number comes twice.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("renamed-fs-{}-{number}", process::id()));
        std::fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file that holds this.
    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Polls a future once, and drops it if it is not ready.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Reads eight bytes for nobody, who is gone before they are there.
async fn read_ahead(file: &mut File) {
    while poll_once(file.read(&mut [0; 8])).is_ready() {
        // They were there at once.
        file.rewind().await.unwrap();
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn read_std(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn whole_files_are_read_and_written() {
    let folder = Folder::new();
    let path = folder.join("file");
    fs::write(&path, "text").await.unwrap();
    fs::write(&path, vec![0xff, 1]).await.unwrap();
    assert_eq!(fs::read(&path).await.unwrap(), [0xff, 1]);
    let broken = fs::read_to_string(&path).await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::InvalidData);
    fs::write(&path, String::from("text")).await.unwrap();
    assert_eq!(fs::read_to_string(&path).await.unwrap(), "text");
    let copy = folder.join("copy");
    let length: u64 = fs::copy(&path, &copy).await.unwrap();
    assert_eq!((length, read_std(&copy)), (4, "text".to_owned()));
    fs::rename(&copy, folder.join("moved")).await.unwrap();
    assert!(!fs::try_exists(&copy).await.unwrap());
    assert!(fs::try_exists(folder.join("moved")).await.unwrap());
    fs::remove_file(&path).await.unwrap();
    let missing = fs::read(&path).await.unwrap_err();
    assert_eq!((missing.kind(), missing.raw_os_error()), (ErrorKind::NotFound, Some(2)));
    // To look below a file is forbidden, which is not to say that there is nothing.
    assert!(fs::try_exists(folder.file("plain", "").join("below")).await.is_err());
}

#[tokio::test]
async fn links_and_permissions_are_made_and_read() {
    let folder = Folder::new();
    let file = folder.file("file", "text");
    let (hard, soft) = (folder.join("hard"), folder.join("soft"));
    fs::hard_link(&file, &hard).await.unwrap();
    fs::symlink(&file, &soft).await.unwrap();
    assert_eq!(fs::metadata(&hard).await.unwrap().nlink(), 2);
    assert!(fs::metadata(&soft).await.unwrap().is_file());
    assert!(fs::symlink_metadata(&soft).await.unwrap().is_symlink());
    assert_eq!(fs::read_link(&soft).await.unwrap(), file);
    let real = fs::canonicalize(folder.join("../").join(folder.0.file_name().unwrap())).await;
    assert_eq!(real.unwrap(), std::fs::canonicalize(&folder.0).unwrap());
    fs::set_permissions(&file, Permissions::from_mode(0o400)).await.unwrap();
    assert_eq!(fs::metadata(&file).await.unwrap().mode() & 0o777, 0o400);
}

#[tokio::test]
async fn folders_are_made_and_removed() {
    let folder = Folder::new();
    let (one, deep) = (folder.join("one"), folder.join("a/b/c"));
    fs::create_dir(&one).await.unwrap();
    assert_eq!(fs::create_dir(&one).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::create_dir(&deep).await.unwrap_err().kind(), ErrorKind::NotFound);
    fs::create_dir_all(&deep).await.unwrap();
    fs::create_dir_all(&deep).await.unwrap();
    let full = fs::remove_dir(folder.join("a")).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(folder.join("a")).await.unwrap();
    fs::remove_dir(&one).await.unwrap();
    let mut builder: DirBuilder = DirBuilder::new();
    builder.mode(0o700);
    builder.create(&one).await.unwrap();
    assert_eq!(fs::metadata(&one).await.unwrap().mode() & 0o777, 0o700);
    assert!(builder.create(&deep).await.is_err());
    builder.recursive(true).create(&deep).await.unwrap();
    assert!(format!("{builder:?}").starts_with("DirBuilder"));
}

#[tokio::test]
async fn folders_are_read() {
    let folder = Folder::new();
    let mut empty: ReadDir = fs::read_dir(&folder.0).await.unwrap();
    assert!(empty.next_entry().await.unwrap().is_none());
    assert!(empty.next_entry().await.unwrap().is_none());
    // More than are read at once, and an exact number of such parts.
    for count in [33, 64, 100] {
        for number in 0..count {
            folder.file(&format!("file-{number}"), "");
        }
        let mut entries = fs::read_dir(&folder.0).await.unwrap();
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await.unwrap() {
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
    std::fs::create_dir(folder.join("below")).unwrap();
    let mut entries = fs::read_dir(&folder.0).await.unwrap();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        let entry: DirEntry = entry;
        let metadata = entry.metadata().await.unwrap();
        assert_eq!((metadata.ino(), entry.path()), (entry.ino(), folder.0.join(entry.file_name())));
        assert_eq!(entry.file_type().await.unwrap().is_dir(), entry.file_name() == "below");
    }
    let polled = std::future::poll_fn(|cx| entries.poll_next_entry(cx)).await;
    assert!(polled.unwrap().is_none());
    assert!(fs::read_dir(folder.join("missing")).await.is_err());
}

#[tokio::test]
async fn files_are_opened_as_is_said() {
    let folder = Folder::new();
    let path = folder.join("file");
    assert_eq!(File::open(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
    let mut made = File::create_new(&path).await.unwrap();
    made.write_all(b"one").await.unwrap();
    made.flush().await.unwrap();
    assert_eq!(File::create_new(&path).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let mut options: OpenOptions = File::options();
    let mut more = options.append(true).open(&path).await.unwrap();
    more.write_all(b" two").await.unwrap();
    more.shutdown().await.unwrap();
    assert_eq!(read_std(&path), "one two");
    drop(OpenOptions::new().write(true).truncate(true).open(&path).await.unwrap());
    assert_eq!(read_std(&path), "");
    let private = folder.join("private");
    let mut options = OpenOptions::new();
    options.write(true).create(true).create_new(false).mode(0o600).custom_flags(0);
    let mut other = options.clone().open(&private).await.unwrap();
    assert_eq!(other.metadata().await.unwrap().mode() & 0o777, 0o600);
    let mut read = [0; 4];
    assert!(other.read(&mut read).await.is_err());
    assert!(OpenOptions::default().open(&private).await.is_err());
    let mut std = std::fs::OpenOptions::new();
    std.read(true).mode(0o600);
    drop(OpenOptions::from(std).open(&private).await.unwrap());
    assert!(format!("{options:?}").starts_with("OpenOptions"));
    drop(File::create(&private).await.unwrap());
    // A file is of whatever opened it.
    let std = std::fs::File::open(&path).unwrap();
    let number = std.as_raw_fd();
    let file = File::from(std);
    assert_eq!((file.as_raw_fd(), file.as_fd().as_raw_fd()), (number, number));
    let owned: OwnedFd = file.into_std().await.into();
    assert_eq!(File::from(owned).as_raw_fd(), number);
}

#[tokio::test]
async fn what_is_read_for_somebody_who_is_gone_waits_for_the_next() {
    let folder = Folder::new();
    let mut file = File::open(folder.file("file", "hello world")).await.unwrap();
    read_ahead(&mut file).await;
    let mut read = [0; 5];
    assert_eq!(file.read(&mut read).await.unwrap(), 5);
    assert_eq!(&read, b"hello");
    // It asks for six, and gets the three that were read ahead.
    let mut read = [0; 6];
    assert_eq!(file.read(&mut read).await.unwrap(), 3);
    assert_eq!(&read[..3], b" wo");
    let mut rest = String::new();
    file.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "rld");
    assert_eq!(file.read(&mut read).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_read_ahead_is_not_behind_the_position() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    let open = async || {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(&path).await.unwrap();
        read_ahead(&mut file).await;
        let mut read = [0; 2];
        file.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"01");
        file
    };
    let mut file = open().await;
    assert_eq!(file.stream_position().await.unwrap(), 2);
    let mut file = open().await;
    assert_eq!(file.seek(SeekFrom::Current(3)).await.unwrap(), 5);
    let mut file = open().await;
    assert_eq!(file.seek(SeekFrom::Current(-1)).await.unwrap(), 1);
    let mut file = open().await;
    assert_eq!(file.seek(SeekFrom::End(-1)).await.unwrap(), 9);
    let mut file = open().await;
    assert!(file.seek(SeekFrom::Current(i64::MIN)).await.is_err());
    let mut read = [0; 1];
    file.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"2");
    let mut file = open().await;
    assert!(file.seek(SeekFrom::Current(-5)).await.is_err());
    let mut file = open().await;
    file.set_len(4).await.unwrap();
    let mut rest = String::new();
    file.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "23");
    std::fs::write(&path, "0123456789").unwrap();
    let mut file = open().await;
    file.write_all(b"xy").await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(read_std(&path), "01xy456789");
}

#[tokio::test]
async fn a_position_is_changed_in_two_steps() {
    let folder = Folder::new();
    let mut file = File::open(folder.file("file", "0123456789")).await.unwrap();
    assert_eq!(file.seek(SeekFrom::Start(6)).await.unwrap(), 6);
    Pin::new(&mut file).start_seek(SeekFrom::Current(-2)).unwrap();
    let busy = Pin::new(&mut file).start_seek(SeekFrom::Start(0)).unwrap_err();
    assert!(busy.to_string().contains("poll_complete"), "{busy}");
    let mut done =
        async || std::future::poll_fn(|cx| Pin::new(&mut file).poll_complete(cx)).await.unwrap();
    // Without a change, it is where the last change has led.
    assert_eq!((done().await, done().await), (4, 4));
    file.rewind().await.unwrap();
    let mut all = Vec::new();
    file.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"0123456789");
    assert!(file.seek(SeekFrom::Current(-20)).await.is_err());
}

#[tokio::test]
async fn a_write_is_taken_over_and_told_of_later() {
    let folder = Folder::new();
    let path = folder.file("file", "text");
    let mut file = File::open(&path).await.unwrap();
    // It cannot be written, which is not known yet.
    assert_eq!(file.write(b"x").await.unwrap(), 1);
    assert!(file.write(b"x").await.is_err());
    assert_eq!(file.write(b"x").await.unwrap(), 1);
    assert!(file.flush().await.is_err());
    file.flush().await.unwrap();
    // Somebody whom it does not concern leaves it to the next who asks.
    assert_eq!(file.write(b"x").await.unwrap(), 1);
    file.sync_all().await.unwrap();
    assert!(file.flush().await.is_err());
    assert_eq!(file.write(b"x").await.unwrap(), 1);
    let mut read = [0; 4];
    file.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"text");
    assert!(file.write(b"x").await.is_err());
    assert_eq!(file.write(b"x").await.unwrap(), 1);
    file.rewind().await.unwrap();
    assert!(file.shutdown().await.is_err());
    assert_eq!(file.write(b"").await.unwrap(), 0);
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let mut full = OpenOptions::new().write(true).open("/dev/full").await.unwrap();
    full.write_all(b"x").await.unwrap();
    assert_eq!(full.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
    let told = fs::write("/dev/full", "x").await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::StorageFull);
}

#[tokio::test]
async fn much_is_moved_in_portions() {
    let folder = Folder::new();
    let path = folder.join("file");
    let all = pattern(5 << 20);
    let mut file = File::create_new(&path).await.unwrap();
    assert_eq!(file.max_buf_size(), 2 << 20);
    assert_eq!(file.write(&all).await.unwrap(), 2 << 20);
    file.write_all(&all[2 << 20..]).await.unwrap();
    file.rewind().await.unwrap();
    let mut read = vec![0; all.len()];
    assert_eq!(file.read(&mut read).await.unwrap(), 2 << 20);
    file.read_exact(&mut read[2 << 20..]).await.unwrap();
    assert!(read == all);
    file.set_max_buf_size(3);
    file.rewind().await.unwrap();
    assert_eq!(file.read(&mut read).await.unwrap(), 3);
    assert_eq!(file.write(b"abcdef").await.unwrap(), 3);
    assert_eq!(file.try_clone().await.unwrap().max_buf_size(), 3);
    file.flush().await.unwrap();
    assert_eq!(&std::fs::read(&path).unwrap()[..7], &[0, 1, 2, b'a', b'b', b'c', 6]);
    assert!(catch_unwind(AssertUnwindSafe(|| file.set_max_buf_size(0))).is_err());
}

#[tokio::test]
async fn slices_are_written_behind_each_other() {
    let folder = Folder::new();
    let path = folder.join("file");
    let mut file = File::create(&path).await.unwrap();
    assert!(file.is_write_vectored());
    let slices = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
    assert_eq!(file.write_vectored(&slices).await.unwrap(), 7);
    file.set_max_buf_size(5);
    assert_eq!(file.write_vectored(&slices).await.unwrap(), 5);
    file.flush().await.unwrap();
    assert_eq!(read_std(&path), "one twoone t");
}

#[tokio::test]
async fn a_file_is_asked_and_told_what_it_is() {
    let folder = Folder::new();
    let path = folder.join("file");
    let file = File::create_new(&path).await.unwrap();
    file.set_len(10).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().len(), 10);
    file.sync_data().await.unwrap();
    file.set_permissions(Permissions::from_mode(0o640)).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().mode() & 0o777, 0o640);
    let day = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
    let times: FileTimes = FileTimes::new().set_accessed(day(1)).set_modified(day(2));
    file.set_times(times.clone()).await.unwrap();
    let metadata = file.metadata().await.unwrap();
    assert_eq!((metadata.accessed().unwrap(), metadata.modified().unwrap()), (day(1), day(2)));
    file.set_modified(day(3)).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().modified().unwrap(), day(3));
    // Several ask at once.
    let (one, two) = tokio::join!(file.set_len(20), file.sync_all());
    assert!(one.is_ok() && two.is_ok());
    let unopened = File::open(&path).await.unwrap();
    assert!(unopened.set_len(1).await.is_err());
    assert!(format!("{file:?} {times:?}").contains("File"));
}

#[tokio::test]
async fn a_file_has_several_handles_and_is_given_away() {
    let folder = Folder::new();
    let path = folder.join("file");
    let mut file = File::create_new(&path).await.unwrap();
    file.write_all(b"0123").await.unwrap();
    let mut clone = file.try_clone().await.unwrap();
    clone.rewind().await.unwrap();
    let mut read = [0; 2];
    file.read_exact(&mut read).await.unwrap();
    assert_eq!((&read, clone.stream_position().await.unwrap()), (b"01", 2));
    // While something is going on it is not given away at once.
    assert_eq!(file.write(b"xy").await.unwrap(), 2);
    let mut std = match file.try_into_std() {
        Ok(std) => std,
        Err(file) => file.into_std().await,
    };
    assert_eq!(read_std(&path), "01xy");
    std.write_all(b"z").unwrap();
    let mut file = File::from_std(std);
    file.write_all(b"!").await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(read_std(&path), "01xyz!");
    let mut std = file.try_into_std().unwrap();
    assert_eq!(std.read(&mut read).unwrap(), 0);
}

#[tokio::test]
async fn a_reader_of_a_pipe_holds_nobody_up() {
    let folder = Folder::new();
    let path = folder.join("fifo");
    let made = process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let reader = tokio::spawn({
        let path = path.clone();
        async move {
            let mut read = String::new();
            File::open(path).await.unwrap().read_to_string(&mut read).await.unwrap();
            read
        }
    });
    let mut writer = OpenOptions::new().write(true).open(&path).await.unwrap();
    writer.write_all(b"through the pipe").await.unwrap();
    writer.flush().await.unwrap();
    drop(writer);
    assert_eq!(reader.await.unwrap(), "through the pipe");
}

#[test]
fn a_write_outlives_its_runtime() {
    let folder = Folder::new();
    let path = folder.join("file");
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let mut file = runtime.block_on(File::create(&path)).unwrap();
    // The only thread is held up, so the write waits when the runtime ends.
    let (release, is_released) = mpsc::channel::<()>();
    drop(runtime.spawn_blocking(move || is_released.recv()));
    runtime.block_on(async {
        file.write_all(b"promised").await.unwrap();
    });
    runtime.shutdown_background();
    drop(release);
    // A write that is accepted after the end would be lost, so it is not.
    let other = Builder::new_current_thread().build().unwrap();
    let mut file = other.block_on(async {
        file.flush().await.unwrap();
        file
    });
    assert_eq!(read_std(&path), "promised");
    let handle = other.handle().clone();
    drop(other);
    let _entered = handle.enter();
    let polled = Pin::new(&mut file).poll_write(&mut Context::from_waker(Waker::noop()), b"x");
    assert!(matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
}

#[test]
fn files_may_go_where_tokios_may() {
    fn may_go<T: Send + Sync + Unpin>() {}
    may_go::<(File, OpenOptions, DirBuilder, ReadDir, DirEntry, FileTimes)>();
    fn is_send<T: Send + Sync>(_: &T) {}
    is_send(&fs::read("x"));
    let runtime = Builder::new_current_thread().build().unwrap();
    let file = runtime.block_on(File::open("/dev/null")).unwrap();
    is_send(&file.sync_all());
    is_send(&file.set_len(1));
}
