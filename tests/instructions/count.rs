//! Counts the instructions that a program needs for one operation, by running this executable
//! under valgrind.

use std::env;
use std::process::{Child, Command, Stdio};

use crate::programs::Program;

/// Counts what one operation needs: see the head of `main.rs`.
pub(crate) fn per_operation(program: &Program) -> Result<f64, String> {
    let n = program.operations;
    // Both at once: what is counted does not depend on what else runs.
    let once = start(program.name, n)?;
    let twice = start(program.name, 2 * n)?;
    let (once, twice) = (finish(once, program.name), finish(twice, program.name));
    let (once, twice) = (once?, twice?);
    if twice <= once {
        return Err(format!("{}: {twice} instructions for twice the work of {once}", program.name));
    }
    Ok((twice - once) as f64 / n as f64)
}

/// Says with what it is compiled, run and counted: other tools give other numbers.
pub(crate) fn tools() -> Result<String, String> {
    let compiler = first_output("rustc", &["--version", "--verbose"])?;
    let of_compiler = |key: &str| {
        let value = compiler.lines().find_map(|line| line.strip_prefix(key));
        value.ok_or_else(|| format!("rustc does not say its {key}"))
    };
    let (release, host) = (of_compiler("release: ")?, of_compiler("host: ")?);
    // Where there is no glibc, there is perhaps no ldd that knows a version.
    let libc = first_output("ldd", &["--version"]).unwrap_or_default();
    let libc = libc.lines().next().and_then(|line| line.split_whitespace().last());
    let valgrind = first_output("valgrind", &["--version"])?;
    Ok(format!("rustc {release}, {host}, libc {}, {}", libc.unwrap_or("unknown"), valgrind.trim()))
}

fn first_output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn start(name: &str, operations: u64) -> Result<Child, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    // Nothing of the environment may change what a program does.
    command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    command.args(["--program", name, &operations.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().map_err(|error| format!("valgrind cannot be run: {error}"))
}

fn finish(child: Child, name: &str) -> Result<u64, String> {
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    let counted = output.status.success().then(|| collected(&text)).flatten();
    counted.ok_or_else(|| format!("{name} was not counted: {}\n{text}", output.status))
}

/// Reads the total from what callgrind says at its end.
fn collected(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_total_is_found_among_what_valgrind_says() {
        let said = "==7== Callgrind, a call-graph generating cache profiler\n\
                    ==7== \n\
                    ==7== Events    : Ir\n\
                    ==7== Collected : 1891135\n";
        assert_eq!(collected(said), Some(1_891_135));
        assert_eq!(collected("==7== Collected : none\n"), None);
        assert_eq!(collected("thread panicked\n"), None);
    }
}
