//! Says what is wrong in the parentheses.

#[tokio::main(flavor = "threadpool")]
async fn old_flavor() {}

#[tokio::main(flavor = "quick")]
async fn no_such_flavor() {}

#[tokio::main(flavor)]
async fn no_value() {}

#[tokio::main(flavour = "current_thread", workers = 3)]
async fn two_names_that_are_none() {}

#[tokio::main(current_thread)]
async fn a_flavor_without_its_name() {}

#[tokio::main(worker_threads = "4")]
async fn a_text_for_a_number() {}

#[tokio::main(worker_threads = 0)]
async fn no_worker() {}

#[tokio::main(worker_threads = 2, worker_threads = 3)]
async fn said_twice() {}

#[tokio::main(flavor = "current_thread", worker_threads = 2)]
async fn workers_of_one_thread() {}

#[tokio::test(worker_threads = 2)]
async fn workers_of_a_test() {}

#[tokio::main(start_paused = true)]
async fn a_clock_of_many_threads() {}

#[tokio::test(start_paused = 1)]
async fn a_number_for_a_word() {}

#[tokio::main(unhandled_panic = "abort")]
async fn no_such_policy() {}

#[tokio::main(crate = "not a path")]
async fn no_path() {}

#[tokio::main(flavor = "current_thread" worker_threads = 2)]
async fn no_comma() {}

#[tokio::main("current_thread")]
async fn no_name() {}

fn main() {}
