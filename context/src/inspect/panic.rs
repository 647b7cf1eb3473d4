//! Lets a panic say whose it was, and why that existed.
//!
//! Whoever panics may be anywhere in the program: so what is printed is bounded, nothing is waited
//! for, and a panic while it is printed is not printed.

use std::cell::Cell;
use std::io::Write as _;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

use forebear_hooks::{Coarse, Frame, Kind, LiveState, Resource, execution_async_resource};

use crate::inspect::ancestry::LineageText;
use crate::inspect::resource::ResourceInfo;
use crate::inspect::snapshot::Finder;
use crate::map::{Entry, Seen};
use crate::observers::write_recordings;
use crate::quiet::quietly;

/// So much is printed: a page or two.
const PRINTED_MAX_BYTES: usize = 8 * 1024;

thread_local! {
    /// A panic of this thread is being printed.
    static IS_PRINTING: Cell<bool> = const { Cell::new(false) };
}

/// Lets every panic inside a resource print what that is, and what it descends from, with the places
/// where they were made and such context as was declared to be shown.
///
/// The hook that was there before says first what the panic was. Installing it again changes nothing.
/// `#[forebear::main]` does it.
///
/// ```
/// forebear_context::inspect::install_panic_hook();
/// ```
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
            previous(panic);
            if !IS_PRINTING.replace(true) {
                // Closures that show values may panic; and this must not become an abort.
                let text = quietly(report).flatten().unwrap_or_default();
                let written = quietly(write_recordings).unwrap_or_default();
                IS_PRINTING.set(false);
                // Standard error may be closed, which is no reason to fail.
                let _ = std::io::stderr().write_all(text.as_bytes());
                for path in written {
                    let path = path.display();
                    let _ = writeln!(std::io::stderr(), "what happened last is in {path}");
                }
            }
        }));
    });
}

/// Returns what is to be printed about the code that runs here; nothing if it is no resource's.
///
/// Locks of ours are taken on the way. Nobody who could panic holds one: no foreign code runs under
/// them.
fn report() -> Option<String> {
    let current = execution_async_resource(|resource| {
        let entry = |r: &Resource<'_>| Entry::of(r, Frame::current(), Coarse::now());
        resource.map(|r| (r.id(), entry(r)))
    });
    let (id, entry) = current?;
    let state = if entry.kind == Kind::TASK { Some(LiveState::Running) } else { None };
    let mut finder = Finder::without_waits();
    let here = finder.info_of(id, Seen { entry, state, wakers: None });
    let lineage = LineageText::follow(id, |wanted| {
        let found = finder.find(wanted);
        if wanted == id {
            // The context is that of the place, which may be inside a scope; only the age is not
            // known here.
            let age = found.map_or(here.age, |found| found.age);
            Some(ResourceInfo { age, ..here.clone() })
        } else {
            found
        }
    });
    let mut text = String::new();
    for (nth, line) in lineage.to_string().lines().enumerate() {
        if text.len() + line.len() > PRINTED_MAX_BYTES {
            text.push_str("  and so on\n");
            break;
        }
        text += if nth == 0 { "in " } else { "" };
        text += line;
        text.push('\n');
    }
    Some(text)
}
