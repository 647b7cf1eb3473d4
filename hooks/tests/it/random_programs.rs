//! Runs random programs of resources, futures, guards and hooks, and compares what was heard and
//! seen with what a model of the rules says.
//!
//! A program is a list of steps that nest as code nests. [`Model`] carries it out on plain data
//! and writes down what every hook must hear and every look around must see; [`Real`] carries it
//! out on the crate. Both write the same lines, or the crate is wrong (or the model is).

mod model;
mod real;

use std::thread;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::alone;
use model::Model;
use real::Real;

const PLACES: usize = 4;
const GUARDS: usize = 3;
const HOOKS: usize = 3;

/// One step of a program. The first number says in which place, guard or hook.
#[derive(Clone, Debug)]
enum Step {
    /// Puts a new resource there; what was there is dropped.
    Create(usize),
    /// Gives the resource that is there, or else a new one, to a future.
    Instrument(usize, Script),
    /// Runs steps as code of the resource.
    Run(usize, Vec<Step>),
    /// Polls the future that is there.
    Poll(usize),
    Resolve(usize),
    /// Ends the resource, unless it is running.
    Destroy(usize),
    Drop(usize),
    /// Enters a frame that holds this value, after leaving what the guard had entered.
    Enter(usize, u32),
    /// Leaves what the guard had entered, and looks.
    Leave(usize),
    Forget(usize),
    SyncScope(u32, Vec<Step>),
    WithTrigger(usize, Vec<Step>),
    Enable(usize, Sort),
    Disable(usize),
    Panic,
    Catch(Vec<Step>),
    /// Writes down whose code runs, why, and in which frame.
    Look,
}

/// What a future does: steps for each poll, and then.
#[derive(Clone, Debug)]
struct Script {
    polls: Vec<Vec<Step>>,
    panics: bool,
}

/// What sort of hook.
#[derive(Clone, Copy, Debug)]
struct Sort {
    /// It attaches to what exists.
    is_late: bool,
    /// It creates resources in its `before`.
    makes: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || 0..PLACES;
    let sort = || {
        prop_oneof![
            3 => Just(Sort { is_late: false, makes: false }),
            1 => Just(Sort { is_late: true, makes: false }),
            1 => Just(Sort { is_late: false, makes: true }),
            1 => Just(Sort { is_late: true, makes: true }),
        ]
    };
    let leaf = prop_oneof![
        4 => place().prop_map(Step::Create),
        4 => place().prop_map(Step::Poll),
        2 => place().prop_map(Step::Resolve),
        1 => place().prop_map(Step::Destroy),
        1 => place().prop_map(Step::Drop),
        4 => (0..GUARDS, 1..100_u32).prop_map(|(guard, value)| Step::Enter(guard, value)),
        3 => (0..GUARDS).prop_map(Step::Leave),
        1 => (0..GUARDS).prop_map(Step::Forget),
        3 => (0..HOOKS, sort()).prop_map(|(hook, sort)| Step::Enable(hook, sort)),
        2 => (0..HOOKS).prop_map(Step::Disable),
        1 => Just(Step::Panic),
        2 => Just(Step::Look),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let steps = || vec(inner.clone(), 0..5);
        let script = (vec(steps(), 1..4), 0..4_u32)
            .prop_map(|(polls, panics)| Script { polls, panics: panics == 0 });
        prop_oneof![
            4 => (place(), steps()).prop_map(|(place, steps)| Step::Run(place, steps)),
            3 => (place(), script).prop_map(|(place, script)| Step::Instrument(place, script)),
            1 => (1..100_u32, steps()).prop_map(|(value, steps)| Step::SyncScope(value, steps)),
            1 => (place(), steps()).prop_map(|(place, steps)| Step::WithTrigger(place, steps)),
            1 => steps().prop_map(Step::Catch),
        ]
    })
}

#[test]
fn programs_are_told_as_the_model_says() {
    let _alone = alone();
    // More of them by the environment variable PROPTEST_CASES.
    let cases = Config::default().cases.max(2_000);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let programs = vec(step(), 1..20);
    let told = TestRunner::new(config).run(&programs, |program| {
        let want = Model::run(&program);
        // A thread for each, since a forgotten guard is for the rest of its thread.
        let real = thread::spawn(move || Real::run(&program)).join();
        let got = real.map_err(|_| TestCaseError::fail("the program got out of hand"))?;
        if got == want {
            return Ok(());
        }
        let same = got.iter().zip(&want).take_while(|(got, want)| got == want).count();
        let (got, want) = (got.get(same), want.get(same));
        Err(TestCaseError::fail(format!("line {same}: got {got:?}, want {want:?}")))
    });
    if let Err(failure) = told {
        panic!("{failure}");
    }
}
