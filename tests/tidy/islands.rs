//! Checks the files that may do what others may not: `unsafe` stays on its islands, and atomics
//! come through the file that can swap them for modelled ones.

use crate::file::{File, find_words, is_word};
use crate::tree::Tree;

/// The only files of our crates that may say `unsafe`.
const ISLANDS: [&str; 16] = [
    "hooks/src/current.rs",
    "hooks/src/held.rs",
    "hooks/src/in_place.rs",
    "hooks/src/key.rs",
    "runtime/src/enter.rs",
    "runtime/src/fs/raw_fd.rs",
    "runtime/src/io/room.rs",
    "runtime/src/net/raw_fd.rs",
    "runtime/src/net/unix/credentials.rs",
    "runtime/src/process/pre_exec.rs",
    "runtime/src/queue/slot.rs",
    "runtime/src/resident/memory.rs",
    "runtime/src/resident/mod.rs",
    "runtime/src/resident/slab.rs",
    "runtime/src/task/cell.rs",
    "runtime/src/task/waker.rs",
];

/// The files that choose between real atomics and loom's.
const SWITCH_FILES: [&str; 2] = ["hooks/src/sync.rs", "runtime/src/primitive.rs"];

/// Files that count in a static and so need a real atomic: loom's have no `const fn new`.
const STATIC_ATOMICS: [&str; 7] = [
    "hooks/src/id.rs",
    "hooks/src/key.rs",
    "hooks/src/kind.rs",
    "hooks/src/wakes.rs",
    "runtime/src/asymmetric.rs",
    "runtime/src/queue/inject.rs",
    "runtime/src/task/family.rs",
];

fn is_ours(path: &str) -> bool {
    ["hooks/", "context/", "runtime/"].iter().any(|folder| path.starts_with(folder))
}

/// How an island says that it is one, white space aside, since rustfmt may break a long line.
const MARK: &str = "#![allow(unsafe_code,reason=\"island:";

fn has_mark(file: &File) -> bool {
    file.text.split_whitespace().collect::<String>().contains(MARK)
}

pub(crate) fn unsafe_stays_on_islands(file: &File) -> Vec<String> {
    if !is_ours(&file.path) || ISLANDS.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let says =
        find_words(&file.code, "unsafe").map(|at| file.finding(at, "unsafe off the islands"));
    let marked = has_mark(file).then(|| file.finding(0, "marked as an island, but not listed"));
    says.chain(marked).collect()
}

pub(crate) fn islands_exist(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for island in ISLANDS {
        match tree.file(island) {
            None => findings.push(format!("{island}: listed as an island, but not there")),
            Some(file) if !has_mark(file) => {
                findings.push(format!("{island}: lacks `{MARK}…\")]`"))
            }
            Some(_) => {}
        }
    }
    let forbids = |file: &File| file.code.contains("#![forbid(unsafe_code)]");
    if !tree.file("context/src/lib.rs").is_some_and(forbids) {
        findings.push("context/src/lib.rs: lacks `#![forbid(unsafe_code)]`".to_owned());
    }
    findings
}

pub(crate) fn safety_comments_cite_an_invariant(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    for at in find_words(&file.comments, "SAFETY:") {
        // The comment goes on for as long as lines hold nothing but comment.
        let mut end = at;
        for line in file.comments[at..].split_inclusive('\n') {
            let goes_on = end == at || (!line.trim().is_empty() && file.code_is_blank(end, line));
            if !goes_on {
                break;
            }
            end += line.len();
        }
        if !cites(&file.comments[at..end]) {
            findings.push(file.finding(at, "a safety comment that cites no invariant"));
        }
    }
    findings
}

impl File {
    /// Whether there is no code on the line that starts at `at`.
    fn code_is_blank(&self, at: usize, line: &str) -> bool {
        self.code[at..at + line.len()].trim().is_empty()
    }
}

