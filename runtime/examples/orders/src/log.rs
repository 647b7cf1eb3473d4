//! Writes log lines of `key=value` pairs, with the fields of the flow that is running.
//!
//! Called from everywhere. A line goes out in one write, so that lines never mix.

use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::time::SystemTime;

use forebear::fields;

/// Says that something happened as it should.
pub(crate) fn info(message: &str, pairs: &[(&str, &dyn Display)]) {
    write("info", message, pairs);
}

/// Says that something happened which a client or an operator can do something about.
pub(crate) fn warn(message: &str, pairs: &[(&str, &dyn Display)]) {
    write("warn", message, pairs);
}

/// Says that something failed.
pub(crate) fn error(message: &str, pairs: &[(&str, &dyn Display)]) {
    write("error", message, pairs);
}

fn write(level: &str, message: &str, pairs: &[(&str, &dyn Display)]) {
    let mut line = String::with_capacity(256);
    let now = humantime::format_rfc3339_millis(SystemTime::now());
    push(&mut line, "time", &now);
    push(&mut line, "level", &level);
    push(&mut line, "msg", &message);
    for (key, value) in pairs {
        push(&mut line, key, value);
    }
    fields::for_each(|key, value| push(&mut line, key, value));
    line.push('\n');
    // Where the log cannot go is no reason to stop serving.
    let _ = io::stdout().lock().write_all(line.as_bytes());
}

/// Appends `key=value`; a value that is not one plain word is put in quotes, with escapes.
fn push(line: &mut String, key: &str, value: &dyn Display) {
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str(key);
    line.push('=');
    let start = line.len();
    let _ = write!(line, "{value}");
    let is_plain = |c: char| c.is_alphanumeric() || "-._:/{}?&+".contains(c);
    if line.len() == start || !line[start..].chars().all(is_plain) {
        let value = line.split_off(start);
        let _ = write!(line, "{value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_forge_neither_a_line_nor_a_pair() {
        let check = |value: &str, want: &str| {
            let mut line = String::new();
            push(&mut line, "key", &value);
            assert_eq!(line, want);
        };
        check("GET", "key=GET");
        check("/orders/1?a&b", "key=/orders/1?a&b");
        check("", r#"key="""#);
        check("two words", r#"key="two words""#);
        check("a\nlevel=info", r#"key="a\nlevel=info""#);
        check(r#"a"b"#, r#"key="a\"b""#);
    }
}
