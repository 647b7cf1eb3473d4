//! Reads and writes files, each piece as a job.
//!
//! A job cannot work in memory that its caller has lent, since the caller may be dropped; so bytes
//! are carried in a [`Portion`] of the file's own. Hence what a file does ahead and behind: what was
//! read for somebody who is gone waits for the next who reads, and a write is done when its bytes
//! have been taken over, whatever becomes of them.
//!
//! # State
//! ```text
//!            1 begin
//!   Idle ───────────────▶ Busy       Idle has the portion, which may hold bytes that were read and
//!    ▲                     │         not taken. Busy has the job, and the job has the portion.
//!    └──────2 poll_idle────┘
//! ```

use std::fmt;
use std::fs::{Metadata, Permissions};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, Seek, SeekFrom};
use std::panic::Location;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use tokio::sync::Mutex;

use crate::blocking::outcome;
use crate::driver::reactor::gone;
use crate::fs::{FileTimes, OpenOptions, Operation};
use crate::io::portion::{PORTION_MAX_BYTES, Portion};
use crate::io::request::{Request, request};
use crate::task::JoinHandle;

type Std = std::fs::File;

/// An open file.
///
/// It is read, written and positioned through tokio's traits. A write is done when its bytes have
/// been taken over: they are then written even if the runtime ends, but whether that went well is
/// told only by the next operation. Call [`flush`](crate::io::AsyncWriteExt::flush) before a file is
/// dropped, to know; and [`sync_all`](File::sync_all) to have it on the disk.
///
/// # Hooks
/// A file is no resource: each piece that is read or written, and each change of its position, is
/// one of kind `BLOCKING`, with the location where the file was opened.
///
/// # Examples
/// ```
/// # #[cfg(feature = "io-util")] {
/// use forebear::fs::{self, File};
/// use forebear::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let path = std::env::temp_dir().join(format!("forebear-file-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create_new(true).open(&path).await?;
/// file.write_all(b"one two").await?;
/// file.flush().await?;
/// file.seek(SeekFrom::Start(4)).await?;
/// let mut word = String::new();
/// file.read_to_string(&mut word).await?;
/// assert_eq!(word, "two");
/// fs::remove_file(&path).await?;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    std: Arc<Std>,
    /// Several may ask at once by reference; they wait for each other here.
    desk: Mutex<Desk>,
    portion_max_bytes: usize,
    location: &'static Location<'static>,
}

/// What is going on with a file.
struct Desk {
    state: State,
    /// The error of a write that nobody has been told of.
    untold: Option<io::Error>,
    /// Where the last change of position led.
    position: u64,
}

enum State {
    Idle(Portion),
    Busy(JoinHandle<(Done, Portion)>),
}

/// What a job has done, and what came of it.
enum Done {
    Read(io::Result<()>),
    Write(io::Result<()>),
    Seek(io::Result<u64>),
    Resize(io::Result<()>),
}

