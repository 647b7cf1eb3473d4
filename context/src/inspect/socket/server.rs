//! Answers who has connected: a thread for each, so that none waits for another.

use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use forebear_hooks::create_hook;

use crate::inspect::counts::{Counting, count};
use crate::inspect::snapshot::chunks;
use crate::inspect::wire::{
    Encoder, Hello, Sort, WIRE_VERSION, number_of, number_to_bytes, read_frame, read_greeting,
    write_frame, write_greeting,
};
use crate::observers::FlightRecorder;
use crate::tracker;

use super::STACK_BYTES;

/// So many may look at once.
const CLIENTS_MAX: usize = 8;

/// Who reads nothing for so long is given up; and who says nothing at the beginning.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a failure to accept, such as no file left, it is tried again this much later.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A client waits for its next snapshot as long as the last one took, but not longer than this: so
/// whoever asks without end has half a thread at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A trace takes at most so much memory; what happened before that is forgotten, and counted.
const TRACE_MAX_BYTES: usize = 32 << 20;

const TRACE_MAX_TIME: Duration = Duration::from_secs(600);

/// Waits for clients until the socket is closed.
pub(super) fn wait(listener: &UnixListener, is_closed: &Arc<AtomicBool>) {
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = listener.accept();
        // Acquire, to go with the Release of who closes it.
        if is_closed.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            Ok((stream, _)) => welcome(stream, &clients, is_closed),
            Err(_) => thread::sleep(AGAIN_AFTER),
        }
    }
}

/// One of the clients, while it is there.
struct Guest(Arc<AtomicUsize>);

impl Guest {
    fn enter(clients: &Arc<AtomicUsize>) -> Option<Guest> {
        // Only the accepting thread adds to it.
        if clients.load(Ordering::Relaxed) >= CLIENTS_MAX {
            return None;
        }
        clients.fetch_add(1, Ordering::Relaxed);
        Some(Guest(clients.clone()))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn welcome(stream: UnixStream, clients: &Arc<AtomicUsize>, is_closed: &Arc<AtomicBool>) {
    let Some(guest) = Guest::enter(clients) else {
        // It is new, so there is room for a line: nobody is waited for.
        let refuse = || {
            stream.set_nonblocking(true)?;
            write_greeting(&mut &stream)?;
            let what = format!("{CLIENTS_MAX} others are looking at it already");
            write_frame(&mut &stream, Sort::Error, what.as_bytes())
        };
        let _: io::Result<()> = refuse();
        return;
    };
    let is_closed = is_closed.clone();
    let answer = move || {
        // It is the client's affair how it ended.
        let _ = Client { stream, is_closed }.serve();
        drop(guest);
    };
    let builder = thread::Builder::new().name("forebear-client".into()).stack_size(STACK_BYTES);
    // Without a thread it is refused: the stream is dropped.
    let _ = builder.spawn(answer);
}

struct Client {
    stream: UnixStream,
    is_closed: Arc<AtomicBool>,
}

impl Client {
    fn serve(&self) -> io::Result<()> {
        let mut stream = &self.stream;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write_greeting(&mut stream)?;
        write_frame(&mut stream, Sort::Hello, &hello().to_bytes())?;
        if read_greeting(&mut stream)? != WIRE_VERSION {
            let what = format!("this process speaks version {WIRE_VERSION}");
            return write_frame(&mut stream, Sort::Error, what.as_bytes());
        }
        // From now on a client may think for as long as it wants.
        stream.set_read_timeout(None)?;
        let (mut encoder, mut counting, mut payload) = (Encoder::new(), None, Vec::new());
        loop {
            let sort = read_frame(&mut stream, &mut payload)?;
            if self.is_closed.load(Ordering::Acquire) {
                return write_frame(&mut stream, Sort::Error, b"its runtime has ended");
            }
            let began = Instant::now();
            match sort {
                Sort::Snapshot => {
                    let wants_counts = number_of(&payload)? != 0;
                    self.send_snapshot(&mut encoder, wants_counts, &mut counting)?;
                }
                Sort::Record => self.send_trace(number_of(&payload)?)?,
                _ => return write_frame(&mut stream, Sort::Error, b"this was no question"),
            }
            thread::sleep(began.elapsed().min(PAUSE_MAX));
        }
    }

    fn send_snapshot(
        &self,
        encoder: &mut Encoder,
        wants_counts: bool,
        counting: &mut Option<Counting>,
    ) -> io::Result<()> {
        let mut stream = &self.stream;
        if wants_counts && counting.is_none() {
            // Until the client goes. Without a place for the hook there are no counts.
            *counting = count().ok();
        }
        for chunk in chunks() {
            write_frame(&mut stream, Sort::Resources, &encoder.resources(&chunk))?;
        }
        write_frame(&mut stream, Sort::End, &[])
    }
}

impl Client {
    /// Records what happens for so long, and sends it.
    fn send_trace(&self, ms: u64) -> io::Result<()> {
        let mut stream = &self.stream;
        let recorder = Arc::new(FlightRecorder::with_wakes(TRACE_MAX_BYTES));
        let Ok(hook) = create_hook(recorder.clone()).attach_existing().enable() else {
            return write_frame(&mut stream, Sort::Error, b"as many hooks listen as can be");
        };
        thread::sleep(Duration::from_millis(ms).min(TRACE_MAX_TIME));
        drop(hook);
        let recording = recorder.recording();
        drop(recorder);
        let mut frames = Frames { stream, part: Vec::new() };
        // It fails only if the stream does.
        write!(frames, "{}", recording.chrome())?;
        frames.flush()?;
        write_frame(&mut stream, Sort::Dropped, &number_to_bytes(recording.forgotten()))?;
        write_frame(&mut stream, Sort::End, &[])
    }
}

/// Cuts what is written into frames.
struct Frames<'a> {
    stream: &'a UnixStream,
    part: Vec<u8>,
}

const PART_BYTES: usize = 64 * 1024;

impl Write for Frames<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        write_frame(&mut &*self.stream, Sort::Trace, &self.part)?;
        self.part.clear();
        Ok(())
    }
}

fn hello() -> Hello {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(|path| path.file_name());
    let stats = tracker::stats();
    Hello {
        pid: std::process::id(),
        program: program.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        alive: stats.alive as u64,
        remembered: stats.remembered as u64,
        forgotten: stats.forgotten,
    }
}
