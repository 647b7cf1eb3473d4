//! Checks the page about migrating against tokio's own source, so that nothing of it is passed over
//! in silence: every public and stable item of each module is on the page, and every method of the
//! types that we have ourselves is there or on the page.
//!
//! That what the page says to be there can be imported is checked by the compiler: its blocks of code
//! are documentation tests of the package `forebear-tests-renamed`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tokio; // what tokio has
mod guide; // what the page says
mod ours; // which functions we have

use std::collections::BTreeSet;

use tokio::Surface;

#[test]
fn every_item_is_on_the_page_and_none_that_is_not_tokios() {
    let surface = Surface::read();
    let guide = guide::read();
    let mut findings = Vec::new();
    let nothing = BTreeSet::new();
    for (module, items) in &surface.items {
        let Some(section) = guide.get(module) else {
            findings.push(format!("`{module}` has no section: it has {items:?}"));
            continue;
        };
        for item in items {
            if !section.same.contains(item) && !section.named.contains(item) {
                findings.push(format!("`{module}`: `{item}` is not mentioned"));
            }
        }
    }
    for (module, section) in &guide {
        let items = surface.items.get(module).unwrap_or(&nothing);
        for item in section.same.difference(items) {
            findings.push(format!("`{module}`: tokio has no `{item}`"));
        }
    }
    assert!(surface.items.len() > 25 && surface.methods.len() > 600, "too little was found");
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn every_method_of_types_of_our_own_is_there_or_on_the_page() {
    let surface = Surface::read();
    let guide = guide::read();
    let mut findings = Vec::new();
    for method in &surface.methods {
        let Some(functions) = ours::functions(&method.folder) else { continue };
        let is_named = |module: &str, section: &guide::Section| {
            let names = [method.name.clone(), format!("{}::{}", method.of, method.name)];
            // A type that is not there has no methods.
            let has_no_type =
                section.named.contains(&method.of) && !section.same.contains(&method.of);
            module.starts_with(&format!("tokio::{}", method.folder))
                && (has_no_type || names.iter().any(|name| section.named.contains(name)))
        };
        if ours::is_tokios(&method.folder, &method.of) || functions.contains(&method.name) {
            continue;
        }
        if !guide.iter().any(|(module, section)| is_named(module, section)) {
            findings.push(format!("{}::{} is not there", method.of, method.name));
        }
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
