//! Says what a program must be heard and seen to do: the rules L1 to L7 as plain data.

use super::{GUARDS, HOOKS, PLACES, Script, Sort, Step};

/// What a frame holds under a key that is inherited by all, and under one that is by none.
#[derive(Clone, Copy, Default)]
struct Values {
    always: Option<u32>,
    never: Option<u32>,
}

struct Resource {
    trigger: Option<usize>,
    values: Values,
    /// When it was born; hooks that came later do not follow it.
    tick: u32,
    followers: Vec<u32>,
    hidden_from: Vec<u32>,
    /// Late hooks that were told its `init`.
    replayed_to: Vec<u32>,
    creator: Option<usize>,
    is_resolved: bool,
    is_placed: bool,
    runs: u32,
}

#[derive(Clone, Copy)]
struct Hook {
    number: u32,
    tick: u32,
    sort: Sort,
}

/// One level of the stack.
struct Scope {
    running: Option<usize>,
    trigger: Option<usize>,
    values: Values,
    entered: Vec<Entry>,
}

struct Entry {
    token: u32,
    values: Values,
    is_left: bool,
}

enum Thing {
    Resource(usize),
    Future(usize, Script),
}

/// The program panicked, and unwinds to the next `Catch`.
struct Unwinding;

type Outcome = Result<(), Unwinding>;

pub(super) struct Model {
    lines: Vec<String>,
    ticks: u32,
    hooks_made: u32,
    resources: Vec<Resource>,
    enabled: Vec<Hook>,
    /// The hooks whose callbacks are on the stack.
    called: Vec<u32>,
    scopes: Vec<Scope>,
    places: [Option<Thing>; PLACES],
    guards: [Option<u32>; GUARDS],
    hooks: [Option<u32>; HOOKS],
}

impl Model {
    /// Carries out a program and returns the lines that it must write.
    pub(super) fn run(program: &[Step]) -> Vec<String> {
        let base =
            Scope { running: None, trigger: None, values: Values::default(), entered: Vec::new() };
        let mut model = Model {
            lines: Vec::new(),
            ticks: 0,
            hooks_made: 0,
            resources: Vec::new(),
            enabled: Vec::new(),
            called: Vec::new(),
            scopes: vec![base],
            places: [const { None }; PLACES],
            guards: [None; GUARDS],
            hooks: [None; HOOKS],
        };
        let _ = model.steps(program);
        (0..GUARDS).for_each(|guard| model.leave_guard(guard));
        (0..PLACES).for_each(|place| model.drop_place(place));
        model.lines
    }

