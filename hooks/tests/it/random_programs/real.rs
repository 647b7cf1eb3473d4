//! Carries a program out on the crate, and writes down what hooks hear and what code sees.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use forebear_hooks::life::Entered;
use forebear_hooks::{
    AsyncHook, AsyncId, AsyncResource, Frame, FrameKey, HookHandle, Inherit, Instrumented, Kind,
    Outcome, Reason, Resource, create_hook, execution_async_id, trigger_async_id, with_trigger,
};

use super::{GUARDS, HOOKS, PLACES, Script, Sort, Step};

static ALWAYS: FrameKey<u32> = FrameKey::new(Inherit::Always);
static NEVER: FrameKey<u32> = FrameKey::new(Inherit::Never);

fn frame_of(value: u32) -> Frame {
    let frame = Frame::current().with(&ALWAYS, Arc::new(value));
    frame.with(&NEVER, Arc::new(value))
}

/// What the hooks of one program share.
#[derive(Default)]
struct Shared {
    lines: Mutex<Vec<String>>,
    /// Resources are numbered in the order in which they are made.
    numbers: Mutex<HashMap<AsyncId, usize>>,
    made: Mutex<usize>,
}

impl Shared {
    fn write(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn number(&self, id: Option<AsyncId>) -> Option<usize> {
        id.map(|id| self.numbers.lock().unwrap()[&id])
    }

    fn create(&self) -> AsyncResource {
        let number = {
            let mut made = self.made.lock().unwrap();
            *made += 1;
            *made - 1
        };
        let name = number.to_string();
        let new = AsyncResource::builder(Kind::OTHER).name(name).build();
        self.numbers.lock().unwrap().insert(new.id(), number);
        new
    }
}

struct Watch {
    number: u32,
    sort: Sort,
    shared: Arc<Shared>,
}

impl Watch {
    fn tell(&self, event: &str, r: &Resource<'_>) {
        self.shared.write(format!("{} {event} {}", self.number, r.label()));
    }
}

impl AsyncHook for Watch {
    fn init(&self, r: &Resource<'_>) {
        let event = if r.is_replayed() { "replay" } else { "init" };
        let [creator, trigger] = [r.creator_id(), r.trigger_id()].map(|id| self.shared.number(id));
        self.shared.write(format!("{} {event} {} {creator:?} {trigger:?}", self.number, r.label()));
    }

    fn before(&self, r: &Resource<'_>) {
        self.tell("before", r);
        if self.sort.makes {
            let made = self.shared.create();
            made.run_in_async_scope(|| drop(self.shared.create()));
        }
    }

    fn after(&self, r: &Resource<'_>) {
        self.tell("after", r);
    }

    fn promise_resolve(&self, r: &Resource<'_>, outcome: Outcome) {
        assert_eq!(outcome, Outcome::Ready);
        self.tell("resolve", r);
    }

    fn destroy(&self, r: &Resource<'_>, reason: Reason) {
        self.shared.write(format!("{} destroy {} {reason:?}", self.number, r.label()));
    }
}

enum Thing {
    Resource(Rc<AsyncResource>),
    Future(Pin<Box<Instrumented<Acting>>>),
}

/// What a program panics with.
struct Planned;

pub(super) struct Real {
    shared: Arc<Shared>,
    hooks_made: Cell<u32>,
    places: RefCell<[Option<Thing>; PLACES]>,
    guards: RefCell<[Option<Entered>; GUARDS]>,
    hooks: RefCell<[Option<HookHandle<Watch>>; HOOKS]>,
}

impl Real {
    /// Carries out a program and returns the lines that it wrote.
    pub(super) fn run(program: &[Step]) -> Vec<String> {
        let real = Rc::new(Real {
            shared: Arc::default(),
            hooks_made: Cell::new(0),
            places: RefCell::default(),
            guards: RefCell::default(),
            hooks: RefCell::default(),
        });
        catch(|| real.steps(program));
        (0..GUARDS).for_each(|guard| real.leave_guard(guard));
        (0..PLACES).for_each(|place| real.drop_place(place));
        for hook in real.hooks.take().iter().flatten() {
            assert!(hook.fault().is_none(), "{:?}", hook.fault());
        }
        assert_eq!((execution_async_id(), trigger_async_id()), (None, None));
        mem::take(&mut *real.shared.lines.lock().unwrap())
    }

    fn steps(self: &Rc<Self>, steps: &[Step]) {
        steps.iter().for_each(|step| self.step(step));
    }

