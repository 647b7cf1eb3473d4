//! Lets an asynchronous function be a whole program, or a test: `#[forebear::main]`,
//! `#[forebear::test]`.
//!
//! Use them through `forebear`, whatever name it has in your manifest.
//!
//! Read the modules in this order.

mod function; // what the attribute stands on
mod options; // what is said in its parentheses
mod facade; // by which name the rest of forebear is reached here
mod entry; // what is written instead

use proc_macro::TokenStream;

use entry::Entry;

/// Runs an asynchronous `main` on a runtime of its own.
///
/// The function may have any name; what it is called with is given to its body as it is. When it
/// has returned, the runtime is dropped: tasks that are left are cancelled, and jobs of
/// `spawn_blocking` that run are waited for.
///
/// | option | is | without it |
/// |---|---|---|
/// | `flavor` | `"multi_thread"`, `"current_thread"`, or `"local"` for a `LocalRuntime` | `"multi_thread"` |
/// | `worker_threads` | how many workers, from 1 to 1024; for `multi_thread` | one per core |
/// | `start_paused` | whether the clock stands from the start; not for `multi_thread` | `false` |
/// | `unhandled_panic` | `"report"`, `"ignore"` or `"shutdown_runtime"` | `"report"` |
/// | `name` | the name of the runtime | none |
/// | `crate` | the path of forebear, where another crate re-exports it | from `Cargo.toml` |
///
/// # Panics
/// When the system refuses a thread or a descriptor.
///
/// # Hooks
/// The body is a resource of kind `BLOCK_ON` whose label is the function's path: see
/// `Runtime::block_on`.
///
/// # Examples
/// ```
/// #[forebear::main(flavor = "current_thread")]
/// async fn main() {
///     let answer = forebear::spawn(async { 6 * 7 });
///     assert_eq!(answer.await.unwrap(), 42);
/// }
/// ```
///
/// Through another crate:
///
/// ```
/// mod framework {
///     pub use forebear as rt;
/// }
///
/// #[framework::rt::main(crate = "framework::rt")]
/// async fn main() {}
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Entry::Main, options.into(), item.into()).into()
}

/// Runs an asynchronous test on a runtime of its own.
///
/// The options are those of [`main`](macro@main), but that the flavour is `"current_thread"`
/// unless said otherwise.
///
/// When the body has returned, the runtime is dropped. If a resource of it is then still alive,
/// because something holds a socket or a timer beyond the end, the test fails and shows the tree
/// of what is left.
///
/// # Examples
/// ```
/// #[forebear::test(start_paused = true)]
/// async fn an_hour_is_over_at_once() {
///     let hour = forebear::time::Duration::from_secs(3600);
///     forebear::time::sleep(hour).await;
/// }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Entry::Test, options.into(), item.into()).into()
}
