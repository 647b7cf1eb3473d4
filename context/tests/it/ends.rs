//! Tests what is told at the end of a flow: what it has come to, what it knew, how long it took.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebear_context::flow::{Listening, on_end};
use forebear_context::{Flow, FlowOutcome, fields, flow, try_flow};

use crate::support::{OnDrop, finish, panic_of, panic_quietly, pause, poll};

type Heard = Arc<Mutex<Vec<String>>>;

/// Listens to flows whose name begins so: the tests beside this one have flows, too.
fn listen(prefix: &'static str) -> (Listening, Heard) {
    let heard = Heard::default();
    let notes = heard.clone();
    let listening = on_end(move |end| {
        if let Some(name) = end.name().strip_prefix(prefix) {
            let mut fields = end.fields();
            fields.extend(fields::get("late").map(|value| ("seen", value)));
            let text = format!("{name} {} {fields:?}", end.outcome());
            notes.lock().unwrap().push(text);
            assert!(end.elapsed() < Duration::from_secs(600));
            assert!(end.start_time() <= std::time::SystemTime::now());
        }
    });
    (listening, heard)
}

fn take(heard: &Heard) -> Vec<String> {
    std::mem::take(&mut heard.lock().unwrap())
}

#[test]
fn each_ending_is_told_once_with_its_outcome() {
    let (listening, heard) = listen("endings.");
    finish(flow("endings.ok", async {}));
    let error = finish(try_flow("endings.error", async { Err::<u8, _>("no paper") }));
    assert_eq!(error, Err("no paper"));
    assert_eq!(finish(try_flow("endings.fine", async { Ok::<_, String>(7) })), Ok(7));
    let panicked = flow("endings.panicked", async { panic_quietly("no") });
    assert!(panic_of(|| finish::<Flow<_>>(panicked)).is_some());
    drop(flow("endings.unpolled", async {}));
    let mut waiting = Box::pin(flow("endings.dropped", pending::<()>()));
    assert!(poll(waiting.as_mut()).is_pending());
    drop(waiting);
    let want = [
        "ok ok []",
        "error error: no paper []",
        "fine ok []",
        "panicked panicked []",
        "unpolled cancelled []",
        "dropped cancelled []",
    ];
    assert_eq!(take(&heard), want);
    drop(listening);
    finish(flow("endings.unheard", async {}));
    assert_eq!(take(&heard), [""; 0]);
}

#[test]
fn a_result_means_what_is_said_of_it() {
    let (_listening, heard) = listen("meaning.");
    let judged = |status: u16| {
        let flow = flow("meaning.request", async move { status });
        flow.outcome(|status| match *status {
            500.. => FlowOutcome::Error(format!("status {status}").into()),
            _ => FlowOutcome::Ok,
        })
    };
    assert_eq!((finish(judged(200)), finish(judged(503))), (200, 503));
    let judge_panics = flow("meaning.panics", async {}).outcome(|()| panic_quietly("judge"));
    finish(judge_panics);
    let want = ["request ok []", "request error: status 503 []", "panics ok []"];
    assert_eq!(take(&heard), want);
}

#[test]
fn the_end_knows_what_was_set_last_even_by_destructors() {
    let (_listening, heard) = listen("last.");
    finish(flow("last.set", async {
        fields::set("early", 1);
        let _late = OnDrop(|| fields::set("late", true));
        pause().await;
    }));
    let want = "set ok [(\"early\", I64(1)), (\"late\", Bool(true)), (\"seen\", Bool(true))]";
    assert_eq!(take(&heard), [want]);
}

#[test]
fn a_listener_that_panics_hurts_nobody() {
    let _panics = on_end(|end| {
        if end.name() == "panicking.listener" {
            panic_quietly("listener");
        }
    });
    let (_listening, heard) = listen("panicking.");
    assert_eq!(finish(flow("panicking.listener", async { 7 })), 7);
    assert_eq!(take(&heard), ["listener ok []"]);
}

#[test]
fn a_flow_knows_since_when_it_goes_on() {
    assert_eq!((flow::elapsed(), flow::start_time()), (None, None));
    finish(flow("since", async {
        let first = flow::elapsed().unwrap();
        pause().await;
        assert!(flow::elapsed().unwrap() >= first);
        assert!(flow::start_time().unwrap() <= std::time::SystemTime::now());
    }));
}
