//! Reads every text file of the repository once.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;

use crate::file::File;

/// What the rules look at.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Sorted by path.
    pub(crate) files: Vec<File>,
}

impl Tree {
    /// Reads the repository that cargo runs this test for.
    ///
    /// Asked at run time: checkouts that share a target folder share this binary, too.
    pub(crate) fn read() -> Tree {
        let here = env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs this test");
        let root = Path::new(&here).parent().expect("the tests package lies in a folder");
        let mut tree = Tree { files: Vec::new() };
        tree.read_folder(root, "");
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree
    }

    /// A tree for the tests of the rules.
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| File::new(*path, *text)).collect() }
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Every folder that holds a file, with a slash at its end.
    pub(crate) fn folders(&self) -> BTreeSet<&str> {
        self.files
            .iter()
            .flat_map(|file| file.path.match_indices('/').map(|(at, _)| &file.path[..=at]))
            .collect()
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).expect("a folder of the repository can be listed") {
            let entry = entry.expect("a folder of the repository can be listed");
            let name = entry.file_name().into_string().expect("file names are UTF-8");
            let path = format!("{prefix}{name}");
            // What git and cargo keep here is not ours to judge. In a second work tree of git's it
            // is a file that names the first.
            if name == ".git" || name == "target" {
                continue;
            }
            let kind = entry.file_type().expect("what was listed is still there");
            // What git and cargo keep here is not ours to judge. In a worktree `.git` is a file.
            if name == ".git" || name == "target" {
                continue;
            }
            if kind.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"));
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.files.push(File::new(path, text));
            }
        }
    }
}

#[test]
fn folders_are_those_of_the_files() {
    let tree = Tree::of(&[("a/b/c.rs", ""), ("a/d.rs", ""), ("e", "")]);
    assert_eq!(tree.folders().into_iter().collect::<Vec<_>>(), ["a/", "a/b/"]);
}
