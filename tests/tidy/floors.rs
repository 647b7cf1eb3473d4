//! Checks who names whom: a crate names only crates of floors below it, and in the runtime only the
//! facade names context.

use crate::file::File;
use crate::tree::Tree;

struct Floor {
    /// Where the package lies; the longest match counts.
    folder: &'static str,
    package: &'static str,
    may_name: &'static [&'static str],
}

/// Every package but the leaves (below `tests/` and `benches/`), which may name all, ground floor first.
const FLOORS: [Floor; 8] = [
    Floor { folder: "hooks/", package: "forebear-hooks", may_name: &[] },
    Floor { folder: "context/", package: "forebear-context", may_name: &["forebear-hooks"] },
    Floor {
        folder: "runtime/",
        package: "forebear",
        may_name: &["forebear-hooks", "forebear-context", "forebear-macros"],
    },
    Floor {
        folder: "context/inspector/",
        package: "forebear-inspector",
        may_name: &["forebear-hooks", "forebear-context", "forebear"],
    },
    Floor { folder: "runtime/macros/", package: "forebear-macros", may_name: &[] },
    Floor { folder: "runtime/examples/orders/", package: "orders", may_name: &["forebear"] },
    Floor { folder: "runtime/examples/relay/", package: "relay", may_name: &["forebear"] },
    Floor {
        folder: "runtime/examples/small/",
        package: "forebear-examples",
        may_name: &["forebear"],
    },
];

const LEAVES: [&str; 5] =
    ["tests/", "tests/interop/", "tests/renamed/", "tests/services/", "benches/"];

impl Floor {
    fn of(path: &str) -> Option<&'static Floor> {
        FLOORS
            .iter()
            .filter(|floor| path.starts_with(floor.folder))
            .max_by_key(|floor| floor.folder.len())
    }

    /// Whether code of this floor may name `package`; its own name it may, as its tests do.
    fn may_name(&self, package: &str) -> bool {
        package == self.package || self.may_name.contains(&package)
    }
}

/// The package of ours that `path` begins with, if any: `forebear_hooks::Kind` is of
/// `forebear-hooks`.
fn package_of(path: &str) -> Option<String> {
    let first = path.split("::").next()?;
    (first == "forebear" || first.starts_with("forebear_")).then(|| first.replace('_', "-"))
}

pub(crate) fn crates_name_only_lower_floors(file: &File) -> Vec<String> {
    let Some(floor) = Floor::of(&file.path) else { return Vec::new() };
    let mut findings = Vec::new();
    for (at, path) in file.code_paths() {
        if package_of(&path).is_some_and(|package| !floor.may_name(&package)) {
            let what = format!("`{path}` is not on a floor below {}", floor.package);
            findings.push(file.finding(at, &what));
        }
    }
    findings
}

pub(crate) fn only_the_facade_names_context(file: &File) -> Vec<String> {
    let engine = file.path.strip_prefix("runtime/src/");
    if engine.is_none_or(|path| path == "lib.rs" || path.starts_with("facade/")) {
        return Vec::new();
    }
    let named = |path: &str| path == "forebear_context" || path.starts_with("forebear_context::");
    let paths = file.code_paths().into_iter().filter(|(_, path)| named(path));
    paths
        .map(|(at, path)| file.finding(at, &format!("`{path}`: only the facade names context")))
        .collect()
}

pub(crate) fn manifests_name_only_lower_floors(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_manifest() && file.path != "Cargo.toml") {
        let folder = file.path.trim_end_matches("Cargo.toml");
        if LEAVES.contains(&folder) {
            continue;
        }
        let Some(floor) = FLOORS.iter().find(|floor| floor.folder == folder) else {
            findings.push(file.finding(0, "this package stands on no floor of tests/tidy"));
            continue;
        };
        for (at, package) in dependencies(&file.text) {
            let ours = package == "forebear" || package.starts_with("forebear-");
            if ours && !floor.may_name(&package) {
                let what = format!("`{package}` is not on a floor below {}", floor.package);
                findings.push(file.finding(at, &what));
            }
        }
    }
    findings
}

/// What a manifest depends on, by package name, and where it says so.
///
/// Dev-dependencies are left out: an example in the docs may show what a user writes.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut section = "";
    let mut at = 0;
    for line in manifest.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_matches(['[', ']']);
            if let Some((_, name)) = section.split_once("dependencies.") {
                if !is_dev(section) {
                    found.push((start, name.to_owned()));
                }
            }
        } else if section.ends_with("dependencies") && !is_dev(section) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.split('.').next().unwrap_or_default().trim().trim_matches('"');
            let renamed = value.split_once("package = \"").and_then(|(_, v)| v.split('"').next());
            found.push((start, renamed.unwrap_or(key).to_owned()));
        }
    }
    found
}

fn is_dev(section: &str) -> bool {
    section.contains("dev-dependencies")
}

#[test]
fn a_crate_that_names_a_higher_floor_is_found() {
    let check = |path: &str, text: &str, want: usize| {
        let findings = crates_name_only_lower_floors(&File::new(path, text));
        assert_eq!(findings.len(), want, "{path}: {text}: {findings:?}");
    };
    check("hooks/src/a.rs", "use forebear_context::Snapshot;", 1);
    check("hooks/src/a.rs", "fn f() { forebear::spawn(g()) }", 1);
    check("context/src/a.rs", "use {forebear_hooks::Kind, forebear::spawn};", 1);
    check("context/src/a.rs", "// forebear::spawn\nuse forebear_hooks::Kind;", 0);
    check("runtime/src/a.rs", "use forebear_hooks::{Kind, emit};", 0);
    check("runtime/examples/orders/src/main.rs", "use forebear_hooks::Kind;", 1);
    check("runtime/examples/hello.rs", "use forebear::spawn;", 0);
    check("tests/a.rs", "use forebear_context::Snapshot;", 0);
}

#[test]
fn context_named_outside_the_facade_is_found() {
    let check = |path: &str, want: usize| {
        let file = File::new(path, "use {std::fmt, forebear_context::AsyncLocal};");
        assert_eq!(only_the_facade_names_context(&file).len(), want, "{path}");
    };
    check("runtime/src/task/mod.rs", 1);
    check("runtime/src/lib.rs", 0);
    check("runtime/src/facade/inspect.rs", 0);
    check("context/tests/a.rs", 0);
}

#[test]
fn a_manifest_that_names_a_higher_floor_is_found() {
    let check = |path: &str, text: &str, want: usize| {
        let findings = manifests_name_only_lower_floors(&Tree::of(&[(path, text)]));
        assert_eq!(findings.len(), want, "{path}: {text}: {findings:?}");
    };
    check("hooks/Cargo.toml", "[dependencies]\nforebear-context.workspace = true", 1);
    check("hooks/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nforebear = \"1\"", 1);
    check("hooks/Cargo.toml", "[dependencies]\nx = { package = \"forebear\" }", 1);
    check("context/Cargo.toml", "[dependencies.forebear]\nversion = \"1\"", 1);
    check("context/Cargo.toml", "[dev-dependencies]\nforebear = \"1\"", 0);
    check("context/Cargo.toml", "[dependencies]\nforebear-hooks = \"1\"\n# forebear = 1", 0);
    check("runtime/extra/Cargo.toml", "", 1);
    check("tests/Cargo.toml", "[dependencies]\nforebear = \"1\"", 0);
}
