//! Tests that reports to Sentry say for whom the work was done, and that nothing of one flow is found
//! in the report of another.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use forebear::runtime::Runtime;
use forebear::task::{spawn_blocking, yield_now};
use forebear::{fields, flow, spawn};
use forebear_context::interop::sentry::{ContextIntegration, HubPerFlow};
use forebear_hooks::create_hook;
use sentry_core::protocol::{Context, Event};
use sentry_core::test::TestTransport;
use sentry_core::{Breadcrumb, ClientOptions, Hub, Level, add_breadcrumb, capture_message};

/// Runs a future in a process that reports to nobody, and returns the reports.
fn reports(future: impl Future<Output = ()>) -> Vec<Event<'static>> {
    let transport = TestTransport::new();
    let integration = ContextIntegration::new().tag("tenant").user("accountId");
    let options = ClientOptions::new()
        .dsn("https://public@sentry.invalid/1")
        .transport(transport.clone())
        .add_integration(integration);
    let hub = Hub::new(Some(Arc::new(options.into())), Arc::default());
    Hub::run(Arc::new(hub), || Runtime::new().unwrap().block_on(future));
    transport.fetch_and_clear_events()
}

fn context_of<'a>(event: &'a Event<'_>, key: &str) -> Option<&'a serde_json::Value> {
    match event.contexts.get("forebear") {
        Some(Context::Other(all)) => all.get(key),
        _ => None,
    }
}

#[test]
fn a_report_says_in_which_flow_and_for_whom() {
    fields::redact("sentry.card");
    let events = reports(async {
        flow("orders.place", async {
            fields::set("tenant", "acme");
            fields::set("accountId", 42);
            fields::set("sentry.card", "4111");
            capture_message("failed", Level::Error);
        })
        .await;
        capture_message("outside", Level::Error);
    });
    let [failed, outside] = &events[..] else { panic!("{events:?}") };
    assert_eq!(failed.message.as_deref(), Some("failed"));
    assert_eq!(failed.tags.get("tenant").map(String::as_str), Some("acme"));
    assert_eq!(failed.tags.get("flow").map(String::as_str), Some("orders.place"));
    assert_eq!(failed.user.as_ref().unwrap().id.as_deref(), Some("42"));
    assert_eq!(context_of(failed, "accountId"), Some(&42.into()));
    assert_eq!(context_of(failed, "sentry.card"), Some(&"***".into()));
    assert!(context_of(failed, "flow_id").is_some_and(serde_json::Value::is_u64));
    assert!(!format!("{failed:?}").contains("4111"));
    assert!(outside.user.is_none() && context_of(outside, "accountId").is_none());
}

#[test]
fn each_flow_has_a_hub_of_its_own_wherever_it_runs() {
    let hubs = create_hook(HubPerFlow).enable().unwrap();
    let events = reports(async {
        let flows = (0..200_u32).map(|number| {
            let work = flow("sentry.many", async move {
                fields::set("accountId", number);
                add_breadcrumb(Breadcrumb {
                    message: Some(number.to_string()),
                    ..Default::default()
                });
                yield_now().await;
                spawn(async move {
                    yield_now().await;
                    capture_message(&format!("task {number}"), Level::Error);
                    // The flow does not see what its task leaves.
                    add_breadcrumb(Breadcrumb {
                        message: Some("task".into()),
                        ..Default::default()
                    });
                })
                .await
                .unwrap();
                let job = move || capture_message(&format!("job {number}"), Level::Error);
                spawn_blocking(job).await.unwrap();
                capture_message(&format!("flow {number}"), Level::Error);
            });
            spawn(work)
        });
        for flow in flows.collect::<Vec<_>>() {
            flow.await.unwrap();
        }
        capture_message("outside", Level::Error);
    });
    drop(hubs);
    assert_eq!(events.len(), 601);
    for event in &events {
        let crumbs: Vec<_> = event.breadcrumbs.iter().filter_map(|b| b.message.clone()).collect();
        match event.message.as_deref().unwrap().split_once(' ') {
            Some((_, number)) => {
                assert_eq!(crumbs, [number]);
                assert_eq!(event.user.as_ref().unwrap().id.as_deref(), Some(number));
            }
            None => assert_eq!(crumbs, [""; 0]),
        }
    }
}
