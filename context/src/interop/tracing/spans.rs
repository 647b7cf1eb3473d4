//! Makes a span of each flow, for subscribers that know spans only.

use std::sync::Arc;

use forebear_hooks::{AsyncHook, Events, Kind, Outcome, Reason, Resource};
use tracing::Span;

/// A hook that makes a span of each flow: `flow` of the target `forebear::flow`, with its name and its
/// id. The span is entered around the code of the flow, and closed at its end.
///
/// Tasks are not entered, unless [`tasks`](SpanBridge::tasks) says so: a task that goes on after
/// the request would keep the request's span open.
///
/// ```
/// use forebear_context::interop::tracing::SpanBridge;
/// use forebear_hooks::create_hook;
///
/// let _bridge = create_hook(SpanBridge::new()).enable().unwrap();
/// ```
#[derive(Debug, Default)]
pub struct SpanBridge {
    has_tasks: bool,
}

impl SpanBridge {
    /// Begins with flows.
    #[must_use]
    pub fn new() -> SpanBridge {
        SpanBridge::default()
    }

    /// Lets a task run in the span in which it was spawned, too, and keep that open.
    #[must_use]
    pub fn tasks(mut self) -> SpanBridge {
        self.has_tasks = true;
        self
    }
}

/// The span of a resource.
struct Bridged(Span);

fn with_span(resource: &Resource<'_>, f: impl FnOnce(&tracing::Id, &tracing::Dispatch)) {
    if let Some(bridged) = resource.slot::<Bridged>() {
        let Bridged(span) = &*Arc::clone(&bridged);
        span.with_subscriber(|(id, dispatch)| f(id, dispatch));
    }
}

impl AsyncHook for SpanBridge {
    fn events(&self) -> Events {
        Events::INIT | Events::BEFORE | Events::AFTER | Events::PROMISE_RESOLVE | Events::DESTROY
    }

    fn init(&self, resource: &Resource<'_>) {
        let span = match resource.kind() {
            Kind::FLOW => tracing::info_span!(
                target: "forebear::flow",
                "flow",
                name = resource.label(),
                flow_id = resource.id().get(),
                outcome = tracing::field::Empty,
            ),
            Kind::TASK | Kind::BLOCKING if self.has_tasks => Span::current(),
            _ => return,
        };
        if !span.is_disabled() {
            resource.set_slot(Bridged(span));
        }
    }

    // Not by guards: those would have to lie somewhere between the two, and are bound to a thread.
    fn before(&self, resource: &Resource<'_>) {
        with_span(resource, |id, dispatch| dispatch.enter(id));
    }

    fn after(&self, resource: &Resource<'_>) {
        with_span(resource, |id, dispatch| dispatch.exit(id));
    }

    fn promise_resolve(&self, resource: &Resource<'_>, outcome: Outcome) {
        if resource.kind() == Kind::FLOW {
            if let Some(bridged) = resource.slot::<Bridged>() {
                bridged.0.record("outcome", tracing::field::debug(outcome));
            }
        }
    }

    /// The slot is freed behind this, and with it the span is closed.
    fn destroy(&self, _resource: &Resource<'_>, _reason: Reason) {}
}
