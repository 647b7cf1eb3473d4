//! Checks what a file says and must not say: its job first, nothing left undone, no machine that it
//! happened to be written on.

use crate::file::{File, find_words, is_word};

/// Marks of unfinished work, in any file. Written in two parts, so that this file may hold them.
const UNDONE_WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Macros that stand for code that is not there, or that must not stay.
const UNDONE_MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// Attributes that keep a test from telling the truth.
const UNDONE_ATTRIBUTES: [&str; 2] = ["#[ignore", "#[should_panic"];

/// Folders of the machine that somebody worked on.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/", "tmp"), concat!("/", "root"), concat!("/", "work"), concat!("/", "home")];

/// Where packages come from is the business of the machine's own settings.
const REGISTRY_HOSTS: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("deb.", "debian.org"),
    concat!("arti", "factory"),
];

pub(crate) fn headers_open_every_file(file: &File) -> Vec<String> {
    let headless = file.is_rust() && !file.text.starts_with("//! ");
    headless.then(|| file.finding(0, "begins without a word about its job")).into_iter().collect()
}

pub(crate) fn nothing_is_left_undone(file: &File) -> Vec<String> {
    let mut found: Vec<(usize, &str)> = Vec::new();
    for word in UNDONE_WORDS {
        found.extend(find_words(&file.text, word).map(|at| (at, word)));
    }
    for name in UNDONE_MACROS {
        let whole = |at: &usize| !file.code[..*at].ends_with(is_word);
        let calls = file.code.match_indices(name).map(|(at, _)| at).filter(whole);
        found.extend(calls.map(|at| (at, name)));
    }
    for attribute in UNDONE_ATTRIBUTES {
        found.extend(file.code.match_indices(attribute));
    }
    found.iter().map(|(at, what)| file.finding(*at, &format!("`{what}` is left"))).collect()
}

pub(crate) fn no_machine_is_named(file: &File) -> Vec<String> {
    // The lock file is cargo's own, and names the public registry in every entry.
    if file.path == "Cargo.lock" {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = Vec::new();
    for folder in MACHINE_FOLDERS {
        let absolute = |at: &usize| {
            let (before, after) = (&file.text[..*at], &file.text[at + folder.len()..]);
            let inside = |c: char| is_word(c) || "._-~*}>)]/".contains(c);
            !before.ends_with(inside) && after.starts_with('/')
        };
        let hits = file.text.match_indices(folder).map(|(at, _)| at).filter(absolute);
        found.extend(hits.map(|at| (at, folder)));
    }
    for host in REGISTRY_HOSTS {
        found.extend(file.text.match_indices(host));
    }
    found.iter().map(|(at, what)| file.finding(*at, &format!("`{what}` names a machine"))).collect()
}

#[test]
fn a_file_without_a_header_is_found() {
    let check = |path: &str, text: &str, want: usize| {
        assert_eq!(headers_open_every_file(&File::new(path, text)).len(), want, "{path}: {text}");
    };
    check("a.rs", "use std::fmt;", 1);
    check("a.rs", "// A header that rustdoc does not see.", 1);
    check("a.rs", "//!\n", 1);
    check("a.rs", "//! Says what it is for.", 0);
    check("a.md", "# Title", 0);
}

#[test]
fn unfinished_work_is_found() {
    let check = |path: &str, text: &str, want: usize| {
        let findings = nothing_is_left_undone(&File::new(path, text));
        assert_eq!(findings.len(), want, "{path}: {text}: {findings:?}");
    };
    check("a.rs", concat!("// TO", "DO: later"), 1);
    check("a.md", concat!("FIX", "ME"), 1);
    check("a.rs", "fn f() { todo!() }", 1);
    check("a.rs", "fn f() { std::unimplemented!(); dbg!(1) }", 2);
    check("a.rs", "#[ignore = \"slow\"]\n#[should_panic(expected = \"\")]\nfn f() {}", 2);
    check("a.rs", "// Never `todo!` or #[ignore].\nfn f() { my_dbg!(\"dbg!\") }", 0);
}

#[test]
fn a_machine_in_the_text_is_found() {
    let check = |path: &str, text: &str, want: usize| {
        let findings = no_machine_is_named(&File::new(path, text));
        assert_eq!(findings.len(), want, "{path}: {text}: {findings:?}");
    };
    check("a.sh", concat!("cd /", "tmp/x"), 1);
    check("a.rs", concat!("const P: &str = \"/", "home/me/x\";"), 1);
    check("a.md", concat!("see file:///", "work/x and (/", "root/y)"), 1);
    check("a.md", concat!("from crates", ".io"), 1);
    check("Cargo.lock", concat!("source = \"registry+crates", ".io-index\""), 0);
    check("a.md", "https://example.org/home/x, $dir/tmp/x, a route /work, ./tmp/y", 0);
}
