//! Holds what all of a program share: the locals, the hooks, and what was found wrong.

use std::fmt::Display;
use std::sync::{Arc, Mutex, OnceLock};

use forebear::AsyncLocal;
use forebear::hooks::{AsyncId, HookHandle, Inherit, RuntimeId, create_hook, execution_async_id};
use forebear::task::JoinError;
use forebear::testing::Recorder;
use forebear::tracker;

use crate::model::Env;
use crate::program::{HOOKS, Key};

/// A value of a local. What it holds shows at the end whether all of them are gone.
#[derive(Clone)]
pub(crate) struct Value {
    number: u32,
    _alive: Arc<()>,
}

static ALWAYS: AsyncLocal<Value> = AsyncLocal::named("always");
static SAME_TASK: AsyncLocal<Value> = AsyncLocal::named("same task").inherit(Inherit::SameTask);
static NEVER: AsyncLocal<Value> = AsyncLocal::named("never").inherit(Inherit::Never);

impl Key {
    pub(crate) fn local(self) -> &'static AsyncLocal<Value> {
        match self {
            Key::Always => &ALWAYS,
            Key::SameTask => &SAME_TASK,
            Key::Never => &NEVER,
        }
    }

    fn number(self) -> Option<u32> {
        self.local().with(|value| value.map(|value| value.number))
    }
}

/// The id of a resource, once somebody knows it.
pub(crate) type Me = Arc<OnceLock<AsyncId>>;

/// Where code runs: as which resource, and with which values.
#[derive(Clone, Default)]
pub(crate) struct Place {
    pub(crate) me: Me,
    pub(crate) env: Env,
}

pub(crate) struct World {
    runtime: RuntimeId,
    truth: HookHandle<Recorder>,
    toggled: Mutex<[Option<HookHandle<Recorder>>; HOOKS]>,
    /// What was disabled.
    done: Mutex<Vec<Arc<Recorder>>>,
    wrong: Mutex<Vec<String>>,
    alive: Arc<()>,
}

impl World {
    pub(crate) fn new(runtime: RuntimeId) -> World {
        World {
            runtime,
            truth: create_hook(Recorder::new()).runtime(runtime).enable().unwrap(),
            toggled: Mutex::default(),
            done: Mutex::default(),
            wrong: Mutex::default(),
            alive: Arc::default(),
        }
    }

    pub(crate) fn value(&self, number: u32) -> Value {
        Value { number, _alive: self.alive.clone() }
    }

    pub(crate) fn complain(&self, what: impl Display) {
        self.wrong.lock().unwrap().push(what.to_string());
    }

    /// Checks that code runs where it should (L6).
    pub(crate) fn look(&self, place: &Place, when: &str) {
        let (current, me) = (execution_async_id(), place.me.get());
        // A task that never ran, and whose spawner has not come back yet, does not know itself.
        if me.is_some() && current != me.copied() {
            self.complain(format_args!("L6: {when}, current is {current:?}, not {me:?}"));
        }
        self.look_at_values(place.env, when);
    }

    pub(crate) fn look_at_values(&self, want: Env, when: &str) {
        let [always, same_task, never] = [Key::Always, Key::SameTask, Key::Never].map(Key::number);
        let got = Env { always, same_task, never };
        if got != want {
            self.complain(format_args!("{when}, {got:?} is seen instead of {want:?}"));
        }
    }

    /// Enables a hook, or disables it.
    pub(crate) fn toggle(&self, hook: usize) {
        let mut toggled = self.toggled.lock().unwrap();
        if let Some(enabled) = toggled[hook].take() {
            drop(toggled);
            let recorder = enabled.disable();
            self.done.lock().unwrap().push(recorder);
            return;
        }
        let new = create_hook(Recorder::new()).runtime(self.runtime);
        let new = match hook {
            0 => new,
            1 => new.attach_existing(),
            _ => new.sample(0.5),
        };
        match new.enable() {
            Ok(enabled) => toggled[hook] = Some(enabled),
            Err(error) => self.complain(error),
        }
    }

    /// Checks that a joiner has every event behind it, and what they said.
    pub(crate) fn joined(&self, id: AsyncId, result: &Result<(), JoinError>) {
        let told = self.truth.sequence(id);
        let ends: &[&str] = match result {
            Ok(()) => &["resolve:Ready after destroy:Completed"],
            Err(error) if error.is_panic() => &["resolve:Panicked after destroy:Panicked"],
            // Whoever joins may do so while the runtime ends.
            Err(_) => &[
                "resolve:Cancelled after destroy:Cancelled",
                "resolve:Cancelled after destroy:Shutdown",
            ],
        };
        if !told.starts_with("init before") || !ends.iter().any(|end| told.ends_with(end)) {
            self.complain(format_args!("{id} was joined with {result:?} after {told}"));
        }
    }

    /// Checks what is left when the runtime is gone, and returns all that was wrong.
    pub(crate) fn finish(self) -> Vec<String> {
        let World { runtime, truth, toggled, done, wrong, alive } = self;
        let mut wrong = wrong.into_inner().unwrap();
        wrong.extend(truth.check());
        for id in truth.alive() {
            wrong.push(format!("L4, L8: {id} has not ended: {}", truth.sequence(id)));
        }
        let mut toggled_all = done.into_inner().unwrap();
        toggled_all
            .extend(toggled.into_inner().unwrap().into_iter().flatten().map(HookHandle::disable));
        for recorder in toggled_all {
            wrong.extend(recorder.check().into_iter().map(|what| format!("toggled: {what}")));
            for id in recorder.ids() {
                let told = recorder.sequence(id);
                if told.matches(" before").count() != told.matches(" after").count() {
                    wrong.push(format!("L7: a toggled hook heard {told} of {id}"));
                }
            }
        }
        let left = tracker::len_of(runtime);
        if left > 0 {
            wrong.push(format!("L8: {left} resources are left in the map"));
        }
        let values = Arc::strong_count(&alive) - 1;
        if values > 0 {
            wrong.push(format!("L8: {values} values are left"));
        }
        if !wrong.is_empty() {
            wrong.push(truth.transcript());
        }
        wrong
    }
}