/// Whether `comment` names an invariant: a capital letter and a number, as in `I2`. Files that cite
/// each other's use different letters.
fn cites(comment: &str) -> bool {
    comment
        .split(|c| !is_word(c))
        .filter_map(|word| word.strip_prefix(|c: char| c.is_ascii_uppercase()))
        .any(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
}

pub(crate) fn atomics_come_through_the_switch_file(file: &File) -> Vec<String> {
    let checked = file.path.starts_with("hooks/src/") || file.path.starts_with("runtime/src/");
    let path = file.path.as_str();
    if !checked || SWITCH_FILES.contains(&path) || STATIC_ATOMICS.contains(&path) {
        return Vec::new();
    }
    real_atomics(file)
        .map(|(at, path)| file.finding(at, &format!("`{path}` past the switch file")))
        .collect()
}

/// An exception that nobody needs any more would let the next atomic pass unseen.
pub(crate) fn atomic_exceptions_are_needed(tree: &Tree) -> Vec<String> {
    let idle = |path: &&str| tree.file(path).is_none_or(|file| real_atomics(file).count() == 0);
    let idle = STATIC_ATOMICS.into_iter().filter(idle);
    idle.map(|path| format!("{path}: an exception for static atomics that is not needed")).collect()
}

fn real_atomics(file: &File) -> impl Iterator<Item = (usize, String)> {
    let real = |path: &str| {
        ["std::sync::atomic", "core::sync::atomic"].iter().any(|real| path.starts_with(real))
    };
    file.code_paths().into_iter().filter(move |(_, path)| real(path))
}

#[test]
fn unsafe_off_the_islands_is_found() {
    let check = |path: &str, text: &str, want: usize| {
        let findings = unsafe_stays_on_islands(&File::new(path, text));
        assert_eq!(findings.len(), want, "{path}: {text}: {findings:?}");
    };
    check("hooks/src/id.rs", "fn f() { unsafe { g() } }", 1);
    check("runtime/examples/hello.rs", "unsafe impl Send for S {}", 1);
    check(
        "context/src/map.rs",
        "// unsafe\n#![forbid(unsafe_code)] const S: &str = \"unsafe\";",
        0,
    );
    check("context/src/map.rs", "#![allow(unsafe_code, reason = \"island: mine\")]", 1);
    check("hooks/src/current.rs", "unsafe fn f() {}", 0);
}

#[test]
fn an_island_without_its_mark_is_found() {
    let mark = "#![allow(\n    unsafe_code,\n    reason = \"island: a\"\n)]";
    let lib = ("context/src/lib.rs", "#![forbid(unsafe_code)]");
    let good: Vec<_> = ISLANDS.iter().map(|island| (*island, mark)).chain([lib]).collect();
    assert_eq!(islands_exist(&Tree::of(&good)), [""; 0]);
    let mut unmarked = good.clone();
    unmarked[0].1 = "";
    assert_eq!(islands_exist(&Tree::of(&unmarked)).len(), 1);
    assert_eq!(islands_exist(&Tree::of(&good[1..])).len(), 1);
    assert_eq!(islands_exist(&Tree::of(&good[..ISLANDS.len()])).len(), 1);
}

#[test]
fn a_safety_comment_without_a_number_is_found() {
    let check = |text: &str, want: usize| {
        let findings = safety_comments_cite_an_invariant(&File::new("a.rs", text));
        assert_eq!(findings.len(), want, "{text}: {findings:?}");
    };
    check("// SAFETY: this is safe.\nunsafe { f() }", 1);
    check("// SAFETY: as the\n// caller promised\nunsafe { I1() } // I1", 1);
    check("// SAFETY: the view is\n// alive by I2.\nunsafe { f() }", 0);
    check("// SAFETY: I1.\nunsafe { f() }\n\n// SAFETY: so.\nunsafe { f() }", 1);
}

#[test]
fn an_atomic_past_the_switch_file_is_found() {
    let check = |path: &str, text: &str, want: usize| {
        let findings = atomics_come_through_the_switch_file(&File::new(path, text));
        assert_eq!(findings.len(), want, "{path}: {text}: {findings:?}");
    };
    check("hooks/src/hook.rs", "use std::sync::{Arc, atomic::{AtomicU64, Ordering}};", 2);
    check("runtime/src/park.rs", "fn f(x: &core::sync::atomic::AtomicBool) {}", 1);
    check("runtime/src/park.rs", "use crate::sync::AtomicU64; use std::sync::Arc;", 0);
    check("hooks/src/sync.rs", "use std::sync::atomic::AtomicU64;", 0);
    check("context/src/map.rs", "use std::sync::atomic::AtomicU64;", 0);
}

#[test]
fn an_idle_exception_is_found() {
    let used = "use std::sync::atomic::AtomicU64;";
    let good: Vec<_> = STATIC_ATOMICS.iter().map(|path| (*path, used)).collect();
    assert_eq!(atomic_exceptions_are_needed(&Tree::of(&good)), [""; 0]);
    assert_eq!(atomic_exceptions_are_needed(&Tree::of(&good[1..])).len(), 1);
    let mut idle = good.clone();
    idle[0].1 = "use crate::sync::AtomicU64;";
    assert_eq!(atomic_exceptions_are_needed(&Tree::of(&idle)).len(), 1);
}