impl File {
    /// Opens a file, to read it.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Safe: what was opened is closed.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::open`, made in the first poll.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Operation<File> {
        File::options().read(true).open(path)
    }

    /// Opens a file to write it: empty, made if it was not there.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Once it has been polled, the file is made or emptied even if the future is dropped.
    ///
    /// # Hooks
    /// As [`open`](File::open).
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> Operation<File> {
        File::options().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a file, which must not be there, to read and write it.
    ///
    /// # Errors
    /// When it is there, or the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Once it has been polled, the file is made even if the future is dropped.
    ///
    /// # Hooks
    /// As [`open`](File::open).
    #[track_caller]
    pub fn create_new(path: impl AsRef<Path>) -> Operation<File> {
        File::options().read(true).write(true).create_new(true).open(path)
    }

    /// Begins to say how a file is to be opened.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file of std's.
    #[must_use]
    #[track_caller]
    pub fn from_std(std: Std) -> File {
        File::opened(std, Location::caller())
    }

    pub(super) fn opened(std: Std, location: &'static Location<'static>) -> File {
        let desk = Desk { state: State::Idle(Portion::default()), untold: None, position: 0 };
        File {
            std: Arc::new(std),
            desk: Mutex::new(desk),
            portion_max_bytes: PORTION_MAX_BYTES,
            location,
        }
    }

    pub(super) fn std(&self) -> &Std {
        &self.std
    }

    /// Waits until all that was written, and what is known of the file, is on the disk.
    ///
    /// # Errors
    /// When the system could not bring it there.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::sync_all`.
    #[track_caller]
    pub fn sync_all(&self) -> impl Future<Output = io::Result<()>> + Send + Sync + use<'_> {
        self.when_idle(request!("fs::File::sync_all"), |std| std.sync_all())
    }

    /// Waits until all that was written is on the disk; what else is known of the file may not be.
    ///
    /// # Errors
    /// When the system could not bring it there.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::sync_data`.
    #[track_caller]
    pub fn sync_data(&self) -> impl Future<Output = io::Result<()>> + Send + Sync + use<'_> {
        self.when_idle(request!("fs::File::sync_data"), |std| std.sync_data())
    }

    /// Makes the file shorter, or longer by zeroes. The position stays where it is.
    ///
    /// # Errors
    /// When the file was not opened to be written, or the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Once it has begun, it is done even if the future is dropped.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::set_len`.
    #[track_caller]
    pub fn set_len(
        &self,
        size: u64,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync + use<'_> {
        let request = request!("fs::File::set_len");
        async move {
            let mut desk = self.desk.lock().await;
            desk.settle().await;
            let (std, mut portion) = (self.std.clone(), desk.portion());
            desk.state = State::Busy(request.begin(move || {
                let resized = go_back(&std, portion.len()).and_then(|()| std.set_len(size));
                portion.clear();
                (Done::Resize(resized), portion)
            }));
            match poll_fn(|cx| desk.poll_idle(cx)).await? {
                Some(Done::Resize(resized)) => resized,
                _ => unreachable!("nobody else has used the file"),
            }
        }
    }

    /// Returns what is known of the file.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::metadata`, made in the first poll.
    #[track_caller]
    pub fn metadata(&self) -> Operation<Metadata> {
        let std = self.std.clone();
        request!("fs::File::metadata").call(move || std.metadata())
    }

    /// Says what may be done with the file.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Once it has been polled, it is done even if the future is dropped.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::set_permissions`, made in the first poll.
    #[track_caller]
    pub fn set_permissions(&self, permissions: Permissions) -> Operation<()> {
        let std = self.std.clone();
        request!("fs::File::set_permissions").call(move || std.set_permissions(permissions))
    }

    /// Says when the file is to have been read and written, behind what is being written now.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Once it has begun, it is done even if the future is dropped.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::set_times`.
    #[track_caller]
    pub fn set_times(
        &self,
        times: FileTimes,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync + use<'_> {
        let times = times.into_std();
        self.when_idle(request!("fs::File::set_times"), move |std| std.set_times(times))
    }

    /// Says when the file is to have been written: see [`set_times`](File::set_times).
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    #[track_caller]
    pub fn set_modified(
        &self,
        time: SystemTime,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync + use<'_> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Makes another handle of the same open file: both have one position.
    ///
    /// # Errors
    /// When the system has no descriptor for it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::File::try_clone`.
    #[track_caller]
    pub fn try_clone(&self) -> impl Future<Output = io::Result<File>> + Send + Sync + use<'_> {
        let location = Location::caller();
        let clone = self.when_idle(request!("fs::File::try_clone"), Std::try_clone);
        async move {
            let mut file = File::opened(clone.await?, location);
            file.portion_max_bytes = self.portion_max_bytes;
            Ok(file)
        }
    }

    /// Gives the file away, when all that was written has been.
    ///
    /// # Panics
    /// If another operation was given up that still runs, and the system has no descriptor for the
    /// copy that is then needed.
    ///
    /// # Cancel safety
    /// Dropping it drops the file.
    pub async fn into_std(mut self) -> Std {
        self.desk.get_mut().settle().await;
        match Arc::try_unwrap(self.std) {
            Ok(std) => std,
            // A job has it whose caller is gone: metadata, perhaps.
            Err(shared) => match shared.try_clone() {
                Ok(std) => std,
                Err(error) => panic!("a file that is still in use cannot be given away: {error}"),
            },
        }
    }

    /// Gives the file away, if nothing is going on with it.
    ///
    /// # Errors
    /// Returns it if something is going on.
    pub fn try_into_std(mut self) -> Result<Std, File> {
        match Arc::try_unwrap(self.std) {
            Ok(std) => Ok(std),
            Err(std) => {
                self.std = std;
                Err(self)
            }
        }
    }

    /// Says how many bytes travel at once at most: 2 MiB unless told otherwise.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        assert!(max_buf_size > 0, "a file moves at least one byte at once");
        self.portion_max_bytes = max_buf_size;
    }

    /// Returns how many bytes travel at once at most.
    #[must_use]
    pub fn max_buf_size(&self) -> usize {
        self.portion_max_bytes
    }

    /// Waits until nothing is going on, and makes a call while nobody else may begin anything.
    async fn when_idle<T: Send + 'static>(
        &self,
        request: Request,
        call: impl FnOnce(&Std) -> io::Result<T> + Send + Sync + 'static,
    ) -> io::Result<T> {
        let mut desk = self.desk.lock().await;
        desk.settle().await;
        let std = self.std.clone();
        request.call(move || call(&std)).await
    }

    /// What is read and written has nobody's location but that of the file.
    fn request(&self, label: fn() -> &'static str) -> Request {
        Request { label, location: self.location }
    }
}

