//! Defines what a hook is, and how one is enabled and disabled.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::events::Events;
use crate::fault::Fault;
use crate::filter::{EnableError, Filter};
use crate::id::{AsyncId, RuntimeId};
use crate::kind::Kind;
use crate::reason::{Outcome, Reason};
use crate::registry::{self, Enabled};
use crate::resource::Resource;

/// Listens to the lives of resources.
///
/// All methods are called on the thread where the event happens, and hold it up: be short. A
/// method that panics does no harm to the program: its hook is disabled, and
/// [`HookHandle::fault`] says why. What a method creates, and all that descends from it, is
/// invisible to this hook and visible to the others; so a hook may log, spawn and wait. What it
/// does to resources that the hook follows already is told to it as ever, inside the call.
///
/// A hook hears `init` first and `destroy` last of every resource it hears of at all; `after` for
/// exactly those `before` it got. `init`, `before` and `promise_resolve` reach hooks in the order
/// in which they were enabled, `after` and `destroy` in the reverse order.
pub trait AsyncHook: Send + Sync + 'static {
    /// Says which events to call for. It is asked once, when the hook is enabled.
    fn events(&self) -> Events {
        Events::ALL
    }

    /// A resource was created. Current is the resource that created it.
    fn init(&self, resource: &Resource<'_>) {
        let _ = resource;
    }

    /// Code of a resource is about to run on this thread.
    fn before(&self, resource: &Resource<'_>) {
        let _ = resource;
    }

    /// Code of a resource has stopped running on this thread.
    fn after(&self, resource: &Resource<'_>) {
        let _ = resource;
    }

    /// The result of a resource is decided.
    fn promise_resolve(&self, resource: &Resource<'_>, outcome: Outcome) {
        let _ = (resource, outcome);
    }

    /// A resource can never run again. Current is whatever surrounds its end.
    fn destroy(&self, resource: &Resource<'_>, reason: Reason) {
        let _ = (resource, reason);
    }
}

impl<H: AsyncHook> AsyncHook for Arc<H> {
    fn events(&self) -> Events {
        H::events(self)
    }

    fn init(&self, resource: &Resource<'_>) {
        H::init(self, resource);
    }

    fn before(&self, resource: &Resource<'_>) {
        H::before(self, resource);
    }

    fn after(&self, resource: &Resource<'_>) {
        H::after(self, resource);
    }

    fn promise_resolve(&self, resource: &Resource<'_>, outcome: Outcome) {
        H::promise_resolve(self, resource, outcome);
    }

    fn destroy(&self, resource: &Resource<'_>, reason: Reason) {
        H::destroy(self, resource, reason);
    }
}

/// Begins a hook from a value that listens; [`HookBuilder::enable`] lets it.
pub fn create_hook<H: AsyncHook>(hook: H) -> HookBuilder<H> {
    HookBuilder { hook, filter: Filter::default() }
}

/// Begins a hook from closures, one per event that is wanted.
pub fn hook() -> HookBuilder<Closures> {
    create_hook(Closures::default())
}

/// A hook that is not enabled yet, and what it will follow.
#[must_use = "a hook hears nothing before `enable`"]
pub struct HookBuilder<H> {
    hook: H,
    filter: Filter,
}

impl<H: AsyncHook> HookBuilder<H> {
    /// Follows resources of these kinds only.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.filter.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Follows resources of this runtime only.
    pub fn runtime(mut self, runtime: RuntimeId) -> Self {
        self.filter.runtime = Some(runtime);
        self
    }

    /// Follows what `root` creates from now on, and what that creates, and so on.
    pub fn under(mut self, root: AsyncId) -> Self {
        self.filter.under = Some(root);
        self
    }

    /// Follows this share of all flows, with everything in them, and nothing outside flows.
    ///
    /// The draw is made where a unit of work begins: at a flow, a `spawn_root`, a task that was
    /// declared a flow root. A flow inside a flow draws for itself.
    pub fn sample(mut self, share: f64) -> Self {
        self.filter.sample = Some(share);
        self
    }

    /// Follows also what exists already: with the next event of such a resource the hook first
    /// gets its `init`, which says [`Resource::is_replayed`].
    pub fn attach_existing(mut self) -> Self {
        self.filter.attach_existing = true;
        self
    }

    /// Lets the hook listen from now on, to resources that are born from now on.
    ///
    /// # Errors
    /// When as many hooks are enabled as can be (32), or when the filters contradict each other.
    pub fn enable(self) -> Result<HookHandle<H>, EnableError> {
        self.filter.check()?;
        let hook = Arc::new(self.hook);
        let enabled = registry::enable(hook.clone(), hook.events(), self.filter)?;
        Ok(HookHandle { hook, enabled, is_detached: false })
    }
}

