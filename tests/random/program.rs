//! Says what a random program may do.
//!
//! Whoever joins aborts first what would never end, and joins its own children only; so every
//! program ends, whatever it does.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any as any_of, prop_oneof};

/// How many guards a block has room for.
pub(crate) const GUARDS: usize = 3;
/// How many snapshots a block has room for.
pub(crate) const SNAPSHOTS: usize = 2;
/// How many hooks can be toggled: a plain one, one that attaches, one that samples.
pub(crate) const HOOKS: usize = 3;

/// One of the locals, which differ in who inherits them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Always,
    SameTask,
    Never,
}

/// What the future of `block_on` does. It may hold guards while it waits.
pub(crate) type Program = Vec<RootStep>;

#[derive(Clone, Debug)]
pub(crate) enum RootStep {
    Do(Vec<Step>),
    /// Does this in one poll, and then waits, with the guards that are left.
    Hold(Vec<Now>),
}

/// A step that may wait.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Yield,
    /// So many microseconds.
    Sleep(u16),
    Spawn(Child),
    Blocking(Vec<Now>),
    /// One of the children, counted around.
    Join(usize),
    Abort(usize),
    DropHandle(usize),
    ForgetHandle(usize),
    Flow(Vec<Step>),
    Instrument(Vec<Step>),
    Resource(Vec<Step>),
    Scope(Key, u32, Vec<Step>),
    Exit(Key, Vec<Step>),
    /// Drops the rest after so many microseconds.
    Timeout(u16, Vec<Step>),
    Catch(Vec<Step>),
    Now(Vec<Now>),
    Panic,
}

#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) is_root: bool,
    pub(crate) end: End,
    pub(crate) steps: Vec<Step>,
}

/// What a child does after its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Returns,
    Panics,
    /// It waits until it is given up.
    Hangs,
}

/// A step within one poll.
#[derive(Clone, Debug)]
pub(crate) enum Now {
    /// Enters a value, after leaving what the guard had entered.
    Enter(usize, Key, u32),
    Leave(usize),
    Forget(usize),
    SyncScope(Key, u32, Vec<Now>),
    SyncExit(Key, Vec<Now>),
    /// As code of a new resource.
    Run(Vec<Now>),
    Capture(usize),
    Within(usize, Vec<Now>),
    Spawn(Child),
    Toggle(usize),
    Panic,
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![3 => Just(Key::Always), 1 => Just(Key::SameTask), 1 => Just(Key::Never)]
}

fn value() -> impl Strategy<Value = u32> {
    1..100_u32
}

fn child(steps: impl Strategy<Value = Vec<Step>>) -> impl Strategy<Value = Child> {
    let end = prop_oneof![6 => Just(End::Returns), 1 => Just(End::Panics), 1 => Just(End::Hangs)];
    let is_root = any_of::<u8>().prop_map(|n| n % 8 == 0);
    (is_root, end, steps).prop_map(|(is_root, end, steps)| Child { is_root, end, steps })
}

fn simple_step() -> impl Strategy<Value = Step> + Clone {
    let nth = || 0..8_usize;
    prop_oneof![
        3 => Just(Step::Yield),
        3 => (0..400_u16).prop_map(Step::Sleep),
        4 => nth().prop_map(Step::Join),
        2 => nth().prop_map(Step::Abort),
        1 => nth().prop_map(Step::DropHandle),
        1 => nth().prop_map(Step::ForgetHandle),
        1 => Just(Step::Panic),
    ]
}

fn now() -> impl Strategy<Value = Now> + Clone {
    let guard = || 0..GUARDS;
    let leaf = prop_oneof![
        5 => (guard(), key(), value()).prop_map(|(guard, key, value)| Now::Enter(guard, key, value)),
        3 => guard().prop_map(Now::Leave),
        1 => guard().prop_map(Now::Forget),
        1 => (0..SNAPSHOTS).prop_map(Now::Capture),
        3 => child(vec(simple_step(), 0..4)).prop_map(Now::Spawn),
        3 => (0..HOOKS).prop_map(Now::Toggle),
    ];
    let leaf = prop_oneof![40 => leaf, 1 => Just(Now::Panic)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let nows = || vec(inner.clone(), 0..4);
        prop_oneof![
            (key(), value(), nows())
                .prop_map(|(key, value, nows)| Now::SyncScope(key, value, nows)),
            (key(), nows()).prop_map(|(key, nows)| Now::SyncExit(key, nows)),
            nows().prop_map(Now::Run),
            (0..SNAPSHOTS, nows()).prop_map(|(snapshot, nows)| Now::Within(snapshot, nows)),
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    let nows = || vec(now(), 0..6);
    let leaf = prop_oneof![
        6 => simple_step(),
        3 => nows().prop_map(Step::Now),
        1 => nows().prop_map(Step::Blocking),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        let steps = || vec(inner.clone(), 0..5);
        prop_oneof![
            6 => child(steps()).prop_map(Step::Spawn),
            2 => steps().prop_map(Step::Flow),
            1 => steps().prop_map(Step::Instrument),
            1 => steps().prop_map(Step::Resource),
            2 => (key(), value(), steps()).prop_map(|(key, value, steps)| Step::Scope(key, value, steps)),
            1 => (key(), steps()).prop_map(|(key, steps)| Step::Exit(key, steps)),
            1 => (0..300_u16, steps()).prop_map(|(micros, steps)| Step::Timeout(micros, steps)),
            2 => steps().prop_map(Step::Catch),
        ]
    })
}

/// Any program.
pub(crate) fn any() -> impl Strategy<Value = Program> {
    let root = prop_oneof![
        3 => vec(step(), 1..10).prop_map(RootStep::Do),
        1 => vec(now(), 1..8).prop_map(RootStep::Hold),
    ];
    vec(root, 1..4)
}