/// Takes the position back by so many bytes, which were read ahead and not taken.
fn go_back(mut std: &Std, unread: usize) -> io::Result<()> {
    if unread > 0 {
        std.seek(SeekFrom::Current(-signed(unread)))?;
    }
    Ok(())
}

/// Changes the position as from before so many bytes, in one step where they can be counted in one.
fn seek_behind(mut std: &Std, unread: usize, offset: i64) -> io::Result<u64> {
    match offset.checked_sub(signed(unread)) {
        Some(offset) => std.seek(SeekFrom::Current(offset)),
        None => {
            go_back(std, unread)?;
            std.seek(SeekFrom::Current(offset))
        }
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

impl Desk {
    /// Transition 2: waits until nothing is going on. Says what was, if something was.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Done>>> {
        let State::Busy(job) = &mut self.state else { return Poll::Ready(Ok(None)) };
        let joined = ready!(Pin::new(job).poll(cx));
        self.state = State::Idle(Portion::default());
        let (done, portion) = outcome(joined)?;
        self.state = State::Idle(portion);
        if let Done::Seek(Ok(position)) = done {
            self.position = position;
        }
        Poll::Ready(Ok(Some(done)))
    }

    /// Waits until nothing is going on, and tells of a write that went wrong.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.untold.take() {
            return Poll::Ready(Err(error));
        }
        match ready!(self.poll_idle(cx))? {
            Some(Done::Write(written)) => Poll::Ready(written),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Waits until nothing is going on, on behalf of somebody whom writes do not concern.
    async fn settle(&mut self) {
        if let Err(error) = poll_fn(|cx| self.poll_flush(cx)).await {
            self.untold = Some(error);
        }
    }

    /// Takes the portion, to give it to a job, while nothing is going on.
    fn portion(&mut self) -> Portion {
        match &mut self.state {
            State::Idle(portion) => std::mem::take(portion),
            State::Busy(_) => unreachable!("something is going on"),
        }
    }

    /// Remembers what went wrong behind somebody's back.
    fn note(&mut self, done: Done) {
        if let Done::Write(Err(error)) = done {
            self.untold = Some(error);
        }
    }
}

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let file = self.get_mut();
        let request = file.request(|| "fs::File::read");
        let desk = file.desk.get_mut();
        loop {
            match ready!(desk.poll_idle(cx))? {
                Some(Done::Read(read)) => {
                    read?;
                    break;
                }
                Some(done) => desk.note(done),
                None => {
                    let mut portion = desk.portion();
                    if !portion.is_empty() || buffer.remaining() == 0 {
                        desk.state = State::Idle(portion);
                        break;
                    }
                    let most = buffer.remaining().min(file.portion_max_bytes);
                    let std = file.std.clone();
                    desk.state = State::Busy(request.begin(move || {
                        let read = portion.read_from(&mut &*std, most);
                        (Done::Read(read), portion)
                    }));
                }
            }
        }
        if let State::Idle(portion) = &mut desk.state {
            portion.give_to(buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let file = self.get_mut();
        let request = file.request(|| "fs::File::seek");
        let desk = file.desk.get_mut();
        let State::Idle(_) = desk.state else {
            let cure = "another operation of the file is going on: call `poll_complete` before";
            return Err(io::Error::other(cure));
        };
        let (std, mut portion) = (file.std.clone(), desk.portion());
        desk.state = State::Busy(request.begin(move || {
            let moved = match to {
                // For the program, what was read ahead has not been read.
                SeekFrom::Current(offset) => seek_behind(&std, portion.len(), offset),
                to => (&*std).seek(to),
            };
            portion.clear();
            (Done::Seek(moved), portion)
        }));
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let desk = self.get_mut().desk.get_mut();
        loop {
            match ready!(desk.poll_idle(cx))? {
                None => return Poll::Ready(Ok(desk.position)),
                Some(Done::Seek(moved)) => return Poll::Ready(moved),
                Some(done) => desk.note(done),
            }
        }
    }
}

impl File {
    fn poll_write_slices(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let request = self.request(|| "fs::File::write");
        let desk = self.desk.get_mut();
        ready!(desk.poll_flush(cx))?;
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let (std, mut portion) = (self.std.clone(), desk.portion());
        let unread = portion.len();
        let count = portion.fill_from(slices, self.portion_max_bytes);
        let job = request.promise(move || {
            let written = go_back(&std, unread).and_then(|()| portion.write_to(&mut &*std));
            (Done::Write(written), portion)
        });
        match job {
            Some(job) => desk.state = State::Busy(job),
            None => return Poll::Ready(Err(gone())),
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_slices(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_slices(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().desk.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl From<Std> for File {
    #[track_caller]
    fn from(std: Std) -> File {
        File::from_std(std)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("File");
        f.field("std", &self.std);
        match self.desk.try_lock() {
            Ok(desk) => f.field("is_busy", &matches!(desk.state, State::Busy(_))),
            Err(_) => f.field("is_busy", &"<locked>"),
        };
        f.finish()
    }
}