    fn steps(&mut self, steps: &[Step]) -> Outcome {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Create(place) => {
                let new = self.create();
                self.put(*place, Thing::Resource(new));
            }
            Step::Instrument(place, script) => self.instrument(*place, script),
            Step::Run(place, steps) => {
                if let Some(Thing::Resource(it)) = self.places[*place] {
                    return self.run_resource(it, steps);
                }
            }
            Step::Poll(place) => {
                if let Some(Thing::Future(..)) = self.places[*place] {
                    return self.poll(*place);
                }
            }
            Step::Resolve(place) => {
                if let Some(Thing::Resource(it)) = self.places[*place] {
                    self.resolve(it);
                }
            }
            Step::Destroy(place) => {
                if let Some(it) = self.idle_resource(*place) {
                    self.places[*place] = None;
                    self.destroy(it, "Completed");
                }
            }
            Step::Drop(place) => self.drop_place(*place),
            Step::Enter(guard, value) => {
                self.leave_guard(*guard);
                let token = self.tick();
                let entry = Entry { token, values: Values::of(*value), is_left: false };
                self.top_mut().entered.push(entry);
                self.guards[*guard] = Some(token);
            }
            Step::Leave(guard) => {
                self.leave_guard(*guard);
                self.look("left");
            }
            Step::Forget(guard) => self.guards[*guard] = None,
            Step::SyncScope(value, steps) => {
                return self.scoped(self.top().trigger, Values::of(*value), steps);
            }
            Step::WithTrigger(place, steps) => {
                if let Some(Thing::Resource(it) | Thing::Future(it, _)) = self.places[*place] {
                    return self.scoped(Some(it), self.values(), steps);
                }
            }
            Step::Enable(place, sort) => {
                if self.hooks[*place].is_none() {
                    self.hooks_made += 1;
                    let (number, tick) = (self.hooks_made, self.tick());
                    self.enabled.push(Hook { number, tick, sort: *sort });
                    self.hooks[*place] = Some(number);
                }
            }
            Step::Disable(place) => {
                let number = self.hooks[*place].take();
                self.enabled.retain(|hook| Some(hook.number) != number);
            }
            Step::Panic => return Err(Unwinding),
            Step::Catch(steps) => drop(self.steps(steps)),
            Step::Look => self.look("look"),
        }
        Ok(())
    }

    fn tick(&mut self) -> u32 {
        self.ticks += 1;
        self.ticks
    }

    fn top(&self) -> &Scope {
        self.scopes.last().unwrap()
    }

    fn top_mut(&mut self) -> &mut Scope {
        self.scopes.last_mut().unwrap()
    }

    fn values(&self) -> Values {
        let top = self.top();
        top.entered.last().map_or(top.values, |entry| entry.values)
    }

    fn look(&mut self, what: &str) {
        let running = self.top().running;
        let trigger = running.and_then(|it| self.resources[it].trigger);
        let Values { always, never } = self.values();
        let is_here = |token: u32| self.top().entered.iter().any(|entry| entry.token == token);
        let here = self.guards.map(|guard| guard.is_some_and(is_here));
        self.lines.push(format!("{what} {running:?} {trigger:?} {always:?} {never:?} {here:?}"));
    }

    /// Runs steps in a scope of the same resource.
    fn scoped(&mut self, trigger: Option<usize>, values: Values, steps: &[Step]) -> Outcome {
        let running = self.top().running;
        self.scopes.push(Scope { running, trigger, values, entered: Vec::new() });
        let outcome = self.steps(steps);
        self.scopes.pop();
        outcome
    }

    fn leave_guard(&mut self, guard: usize) {
        let Some(token) = self.guards[guard].take() else { return };
        let entered = &mut self.top_mut().entered;
        if let Some(entry) = entered.iter_mut().find(|entry| entry.token == token) {
            entry.is_left = true;
        }
        while entered.last().is_some_and(|entry| entry.is_left) {
            entered.pop();
        }
    }

    fn create(&mut self) -> usize {
        let it = self.resources.len();
        let creator = self.top().running;
        let mut hidden_from = self.called.clone();
        hidden_from.extend(creator.iter().flat_map(|it| &self.resources[*it].hidden_from));
        let numbers = self.enabled.iter().map(|hook| hook.number);
        let followers = numbers.filter(|number| !hidden_from.contains(number)).collect();
        let resource = Resource {
            trigger: self.top().trigger.or(creator),
            values: Values { never: None, ..self.values() },
            tick: self.tick(),
            followers,
            hidden_from,
            replayed_to: Vec::new(),
            creator,
            is_resolved: false,
            is_placed: false,
            runs: 0,
        };
        self.resources.push(resource);
        for hook in self.enabled.clone() {
            if self.resources[it].followers.contains(&hook.number) {
                self.tell_init(hook, "init", it);
            }
        }
        it
    }

    fn tell_init(&mut self, hook: Hook, event: &str, it: usize) {
        let Resource { creator, trigger, .. } = self.resources[it];
        self.lines.push(format!("{} {event} {it} {creator:?} {trigger:?}", hook.number));
    }

    fn tell(&mut self, hook: Hook, event: &str, it: usize) {
        self.lines.push(format!("{} {event} {it}", hook.number));
    }

    /// Whether the hook hears of it; a late one is told its `init` first.
    fn is_told(&mut self, hook: Hook, it: usize) -> bool {
        let resource = &mut self.resources[it];
        if resource.tick > hook.tick {
            return resource.followers.contains(&hook.number);
        }
        if hook.sort.is_late && !resource.replayed_to.contains(&hook.number) {
            resource.replayed_to.push(hook.number);
            self.tell_init(hook, "replay", it);
        }
        hook.sort.is_late
    }

    /// Begins a pair; returns the hooks that are owed its end.
    fn enter(&mut self, it: usize) -> Vec<Hook> {
        let values = self.resources[it].values;
        let entered = Vec::new();
        self.scopes.push(Scope { running: Some(it), trigger: None, values, entered });
        let mut owed = Vec::new();
        for hook in self.enabled.clone() {
            if self.is_told(hook, it) {
                owed.push(hook);
                self.tell(hook, "before", it);
                if hook.sort.makes {
                    self.called.push(hook.number);
                    let made = self.create();
                    let pair = self.enter(made);
                    let child = self.create();
                    self.destroy(child, "Dropped");
                    self.leave(made, pair);
                    self.destroy(made, "Dropped");
                    self.called.pop();
                }
            }
        }
        owed
    }

    fn leave(&mut self, it: usize, owed: Vec<Hook>) {
        owed.into_iter().rev().for_each(|hook| self.tell(hook, "after", it));
        self.scopes.pop();
    }

    fn resolve(&mut self, it: usize) {
        if std::mem::replace(&mut self.resources[it].is_resolved, true) {
            return;
        }
        let pair = (self.top().running != Some(it)).then(|| self.enter(it));
        for hook in self.enabled.clone() {
            if self.is_told(hook, it) {
                self.tell(hook, "resolve", it);
            }
        }
        if let Some(owed) = pair {
            self.leave(it, owed);
        }
    }

    fn destroy(&mut self, it: usize, reason: &str) {
        for hook in self.enabled.clone().into_iter().rev() {
            if self.is_told(hook, it) {
                self.lines.push(format!("{} destroy {it} {reason}", hook.number));
            }
        }
    }

    fn run_resource(&mut self, it: usize, steps: &[Step]) -> Outcome {
        self.resources[it].runs += 1;
        let owed = self.enter(it);
        let outcome = self.steps(steps);
        self.leave(it, owed);
        self.resources[it].runs -= 1;
        self.drop_if_unused(it);
        outcome
    }

    fn drop_if_unused(&mut self, it: usize) {
        if self.resources[it].runs == 0 && !self.resources[it].is_placed {
            self.destroy(it, "Dropped");
        }
    }

    fn idle_resource(&self, place: usize) -> Option<usize> {
        match self.places[place] {
            Some(Thing::Resource(it)) if self.resources[it].runs == 0 => Some(it),
            _ => None,
        }
    }

    fn put(&mut self, place: usize, thing: Thing) {
        if let Thing::Resource(it) = thing {
            self.resources[it].is_placed = true;
        }
        let old = self.places[place].replace(thing);
        self.drop_thing(old);
    }

    fn drop_place(&mut self, place: usize) {
        let old = self.places[place].take();
        self.drop_thing(old);
    }

    fn drop_thing(&mut self, thing: Option<Thing>) {
        match thing {
            Some(Thing::Resource(it)) => {
                self.resources[it].is_placed = false;
                self.drop_if_unused(it);
            }
            Some(Thing::Future(it, _)) => self.abandon(it, "Cancelled"),
            None => {}
        }
    }

    fn instrument(&mut self, place: usize, script: &Script) {
        let it = match self.idle_resource(place) {
            Some(it) => {
                self.places[place] = None;
                it
            }
            None => self.create(),
        };
        self.put(place, Thing::Future(it, script.clone()));
    }

    fn poll(&mut self, place: usize) -> Outcome {
        let Some(Thing::Future(it, mut script)) = self.places[place].take() else { return Ok(()) };
        let owed = self.enter(it);
        let steps = script.polls.remove(0);
        let outcome = self.steps(&steps);
        let is_last = script.polls.is_empty();
        if outcome.is_err() || (is_last && script.panics) {
            self.leave(it, owed);
            self.abandon(it, "Panicked");
            return Err(Unwinding);
        }
        if is_last {
            self.resolve(it);
            self.look("dropped");
            self.leave(it, owed);
            self.destroy(it, "Completed");
        } else {
            self.leave(it, owed);
            if self.places[place].is_none() {
                self.places[place] = Some(Thing::Future(it, script));
            } else {
                self.abandon(it, "Cancelled");
            }
        }
        Ok(())
    }

    fn abandon(&mut self, it: usize, reason: &str) {
        let owed = self.enter(it);
        self.look("dropped");
        self.leave(it, owed);
        self.destroy(it, reason);
    }
}

impl Values {
    fn of(value: u32) -> Values {
        Values { always: Some(value), never: Some(value) }
    }
}
