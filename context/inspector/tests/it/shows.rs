//! Checks what the commands show of a service that works.

use crate::support::{Service, folder, run_in};

#[test]
fn services_are_listed_by_the_ids_of_their_processes() {
    let service = Service::start(&["healthy"]);
    let said = run_in(service.socket().parent().unwrap(), &["ps"]);
    said.has(0, &[&service.pid(), "planted", "PROGRAM"]);
    let said = run_in(service.socket().parent().unwrap(), &["ps", "--json"]);
    said.has(0, &["\"program\":\"planted\"", "\"forebear\":1"]);
}

#[test]
fn what_is_alive_is_listed_drawn_and_written_for_programs() {
    let service = Service::start(&["healthy"]);
    service.run(&["ps", "--filter", "label:client"]).has(0, &["task", "client", "planted.rs:"]);
    service.run(&["ps", "--filter", "label:nothing"]).has(1, &[]);
    service.run(&["tree"]).has(0, &["task client", "interval"]);
    service.run(&["tree", "--color", "always"]).has(0, &["\u{1b}["]);
    assert!(!service.run(&["tree"]).out.contains('\u{1b}'));
    service
        .run(&["tree", "--json"])
        .has(0, &["{\"forebear\":1,\"resources\":[", "\"kind\":\"TASK\""]);
    service.run(&["tree", "--dot"]).has(0, &["digraph forebear {", " -> "]);
    service.run(&["tree", "--folded"]).has(0, &["block on", ";task client"]);
    service.run(&["tree", "--edge", "waiting-on"]).has(0, &["waits: #"]);
    service.run(&["dump"]).has(0, &["planted (process ", "task client"]);
    service.run(&["lineage", "--filter", "kind:interval"]).has(0, &["triggered by"]);
}

#[test]
fn what_is_busy_and_what_grows_comes_first() {
    let service = Service::start(&["busy"]);
    let said = service.run(&["top", "--window", "300ms", "--rows", "3"]);
    said.has(0, &["BUSY%"]);
    assert!(said.out.lines().nth(1).unwrap().contains("task hog"), "{}", said.out);
    let said = service.run(&["top", "--by", "count", "--window", "500ms"]);
    said.has(0, &["GROWTH"]);
    let first = said.out.lines().nth(1).unwrap();
    assert!(first.trim_start().starts_with('+') && first.contains("sleep"), "{}", said.out);
    service.run(&["top", "--json", "--window", "100ms"]).has(0, &["\"top\":[", "\"busy_ns\":"]);
}

#[test]
fn who_asks_in_a_wrong_way_is_told_what_is_wrong() {
    let folder = folder();
    run_in(&folder, &["tree"]).has(2, &["which process?"]);
    run_in(&folder, &["tree", "1", "--filter", "kidn:x"]).has(2, &["  kidn:x", "  ^^^^"]);
    run_in(&folder, &["--help"]).has(0, &["usage: forebear"]);
    let nobody = i32::MAX.to_string();
    run_in(&folder, &["tree", &nobody]).has(3, &["there is no process"]);
    let me = std::process::id().to_string();
    run_in(&folder, &["tree", &me]).has(3, &["has no socket", "FOREBEAR_INSPECT=1"]);
    run_in(&folder, &["tree", "./nothing.sock"]).has(3, &["there is no socket at ./nothing.sock"]);
}

#[test]
fn a_signal_makes_a_service_print_its_tree() {
    let mut service = Service::start(&["wedged"]);
    let mut stderr = service.stderr();
    let status = std::process::Command::new("kill").args(["-USR1", &service.pid()]).status();
    assert!(status.unwrap().success());
    let mut line = String::new();
    while !line.contains("task ship") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut stderr, &mut line).unwrap(), 0);
    }
    assert!(line.contains('▶'), "{line}");
}

#[test]
fn a_panic_prints_its_lineage_with_places_and_context_once() {
    let mut service = Service::start(&["panic"]);
    let mut stderr = service.stderr();
    service.end();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut text).unwrap();
    assert!(text.contains("out of parcels"), "{text}");
    let lineage = text.lines().skip_while(|line| !line.starts_with("in ▶ #"));
    let lineage: Vec<&str> = lineage.take_while(|line| !line.is_empty()).collect();
    let ship = lineage.first().unwrap_or_else(|| panic!("{text}"));
    assert!(ship.contains("task ship") && ship.contains("planted.rs:"), "{text}");
    assert!(ship.contains("accountId=42"), "{text}");
    assert!(lineage[1].contains("triggered by") && lineage[1].contains("POST /orders"), "{text}");
    assert_eq!(text.matches("in ▶ #").count(), 1, "{text}");
}

#[test]
fn what_happens_is_recorded_for_perfetto() {
    let service = Service::start(&["busy"]);
    let said = service.run(&["trace", "--window", "200ms"]);
    let trace: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let is = |key: &str, value: &str| events.iter().any(|event| event[key] == value);
    assert!(is("name", "task hog") && is("ph", "s") && is("ph", "f") && is("ph", "B"));
    let file = folder().join("trace.json");
    let path = file.to_str().unwrap();
    let said = service.run(&["trace", "--window", "50ms", "--output", path]);
    said.has(0, &["https://ui.perfetto.dev"]);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}

#[test]
fn json_is_json() {
    let service = Service::start(&["healthy"]);
    for words in [
        &["ps", "--json"][..],
        &["tree", "--json"],
        &["dump", "--json"],
        &["leaks", "--json", "--window", "10ms"],
        &["top", "--json", "--window", "50ms"],
        &["top", "--json", "--by", "count", "--window", "50ms"],
        &["lineage", "--json", "--filter", "kind:interval"],
    ] {
        let said = service.run(words);
        let json: Result<serde_json::Value, _> = serde_json::from_str(&said.out);
        assert_eq!(json.unwrap()["forebear"], 1, "{words:?}");
    }
}
