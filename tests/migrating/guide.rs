//! Reads the page about migrating: what each section names, in its block of code and in its text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Item, UseTree};

/// What a section says of one module.
#[derive(Default)]
pub(crate) struct Section {
    /// What is there, as the block of code imports it.
    pub(crate) same: BTreeSet<String>,
    /// What the text names between backticks.
    pub(crate) named: BTreeSet<String>,
}

/// The sections of the page, by the module in their headings.
pub(crate) type Guide = BTreeMap<String, Section>;

pub(crate) fn read() -> Guide {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/MIGRATING-FROM-TOKIO.md");
    parse(&fs::read_to_string(page).unwrap())
}

fn parse(page: &str) -> Guide {
    let mut guide = Guide::new();
    for part in page.split("\n## ").skip(1) {
        let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
        let Some(module) = heading.trim().strip_prefix('`').and_then(|h| h.strip_suffix('`'))
        else {
            continue;
        };
        let mut section = Section::default();
        for (index, piece) in body.split("```").enumerate() {
            match piece.strip_prefix("rust") {
                Some(code) if index % 2 == 1 => {
                    for item in syn::parse_file(code).unwrap().items {
                        let Item::Use(item) = item else { panic!("{module}: no import") };
                        leaves(&item.tree, "", module, &mut section.same);
                    }
                }
                _ => section.named.extend(piece.split('`').skip(1).step_by(2).map(str::to_owned)),
            }
        }
        assert!(guide.insert(module.to_owned(), section).is_none(), "{module} has two sections");
    }
    guide
}

/// Collects what is imported, all of which must be of the module.
fn leaves(tree: &UseTree, path: &str, module: &str, found: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(inner) => {
            let separator = if path.is_empty() { "" } else { "::" };
            leaves(&inner.tree, &format!("{path}{separator}{}", inner.ident), module, found);
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| leaves(tree, path, module, found));
        }
        UseTree::Name(name) => {
            assert_eq!(path, module, "an import in the section of another module");
            found.insert(name.ident.to_string());
        }
        UseTree::Rename(_) | UseTree::Glob(_) => panic!("{module}: neither name nor group"),
    }
}

#[test]
fn sections_are_read() {
    let page = "# Page\n`x`\n## Words\n`no`\n## `tokio::a`\n\n```rust\nuse tokio::a::{B, c};\n```\n\
                - Not there: `D`, `E::f`.\n## `tokio`\n```rust\nuse tokio::a;\n```";
    let guide = parse(page);
    assert_eq!(guide.keys().collect::<Vec<_>>(), ["tokio", "tokio::a"]);
    let section = &guide["tokio::a"];
    assert_eq!(section.same.iter().collect::<Vec<_>>(), ["B", "c"]);
    assert_eq!(section.named.iter().collect::<Vec<_>>(), ["D", "E::f"]);
}
