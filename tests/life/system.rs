//! Makes the signals and processes of a row, and lets them come or end, if the row lets it come so far.

use std::sync::Arc;

use forebear::process::{Child, Command};
use forebear::signal::unix::{Signal, SignalKind, signal};
use rustix::process::{getpid, kill_process};

use crate::leaf::Stage;
use crate::subject::{beside, comes};

/// Rows run at once, and a signal is heard by all that listen to it: so there is one that comes, and
/// one that nobody sends.
pub(crate) fn listener(stage: &Stage) -> Signal {
    let kind =
        if comes(stage.ending) { SignalKind::user_defined1() } else { SignalKind::user_defined2() };
    let listener = signal(kind).unwrap();
    stage.name("signal", listener.id());
    listener
}

pub(crate) async fn signal_comes(stage: Arc<Stage>, mut listener: Signal) {
    if comes(stage.ending) {
        kill_process(getpid(), rustix::process::Signal::USR1).unwrap();
    }
    assert_eq!(beside(&stage, listener.recv()).await, Some(()));
}

pub(crate) fn child(stage: &Stage) -> Child {
    let mut command = Command::new("sleep");
    command.arg(if comes(stage.ending) { "0" } else { "3600" }).kill_on_drop(true);
    let child = command.spawn().unwrap();
    stage.name("process", child.resource_id());
    child
}

pub(crate) async fn process_ends(stage: Arc<Stage>, mut child: Child) {
    assert!(beside(&stage, child.wait()).await.unwrap().success());
}
