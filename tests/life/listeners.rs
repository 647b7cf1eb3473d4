//! Enables the hooks of a row, and checks what each of them heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use forebear::hooks::{
    AsyncHook, AsyncId, HookHandle, Kind, Outcome, Reason, Resource, RuntimeId, create_hook,
};
use forebear::testing::{Event, Recorder};

use crate::leaf::panic_as_planned;
use crate::pattern::is_match;
use crate::table::Hooks;

type Recording = HookHandle<Recorder>;

/// The hooks of one row. They hear of its runtime only.
pub(crate) struct Listeners {
    /// Hears everything. Enabled between the others where there are several.
    truth: Option<HookHandle<Arc<Recorder>>>,
    others: Others,
}

enum Others {
    None,
    Three(Recording, Recording),
    Toggled(Toggler),
    Sampled(Recording),
    Panicking(Vec<HookHandle<Panics>>),
}

fn recording(runtime: RuntimeId) -> Recording {
    create_hook(Recorder::new()).runtime(runtime).enable().unwrap()
}

impl Listeners {
    pub(crate) fn enable(hooks: Hooks, runtime: RuntimeId) -> Listeners {
        let truth = || create_hook(Arc::new(Recorder::new())).runtime(runtime).enable().unwrap();
        let panics = |at| create_hook(Panics { at }).runtime(runtime).enable().unwrap();
        match hooks {
            Hooks::None => Listeners { truth: None, others: Others::None },
            Hooks::One => Listeners { truth: Some(truth()), others: Others::None },
            Hooks::Three => {
                let first = recording(runtime);
                let truth = Some(truth());
                Listeners { truth, others: Others::Three(first, recording(runtime)) }
            }
            Hooks::Toggled => {
                let truth = Some(truth());
                Listeners { truth, others: Others::Toggled(Toggler::start(runtime)) }
            }
            Hooks::Sampled => {
                let half = create_hook(Recorder::new()).runtime(runtime).sample(0.5);
                let truth = Some(truth());
                Listeners { truth, others: Others::Sampled(half.enable().unwrap()) }
            }
            Hooks::Panicking => {
                let mut panicking: Vec<_> = [At::Init, At::Before].map(panics).into();
                let truth = Some(truth());
                panicking.extend([At::After, At::PromiseResolve, At::Destroy].map(panics));
                Listeners { truth, others: Others::Panicking(panicking) }
            }
        }
    }

    /// What heard everything, unless nobody listens.
    pub(crate) fn truth(&self) -> Option<&Arc<Recorder>> {
        self.truth.as_deref()
    }

    /// Disables the hooks, and checks what the others heard against what was to be heard. `owner`
    /// was a flow root, and `owned` was created by it, unless it `is_made_outside`.
    pub(crate) fn finish(self, owner: AsyncId, owned: &[AsyncId], is_made_outside: bool) {
        let Some(truth) = self.truth else { return };
        match self.others {
            Others::None => {}
            Others::Three(first, third) => {
                for other in [first, third] {
                    other.assert_ended();
                    assert_eq!(other.ids(), truth.ids());
                    for id in truth.ids() {
                        assert_eq!(
                            other.sequence(id),
                            truth.sequence(id),
                            "the other hook on {id}"
                        );
                    }
                }
            }
            Others::Toggled(toggler) => toggler.finish(&truth),
            Others::Sampled(half) => {
                half.assert_ended();
                let is_followed = |id| !half.sequence(id).is_empty();
                for id in half.ids() {
                    assert_eq!(half.sequence(id), truth.sequence(id), "the sampled hook on {id}");
                }
                let flows = truth.ids_of_kind(Kind::FLOW);
                for id in owned.iter().filter(|id| !flows.contains(id)) {
                    let is_wanted = !is_made_outside && is_followed(owner);
                    assert_eq!(is_followed(*id), is_wanted, "the sampled hook on {id}");
                }
            }
            Others::Panicking(hooks) => {
                let heard = truth.heard();
                for hook in hooks {
                    let fatal = heard.iter().find(|heard| hook.at.is(heard.event));
                    let fault = hook.fault();
                    assert_eq!(fault.is_some(), fatal.is_some(), "{:?}: {fault:?}", hook.at);
                }
            }
        }
    }
}

