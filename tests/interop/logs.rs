//! Tests that log lines carry the context: in text and JSON, of `tracing` and of `log`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use forebear::runtime::Runtime;
use forebear::task::{spawn_blocking, yield_now};
use forebear::{fields, flow, spawn, try_flow};
use forebear_context::interop::Shape;
use forebear_context::interop::log::ContextLogger;
use forebear_context::interop::tracing::{
    Collision, ContextFormat, JsonFormat, SpanBridge, wide_events,
};
use forebear_hooks::create_hook;
use serde_json::Value;
use tracing::{Dispatch, debug, info, warn};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }

    /// The lines, each of which must be an object.
    #[track_caller]
    fn take_json(&self) -> Vec<Value> {
        self.take().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Kept;

    fn make_writer(&'a self) -> Kept {
        self.clone()
    }
}

/// A subscriber that writes JSON, and what it writes.
fn json(format: JsonFormat) -> (Dispatch, Kept) {
    let kept = Kept::default();
    let subscriber = fmt().event_format(format).with_writer(kept.clone()).finish();
    (Dispatch::new(subscriber), kept)
}

fn text(shape: Shape) -> (Dispatch, Kept) {
    let kept = Kept::default();
    let format = ContextFormat::new(fmt::format().compact().without_time()).shape(shape);
    (Dispatch::new(fmt().event_format(format).with_writer(kept.clone()).finish()), kept)
}

fn within<R>(dispatch: &Dispatch, f: impl FnOnce() -> R) -> R {
    tracing::dispatcher::with_default(dispatch, f)
}

/// Runs a future on a runtime whose only thread is this one, where `dispatch` is set.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = forebear::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

#[test]
fn a_line_of_json_has_the_context_at_its_root() {
    let (dispatch, kept) = json(JsonFormat::new());
    within(&dispatch, || {
        let order = async {
            fields::set("accountId", 42);
            fields::set("tenant", "acme");
            info!(order = 7, paid = true, "placed");
            fields::scope([("attempt", 2)], async { info!("again") }).await;
        };
        block_on(async { flow("orders.place", order).await });
        info!("outside");
    });
    let lines = kept.take_json();
    assert_eq!(lines[0]["message"], "placed");
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!((&lines[0]["order"], &lines[0]["paid"]), (&7.into(), &true.into()));
    assert_eq!((&lines[0]["accountId"], &lines[0]["tenant"]), (&42.into(), &"acme".into()));
    let ids = ["async_id", "trigger_id", "flow_id", "elapsed_ms"];
    assert!(ids.iter().all(|id| lines[0][id].is_u64()), "{}", lines[0]);
    assert_eq!(lines[0]["async_id"], lines[0]["flow_id"]);
    assert_eq!(lines[1]["attempt"], 2);
    let outside = lines[2].as_object().unwrap();
    let keys: Vec<&str> = outside.keys().map(String::as_str).collect();
    assert_eq!(keys, ["level", "message", "target", "timestamp"]);
}

#[test]
fn a_line_has_each_key_once_and_the_rule_says_whose() {
    let check = |collision: Collision, want: &str| {
        let shape = Shape::new().without_ids();
        let (dispatch, kept) = json(JsonFormat::new().shape(shape).collision(collision));
        within(&dispatch, || {
            fields::sync_scope([("level", "mine"), ("order", "of the flow")], || {
                info!(order = "of the event", target = "field", "message");
            });
        });
        let text = kept.take();
        let (_, behind) = text.trim_end().split_once("\"message\":\"message\",").unwrap();
        assert_eq!(behind, format!("{want}}}"), "{collision:?}");
    };
    let event = "\"order\":\"of the event\",\"target_field\":\"field\"";
    let context = "\"order_context\":\"of the flow\"";
    check(Collision::Rename, &format!("{event},\"level_context\":\"mine\",{context}"));
    check(Collision::EventWins, event);
    check(Collision::ContextWins, "\"target_field\":\"field\",\"order\":\"of the flow\"");
}

