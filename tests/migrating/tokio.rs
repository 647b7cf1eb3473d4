//! Reads from tokio's own source what of it is public and stable: the items of each module, and the
//! methods of their types.
//!
//! It reads as the compiler does, as far as tokio needs that: it follows modules into their files,
//! looks into the macros that tokio wraps its items in to say which feature they need, and leaves out
//! what is hidden, unstable, or for Windows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::{Attribute, Ident, ImplItem, Item, Type, UseTree, Visibility};

/// Names, by the module that they are public in: `tokio::net`, `tokio::net::tcp`.
pub(crate) type Items = BTreeMap<String, BTreeSet<String>>;

/// What is public of tokio.
pub(crate) struct Surface {
    pub(crate) items: Items,
    /// The public methods of each type, by the file of its `impl`.
    pub(crate) methods: Vec<Method>,
}

/// A method, by the folder of the module that it stands in, its type, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Method {
    pub(crate) folder: String,
    pub(crate) of: String,
    pub(crate) name: String,
}

/// Macros around items that are not stable, or not of the systems that we have.
const LEFT_OUT: [&str; 9] = [
    "cfg_unstable",
    "cfg_unstable_metrics",
    "cfg_unstable_windows",
    "cfg_taskdump",
    "cfg_io_uring",
    "cfg_schedule_latency",
    "cfg_trace",
    "cfg_loom",
    "cfg_aio",
];

impl Surface {
    /// Reads the tokio that this workspace is built with.
    pub(crate) fn read() -> Surface {
        let source = folder_of_tokio().join("src");
        let mut surface = Surface { items: Items::new(), methods: Vec::new() };
        let file = source.join("lib.rs");
        let root = Place {
            path: "tokio".to_owned(),
            folder: source,
            is_public: true,
            is_documentation: false,
        };
        surface.module(&root, parse(&file).items);
        surface.methods.sort();
        surface.methods.dedup();
        surface
    }

    fn module(&mut self, place: &Place, items: Vec<Item>) {
        for item in items {
            self.item(place, item);
        }
    }

    fn item(&mut self, place: &Place, item: Item) {
        match item {
            Item::Macro(item) if is_shown(&item.attrs) => {
                let name = item.mac.path.require_ident().map(Ident::to_string).unwrap_or_default();
                if let Some(defined) = &item.ident {
                    if has(&item.attrs, "macro_export") || place.is_documentation {
                        self.name("tokio", defined);
                    }
                } else if !is_left_out(&name) {
                    // What is no list of items is no concern of ours: a call, say.
                    if let Ok(inner) = syn::parse2::<syn::File>(item.mac.tokens) {
                        // So tokio exports macros whose documentation is long.
                        let is_documentation = name == "doc";
                        self.module(&Place { is_documentation, ..place.clone() }, inner.items);
                    }
                }
            }
            // In what is hidden there may be macros, which are public at the root.
            Item::Mod(item) if is_meant(&item.attrs) => {
                let is_public = place.is_public && is_public(&item.vis) && is_shown(&item.attrs);
                if is_public {
                    self.name(&place.path, &item.ident);
                }
                let inner = place.inner(&item.ident, is_public);
                match item.content {
                    Some((_, items)) => self.module(&inner, items),
                    None => {
                        if let Some(file) = inner.file() {
                            self.module(&inner, parse(&file).items);
                        }
                    }
                }
            }
            Item::Use(item) if is_shown(&item.attrs) && is_public(&item.vis) && place.is_public => {
                self.uses(&place.path, &item.tree);
            }
            Item::Fn(item) => self.public(place, &item.attrs, &item.vis, &item.sig.ident),
            Item::Struct(item) => self.public(place, &item.attrs, &item.vis, &item.ident),
            Item::Enum(item) => self.public(place, &item.attrs, &item.vis, &item.ident),
            Item::Trait(item) => self.public(place, &item.attrs, &item.vis, &item.ident),
            Item::Type(item) => self.public(place, &item.attrs, &item.vis, &item.ident),
            Item::Const(item) => self.public(place, &item.attrs, &item.vis, &item.ident),
            Item::Impl(item) if item.trait_.is_none() && is_shown(&item.attrs) => {
                self.methods_of(place, &item);
            }
            _ => {}
        }
    }

    fn public(&mut self, place: &Place, attrs: &[Attribute], vis: &Visibility, name: &Ident) {
        if place.is_public && is_public(vis) && is_shown(attrs) {
            self.name(&place.path, name);
        }
    }

