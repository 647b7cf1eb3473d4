//! Tests tokio's macros under tokio's name, and whose resources they make.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::io;
use std::panic::Location;

use forebear_tests_renamed::sum;
use tokio::hooks::execution_async_resource;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{Duration, Instant, sleep};

/// What a program's `main` could be.
#[tokio::main(worker_threads = 2, name = "program")]
async fn program(first: u32) -> Result<u32, io::Error> {
    let (sender, sum) = sum();
    for number in [first, 2, 3] {
        sender.send(number).await.map_err(io::Error::other)?;
    }
    drop(sender);
    let handle = Handle::current();
    assert_eq!(handle.runtime_flavor(), RuntimeFlavor::MultiThread);
    assert_eq!(handle.metrics().num_workers(), 2);
    assert_eq!(handle.name(), Some("program"));
    Ok(sum.await?)
}

#[test]
fn main_runs_its_body_with_what_it_was_called_with_on_a_runtime_as_it_says() {
    assert_eq!(program(1).unwrap(), 6);
    assert!(Handle::try_current().is_err(), "the runtime is left");
}

#[tokio::main(flavor = "current_thread", unhandled_panic = "ignore")]
async fn borrows(text: &str) -> &str {
    tokio::task::yield_now().await;
    text.trim()
}

#[tokio::main(crate = "tokio")]
async fn never_says_what_it_returns() -> impl Iterator<Item = u32> {
    (1..4).filter(|number| number % 2 == 1)
}

struct Counter(u32);

impl Counter {
    #[tokio::main(flavor = "current_thread")]
    async fn count(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// The compiler knows what the body returns before it looks into it, or this would not compile.
#[tokio::main(flavor = "current_thread")]
async fn coerces(number: u32) -> Box<dyn std::fmt::Display> {
    if number == 0 {
        return Box::new("nothing");
    }
    Box::new(number)
}

#[test]
fn main_goes_on_functions_of_any_shape() {
    assert_eq!(borrows(" a "), "a");
    assert_eq!(never_says_what_it_returns().collect::<Vec<_>>(), [1, 3]);
    assert_eq!((coerces(0).to_string(), coerces(1).to_string()), ("nothing".into(), "1".into()));
    let mut counter = Counter(1);
    assert_eq!((counter.count(), counter.count()), (2, 3));
}

#[tokio::main(flavor = "current_thread")]
async fn labelled() -> (String, &'static Location<'static>) {
    execution_async_resource(|resource| {
        let resource = resource.unwrap();
        (resource.label().to_owned(), resource.location())
    })
}

#[test]
fn the_body_has_the_name_and_the_place_of_its_function() {
    let (label, location) = labelled();
    assert_eq!(label, "macros::labelled");
    let source = include_str!("macros.rs").lines().collect::<Vec<_>>();
    assert!(location.file().ends_with("macros.rs"), "{location}");
    assert!(source[location.line() as usize].contains("async fn labelled"), "{location}");
}

#[tokio::test]
async fn a_test_runs_on_a_current_thread_runtime() {
    assert_eq!(Handle::current().runtime_flavor(), RuntimeFlavor::CurrentThread);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_test_runs_on_as_many_workers_as_it_says() -> io::Result<()> {
    assert_eq!(Handle::current().metrics().num_workers(), 3);
    let text = tokio::task::spawn_blocking(|| std::fs::read_to_string("Cargo.toml")).await?;
    assert!(text?.contains("forebear"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_test_can_stand() {
    let start = (Instant::now(), std::time::Instant::now());
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.0.elapsed().as_secs(), 3600);
    assert!(start.1.elapsed() < Duration::from_secs(3600));
}

#[tokio::test]
async fn a_test_may_leave_tasks_and_timers_to_the_end_of_its_runtime() {
    tokio::spawn(std::future::pending::<()>());
    tokio::spawn(sleep(Duration::from_secs(3600)));
    tokio::task::yield_now().await;
}

#[tokio::test(flavor = "local")]
async fn a_local_test_spawns_what_may_not_leave_its_thread() {
    let shared = std::rc::Rc::new(3);
    let mine = shared.clone();
    let task = tokio::task::spawn_local(async move { *mine });
    assert_eq!(task.await.unwrap() + *shared, 6);
}

#[tokio::main(flavor = "local", start_paused = true)]
async fn local_main() -> std::rc::Rc<u32> {
    sleep(Duration::from_secs(3600)).await;
    let task = tokio::task::spawn_local(async { std::rc::Rc::new(4) });
    task.await.unwrap()
}

#[test]
fn a_local_main_is_named_after_its_function() {
    assert_eq!(*local_main(), 4);
    let label = {
        #[tokio::main(flavor = "local")]
        async fn named() -> String {
            execution_async_resource(|resource| resource.unwrap().label().to_owned())
        }
        named()
    };
    assert!(label.ends_with("::named"), "{label}");
}

#[tokio::test]
async fn select_takes_the_branch_that_is_ready_first() {
    let (sender, mut receiver) = tokio::sync::oneshot::channel::<u32>();
    let mut hour = Box::pin(sleep(Duration::from_secs(3600)));
    sender.send(7).unwrap();
    let taken = tokio::select! {
        biased;
        () = &mut hour => None,
        number = &mut receiver => number.ok(),
    };
    assert_eq!(taken, Some(7));
    let (mut left, mut right) = (0, 0);
    for _ in 0..64 {
        tokio::select! {
            () = async {} => left += 1,
            () = async {} => right += 1,
        }
    }
    assert!(left > 0 && right > 0, "a branch is chosen at random: {left} {right}");
    tokio::select! {
        number = async { 1 }, if taken.is_none() => panic!("{number}"),
        else => {}
    }
}

#[tokio::test]
async fn join_waits_for_all_and_try_join_for_the_first_error() {
    let (one, two) = tokio::join!(async { 1 }, tokio::spawn(async { 2 }));
    assert_eq!((one, two.unwrap()), (1, 2));
    let both = tokio::try_join!(async { Ok::<_, io::Error>(1) }, async { Ok(2) });
    assert_eq!(both.unwrap(), (1, 2));
    let failed = async {
        tokio::task::yield_now().await;
        Err::<u32, &str>("failed")
    };
    let never = std::future::pending::<Result<u32, &str>>();
    assert_eq!(tokio::try_join!(failed, never), Err("failed"));
}

#[tokio::test]
async fn pin_pins_to_the_stack() {
    let later = sleep(Duration::from_millis(1));
    tokio::pin!(later);
    assert!(!later.is_elapsed());
    later.as_mut().await;
    tokio::pin! {
        let second = async { 3 };
    }
    assert_eq!(second.as_mut().await, 3);
}

/// What a test leaves alive.
#[test]
fn a_test_fails_with_the_tree_of_what_outlives_its_runtime() {
    use std::sync::Mutex;
    use tokio::time::Sleep;

    static KEPT: Mutex<Option<Sleep>> = Mutex::new(None);

    let leaks = || {
        tokio::entry::test(&mut tokio::runtime::Builder::new_current_thread(), async {
            *KEPT.lock().unwrap() = Some(sleep(Duration::from_secs(1)));
        });
    };
    let told = std::panic::catch_unwind(leaks).unwrap_err();
    let told = told.downcast_ref::<String>().unwrap();
    assert!(told.contains("are left") && told.contains("timer sleep"), "{told}");
    assert!(told.contains("macros.rs"), "the tree says where: {told}");
    drop(KEPT.lock().unwrap().take());
}
