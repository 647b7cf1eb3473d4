//! Knows which functions our own source defines, by the module of tokio's that they stand for.
//!
//! It looks for the words, since many methods come from macros. That they are methods of the right
//! type, with the right signature, is what the tests of `renamed/` are for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules whose types are ours, and where these are defined.
const FOLDERS: [(&str, &[&str]); 8] = [
    ("fs", &["fs"]),
    ("io", &["io"]),
    ("net", &["net"]),
    ("process", &["process"]),
    (
        "runtime",
        &[
            "runtime.rs",
            "handle.rs",
            "builder.rs",
            "metrics.rs",
            "local_runtime.rs",
            // Handles and errors of tasks stand there in tokio.
            "task",
        ],
    ),
    ("signal", &["signal"]),
    ("task", &["task", "local_runtime.rs"]),
    ("time", &["time"]),
];

/// Types of `tokio::io` that we take from tokio.
const TOKIOS: [&str; 14] = [
    "BufReader",
    "BufStream",
    "BufWriter",
    "Chain",
    "DuplexStream",
    "Join",
    "Lines",
    "ReadBuf",
    "ReadHalf",
    "SimplexStream",
    "Split",
    "Take",
    "WriteHalf",
    "Seek",
];

/// Says whether a type is tokio's own here, too.
pub(crate) fn is_tokios(folder: &str, name: &str) -> bool {
    folder == "io" && TOKIOS.contains(&name)
}

/// Returns the names of the functions that we define for a module of tokio's. `None` where its types
/// are not ours.
pub(crate) fn functions(folder: &str) -> Option<BTreeSet<String>> {
    let (_, places) = FOLDERS.iter().find(|(name, _)| *name == folder)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src");
    let mut names = BTreeSet::new();
    for place in *places {
        for file in files(&source.join(place)) {
            let text = fs::read_to_string(file).unwrap();
            names.extend(named_after(&text, "fn "));
            // The kinds of signals, and what a file may be opened for, are the lines of macros.
            for line in text.lines().map(str::trim) {
                let kind = line.split_once(" = consts::");
                let choice = line.ends_with(": bool);").then(|| line.split_once('(')).flatten();
                names.extend(kind.or(choice).map(|(name, _)| name.to_owned()));
            }
        }
    }
    Some(names)
}

fn named_after(text: &str, word: &str) -> Vec<String> {
    let after = text.split(word).skip(1);
    let names = after.map(|rest| {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    });
    names.collect()
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| files(&path)).collect()
}
