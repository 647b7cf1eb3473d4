//! Drives `forebear watch` in a terminal, through tmux: keys go in, and what is on the screen is read.
//!
//! It is run with `--features tmux`, where there is tmux; `tests/run` sees to that.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Service;

/// A terminal in which something is watched.
struct Screen {
    server: String,
}

impl Screen {
    fn watch(service: &Service, args: &str) -> Screen {
        let server = format!("forebear-{}-{}", std::process::id(), service.pid());
        let (command, socket) = (env!("CARGO_BIN_EXE_forebear"), service.socket());
        let line = format!("TERM=screen-256color {command} watch {} {args}", socket.display());
        let screen = Screen { server };
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "30", &line]);
        screen
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").arg("-L").arg(&self.server).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"][..], keys].concat());
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until all of this is on the screen.
    #[track_caller]
    fn shows(&self, texts: &[&str]) -> String {
        self.until(&|screen| texts.iter().all(|text| screen.contains(text)), texts)
    }

    #[track_caller]
    fn until(&self, is_it: &dyn Fn(&str) -> bool, wanted: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let screen = self.text();
            if is_it(&screen) {
                return screen;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{wanted:?} in\n{screen}");
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_stuck_task_is_seen_and_its_lineage_read() {
    let service = Service::start(&["wedged"]);
    let screen = Screen::watch(&service, "");
    screen.shows(&["planted", "tree, triggered-by", "▶ #", "task ship", "accountId=42"]);
    screen.press(&["3"]);
    screen.shows(&["tree, waiting-on", "to end"]);
    screen.press(&["1"]);
    screen.press(&["/"]);
    screen.press(&["-l", "state:running kind:task"]);
    screen.press(&["Enter"]);
    screen.shows(&["filter: state:running kind:task", "task ship"]);
    screen.press(&["G"]);
    screen.press(&["Enter"]);
    screen.shows(&["detail", "triggered by", "flow POST /orders", "planted.rs:"]);
    screen.press(&["?"]);
    screen.shows(&["keys", "pause"]);
    screen.press(&["x"]);
    // It can be stopped, and gives the terminal back.
    screen.press(&["q"]);
    let began = Instant::now();
    while screen.tmux(&["list-sessions"]).contains("windows") {
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_wrong_filter_is_said_and_kept_to_be_corrected() {
    let service = Service::start(&["healthy"]);
    let screen = Screen::watch(&service, "");
    screen.shows(&["task client"]);
    screen.press(&["/"]);
    screen.press(&["-l", "kidn:task"]);
    screen.press(&["Enter"]);
    screen.shows(&["/kidn:task", "did you mean `kind`?"]);
    screen.press(&["Escape"]);
    screen.until(&|text| !text.contains("kidn"), &["no filter"]);
}

#[test]
fn the_table_is_sorted_and_leaks_are_listed() {
    let busy = Service::start(&["busy"]);
    let screen = Screen::watch(&busy, "");
    screen.press(&["b"]);
    let is_first = |text: &str| text.lines().nth(2).is_some_and(|line| line.contains("task hog"));
    screen.until(&is_first, &["table by busy", "hog first"]);
    screen.press(&["s"]);
    screen.shows(&["table by polls"]);
    screen.press(&["Space"]);
    screen.shows(&["paused"]);
    drop(screen);

    let leaky = Service::start(&["leaky"]);
    let screen = Screen::watch(&leaky, "");
    screen.press(&["l"]);
    screen.shows(&["never-wakes", "nobody wakes me", "flow GET /leak"]);
}

#[test]
fn a_hundred_thousand_lines_are_walked_through_while_they_change() {
    let service = Service::start(&["many", "50000"]);
    let screen = Screen::watch(&service, "--unfold");
    screen.shows(&["100,000".replace(',', "").as_str(), "timer sleep"]);
    let began = Instant::now();
    screen.press(&["G"]);
    let last = screen.shows(&["task forebear::time::sleep::Sleep"]);
    for _ in 0..20 {
        screen.press(&["PageUp"]);
    }
    screen.until(&|text| text != last, &["something else"]);
    // On a machine that others use, too: what is not fluid takes far longer.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