#[test]
fn the_context_can_be_ordered_renamed_and_put_into_a_block() {
    fields::redact("logs.card");
    let shape = Shape::new()
        .without_ids()
        .order(["tenant", "accountId"])
        .rename("accountId", "account")
        .hide("noise")
        .prefix("ctx.");
    let (dispatch, kept) = json(JsonFormat::new().shape(shape).in_block("_context"));
    within(&dispatch, || {
        let around =
            [("logs.card", "4111"), ("accountId", "42"), ("noise", "x"), ("tenant", "acme")];
        fields::sync_scope(around, || info!("in a block"));
    });
    let text = kept.take();
    let want = r#""_context":{"ctx.tenant":"acme","account":"42","ctx.logs.card":"***"}}"#;
    assert!(text.trim_end().ends_with(want), "{text}");
}

#[test]
fn nothing_from_outside_can_begin_a_line() {
    let evil = "x\n{\"level\":\"ERROR\"}\r\n\u{2028}\u{85}\u{1b}[2J\0\"";
    let (dispatch, kept) = json(JsonFormat::new());
    within(&dispatch, || {
        fields::sync_scope([("evil", evil.to_owned())], || info!(field = evil, "{evil}"));
    });
    let written = kept.take();
    let is_line_end = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert_eq!(written.chars().filter(|c| is_line_end(*c)).count(), 1, "{written:?}");
    let line: Value = serde_json::from_str(&written).unwrap();
    let said = [&line["evil"], &line["field"]].map(|value| value.as_str().unwrap());
    assert_eq!(said, [evil; 2]);
    let (dispatch, kept) = text(Shape::new());
    within(&dispatch, || {
        fields::sync_scope([("evil", evil.to_owned())], || info!(field = evil, "{evil}"));
    });
    let written = kept.take();
    assert_eq!(written.chars().filter(|c| is_line_end(*c)).count(), 1, "{written:?}");
    assert_eq!(written.lines().count(), 1);
}

#[test]
fn a_line_of_text_ends_with_the_context() {
    let (dispatch, kept) = text(Shape::new().without_ids());
    within(&dispatch, || {
        let around = [("tenant", "acme"), ("name", "Ada \"L\" = 1"), ("empty", "")];
        fields::sync_scope(around, || info!("placed"));
        warn!("outside");
    });
    let written = kept.take();
    let lines: Vec<&str> = written.lines().collect();
    let want = "placed tenant=acme name=\"Ada \\\"L\\\" = 1\" empty=\"\"";
    assert!(lines[0].ends_with(want), "{written}");
    assert!(lines[1].ends_with("outside"), "{written}");
    let (dispatch, kept) = text(Shape::new());
    within(&dispatch, || block_on(flow("f", async { info!("in a flow") })));
    let written = kept.take();
    assert!(written.contains(" flow_id=") && written.contains(" elapsed_ms="), "{written}");
}

#[test]
fn a_wide_event_ends_each_flow() {
    let (dispatch, kept) = json(JsonFormat::new());
    within(&dispatch, || {
        let _wide = wide_events();
        block_on(try_flow("logs.wide", async {
            fields::set("accountId", 42);
            Err::<(), _>("no paper")
        }))
        .unwrap_err();
    });
    let lines = kept.take_json();
    let wide = lines.iter().find(|line| line["flow"] == "logs.wide").unwrap();
    assert_eq!((&wide["outcome"], &wide["error"]), (&"error".into(), &"no paper".into()));
    assert_eq!((&wide["accountId"], &wide["level"]), (&42.into(), &"WARN".into()));
    assert!(wide["elapsed_ms"].is_u64());
}

#[test]
fn a_disabled_event_does_nothing_for_the_context() {
    static MASKED: AtomicUsize = AtomicUsize::new(0);
    fields::redact_with("logs.counted", |value| {
        MASKED.fetch_add(1, Ordering::Relaxed);
        value.clone()
    });
    let (dispatch, kept) = json(JsonFormat::new());
    within(&dispatch, || {
        fields::sync_scope([("logs.counted", 1)], || {
            debug!("below the level");
            assert_eq!(MASKED.load(Ordering::Relaxed), 0);
            info!("above");
            assert_eq!(MASKED.load(Ordering::Relaxed), 1);
        });
    });
    assert_eq!(kept.take_json().len(), 1);
}