    fn step(self: &Rc<Self>, step: &Step) {
        match step {
            Step::Create(place) => self.put(*place, Thing::Resource(Rc::new(self.shared.create()))),
            Step::Instrument(place, script) => self.instrument(*place, script),
            Step::Run(place, steps) => {
                if let Some(it) = self.resource(*place) {
                    it.run_in_async_scope(|| self.steps(steps));
                }
            }
            Step::Poll(place) => self.poll(*place),
            Step::Resolve(place) => {
                if let Some(it) = self.resource(*place) {
                    it.resolve();
                }
            }
            Step::Destroy(place) => {
                if let Some(it) = self.take_idle(*place) {
                    it.emit_destroy();
                }
            }
            Step::Drop(place) => self.drop_place(*place),
            Step::Enter(guard, value) => {
                self.leave_guard(*guard);
                self.guards.borrow_mut()[*guard] = Some(frame_of(*value).enter());
            }
            Step::Leave(guard) => {
                self.leave_guard(*guard);
                self.look("left");
            }
            Step::Forget(guard) => mem::forget(self.guards.borrow_mut()[*guard].take()),
            Step::SyncScope(value, steps) => frame_of(*value).sync_scope(|| self.steps(steps)),
            Step::WithTrigger(place, steps) => {
                if let Some(id) = self.id(*place) {
                    with_trigger(id, || self.steps(steps));
                }
            }
            Step::Enable(place, sort) => {
                let mut hooks = self.hooks.borrow_mut();
                hooks[*place].get_or_insert_with(|| {
                    self.hooks_made.set(self.hooks_made.get() + 1);
                    let (number, shared) = (self.hooks_made.get(), self.shared.clone());
                    let watch = create_hook(Watch { number, sort: *sort, shared });
                    let watch = if sort.is_late { watch.attach_existing() } else { watch };
                    watch.enable().unwrap()
                });
            }
            Step::Disable(place) => drop(self.hooks.borrow_mut()[*place].take()),
            Step::Panic => resume_unwind(Box::new(Planned)),
            Step::Catch(steps) => catch(|| self.steps(steps)),
            Step::Look => self.look("look"),
        }
    }

    fn look(&self, what: &str) {
        let [running, trigger] =
            [execution_async_id(), trigger_async_id()].map(|id| self.shared.number(id));
        let value = |key: &FrameKey<u32>| Frame::with_current(|frame| frame.get(key).copied());
        let (always, never) = (value(&ALWAYS), value(&NEVER));
        let here = self
            .guards
            .borrow()
            .each_ref()
            .map(|guard| guard.as_ref().is_some_and(Entered::is_here));
        self.shared.write(format!("{what} {running:?} {trigger:?} {always:?} {never:?} {here:?}"));
    }

    fn resource(&self, place: usize) -> Option<Rc<AsyncResource>> {
        match &self.places.borrow()[place] {
            Some(Thing::Resource(it)) => Some(it.clone()),
            _ => None,
        }
    }

    fn id(&self, place: usize) -> Option<AsyncId> {
        match self.places.borrow()[place].as_ref()? {
            Thing::Resource(it) => Some(it.id()),
            Thing::Future(it) => it.id(),
        }
    }

    /// Takes the resource that is there, if it is not running.
    fn take_idle(&self, place: usize) -> Option<AsyncResource> {
        let mut places = self.places.borrow_mut();
        if !matches!(&places[place], Some(Thing::Resource(it)) if Rc::strong_count(it) == 1) {
            return None;
        }
        match places[place].take() {
            Some(Thing::Resource(it)) => Rc::into_inner(it),
            _ => None,
        }
    }

    fn put(&self, place: usize, thing: Thing) {
        let old = self.places.borrow_mut()[place].replace(thing);
        drop(old);
    }

    fn drop_place(&self, place: usize) {
        let old = self.places.borrow_mut()[place].take();
        drop(old);
    }

    fn leave_guard(&self, guard: usize) {
        let old = self.guards.borrow_mut()[guard].take();
        drop(old);
    }

    fn instrument(self: &Rc<Self>, place: usize, script: &Script) {
        let it = self.take_idle(place).unwrap_or_else(|| self.shared.create());
        let acting = Acting { script: script.clone(), looks: Looks(self.clone()) };
        self.put(place, Thing::Future(Box::pin(it.instrument(acting))));
    }

    fn poll(&self, place: usize) {
        let mut future = {
            let mut places = self.places.borrow_mut();
            match places[place].take() {
                Some(Thing::Future(future)) => future,
                other => {
                    places[place] = other;
                    return;
                }
            }
        };
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            let mut places = self.places.borrow_mut();
            if places[place].is_none() {
                places[place] = Some(Thing::Future(future));
            } else {
                drop(places);
                drop(future);
            }
        }
    }
}

fn catch(f: impl FnOnce()) {
    if let Err(carried) = catch_unwind(AssertUnwindSafe(f)) {
        if !carried.is::<Planned>() {
            resume_unwind(carried);
        }
    }
}

/// A future that does what a script says.
struct Acting {
    script: Script,
    looks: Looks,
}

impl Future for Acting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let steps = self.script.polls.remove(0);
        self.looks.0.clone().steps(&steps);
        if !self.script.polls.is_empty() {
            return Poll::Pending;
        }
        if self.script.panics {
            resume_unwind(Box::new(Planned));
        }
        Poll::Ready(())
    }
}

/// Looks around when it is dropped.
struct Looks(Rc<Real>);

impl Drop for Looks {
    fn drop(&mut self) {
        self.0.look("dropped");
    }
}
