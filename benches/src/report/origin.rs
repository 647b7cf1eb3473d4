//! Says where figures come from: the machine, the day, the versions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Where the figures of one run come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The day on which it began, as `2026-11-24`.
    pub day: String,
    /// How many cores it could use.
    pub cores: usize,
    /// What the processor calls itself.
    pub processor: String,
    /// The version of the kernel.
    pub kernel: String,
    /// What `rustc --version` says.
    pub rustc: String,
    /// The commit of this repository, with a `+` if something was changed since.
    pub commit: String,
    /// The versions of the peers and of what they run on, by crate.
    pub peers: BTreeMap<String, String>,
    /// What was asked for on the command line.
    pub arguments: String,
}

/// The crates whose versions matter to the figures.
const PEERS: [&str; 5] = ["async-executor", "async-io", "blocking", "hyper", "tokio"];

impl Origin {
    /// Looks at this machine and at the repository in `root`.
    #[must_use]
    pub fn here(root: &Path, arguments: &[String]) -> Origin {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let day = now.split('T').next().unwrap_or_default();
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
        let commit = say(root, "git", &["rev-parse", "--short", "HEAD"]);
        let is_changed = !say(root, "git", &["status", "--porcelain"]).is_empty();
        Origin {
            day: day.to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor_name(&processor),
            kernel: kernel.trim().to_owned(),
            rustc: say(root, "rustc", &["--version"]),
            commit: if is_changed { format!("{commit}+") } else { commit },
            peers: versions(&lock),
            arguments: arguments.join(" "),
        }
    }

    /// Describes the machine, as a part of a sentence.
    #[must_use]
    pub fn machine(&self) -> String {
        // The rest of a kernel's version tells who built it.
        let kernel: Vec<&str> = self.kernel.split(['.', '-']).take(2).collect();
        let cores = if self.cores == 1 { "core" } else { "cores" };
        format!(
            "{} {cores} ({}), Linux {}, {}",
            self.cores,
            self.processor,
            kernel.join("."),
            // Without the commit and the day of the compiler.
            self.rustc.split(" (").next().unwrap_or_default(),
        )
    }
}

/// What a program prints. Nothing, if it cannot be run: its absence is no reason not to measure.
fn say(root: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn processor_name(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("a processor without a name").to_owned()
}

/// The versions that `Cargo.lock` names.
fn versions(lock: &str) -> BTreeMap<String, String> {
    let field = |package: &str, name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_matches(['"', ' ', '=']).to_owned())
    };
    let mut versions = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let (name, version) = (field(package, "name"), field(package, "version"));
        if let (Some(name), Some(version)) = (name, version) {
            if PEERS.contains(&name.as_str()) {
                versions.insert(name, version);
            }
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::{Origin, processor_name, versions};

    impl Origin {
        /// One that tests compare with.
        pub(crate) fn example() -> Origin {
            Origin {
                day: "2026-11-24".to_owned(),
                cores: 2,
                processor: "Example 1".to_owned(),
                kernel: "6.18.44-abc".to_owned(),
                rustc: "rustc 1.95.0 (59807616e 2026-04-14)".to_owned(),
                commit: "7c89d3d".to_owned(),
                peers: [("tokio".to_owned(), "1.54.1".to_owned())].into(),
                arguments: "--document".to_owned(),
            }
        }
    }

    #[test]
    fn the_machine_is_described_in_a_few_words() {
        assert_eq!(Origin::example().machine(), "2 cores (Example 1), Linux 6.18, rustc 1.95.0");
        let one = Origin { cores: 1, ..Origin::example() };
        assert_eq!(one.machine(), "1 core (Example 1), Linux 6.18, rustc 1.95.0");
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"tokio\"\nversion = \"1.54.1\"\n\
                    dependencies = [\n \"mio\",\n]\n\n[[package]]\nname = \"mio\"\nversion = \"1.2.4\"\n\n\
                    [[package]]\nname = \"async-io\"\nversion = \"2.6.0\"\n";
        let found: Vec<_> = versions(lock).into_iter().collect();
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(found, [pair("async-io", "2.6.0"), pair("tokio", "1.54.1")]);
    }

    #[test]
    fn a_processor_has_the_name_that_the_system_gives() {
        assert_eq!(processor_name("processor\t: 0\nmodel name\t: AMD EPYC\n"), "AMD EPYC");
        assert_eq!(processor_name(""), "a processor without a name");
    }
}
