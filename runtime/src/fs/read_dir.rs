//! Reads folders, several entries per job.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::future::{Future, poll_fn};
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::blocking::outcome;
use crate::fs::Operation;
use crate::io::request::{Request, request};
use crate::task::JoinHandle;

/// So many entries are read per job: a compromise between jobs for large folders and waiting for
/// entries that nobody wants. As many as tokio reads.
const ENTRIES_PER_JOB: usize = 32;

/// Opens a folder, to read what is in it.
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
/// A resource of kind `BLOCKING`, labelled `fs::read_dir`, made in the first poll; and one labelled
/// `fs::ReadDir::next_entry` for each few of the entries, with the location of this call.
///
/// # Examples
/// ```
/// use forebear::fs;
///
/// # forebear::runtime::Runtime::new()?.block_on(async {
/// let mut entries = fs::read_dir(".").await?;
/// let mut has_manifest = false;
/// while let Some(entry) = entries.next_entry().await? {
///     has_manifest |= entry.file_name() == "Cargo.toml";
/// }
/// assert!(has_manifest);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read_dir(path: impl AsRef<Path>) -> Operation<ReadDir> {
    let path = path.as_ref().to_owned();
    let location = Location::caller();
    request!("fs::read_dir").call(move || {
        let mut folder = Folder::of(std::fs::read_dir(path)?);
        folder.read_some();
        Ok(ReadDir { state: State::Here(folder), location })
    })
}

/// What is in a folder, in no particular order. Also a [`Stream`].
#[must_use = "entries are read when they are asked for"]
#[derive(Debug)]
pub struct ReadDir {
    state: State,
    location: &'static Location<'static>,
}

#[derive(Debug)]
enum State {
    Here(Folder),
    /// A job has it.
    Away(JoinHandle<Folder>),
    /// The job that had it was lost with its runtime.
    Lost,
}

/// A folder, and the entries that were read ahead.
struct Folder {
    entries: VecDeque<io::Result<DirEntry>>,
    /// `None` when there are no more.
    rest: Option<std::fs::ReadDir>,
}

impl Folder {
    fn of(rest: std::fs::ReadDir) -> Folder {
        Folder { entries: VecDeque::with_capacity(ENTRIES_PER_JOB), rest: Some(rest) }
    }

    /// Reads entries ahead, up to the first that cannot be read.
    fn read_some(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        for _ in 0..ENTRIES_PER_JOB {
            let Some(entry) = rest.next() else {
                self.rest = None;
                return;
            };
            let is_error = entry.is_err();
            self.entries.push_back(entry.map(DirEntry::new));
            if is_error {
                return;
            }
        }
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("entries", &self.entries.len())
            .field("is_all", &self.rest.is_none())
            .finish()
    }
}

impl ReadDir {
    /// Returns the next entry, `None` at the end.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// Outside a runtime, if there is none that was read ahead.
    ///
    /// # Cancel safety
    /// Safe: no entry is lost.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING` where entries have to be read.
    pub fn next_entry(
        &mut self,
    ) -> impl Future<Output = io::Result<Option<DirEntry>>> + Send + Sync + use<'_> {
        poll_fn(|cx| self.poll_next_entry(cx))
    }

    /// Returns the next entry, `None` at the end. See [`next_entry`](ReadDir::next_entry).
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// Outside a runtime, if there is none that was read ahead.
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            match &mut self.state {
                State::Here(folder) => {
                    if let Some(entry) = folder.entries.pop_front() {
                        return Poll::Ready(entry.map(Some));
                    }
                    if folder.rest.is_none() {
                        return Poll::Ready(Ok(None));
                    }
                    self.send_away();
                }
                State::Away(job) => {
                    let joined = ready!(Pin::new(job).poll(cx));
                    self.state = State::Lost;
                    self.state = State::Here(outcome(joined)?);
                }
                State::Lost => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn send_away(&mut self) {
        let State::Here(mut folder) = std::mem::replace(&mut self.state, State::Lost) else {
            return;
        };
        let request = Request { label: || "fs::ReadDir::next_entry", location: self.location };
        self.state = State::Away(request.begin(move || {
            folder.read_some();
            folder
        }));
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<DirEntry>>> {
        self.get_mut().poll_next_entry(cx).map(Result::transpose)
    }
}

/// Something in a folder.
#[derive(Debug)]
pub struct DirEntry {
    std: Arc<std::fs::DirEntry>,
    /// Of what sort it is, where the folder says so.
    file_type: Option<FileType>,
}

impl DirEntry {
    fn new(std: std::fs::DirEntry) -> DirEntry {
        // Asked on the thread of the job, since some file systems have to look.
        DirEntry { file_type: std.file_type().ok(), std: Arc::new(std) }
    }

    /// Returns its path: that of the folder as it was given, and its name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.std.path()
    }

    /// Returns its name.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.std.file_name()
    }

    /// Returns what is known of it. Links are not followed.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::DirEntry::metadata`, made in the first poll.
    #[track_caller]
    pub fn metadata(&self) -> Operation<Metadata> {
        let std = self.std.clone();
        request!("fs::DirEntry::metadata").call(move || std.metadata())
    }

    /// Says of what sort it is. Links are not followed.
    ///
    /// # Errors
    /// When the system refuses it.
    ///
    /// # Panics
    /// If it is polled outside a runtime, and the folder does not say it.
    ///
    /// # Hooks
    /// A resource of kind `BLOCKING`, labelled `fs::DirEntry::file_type`, made in the first poll,
    /// unless the folder has said it.
    #[track_caller]
    pub fn file_type(&self) -> Operation<FileType> {
        if let Some(known) = self.file_type {
            return Operation::done(request!("fs::DirEntry::file_type"), Ok(known));
        }
        let std = self.std.clone();
        request!("fs::DirEntry::file_type").call(move || std.file_type())
    }

    /// Returns the number that its file system has for it.
    #[cfg(unix)]
    #[must_use]
    pub fn ino(&self) -> u64 {
        std::os::unix::fs::DirEntryExt::ino(&*self.std)
    }
}
