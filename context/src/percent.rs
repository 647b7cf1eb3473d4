//! Writes any text with characters that mean nothing anywhere: in a header, in a comment of SQL.

use std::fmt::Write;

/// Writes every byte outside `[A-Za-z0-9_.~-]` as `%XX`.
pub(crate) fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'~' | b'-' => {
                to.push(char::from(byte));
            }
            // A `String` takes whatever is written.
            _ => drop(write!(to, "%{byte:02X}")),
        }
    }
}

pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    encode(text, &mut encoded);
    encoded
}

/// Reads it back; `None` if it is not what anybody would have written.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let byte = match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{decoded, encoded};

    #[test]
    fn whatever_is_written_is_read_back_and_means_nothing() {
        let every_char: String = (0_u32..0x300).filter_map(char::from_u32).collect();
        for text in ["", "a-b_c.d~e", "a b", "'; -- */ \\ % /*!", "añ😀", &every_char] {
            let written = encoded(text);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.~-%".contains(c);
            assert!(written.chars().all(is_plain), "{written}");
            assert_eq!(decoded(&written).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_nobody_wrote_is_not_read() {
        for text in ["%", "%4", "%zz", "%ff%fe", "a%"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
