//! Decides whether other programs may look at this one, and lets them.

#[cfg(all(unix, feature = "inspect"))]
pub(super) use forebear_context::inspect::socket::Socket;
#[cfg(all(unix, feature = "inspect"))]
pub(super) use open::open_if;

#[cfg(all(unix, feature = "inspect"))]
mod open {
    use std::io::Write;

    use forebear_context::inspect::socket::{Socket, listen};

    /// Decides where nobody has.
    const VARIABLE: &str = "FOREBEAR_INSPECT";

    /// Opens the socket if it is wanted: `said` is what the program said.
    pub(in crate::facade) fn open_if(said: Option<bool>) -> Option<Socket> {
        let by_variable = || match std::env::var(VARIABLE).ok()?.as_str() {
            "1" | "true" | "yes" => Some(true),
            "0" | "false" | "no" => Some(false),
            _ => None,
        };
        let said = said.or_else(by_variable);
        if !said.unwrap_or(cfg!(debug_assertions)) {
            return None;
        }
        match listen() {
            Ok(socket) => Some(socket),
            Err(error) => {
                // Who has not asked for it does without. Standard error may be closed.
                if said.is_some() {
                    let what = "nobody can look at this process";
                    let _ = writeln!(std::io::stderr(), "forebear: {what}: {error}");
                }
                None
            }
        }
    }
}

#[cfg(not(all(unix, feature = "inspect")))]
pub(super) enum Socket {}

/// There is no socket here.
#[cfg(not(all(unix, feature = "inspect")))]
pub(super) fn open_if(_said: Option<bool>) -> Option<Socket> {
    None
}