/// A hook that panics at the first event of one sort.
struct Panics {
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Init,
    Before,
    After,
    PromiseResolve,
    Destroy,
}

impl At {
    fn is(self, event: Event) -> bool {
        self == match event {
            Event::Init { .. } => At::Init,
            Event::Before => At::Before,
            Event::After => At::After,
            Event::PromiseResolve(_) => At::PromiseResolve,
            Event::Destroy(_) => At::Destroy,
        }
    }
}

impl Panics {
    fn hear(&self, at: At) {
        if self.at == at {
            panic_as_planned();
        }
    }
}

impl AsyncHook for Panics {
    fn init(&self, _: &Resource<'_>) {
        self.hear(At::Init);
    }

    fn before(&self, _: &Resource<'_>) {
        self.hear(At::Before);
    }

    fn after(&self, _: &Resource<'_>) {
        self.hear(At::After);
    }

    fn promise_resolve(&self, _: &Resource<'_>, _: Outcome) {
        self.hear(At::PromiseResolve);
    }

    fn destroy(&self, _: &Resource<'_>, _: Reason) {
        self.hear(At::Destroy);
    }
}

/// A thread that enables and disables recorders, until it is told to stop.
struct Toggler {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Vec<Arc<Recorder>>>>,
}

impl Drop for Toggler {
    /// Relaxed: when it is seen does not matter.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Toggler {
    fn start(runtime: RuntimeId) -> Toggler {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = is_over.clone();
        let thread = thread::spawn(move || {
            let mut recorders = Vec::new();
            loop {
                let recording = recording(runtime);
                thread::yield_now();
                let recorder = recording.disable();
                if !recorder.heard().is_empty() {
                    recorders.push(recorder.clone());
                }
                if told.load(Ordering::Relaxed) {
                    return recorders;
                }
            }
        });
        Toggler { is_over, thread: Some(thread) }
    }

    /// Whoever was enabled for a while heard lives from their beginning, maybe not to their end,
    /// and of pairs either both halves or none.
    fn finish(mut self, truth: &Recorder) {
        let thread = self.thread.take().expect("it is joined once");
        drop(self);
        for recorder in thread.join().unwrap() {
            recorder.assert_valid();
            for id in recorder.ids() {
                let told = recorder.sequence(id);
                let pairs = [" before", " after"].map(|half| told.matches(half).count());
                assert_eq!(pairs[0], pairs[1], "a toggled hook heard {told}");
                let whole = truth.sequence(id);
                assert!(is_cut_of(&told, &whole), "a toggled hook heard {told}, of {whole}");
            }
        }
    }
}

/// Says whether `told` is the beginning of `whole`, up to one pair that was open when the hook was
/// disabled: of that it hears only the end.
fn is_cut_of(told: &str, whole: &str) -> bool {
    let told: Vec<&str> = told.split(' ').collect();
    let whole: Vec<&str> = whole.split(' ').collect();
    let same = told.iter().zip(&whole).take_while(|(told, whole)| told == whole).count();
    told[same..].is_empty() || (told[same..] == ["after"] && whole[same..].contains(&"after"))
}

#[test]
fn a_cut_is_a_beginning_that_closes_its_pair() {
    let whole = "init before after before resolve:Ready after destroy:Completed";
    let check = |told: &str, want: bool| assert_eq!(is_cut_of(told, whole), want, "{told}");
    check("init", true);
    check(whole, true);
    check("init before after before after", true);
    check("init before after destroy:Completed", false);
    check("before after", false);
    assert!(is_match("init [before after]* before resolve:Ready after destroy:Completed", whole));
}