/// What a subscriber that knows only spans writes of them.
#[test]
fn flows_are_spans_for_those_who_know_only_spans() {
    let kept = Kept::default();
    let subscriber = fmt().without_time().with_ansi(false).with_writer(kept.clone()).finish();
    within(&Dispatch::new(subscriber), || {
        let bridge = create_hook(SpanBridge::new().tasks()).enable().unwrap();
        block_on(async {
            let one = flow("logs.one", async {
                yield_now().await;
                info!("inside");
                let child = spawn(async { info!("child") });
                child.await.unwrap();
            });
            let two = flow("logs.two", async {
                yield_now().await;
                info!("other");
            });
            forebear::join!(one, two);
            info!("outside");
        });
        drop(bridge);
    });
    let written = kept.take();
    let line = |message: &str| {
        let ends = |line: &&str| line.ends_with(&format!(": {message}"));
        written.lines().find(ends).unwrap().to_owned()
    };
    assert!(line("inside").contains("flow{name=\"logs.one\""), "{written}");
    assert!(line("child").contains("flow{name=\"logs.one\""), "{written}");
    assert!(line("other").contains("flow{name=\"logs.two\""), "{written}");
    assert!(!line("other").contains("logs.one") && !line("outside").contains("flow{"), "{written}");
}

/// A logger that keeps `message|key=value,…`.
struct Pairs(Kept);

impl log::Log for Pairs {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        struct Write(String);
        impl<'kvs> log::kv::VisitSource<'kvs> for Write {
            fn visit_pair(
                &mut self,
                key: log::kv::Key<'kvs>,
                value: log::kv::Value<'kvs>,
            ) -> Result<(), log::kv::Error> {
                self.0.push_str(&format!("{key}={value},"));
                Ok(())
            }
        }
        let mut pairs = Write(String::new());
        record.key_values().visit(&mut pairs).unwrap();
        let found = record.key_values().get(log::kv::Key::from_str("order")).is_some();
        let count = record.key_values().count();
        let text = format!("{}|{}{found},{count}\n", record.args(), pairs.0);
        io::Write::write_all(&mut self.0.clone(), text.as_bytes()).unwrap();
    }

    fn flush(&self) {}
}

#[test]
fn records_of_log_have_the_context_as_pairs() {
    let kept = Kept::default();
    let logger = ContextLogger::new(Pairs(kept.clone())).shape(Shape::new().without_ids());
    let log = |level: log::Level, pairs: &dyn log::kv::Source| {
        let args = format_args!("message");
        let record = log::Record::builder().args(args).level(level).key_values(pairs).build();
        log::Log::log(&logger, &record);
    };
    fields::sync_scope([("tenant", "acme"), ("order", "of the flow")], || {
        log(log::Level::Info, &("order", 7));
        log(log::Level::Debug, &("order", 8));
    });
    log(log::Level::Info, &None::<(&str, i32)>);
    let want = "message|order=7,tenant=acme,order=of the flow,true,3\nmessage|false,0\n";
    assert_eq!(kept.take(), want);
}

#[test]
fn lines_of_many_flows_on_many_threads_carry_their_own_context() {
    let (dispatch, kept) = json(JsonFormat::new());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let works = (0..200_u64).map(|number| {
            let dispatch = dispatch.clone();
            let work = flow("logs.many", async move {
                fields::set("number", number);
                yield_now().await;
                within(&dispatch, || info!(number_of_event = number, "in the task"));
                let inner = dispatch.clone();
                let blocking = move || within(&inner, || info!(number_of_event = number, "job"));
                spawn_blocking(blocking).await.unwrap();
            });
            spawn(work)
        });
        for task in works.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    let lines = kept.take_json();
    assert_eq!(lines.len(), 400);
    assert!(lines.iter().all(|line| line["number"] == line["number_of_event"]));
}
