//! Lets ten thousand flows go on at once, and checks that none ever sees what is another's: through
//! tasks, threads, timers, channels, pools, errors, panics, and to the last destructor.
//!
//! Every scenario runs twice: over forebear's own tasks, and over tokio's, whose futures are
//! instrumented.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::duplicate_mod, reason = "the scenarios are compiled for each runtime")]

mod storm; // many flows at once, and what each must see

/// Over forebear's tasks.
mod on_forebear {
    mod forebear_runtime;
    use forebear_runtime as rt;
    #[path = "../scenarios.rs"]
    mod scenarios;
}

/// Over instrumented futures on tokio.
mod on_tokio {
    mod tokio_runtime;
    use tokio_runtime as rt;
    #[path = "../scenarios.rs"]
    mod scenarios;
}
