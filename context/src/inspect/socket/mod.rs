//! Lets another program of the same user look at this one: a socket that is dormant until somebody
//! connects.
//!
//! A thread of its own waits there, so it answers whatever the workers do. Nothing is recorded before
//! somebody asks for it, and what a client costs is bounded: there are at most eight, each gets its
//! next snapshot no sooner than the last one took, and one that does not read is given up.
//!
//! | file | is |
//! |---|---|
//! | `$FOREBEAR_INSPECT_DIR/PID.sock` | if that is set |
//! | `$XDG_RUNTIME_DIR/forebear/PID.sock` | where there is such a folder |
//! | `forebear-UID/PID.sock` below the folder for temporary files | else |
//!
//! Only the user may enter the folder, and only the user may connect. What can be seen there are
//! names, places and times, and the context values that were declared to be shown.

mod server; // what is answered

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The variable that names another folder.
pub const FOLDER_VARIABLE: &str = "FOREBEAR_INSPECT_DIR";

/// Where users share a folder, the name of each one's begins with this.
pub const SHARED_PREFIX: &str = "forebear-";

/// What a thread needs that writes a snapshot, with room for closures that show values.
const STACK_BYTES: usize = 512 * 1024;

/// Returns the folder in which the sockets of this user's processes are.
#[must_use]
pub fn folder() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|folder| !folder.is_empty());
    if let Some(folder) = named(FOLDER_VARIABLE) {
        return folder.into();
    }
    match named("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir()) {
        Some(folder) => folder.join("forebear"),
        None => {
            let uid = rustix::process::getuid().as_raw();
            std::env::temp_dir().join(format!("{SHARED_PREFIX}{uid}"))
        }
    }
}

/// Returns where the socket of a process of this user is, if it has one.
#[must_use]
pub fn path_of(pid: u32) -> PathBuf {
    folder().join(format!("{pid}.sock"))
}

/// The process can be looked at as long as one of these lives.
#[must_use = "the socket is closed when the last one is dropped"]
#[derive(Debug)]
pub struct Socket(());

struct Listening {
    users: usize,
    on: Option<Door>,
}

/// The listening thread, as who ends it knows it.
struct Door {
    path: PathBuf,
    is_closed: Arc<AtomicBool>,
}

static LISTENING: Mutex<Listening> = Mutex::new(Listening { users: 0, on: None });

fn listening() -> MutexGuard<'static, Listening> {
    LISTENING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets other programs of this user look at the process. Several may ask for it, there is one socket.
///
/// # Errors
/// If there can be no socket: the folder belongs to somebody else, say.
pub fn listen() -> io::Result<Socket> {
    let mut listening = listening();
    if listening.on.is_none() {
        listening.on = Some(open()?);
    }
    listening.users += 1;
    Ok(Socket(()))
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut listening = listening();
        listening.users -= 1;
        let door = if listening.users == 0 { listening.on.take() } else { None };
        // Under the lock: who opens it again must not find the path taken, nor lose it.
        if let Some(Door { path, is_closed }) = door {
            is_closed.store(true, Ordering::Release);
            // Wakes the thread. If nobody answers, it is gone already.
            drop(UnixStream::connect(&path));
            // It may have been removed by who tidies up; then there is nothing to do.
            let _ = fs::remove_file(&path);
        }
    }
}

fn open() -> io::Result<Door> {
    let path = path_of(std::process::id());
    if let Some(folder) = path.parent() {
        make_private(folder)?;
        remove_dead(folder);
    }
    // A process of the same number, long ago, may have left one.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let is_closed = Arc::new(AtomicBool::new(false));
    let is_over = is_closed.clone();
    let wait = move || server::wait(&listener, &is_over);
    thread::Builder::new().name("forebear-inspect".into()).stack_size(STACK_BYTES).spawn(wait)?;
    Ok(Door { path, is_closed })
}

/// Makes a folder that only this user can enter, or checks that it is one.
fn make_private(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).recursive(true).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Of a link itself: somebody else may have put it there.
    let found = fs::symlink_metadata(folder)?;
    let is_private = found.is_dir()
        && found.uid() == rustix::process::geteuid().as_raw()
        && found.mode() & 0o022 == 0;
    if is_private {
        return Ok(());
    }
    let what = format!("{} is not a folder of this user alone", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Removes the sockets of processes that ended without doing so.
fn remove_dead(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_socket = path.extension().is_some_and(|extension| extension == "sock");
        let refused = io::ErrorKind::ConnectionRefused;
        if is_socket && UnixStream::connect(&path).is_err_and(|error| error.kind() == refused) {
            // Somebody else may be tidying up, too.
            let _ = fs::remove_file(&path);
        }
    }
}
