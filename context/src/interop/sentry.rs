//! Puts the context to reports of errors, and keeps what leads to them apart per flow, for Sentry.
//!
//! [`ContextIntegration`] fills tags, user and contexts of an event from the fields that are current
//! where it is captured. [`HubPerFlow`] gives each flow a hub of its own, so that nobody has to bind one
//! and breadcrumbs of one request are not found in the report of another.
//!
//! ```
//! use forebear_context::interop::sentry::{ContextIntegration, HubPerFlow};
//! use forebear_hooks::create_hook;
//! use sentry_core::ClientOptions;
//!
//! let integration = ContextIntegration::new().tag("tenant").user("accountId");
//! let options = ClientOptions::new().add_integration(integration);
//! create_hook(HubPerFlow).enable().unwrap().detach();
//! ```

use std::cell::RefCell;
use std::sync::Arc;

use forebear_hooks::{AsyncHook, Events, Kind, Resource};
use sentry_core::protocol::{Context, Event, Map, User, Value as Json};
use sentry_core::{ClientOptions, Hub, HubSwitchGuard, Integration};

use crate::fields::Value;
use crate::flow;
use crate::interop::Shape;

/// Fills events from the context in which they are captured.
///
/// All fields, as they may leave the process, and the ids stand in the context `forebear`, with the name
/// of the flow. What an event has already stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ContextIntegration {
    shape: Shape,
    tags: Vec<&'static str>,
    user: Option<&'static str>,
}

impl ContextIntegration {
    /// Begins with the context, and the tag `flow`.
    #[must_use]
    pub fn new() -> ContextIntegration {
        ContextIntegration::default()
    }

    /// Makes a tag of a field, by which events can be searched.
    #[must_use]
    pub fn tag(mut self, key: &'static str) -> ContextIntegration {
        self.tags.push(key);
        self
    }

    /// Says which field is the id of the user.
    #[must_use]
    pub fn user(mut self, key: &'static str) -> ContextIntegration {
        self.user = Some(key);
        self
    }

    /// Says under which names the context is to stand.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> ContextIntegration {
        self.shape = shape;
        self
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Str(text) => text.into_owned().into(),
        Value::I64(number) => number.into(),
        Value::U64(number) => number.into(),
        Value::F64(number) => number.into(),
        Value::Bool(is) => is.into(),
    }
}

impl Integration for ContextIntegration {
    fn name(&self) -> &'static str {
        "forebear-context"
    }

    fn process_event(
        &self,
        mut event: Event<'static>,
        _options: &ClientOptions,
    ) -> Option<Event<'static>> {
        let mut all = Map::new();
        for (name, value) in self.shape.entries() {
            all.insert(name.into_owned(), json(value));
        }
        if let Some(name) = flow::name() {
            all.insert("flow".to_owned(), name.clone().into_owned().into());
            event.tags.entry("flow".to_owned()).or_insert_with(|| name.into_owned());
        }
        crate::fields::for_each_shown(|key, value| {
            if self.tags.contains(&key) {
                event.tags.entry(key.to_owned()).or_insert_with(|| value.to_string());
            }
            if self.user == Some(key) {
                let user = event.user.get_or_insert_with(User::default);
                user.id.get_or_insert_with(|| value.to_string());
            }
        });
        if !all.is_empty() {
            event.contexts.entry("forebear".to_owned()).or_insert(Context::Other(all));
        }
        Some(event)
    }
}

/// A hook that gives each flow a hub of its own, and each task and blocking job of a flow one that
/// begins as the flow's was when it was spawned.
///
/// The hub is the current one wherever code of the flow runs. What is set in it, and its breadcrumbs,
/// are seen by that flow only.
#[derive(Clone, Copy, Debug, Default)]
pub struct HubPerFlow;

/// The hub of a resource.
struct Owned(Arc<Hub>);

thread_local! {
    /// What was switched on this thread and not back. Pairs are nested, so the last one is the one
    /// that ends next.
    static SWITCHED: RefCell<Vec<HubSwitchGuard>> = const { RefCell::new(Vec::new()) };
}

impl AsyncHook for HubPerFlow {
    fn events(&self) -> Events {
        Events::INIT | Events::BEFORE | Events::AFTER
    }

    fn init(&self, resource: &Resource<'_>) {
        let has_own = match resource.kind() {
            Kind::FLOW => true,
            Kind::TASK | Kind::BLOCKING => flow::id().is_some(),
            _ => false,
        };
        if has_own {
            resource.set_slot(Owned(Arc::new(Hub::new_from_top(Hub::current()))));
        }
    }

    fn before(&self, resource: &Resource<'_>) {
        if let Some(owned) = resource.slot::<Owned>() {
            let guard = HubSwitchGuard::new(owned.0.clone());
            SWITCHED.with_borrow_mut(|switched| switched.push(guard));
        }
    }

    fn after(&self, resource: &Resource<'_>) {
        if resource.slot::<Owned>().is_some() {
            // Dropped outside the borrow: the hub may go with it.
            drop(SWITCHED.with_borrow_mut(Vec::pop));
        }
    }
}
