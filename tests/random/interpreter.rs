//! Carries a program out on a runtime, and looks around after each step.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use forebear::hooks::{AsyncResource, Kind, execution_async_id, instrument};
use forebear::runtime::{Builder, UnhandledPanic};
use forebear::task::{self, JoinHandle, yield_now};
use forebear::time::{Duration, sleep, timeout};
use forebear::{LocalGuard, Snapshot, flow};

use crate::Threads;
use crate::model::{Env, Scopes, Token};
use crate::program::{Child, End, GUARDS, Key, Now, Program, RootStep, SNAPSHOTS, Step};
use crate::world::{Place, World};

/// Runs a program, and returns what is wrong.
pub(crate) fn run(program: &Program, threads: Threads) -> Vec<String> {
    let mut builder = match threads {
        Threads::Current => Builder::new_current_thread(),
        Threads::Workers(_) => Builder::new_multi_thread(),
    };
    match threads {
        Threads::Current => builder.start_paused(true),
        Threads::Workers(workers) => builder.worker_threads(workers),
    };
    builder.unhandled_panic(UnhandledPanic::Ignore).max_blocking_threads(2);
    let runtime = builder.build().unwrap();
    let world = Arc::new(World::new(runtime.id()));
    let program = program.clone();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        // What is set around `block_on` is inherited by its future, as its key says.
        let (around, never) = (world.value(7), world.value(8));
        let inside = || runtime.block_on(root(world.clone(), program));
        Key::Always.local().sync_scope(around, || Key::Never.local().sync_scope(never, inside));
    }));
    if let Err(payload) = ran {
        if !payload.is::<Planned>() {
            world.complain("the root panicked");
        }
    }
    if execution_async_id().is_some() {
        world.complain("L6: something is current outside the runtime");
    }
    drop(runtime);
    match Arc::try_unwrap(world) {
        Ok(world) => world.finish(),
        Err(_) => vec!["a task that has ended is not gone".to_owned()],
    }
}

/// What a program panics with.
struct Planned;

fn panic_as_planned() -> ! {
    resume_unwind(Box::new(Planned))
}

/// Looks around when it is dropped: as part of a future, in the future's destructor.
struct Witness {
    world: Arc<World>,
    place: Place,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.world.look(&self.place, "in a destructor");
    }
}

struct Spawned {
    handle: JoinHandle<()>,
    end: End,
}

async fn root(world: Arc<World>, program: Program) {
    let place = Place { env: Env::default().with(Key::Always, Some(7)), ..Place::default() };
    let _ = place.me.set(execution_async_id().expect("it is a resource"));
    let mut scopes = Scopes::new(place.env);
    let mut guards = Guards::default();
    for step in program {
        match step {
            RootStep::Do(steps) => body(world.clone(), place.clone(), steps).await,
            RootStep::Hold(nows) => {
                let mut spawned = Vec::new();
                let mut block = Block::new(&world, &place, scopes, guards, &mut spawned);
                block.all(&nows);
                (scopes, guards) = (block.scopes, block.guards);
                yield_now().await;
                scopes.begin_poll();
            }
        }
        // Guards that were held across the wait mean nothing any more.
        guards.check(&world, &mut scopes);
        world.look(&place, "in the root");
    }
}

type Body = Pin<Box<dyn Future<Output = ()> + Send>>;

fn body(world: Arc<World>, place: Place, steps: Vec<Step>) -> Body {
    let witness = Witness { world, place };
    Box::pin(async move {
        // By name, so that the future holds it from the beginning.
        let witness = witness;
        let Witness { world, place } = &witness;
        let mut spawned = Vec::new();
        world.look(place, "at the beginning");
        for step in steps {
            run_step(world, place, step, &mut spawned).await;
            world.look(place, "after a step");
        }
    })
}

