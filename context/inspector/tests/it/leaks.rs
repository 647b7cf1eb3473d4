//! Checks that leaks are named with their places, and that a healthy service has none.

use std::time::{Duration, Instant};

use crate::support::Service;

#[test]
fn what_was_planted_is_named_with_its_place() {
    let service = Service::start(&["leaky"]);
    service.run(&["leaks", "--window", "10ms"]).has(1, &["never-wakes", "nobody wakes me"]);
    // What is not certain is reported when it has been there for some time.
    let began = Instant::now();
    let said = loop {
        let said = service.run(&["leaks", "--window", "500ms"]);
        let is_complete = said.out.contains("forgotten-timer") && said.out.contains("kept-context");
        assert!(is_complete || began.elapsed() < Duration::from_secs(60), "{}", said.out);
        if is_complete {
            break said;
        }
    };
    said.has(1, &["3 leaks at 3 places", "db connection", "timer", "planted.rs:"]);
    assert_eq!(said.out.matches("flow GET /leak").count(), 3, "{}", said.out);
    let said = service.run(&["leaks", "--json", "--window", "10ms"]);
    said.has(1, &["\"leak\":\"kept-context\"", "\"lineage\":["]);
    let said = service.run(&["leaks", "--window", "10ms", "--filter", "kind:timer"]);
    said.has(1, &["1 leak\n"]);
}

#[test]
fn a_healthy_service_under_load_has_no_leaks() {
    let service = Service::start(&["healthy"]);
    for _ in 0..5 {
        service.run(&["leaks", "--window", "100ms"]).has(0, &["no leaks found"]);
    }
}