    fn name(&mut self, module: &str, name: &Ident) {
        self.items.entry(module.to_owned()).or_default().insert(name.to_string());
    }

    fn uses(&mut self, module: &str, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.uses(module, &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.uses(module, tree)),
            UseTree::Name(name) => self.name(module, &name.ident),
            UseTree::Rename(rename) => self.name(module, &rename.rename),
            UseTree::Glob(_) => panic!("{module} has a glob, which this cannot follow"),
        }
    }

    fn methods_of(&mut self, place: &Place, item: &syn::ItemImpl) {
        let Type::Path(of) = &*item.self_ty else { return };
        let Some(of) = of.path.segments.last() else { return };
        for inner in &item.items {
            match inner {
                ImplItem::Fn(method) if is_public(&method.vis) && is_shown(&method.attrs) => {
                    self.methods.push(Method {
                        folder: place.path.split("::").nth(1).unwrap_or_default().to_owned(),
                        of: of.ident.to_string(),
                        name: method.sig.ident.to_string(),
                    });
                }
                ImplItem::Macro(inner) if is_shown(&inner.attrs) => {
                    let name = inner.mac.path.require_ident().map(Ident::to_string);
                    if name.is_ok_and(|name| is_left_out(&name)) {
                        continue;
                    }
                    let head = syn::ItemImpl { items: Vec::new(), ..item.clone() };
                    if let Ok(items) = syn::parse2::<Members>(inner.mac.tokens.clone()) {
                        self.methods_of(place, &syn::ItemImpl { items: items.0, ..head });
                    }
                }
                _ => {}
            }
        }
    }
}

/// What stands in an `impl`.
struct Members(Vec<ImplItem>);

impl syn::parse::Parse for Members {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Members> {
        let mut items = Vec::new();
        while !input.is_empty() {
            items.push(input.parse()?);
        }
        Ok(Members(items))
    }
}

/// A module: what it is called, where the files of its modules are, and whether it can be named.
#[derive(Clone)]
struct Place {
    path: String,
    folder: PathBuf,
    is_public: bool,
    /// Whether what is here stands in a macro that adds documentation and exports it.
    is_documentation: bool,
}

impl Place {
    fn inner(&self, name: &Ident, is_public: bool) -> Place {
        Place {
            path: format!("{}::{name}", self.path),
            folder: self.folder.join(name.to_string()),
            is_public,
            is_documentation: false,
        }
    }

    fn file(&self) -> Option<PathBuf> {
        let files = [self.folder.join("mod.rs"), self.folder.with_extension("rs")];
        files.into_iter().find(|file| file.exists())
    }
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn has(attrs: &[Attribute], name: &str) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident(name))
}

/// Whether a macro keeps what it wraps from us.
fn is_left_out(name: &str) -> bool {
    // These two are not for systems on which there is no tokio but this.
    let is_not = name.starts_with("cfg_not_") && !name.starts_with("cfg_not_wasi");
    is_not || LEFT_OUT.contains(&name)
}

/// Whether an item is in the documentation.
fn is_shown(attrs: &[Attribute]) -> bool {
    let is_hidden = |attr: &Attribute| match &attr.meta {
        syn::Meta::List(list) => attr.path().is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    };
    is_meant(attrs) && !attrs.iter().any(is_hidden)
}

/// Whether an item is stable, and not for tests or other systems.
fn is_meant(attrs: &[Attribute]) -> bool {
    const WORDS: [&str; 6] = ["tokio_unstable", "loom", "test", "windows", "docsrs", "fuzzing"];
    attrs.iter().all(|attr| match &attr.meta {
        syn::Meta::List(list) if attr.path().is_ident("cfg") => {
            let mut said = list.tokens.to_string();
            for word in WORDS {
                said = said.replace(&format!("not ({word})"), "");
            }
            let mut said = said.split(|c: char| !c.is_alphanumeric() && c != '_');
            !said.any(|word| WORDS.contains(&word))
        }
        _ => true,
    })
}

fn parse(file: &Path) -> syn::File {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Asks cargo where it keeps the tokio of this workspace.
fn folder_of_tokio() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--manifest-path"])
        .arg(manifest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let is_tokio = |package: &&serde_json::Value| {
        // Others that are called so are ours, and come from no registry.
        package["name"] == "tokio" && !package["source"].is_null()
    };
    let tokio = packages.iter().find(is_tokio).unwrap();
    Path::new(tokio["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}
