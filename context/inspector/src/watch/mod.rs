//! Shows a service in a terminal, live.

mod app; // what is shown, and what keys do
mod base64; // for the clipboard
mod draw; // how it looks

use std::io::{self, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use forebear_context::inspect::Snapshot;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::args::{Options, Target};
use crate::attach::{Service, WithCounts};
use crate::{Failure, Verdict};
use app::{App, Next};

/// How often there is a new snapshot.
const PERIOD: Duration = Duration::from_secs(1);

/// How long to wait for a key before looking whether there is one.
const TICK: Duration = Duration::from_millis(50);

/// What comes from the service.
type News = Result<Snapshot, String>;

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    let target = options.target()?.clone();
    let service = Service::connect(&target)?;
    let title = format!("{} {}", service.hello.program, service.hello.pid);
    let (news, fresh) = mpsc::channel();
    let (pause, is_paused) = mpsc::channel();
    thread::spawn(move || follow(service, &target, &news, &is_paused));
    let mut terminal = ratatui::try_init()?;
    let mut app = App::new(title, options);
    let result = interact(&mut terminal, &mut app, &fresh, &pause);
    ratatui::try_restore()?;
    result?;
    Ok(Verdict::Fine)
}

/// Takes a snapshot every second, until nobody wants one.
fn follow(mut service: Service, target: &Target, news: &Sender<News>, is_paused: &Receiver<bool>) {
    loop {
        let taken = service.snapshot(WithCounts::Yes).map_err(|failure| failure.what);
        let is_gone = taken.is_err();
        if news.send(taken).is_err() {
            return;
        }
        let mut pause = match is_paused.recv_timeout(PERIOD) {
            Ok(is_paused) => is_paused,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while pause {
            match is_paused.recv() {
                Ok(is_paused) => pause = is_paused,
                Err(_) => return,
            }
        }
        // It may have been started again, under the same socket.
        if is_gone {
            if let Ok(again) = Service::connect(target) {
                service = again;
            }
        }
    }
}

fn interact(
    terminal: &mut ratatui::DefaultTerminal,
    app: &mut App,
    fresh: &Receiver<News>,
    pause: &Sender<bool>,
) -> io::Result<()> {
    loop {
        // Only the newest: who looks may be slower than the service.
        if let Some(news) = fresh.try_iter().last() {
            app.update(news);
        }
        terminal.draw(|frame| draw::draw(frame, app))?;
        if !event::poll(TICK)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match app.press(key) {
            Next::Go => {}
            Next::End => return Ok(()),
            Next::Pause(is_paused) => {
                // The thread ends only after this loop has.
                let _ = pause.send(is_paused);
            }
            Next::Copy(text) => {
                // To the clipboard of the terminal, wherever that is: OSC 52.
                let mut out = io::stdout();
                write!(out, "\u{1b}]52;c;{}\u{7}", base64::encode(text.as_bytes()))?;
                out.flush()?;
            }
        }
    }
}
