//! Tests what leaves the process and what is taken from outside: what a list allows, well-formed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use forebear_context::wire::{self, Allow, TRACE, TraceParent};
use forebear_context::{FlowBuilder, deadline, fields};

use crate::support::finish;

type Headers = HashMap<String, String>;

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn everything() -> Allow {
    Allow::nothing()
        .request_id()
        .trace()
        .deadline()
        .field("tenant")
        .field_as("accountId", "account")
}

/// The fields that are seen in a flow that was begun by what came over the wire.
fn seen(allow: &Allow, headers: &Headers) -> Vec<(&'static str, fields::Value)> {
    finish(wire::extract(allow, headers).linked("consume", async { fields::collect() }))
}

#[test]
fn what_is_sent_arrives_as_the_context_of_another_flow() {
    let trace = TraceParent::root(true);
    let soon = Instant::now() + Duration::from_secs(60);
    let mut sent = Headers::new();
    finish(
        FlowBuilder::new("send")
            .field("requestId", "r-1")
            .field("tenant", "a,b;c=d \"é\n")
            .field("accountId", 42)
            .field("card", "4111")
            .local(&TRACE, trace)
            .deadline(soon)
            .run(async { wire::inject(&everything(), &mut sent) }),
    );
    assert!(!format!("{sent:?}").contains("4111"));
    let origin = wire::extract(&everything(), &sent);
    assert_eq!(origin.sender(), None);
    finish(origin.linked("consume", async {
        let want = [
            ("requestId", "r-1".into()),
            ("tenant", "a,b;c=d \"é\n".into()),
            ("accountId", "42".into()),
        ];
        assert_eq!(fields::collect(), want);
        let here = TRACE.get().unwrap();
        assert_eq!(here.trace_id(), trace.trace_id());
        assert_ne!(here.span_id(), trace.span_id());
        let left = deadline::remaining().unwrap();
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(1), "{left:?}");
    }));
    origin.sync_scope(|| assert_eq!(TRACE.get(), Some(trace)));
}

#[test]
fn nothing_passes_that_is_not_on_the_list() {
    let mut sent = Headers::new();
    finish(
        FlowBuilder::new("send")
            .field("requestId", "r-1")
            .field("tenant", "acme")
            .local(&TRACE, TraceParent::root(true))
            .deadline(Instant::now())
            .run(async { wire::inject(&Allow::nothing(), &mut sent) }),
    );
    assert_eq!(sent, Headers::new());
    let hostile = headers(&[
        ("x-request-id", "r-1"),
        ("baggage", "tenant=acme,role=admin,account=1"),
        ("x-deadline-ms", "1"),
    ]);
    assert_eq!(seen(&Allow::nothing(), &hostile), []);
    assert_eq!(seen(&Allow::nothing().field("tenant"), &hostile), [("tenant", "acme".into())]);
}

#[test]
fn a_secret_stays_here_whatever_the_list_says() {
    fields::redact("wirePassword");
    let allow = Allow::nothing().field("wirePassword");
    let mut sent = Headers::new();
    fields::sync_scope([("wirePassword", "hunter2")], || wire::inject(&allow, &mut sent));
    assert_eq!(sent, Headers::new());
}

#[test]
fn what_is_not_well_formed_is_left_out() {
    let long = "x".repeat(200);
    let check = |name: &str, value: &str| {
        assert_eq!(seen(&everything(), &headers(&[(name, value)])), [], "{name}: {value}");
    };
    for id in ["", "a b", "a\nb", "é", &long, "x'; drop"] {
        check("x-request-id", id);
    }
    for baggage in ["", ",,,", "tenant", "tenant=%f", "tenant=%ff", "=x", &"tenant=x,".repeat(2000)]
    {
        check("baggage", baggage);
    }
    let origin = wire::extract(&everything(), &headers(&[("x-deadline-ms", "-1")]));
    origin.sync_scope(|| assert_eq!(deadline::current(), None));
    let all = format!("tenant=1;p=q , account = 2 ,{}", "other=3,".repeat(10));
    let want = [("tenant", "1".into()), ("accountId", "2".into())];
    assert_eq!(seen(&everything(), &headers(&[("baggage", &all)])), want);
}

#[test]
fn a_deadline_from_outside_is_bounded() {
    let far = headers(&[("x-deadline-ms", &u64::MAX.to_string())]);
    let left = wire::extract(&everything(), &far).sync_scope(deadline::remaining).unwrap();
    assert!(left <= Duration::from_secs(24 * 60 * 60));
}

#[test]
fn what_does_not_fit_into_the_baggage_is_dropped_and_counted() {
    let allow = (0..20).fold(Allow::nothing(), |allow, nth| allow.field(KEYS[nth]));
    let before = fields::dropped();
    let mut sent = Headers::new();
    let text = "x".repeat(1000);
    let all = KEYS.iter().map(|key| (*key, text.clone()));
    fields::sync_scope(all, || wire::inject(&allow, &mut sent));
    assert!(sent["baggage"].len() <= 8192);
    assert!(fields::dropped() >= before + 12);
}

const KEYS: [&str; 20] = [
    "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11", "k12", "k13", "k14",
    "k15", "k16", "k17", "k18", "k19",
];

#[test]
fn a_child_process_has_it_in_its_environment() {
    let allow = Allow::nothing().field("tenant").trace();
    let trace = TraceParent::root(false);
    let output = finish(
        FlowBuilder::new("parent").field("tenant", "acme corp").local(&TRACE, trace).run(async {
            let printed = "printf '%s %s' \"$BAGGAGE\" \"$TRACEPARENT\"";
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", printed]).env_clear().envs(wire::env(&allow)).output().unwrap()
        }),
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, format!("tenant=acme%20corp {trace}"));
    // This process was not begun by such a parent.
    wire::from_env(&Allow::nothing().field("tenant")).sync_scope(|| {
        assert_eq!(fields::get("tenant"), None);
    });
}
