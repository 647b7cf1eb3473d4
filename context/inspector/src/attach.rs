//! Connects to a service, and asks it.

use std::fs;
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use forebear_context::inspect::wire::{
    Decoder, Hello, Sort, WIRE_VERSION, number_of, number_to_bytes, read_frame, read_greeting,
    write_frame, write_greeting,
};
use forebear_context::inspect::{ResourceInfo, Snapshot, socket};

use crate::Failure;
use crate::args::Target;

/// A service that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) hello: Hello,
    from: BufReader<UnixStream>,
    decoder: Decoder,
}

/// Whether polls and times are to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithCounts {
    No,
    Yes,
}

impl Service {
    pub(crate) fn connect(target: &Target) -> Result<Service, Failure> {
        match target {
            Target::Socket(path) => {
                let stream = UnixStream::connect(path).map_err(|error| not_connected(path, &error));
                Service::greet(stream?)
            }
            Target::Process(pid) => {
                let paths = places_of(*pid);
                let found = paths.iter().find(|path| fs::symlink_metadata(path).is_ok());
                let Some(path) = found else { return Err(not_found(*pid, &paths)) };
                let stream = UnixStream::connect(path).map_err(|error| not_connected(path, &error));
                Service::greet(stream?)
            }
        }
    }

    fn greet(stream: UnixStream) -> Result<Service, Failure> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // A service that has no place for us may have closed its side: what it said first is read next.
        let _ = write_greeting(&mut &stream);
        let mut from = BufReader::new(stream);
        let theirs = read_greeting(&mut from)
            .map_err(|error| Failure::not_there(format!("this is no forebear service: {error}")))?;
        if theirs != WIRE_VERSION {
            return Err(Failure::not_there(format!(
                "the service speaks version {theirs} of this, and I speak {WIRE_VERSION}: install \
                 the forebear-inspector that goes with its forebear"
            )));
        }
        let mut payload = Vec::new();
        match read_frame(&mut from, &mut payload)? {
            Sort::Hello => {
                let hello = Hello::of(&payload).map_err(io::Error::from)?;
                Ok(Service { hello, from, decoder: Decoder::new() })
            }
            Sort::Error => Err(Failure::not_there(String::from_utf8_lossy(&payload).into_owned())),
            sort => Err(unexpected(sort)),
        }
    }

    /// Copies what is alive there.
    pub(crate) fn snapshot(&mut self, with: WithCounts) -> Result<Snapshot, Failure> {
        let wants_counts = u64::from(with == WithCounts::Yes);
        let to = self.from.get_mut();
        write_frame(to, Sort::Snapshot, &number_to_bytes(wants_counts))?;
        let (mut payload, mut all) = (Vec::new(), Vec::<ResourceInfo>::new());
        loop {
            match read_frame(&mut self.from, &mut payload)? {
                Sort::Resources => {
                    all.extend(self.decoder.resources(&payload).map_err(io::Error::from)?);
                }
                Sort::End => return Ok(Snapshot::of(all)),
                Sort::Error => {
                    return Err(io::Error::other(String::from_utf8_lossy(&payload)).into());
                }
                sort => return Err(unexpected(sort)),
            }
        }
    }

    /// Lets the service record what happens for so long, and writes it. Returns how many events were
    /// dropped.
    pub(crate) fn trace(&mut self, window: Duration, out: &mut impl Write) -> Result<u64, Failure> {
        let ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self.from.get_ref().set_read_timeout(Some(window + PATIENCE))?;
        write_frame(self.from.get_mut(), Sort::Record, &number_to_bytes(ms))?;
        let (mut payload, mut dropped) = (Vec::new(), 0);
        loop {
            match read_frame(&mut self.from, &mut payload)? {
                Sort::Trace => out.write_all(&payload)?,
                Sort::Dropped => dropped = number_of(&payload).map_err(io::Error::from)?,
                Sort::End => return Ok(dropped),
                Sort::Error => {
                    return Err(io::Error::other(String::from_utf8_lossy(&payload)).into());
                }
                sort => return Err(unexpected(sort)),
            }
        }
    }

    /// Copies what is alive twice, so much apart. Returns also how much it was really.
    pub(crate) fn two_snapshots(
        &mut self,
        window: Duration,
        with: WithCounts,
    ) -> Result<(Snapshot, Snapshot, Duration), Failure> {
        let before = self.snapshot(with)?;
        let began = Instant::now();
        std::thread::sleep(window);
        let after = self.snapshot(with)?;
        Ok((before, after, began.elapsed()))
    }
}

fn unexpected(sort: Sort) -> Failure {
    io::Error::new(io::ErrorKind::InvalidData, format!("the service sent {sort:?}")).into()
}

/// Returns where the socket of a process may be: in this user's folder, or in those of others, which
/// only root can enter.
fn places_of(pid: u32) -> Vec<PathBuf> {
    let mut places = vec![socket::path_of(pid)];
    places.extend(folders_of_all().into_iter().map(|folder| folder.join(format!("{pid}.sock"))));
    places
}

/// Returns every folder that has sockets in it, of whatever user.
pub(crate) fn folders_of_all() -> Vec<PathBuf> {
    let mut folders = vec![socket::folder()];
    let below = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<PathBuf>>()
    };
    folders.extend(below(Path::new("/run/user")).into_iter().map(|folder| folder.join("forebear")));
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(socket::SHARED_PREFIX))
    };
    folders.extend(below(&std::env::temp_dir()).into_iter().filter(is_ours));
    let mut seen = Vec::new();
    folders.retain(|folder| {
        let is_new = !seen.contains(folder);
        seen.push(folder.clone());
        is_new
    });
    folders
}

/// Returns the ids of the processes that have a socket, and where it is.
pub(crate) fn all_services() -> Vec<(u32, PathBuf)> {
    let mut all = Vec::new();
    for folder in folders_of_all() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let pid = name.and_then(|name| name.strip_suffix(".sock")?.parse().ok());
            all.extend(pid.map(|pid: u32| (pid, path.clone())));
        }
    }
    all.sort();
    all
}

const HOW: &str = "debug builds of forebear services can be looked at; others with \
FOREBEAR_INSPECT=1 in their environment, or with Builder::inspect(true)";

fn not_found(pid: u32, places: &[PathBuf]) -> Failure {
    let process = PathBuf::from(format!("/proc/{pid}"));
    if Path::new("/proc/self").exists() && !process.exists() {
        return Failure::not_there(format!("there is no process {pid}"));
    }
    let uid_of = |path: &Path| {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).ok().map(|found| found.uid())
    };
    let (theirs, ours) = (uid_of(&process), uid_of(Path::new("/proc/self")));
    let whose = match theirs {
        Some(theirs) if ours != Some(theirs) && ours != Some(0) => {
            format!(" It belongs to user {theirs}: only that user, and root, may look at it.")
        }
        _ => String::new(),
    };
    let place = places.first().map(|place| place.display().to_string()).unwrap_or_default();
    Failure::not_there(format!(
        "process {pid} cannot be looked at: it has no socket at {place}.{whose}\n{HOW}"
    ))
}

fn not_connected(path: &Path, error: &io::Error) -> Failure {
    let place = path.display();
    Failure::not_there(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("no permission for {place}: only the user of the service, and root, have it")
        }
        io::ErrorKind::ConnectionRefused => {
            format!("the process of {place} has ended without removing it")
        }
        io::ErrorKind::NotFound => format!("there is no socket at {place}\n{HOW}"),
        _ => format!("{place}: {error}"),
    })
}