async fn run_step(world: &Arc<World>, place: &Place, step: Step, spawned: &mut Vec<Spawned>) {
    let inner = |env: Env, steps| body(world.clone(), Place { me: place.me.clone(), env }, steps);
    let other = || Place { env: place.env.in_same_task(), ..Place::default() };
    match step {
        Step::Yield => yield_now().await,
        Step::Sleep(micros) => sleep(Duration::from_micros(micros.into())).await,
        Step::Spawn(child) => spawned.push(spawn(world, place.env, child)),
        Step::Blocking(nows) => spawned.push(spawn_blocking(world, place.env, nows)),
        Step::Join(nth) => {
            if let Some(child) = take(spawned, nth) {
                if child.end == End::Hangs {
                    child.handle.abort();
                }
                let id = child.handle.id();
                world.joined(id, &child.handle.await);
            }
        }
        Step::Abort(nth) => {
            if !spawned.is_empty() {
                spawned[nth % spawned.len()].handle.abort();
            }
        }
        Step::DropHandle(nth) => drop(take(spawned, nth)),
        Step::ForgetHandle(nth) => std::mem::forget(take(spawned, nth)),
        Step::Flow(steps) => {
            let other = other();
            let flow = flow("flow", body(world.clone(), other.clone(), steps));
            let _ = other.me.set(flow.id().unwrap());
            flow.await;
        }
        Step::Instrument(steps) => {
            let other = other();
            let future = instrument(body(world.clone(), other.clone(), steps));
            let _ = other.me.set(future.id().unwrap());
            future.await;
        }
        Step::Resource(steps) => {
            let other = other();
            let resource = AsyncResource::new(Kind::OTHER);
            let _ = other.me.set(resource.id());
            resource.scope(body(world.clone(), other, steps)).await;
            resource.emit_destroy();
        }
        Step::Scope(key, number, steps) => {
            let steps = inner(place.env.with(key, Some(number)), steps);
            key.local().scope(world.value(number), steps).await;
        }
        Step::Exit(key, steps) => key.local().exit(inner(place.env.with(key, None), steps)).await,
        Step::Timeout(micros, steps) => {
            let limit = Duration::from_micros(micros.into());
            // Either will do: it is about what is dropped in the middle.
            let _ = timeout(limit, inner(place.env, steps)).await;
        }
        Step::Catch(steps) => catch(inner(place.env, steps)).await,
        Step::Now(nows) => run_now(world, place, &nows, spawned),
        Step::Panic => panic_as_planned(),
    }
}

fn take(spawned: &mut Vec<Spawned>, nth: usize) -> Option<Spawned> {
    (!spawned.is_empty()).then(|| spawned.remove(nth % spawned.len()))
}

/// Waits for a future that may panic as planned.
async fn catch(mut future: Body) {
    poll_fn(move |cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.unwrap_or_else(|payload| match payload.is::<Planned>() {
            true => Poll::Ready(()),
            false => resume_unwind(payload),
        })
    })
    .await;
}

fn spawn(world: &Arc<World>, env: Env, child: Child) -> Spawned {
    let Child { is_root, end, steps } = child;
    let env = if is_root { Env::default() } else { env.in_other_task() };
    let place = Place { env, ..Place::default() };
    let all = body(world.clone(), place.clone(), steps);
    let me = place.me.clone();
    let task = async move {
        let current = execution_async_id().expect("it is a resource");
        let _ = me.set(current);
        all.await;
        match end {
            End::Returns => {}
            End::Panics => panic_as_planned(),
            End::Hangs => std::future::pending().await,
        }
    };
    let handle = if is_root { forebear::spawn_root(task) } else { forebear::spawn(task) };
    knows(world, &place, &handle);
    Spawned { handle, end }
}

fn spawn_blocking(world: &Arc<World>, env: Env, nows: Vec<Now>) -> Spawned {
    let place = Place { env: env.in_other_task(), ..Place::default() };
    let witness = Witness { world: world.clone(), place: place.clone() };
    let handle = task::spawn_blocking(move || {
        let Witness { world, place } = &witness;
        let _ = place.me.set(execution_async_id().expect("it is a resource"));
        run_now(world, place, &nows, &mut Vec::new());
    });
    knows(world, &place, &handle);
    Spawned { handle, end: End::Returns }
}

