//! Holds the tree to the rules that protect something, and reports all that it finds at once.
//!
//! [`tree::Tree::read`] reads each file once. A rule is a function from what was read to findings,
//! one line each; beside every rule stands a test that shows it failing on a bad sample. Sizes and
//! tastes are no rules here: rustfmt, clippy and a reader see to those.

mod file; // what is code, what is comment
mod tree; // every file, read once
mod floors; // who may name whom
mod islands; // where `unsafe` and bare atomics may stand
mod words; // what no file says
mod layout; // folders, targets, the map of the code

use crate::file::File;
use crate::tree::Tree;

/// Rules that look at one file.
const FILE_RULES: [fn(&File) -> Vec<String>; 8] = [
    floors::crates_name_only_lower_floors,
    floors::only_the_facade_names_context,
    islands::unsafe_stays_on_islands,
    islands::safety_comments_cite_an_invariant,
    islands::atomics_come_through_the_switch_file,
    words::headers_open_every_file,
    words::nothing_is_left_undone,
    words::no_machine_is_named,
];

/// Rules that need to see more than one file.
const TREE_RULES: [fn(&Tree) -> Vec<String>; 7] = [
    floors::manifests_name_only_lower_floors,
    islands::islands_exist,
    islands::atomic_exceptions_are_needed,
    layout::folders_are_the_six,
    layout::manifests_share_the_lints_and_list_their_targets,
    layout::code_map_and_tree_agree,
    layout::readme_fits_on_two_screens,
];

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::read();
    assert!(tree.files.len() > 20, "only {} files found: wrong root?", tree.files.len());
    let of_files = tree.files.iter().flat_map(|file| FILE_RULES.iter().flat_map(|rule| rule(file)));
    let of_tree = TREE_RULES.iter().flat_map(|rule| rule(&tree));
    let untidy: Vec<String> = of_files.chain(of_tree).collect();
    assert!(untidy.is_empty(), "{} findings:\n{}", untidy.len(), untidy.join("\n"));
}
