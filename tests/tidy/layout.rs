//! Checks the shape of the tree: its six folders, what every manifest shares, and the map of the
//! code, which names each file of ours and nothing that is not there.

use std::collections::BTreeSet;

use crate::tree::Tree;

const FOLDERS: [&str; 6] = ["benches/", "context/", "docs/", "hooks/", "runtime/", "tests/"];

/// The folders whose every source file stands in the map.
const MAPPED: [&str; 3] = ["hooks/", "context/", "runtime/"];

const MAP: &str = "docs/ARCHITECTURE.md";

/// What can be read without scrolling far; the rest belongs into `docs/`.
const README_LINES_MAX: usize = 100;

pub(crate) fn folders_are_the_six(tree: &Tree) -> Vec<String> {
    let is_top = |folder: &&str| folder.matches('/').count() == 1 && !folder.starts_with('.');
    let there: BTreeSet<&str> = tree.folders().into_iter().filter(is_top).collect();
    let wanted = BTreeSet::from(FOLDERS);
    let extra = there.difference(&wanted).map(|folder| format!("{folder}: not one of the six"));
    let missing = wanted.difference(&there).map(|folder| format!("{folder}: is missing"));
    extra.chain(missing).collect()
}

/// In the packages of these folders cargo finds no target by itself: a file that is not listed never
/// runs.
const WITHOUT_AUTOTESTS: [&str; 3] = ["benches/", "tests/", "tests/services/"];

pub(crate) fn manifests_share_the_lints_and_list_their_targets(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_manifest() && file.path != "Cargo.toml") {
        if !file.text.contains("[lints]\nworkspace = true\n") {
            findings.push(file.finding(0, "does not share the lints of the workspace"));
        }
    }
    for folder in WITHOUT_AUTOTESTS {
        let Some(manifest) = tree.file(&format!("{folder}Cargo.toml")) else { continue };
        let is_elsewhere = |path: &str| {
            let mut deeper = WITHOUT_AUTOTESTS.iter().filter(|other| other.len() > folder.len());
            deeper.any(|deeper| path.starts_with(deeper))
        };
        for file in tree.files.iter().filter(|file| file.is_rust()) {
            let Some(path) = file.path.strip_prefix(folder) else { continue };
            let is_target =
                !is_elsewhere(&file.path) && (!path.contains('/') || path.ends_with("/main.rs"));
            if is_target && !manifest.text.contains(&format!("path = \"{path}\"")) {
                findings.push(file.finding(0, &format!("no target of {}", manifest.path)));
            }
        }
    }
    findings
}

pub(crate) fn code_map_and_tree_agree(tree: &Tree) -> Vec<String> {
    let Some(map) = tree.file(MAP) else { return vec![format!("{MAP}: is missing")] };
    let named: BTreeSet<&str> = in_backticks(&map.text).collect();
    let folders = tree.folders();
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let mapped = MAPPED.iter().any(|folder| file.path.starts_with(folder));
        if mapped && !named.contains(file.path.as_str()) {
            findings.push(file.finding(0, &format!("not in {MAP}")));
        }
    }
    for path in named {
        let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder));
        if is_path && tree.file(path).is_none() && !folders.contains(path) {
            findings.push(format!("{MAP}: names `{path}`, which is not there"));
        }
    }
    findings
}

/// The first word between two backticks on one line: a path, or a command without its options.
fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter_map(|quote| quote.split_whitespace().next())
}

pub(crate) fn readme_fits_on_two_screens(tree: &Tree) -> Vec<String> {
    match tree.file("README.md").map(|file| file.text.lines().count()) {
        None => vec!["README.md: is missing".to_owned()],
        Some(lines) if lines > README_LINES_MAX => {
            vec![format!("README.md: {lines} lines, {README_LINES_MAX} at most")]
        }
        Some(_) => Vec::new(),
    }
}

#[test]
fn a_seventh_folder_and_a_missing_one_are_found() {
    let good: Vec<(&str, &str)> = vec![
        ("benches/a", ""),
        ("context/src/a", ""),
        ("docs/a", ""),
        ("hooks/a", ""),
        ("runtime/a", ""),
        ("tests/a", ""),
        (".ci/run", ""),
        ("Cargo.toml", ""),
    ];
    assert_eq!(folders_are_the_six(&Tree::of(&good)), [""; 0]);
    let with_seventh: Vec<_> = good.iter().copied().chain([("xtask/src/a", "")]).collect();
    assert_eq!(folders_are_the_six(&Tree::of(&with_seventh)), ["xtask/: not one of the six"]);
    assert_eq!(folders_are_the_six(&Tree::of(&good[1..])), ["benches/: is missing"]);
}

#[test]
fn a_manifest_without_lints_and_an_unlisted_test_are_found() {
    let check = |files: &[(&str, &str)], want: usize| {
        let findings = manifests_share_the_lints_and_list_their_targets(&Tree::of(files));
        assert_eq!(findings.len(), want, "{files:?}: {findings:?}");
    };
    let lints = "[lints]\nworkspace = true\n";
    let listed = "[[test]]\npath = \"life.rs\"\n[lints]\nworkspace = true\n";
    check(&[("hooks/Cargo.toml", "[package]\n")], 1);
    check(&[("hooks/Cargo.toml", lints), ("Cargo.toml", "[workspace]\n")], 0);
    check(&[("tests/Cargo.toml", lints), ("tests/life.rs", "")], 1);
    check(&[("tests/Cargo.toml", lints), ("tests/life/main.rs", "")], 1);
    check(&[("tests/Cargo.toml", listed), ("tests/life.rs", ""), ("tests/life/rows.rs", "")], 0);
    let deeper = ("tests/services/serve/main.rs", "");
    check(&[("tests/Cargo.toml", lints), ("tests/services/Cargo.toml", lints), deeper], 1);
    let listed = "[[test]]\npath = \"serve/main.rs\"\n[lints]\nworkspace = true\n";
    check(&[("tests/Cargo.toml", lints), ("tests/services/Cargo.toml", listed), deeper], 0);
}

#[test]
fn the_map_and_the_tree_disagreeing_is_found_both_ways() {
    let check = |map: &str, want: usize| {
        let tree = Tree::of(&[(MAP, map), ("hooks/src/id.rs", ""), ("tests/life.rs", "")]);
        let findings = code_map_and_tree_agree(&tree);
        assert_eq!(findings.len(), want, "{map}: {findings:?}");
    };
    check("`hooks/src/id.rs`: who", 0);
    check("`hooks/src/id.rs` in `hooks/src/`, `tests/life.rs --all`, `a.rs`, `let x`", 0);
    check("hooks/src/id.rs, not in backticks", 1);
    check("`hooks/src/id.rs` `hooks/src/gone.rs`", 1);
    check("`hooks/src/id.rs` `runtime/`", 1);
    assert_eq!(code_map_and_tree_agree(&Tree::of(&[])).len(), 1);
}

#[test]
fn a_long_readme_and_a_missing_one_are_found() {
    let check = |files: &[(&str, &str)], want: usize| {
        assert_eq!(readme_fits_on_two_screens(&Tree::of(files)).len(), want);
    };
    check(&[("README.md", &"x\n".repeat(100))], 0);
    check(&[("README.md", &"x\n".repeat(101))], 1);
    check(&[], 1);
}
