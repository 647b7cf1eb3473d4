//! A process whose files may grow no further: what is written beyond that is an error, and the file
//! goes on to work for what fits.
//!
//! In a process of its own, because the limit is the process's.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::env;
use std::io::{self, ErrorKind};
use std::process;

use forebear::fs::{self, File};
use forebear::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
use forebear::runtime::{Builder, Runtime};
use forebear::signal::unix::{SignalKind, signal};
use forebear::testing::assert_quiescent;
use forebear::time::{Duration, timeout};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Longer than all of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many bytes fit into a file.
const ROOM: u64 = 64 * 1024;

/// What the system sends besides the error, which would end the process.
const SIGXFSZ: i32 = 25;

#[track_caller]
fn is_full<T>(result: io::Result<T>) {
    let error = result.err().expect("there is room left");
    assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
}

#[test]
fn what_does_not_fit_is_an_error_and_what_fits_is_written() {
    let limit = getrlimit(Resource::Fsize);
    for runtime in [Builder::new_current_thread().build().unwrap(), Runtime::new().unwrap()] {
        let id = runtime.id();
        let test = async {
            let _caught = signal(SignalKind::from_raw(SIGXFSZ)).unwrap();
            let small = Rlimit { current: Some(ROOM), maximum: limit.maximum };
            setrlimit(Resource::Fsize, small).unwrap();
            let path = env::temp_dir().join(format!("forebear-full-{}", process::id()));
            is_full(fs::write(&path, vec![0; 100_000]).await);
            let mut file = File::create(&path).await.unwrap();
            is_full(file.set_len(100_000).await);
            // It is taken over as a whole, and written in part.
            assert_eq!(file.write(&[1; 100_000]).await.unwrap(), 100_000);
            is_full(file.flush().await);
            assert_eq!(file.metadata().await.unwrap().len(), ROOM);
            assert_eq!(file.write(&[2; 10]).await.unwrap(), 10);
            is_full(file.write(&[2; 10]).await);
            is_full(file.write_all(&vec![2; 5 << 20]).await);
            file.seek(SeekFrom::Start(100)).await.unwrap();
            file.write_all(&[3; 10]).await.unwrap();
            file.flush().await.unwrap();
            let mut all = Vec::new();
            File::open(&path).await.unwrap().read_to_end(&mut all).await.unwrap();
            assert_eq!(
                (all.len() as u64, &all[99..111]),
                (ROOM, &[1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1][..])
            );
            fs::remove_file(&path).await.unwrap();
            setrlimit(Resource::Fsize, limit).unwrap();
        };
        let done = runtime.block_on(async { timeout(PATIENCE, test).await });
        assert!(done.is_ok(), "it hangs");
        drop(runtime);
        assert_quiescent(id);
    }
}
