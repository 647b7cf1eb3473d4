//! Checks the whole life of every sort of resource, in every way in which it can end: L1 to L8.
//!
//! A row is one of the product of four lists: how it ends, what it is, which threads run it, and
//! who listens. [`table`] says what must be told in each, or why the pair makes no sense;
//! [`row::check`] is the only function that touches the API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod table; // what must be told
mod pattern; // the little language in which that is written
mod leaf; // the innermost future of a row, which the row steers
mod subject; // the resource of a row
mod socket; // that resource, if it is a socket
mod system; // or a signal, or a process
mod listeners; // the hooks of a row
mod machine; // the runtime of a row
mod row; // runs a row and checks it

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use row::Row;
use table::{Ending, Hooks, Subject, Threads};

/// A row that takes longer has come to a stand.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many rows run at once. Each has at most six hooks, and a process has 32.
const AT_ONCE: usize = 3;

fn rows(hooks: &[Hooks]) -> Vec<Row> {
    let mut rows = Vec::new();
    for subject in Subject::ALL {
        for ending in Ending::ALL {
            if let Ok(told) = table::told(subject, ending) {
                for threads in Threads::ALL {
                    let row = |hooks: &Hooks| Row { subject, ending, threads, hooks: *hooks, told };
                    rows.extend(hooks.iter().map(row));
                }
            }
        }
    }
    rows
}

/// How often each row is run: what races in it may race otherwise the next time.
fn rounds() -> usize {
    if std::env::var_os("FOREBEAR_LONG").is_some() { 100 } else { 3 }
}

/// Runs a row on a thread of its own, so that one that hangs can be named.
fn run(row: Row) -> Result<(), String> {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        row::check(row);
        let _ = done.send(());
    });
    match is_done.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => return Err("hangs".to_owned()),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {}
    }
    thread.join().map_err(|payload| match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().copied().unwrap_or("panicked").to_owned(),
    })
}

/// Runs rows, a few at once, and returns those that are wrong.
fn failures(rows: Vec<Row>) -> Vec<(Row, String)> {
    let rows = Arc::new(rows);
    let next = Arc::new(AtomicUsize::new(0));
    let wrong = Arc::new(Mutex::new(Vec::<(Row, String)>::new()));
    let runners = (0..AT_ONCE).map(|_| {
        let (rows, next, wrong) = (rows.clone(), next.clone(), wrong.clone());
        thread::spawn(move || {
            // Relaxed: each row is taken once, which is all that is asked.
            while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(what) = run(*row) {
                    wrong.lock().unwrap().push((*row, what));
                }
            }
        })
    });
    runners.collect::<Vec<_>>().into_iter().for_each(|runner| runner.join().unwrap());
    Arc::into_inner(wrong).unwrap().into_inner().unwrap()
}

/// One test, because the rows without a hook must run while no row with hooks does: until the
/// first of those, no hook at all is enabled in this process.
#[test]
fn every_life_is_told_as_the_table_says() {
    let (silent, heard) = Hooks::ALL.split_at(1);
    assert_eq!(silent, [Hooks::None]);
    let (silent, heard) = (rows(silent), rows(heard));
    assert!(silent.len() + heard.len() > 3000, "some rows have got lost");
    let mut wrong = Vec::new();
    for part in [silent, heard] {
        (0..rounds()).for_each(|_| wrong.extend(failures(part.clone())));
    }
    let count = wrong.len();
    // One of each pair says most.
    let mut pairs = Vec::new();
    wrong.retain(|(row, _)| {
        let pair = (row.subject, row.ending);
        let is_new = !pairs.contains(&pair);
        pairs.push(pair);
        is_new
    });
    let shown: Vec<String> = wrong.iter().map(|(row, what)| format!("{row}: {what}")).collect();
    assert!(wrong.is_empty(), "{count} rows are wrong, among them:\n{}", shown.join("\n\n"));
}

#[test]
fn every_pair_that_is_left_out_says_why() {
    let pairs =
        Subject::ALL.iter().flat_map(|subject| Ending::ALL.map(|ending| (*subject, ending)));
    let left_out: Vec<_> = pairs.filter_map(|(s, e)| table::told(s, e).err()).collect();
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert!(left_out.iter().all(|why| why.starts_with("a closure")), "{left_out:?}");
}