impl<H> fmt::Debug for HookBuilder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookBuilder").field("filter", &self.filter).finish_non_exhaustive()
    }
}

/// Keeps a hook enabled, and gives access to it. Dropping it disables the hook.
#[must_use = "dropping the handle disables the hook; `detach` keeps it"]
pub struct HookHandle<H> {
    pub(crate) hook: Arc<H>,
    pub(crate) enabled: Arc<Enabled>,
    is_detached: bool,
}

impl<H> HookHandle<H> {
    /// Keeps the hook enabled for the life of the process.
    pub fn detach(mut self) {
        self.is_detached = true;
    }

    /// Disables the hook, as dropping the handle does, and returns what listened.
    ///
    /// No event that happens after this is told, but the one `after` for each `before` that the hook
    /// got. An event that is being told now, here or on another thread, is told to the end. A
    /// thread that has emitted events keeps the hook's memory until it emits again, parks in a
    /// runtime of ours, or ends.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn disable(self) -> Arc<H> {
        self.hook.clone()
    }

    /// Says why the hook was disabled by force, if it was.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.enabled.fault.get()
    }
}

impl<H> Deref for HookHandle<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.hook
    }
}

impl<H> Drop for HookHandle<H> {
    fn drop(&mut self) {
        if !self.is_detached {
            registry::disable(&self.enabled);
        }
    }
}

impl<H> fmt::Debug for HookHandle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookHandle")
            .field("events", &self.enabled.events)
            .field("filter", &self.enabled.filter)
            .field("fault", &self.fault())
            .finish_non_exhaustive()
    }
}

type OnResource = Box<dyn Fn(&Resource<'_>) + Send + Sync>;
type OnOutcome = Box<dyn Fn(&Resource<'_>, Outcome) + Send + Sync>;
type OnReason = Box<dyn Fn(&Resource<'_>, Reason) + Send + Sync>;

/// A hook made of closures: see [`hook`].
#[derive(Default)]
pub struct Closures {
    init: Option<OnResource>,
    before: Option<OnResource>,
    after: Option<OnResource>,
    promise_resolve: Option<OnOutcome>,
    destroy: Option<OnReason>,
}

impl HookBuilder<Closures> {
    /// Calls `f` for every `init`.
    pub fn init(mut self, f: impl Fn(&Resource<'_>) + Send + Sync + 'static) -> Self {
        self.hook.init = Some(Box::new(f));
        self
    }

    /// Calls `f` for every `before`.
    pub fn before(mut self, f: impl Fn(&Resource<'_>) + Send + Sync + 'static) -> Self {
        self.hook.before = Some(Box::new(f));
        self
    }

    /// Calls `f` for every `after`.
    pub fn after(mut self, f: impl Fn(&Resource<'_>) + Send + Sync + 'static) -> Self {
        self.hook.after = Some(Box::new(f));
        self
    }

    /// Calls `f` for every `promise_resolve`.
    pub fn promise_resolve(
        mut self,
        f: impl Fn(&Resource<'_>, Outcome) + Send + Sync + 'static,
    ) -> Self {
        self.hook.promise_resolve = Some(Box::new(f));
        self
    }

    /// Calls `f` for every `destroy`.
    pub fn destroy(mut self, f: impl Fn(&Resource<'_>, Reason) + Send + Sync + 'static) -> Self {
        self.hook.destroy = Some(Box::new(f));
        self
    }
}

impl AsyncHook for Closures {
    fn events(&self) -> Events {
        let mut events = Events::NONE;
        let given = [
            (self.init.is_some(), Events::INIT),
            (self.before.is_some(), Events::BEFORE),
            (self.after.is_some(), Events::AFTER),
            (self.promise_resolve.is_some(), Events::PROMISE_RESOLVE),
            (self.destroy.is_some(), Events::DESTROY),
        ];
        for (_, event) in given.into_iter().filter(|(is_given, _)| *is_given) {
            events |= event;
        }
        events
    }

    fn init(&self, resource: &Resource<'_>) {
        if let Some(f) = &self.init {
            f(resource);
        }
    }

    fn before(&self, resource: &Resource<'_>) {
        if let Some(f) = &self.before {
            f(resource);
        }
    }

    fn after(&self, resource: &Resource<'_>) {
        if let Some(f) = &self.after {
            f(resource);
        }
    }

    fn promise_resolve(&self, resource: &Resource<'_>, outcome: Outcome) {
        if let Some(f) = &self.promise_resolve {
            f(resource, outcome);
        }
    }

    fn destroy(&self, resource: &Resource<'_>, reason: Reason) {
        if let Some(f) = &self.destroy {
            f(resource, reason);
        }
    }
}

impl fmt::Debug for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closures").field("events", &self.events()).finish()
    }
}