/// Both the task and its spawner know who it is.
fn knows(world: &World, place: &Place, handle: &JoinHandle<()>) {
    let known = *place.me.get_or_init(|| handle.id());
    if known != handle.id() {
        world.complain(format_args!("L6: {known} runs as {}", handle.id()));
    }
}

/// Does steps within one poll, in a scope of their own: its end ends what is left of guards.
fn run_now(world: &Arc<World>, place: &Place, nows: &[Now], spawned: &mut Vec<Spawned>) {
    Snapshot::capture().sync_scope(|| {
        let scopes = Scopes::new(place.env);
        let mut block = Block::new(world, place, scopes, Guards::default(), spawned);
        block.all(nows);
    });
}

#[derive(Default)]
struct Guards([Option<(LocalGuard, Token)>; GUARDS]);

impl Guards {
    fn check(&self, world: &World, scopes: &mut Scopes) {
        for (guard, token) in self.0.iter().flatten() {
            if guard.is_here() != scopes.is_here(*token) {
                world.complain(format_args!("a guard says {}", guard.is_here()));
            }
        }
    }
}

/// What is done within one poll.
struct Block<'a> {
    world: &'a Arc<World>,
    place: Place,
    scopes: Scopes,
    guards: Guards,
    snapshots: [Option<(Snapshot, Env)>; SNAPSHOTS],
    spawned: &'a mut Vec<Spawned>,
}

impl<'a> Block<'a> {
    fn new(
        world: &'a Arc<World>,
        place: &Place,
        scopes: Scopes,
        guards: Guards,
        spawned: &'a mut Vec<Spawned>,
    ) -> Block<'a> {
        let snapshots = [const { None }; SNAPSHOTS];
        Block { world, place: place.clone(), scopes, guards, snapshots, spawned }
    }

    fn all(&mut self, nows: &[Now]) {
        for now in nows {
            self.one(now);
            let env = self.scopes.env();
            self.world.look(&Place { env, me: self.place.me.clone() }, "in a poll");
            self.guards.check(self.world, &mut self.scopes);
        }
    }

    fn one(&mut self, now: &Now) {
        let env = self.scopes.env();
        match now {
            Now::Enter(guard, key, number) => {
                self.leave(*guard);
                let token = self.scopes.enter(*key, *number);
                let entered = key.local().enter(self.world.value(*number));
                self.guards.0[*guard] = Some((entered, token));
            }
            Now::Leave(guard) => self.leave(*guard),
            Now::Forget(guard) => std::mem::forget(self.guards.0[*guard].take()),
            Now::SyncScope(key, number, nows) => {
                let value = self.world.value(*number);
                let env = env.with(*key, Some(*number));
                key.local().sync_scope(value, || self.scope(env, nows));
            }
            Now::SyncExit(key, nows) => {
                let env = env.with(*key, None);
                key.local().sync_exit(|| self.scope(env, nows));
            }
            Now::Run(nows) => {
                let resource = AsyncResource::new(Kind::OTHER);
                let outer = std::mem::take(&mut self.place.me);
                let _ = self.place.me.set(resource.id());
                resource.run_in_async_scope(|| self.scope(env.in_same_task(), nows));
                self.place.me = outer;
            }
            Now::Capture(snapshot) => self.snapshots[*snapshot] = Some((Snapshot::capture(), env)),
            Now::Within(snapshot, nows) => {
                if let Some((snapshot, env)) = self.snapshots[*snapshot].clone() {
                    snapshot.sync_scope(|| self.scope(env, nows));
                }
            }
            Now::Spawn(child) => self.spawned.push(spawn(self.world, env, child.clone())),
            Now::Toggle(hook) => self.world.toggle(*hook),
            Now::Panic => panic_as_planned(),
        }
    }

    fn scope(&mut self, base: Env, nows: &[Now]) {
        self.scopes.begin(base);
        self.world.look_at_values(base, "at the beginning of a scope");
        self.all(nows);
        self.scopes.end();
    }

    /// In the real thing first: leaving one that is not here must do nothing.
    fn leave(&mut self, guard: usize) {
        if let Some((entered, token)) = self.guards.0[guard].take() {
            drop(entered);
            self.scopes.leave(token);
        }
    }
}
