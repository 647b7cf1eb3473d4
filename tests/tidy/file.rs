//! Tells the code of a file from its comments and literals, so that a rule about one is not fooled
//! by the others.

use std::ops::Range;

/// One text file of the tree.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/` between folders.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and literals blanked: same lines, same columns. Empty unless Rust.
    pub(crate) code: String,
    /// The text with everything but comments blanked. Empty unless Rust.
    pub(crate) comments: String,
}

impl File {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> File {
        let (path, text) = (path.into(), text.into());
        let (code, comments) =
            if path.ends_with(".rs") { split(&text) } else { (String::new(), String::new()) };
        File { path, text, code, comments }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_manifest(&self) -> bool {
        self.path == "Cargo.toml" || self.path.ends_with("/Cargo.toml")
    }

    /// A finding at a byte of this file.
    pub(crate) fn finding(&self, at: usize, what: &str) -> String {
        let line = 1 + self.text[..at].matches('\n').count();
        format!("{}:{line}: {what}", self.path)
    }

    /// Every path in the code, `use` trees written out: `use a::{b, c::d as e}` holds `a::b` and
    /// `a::c::d`. A lone identifier is a path of one segment; a glob gives the path before it.
    pub(crate) fn code_paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        // What stands before each open brace, and ends in `::` if the brace is part of a `use`.
        let mut prefixes: Vec<String> = Vec::new();
        let mut current = String::new();
        let mut emit = |at: usize, path: &mut String| {
            let whole = path.trim_matches(':');
            if !whole.is_empty() {
                found.push((at, whole.to_owned()));
            }
            path.clear();
        };
        let mut rest = 0..self.code.len();
        while let Some(token) = next_token(&self.code, &mut rest) {
            let (at, token) = (token.start, &self.code[token]);
            match token {
                "::" => current.push_str(token),
                "{" if current.ends_with("::") => prefixes.push(current.clone()),
                "{" => {
                    emit(at, &mut current);
                    prefixes.push(String::new());
                }
                "}" => {
                    emit(at, &mut current);
                    prefixes.pop();
                }
                "," => {
                    emit(at, &mut current);
                    current = prefixes.last().cloned().unwrap_or_default();
                }
                "use" => emit(at, &mut current),
                word if word.starts_with(is_word) => {
                    if !current.is_empty() && !current.ends_with("::") {
                        emit(at, &mut current);
                    }
                    current.push_str(word);
                }
                _ => emit(at, &mut current),
            }
        }
        emit(self.code.len(), &mut current);
        found
    }
}

/// Whether `c` can stand in an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `text` with no letter, digit or underscore right before or after it.
pub(crate) fn find_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !text[..*at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word)
    })
}

/// Takes the next identifier, `::` or other character that is not white space.
fn next_token(code: &str, rest: &mut Range<usize>) -> Option<Range<usize>> {
    let ahead = &code[rest.clone()];
    let start = rest.start + ahead.find(|c: char| !c.is_whitespace())?;
    let ahead = &code[start..];
    let first = ahead.chars().next()?;
    let length = if ahead.starts_with("::") {
        2
    } else if is_word(first) {
        ahead.find(|c| !is_word(c)).unwrap_or(ahead.len())
    } else {
        first.len_utf8()
    };
    rest.start = start + length;
    Some(start..rest.start)
}

enum Part {
    Code,
    Comment,
    Literal,
}

/// The code and the comments of a Rust file, each with the other blanked.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < text.len() {
        let (part, length) = next_part(&text[at..], text[..at].ends_with(is_word));
        let piece = &text[at..at + length];
        code.push_str(&if matches!(part, Part::Code) { piece.to_owned() } else { blank(piece) });
        comments.push_str(&if matches!(part, Part::Comment) {
            piece.to_owned()
        } else {
            blank(piece)
        });
        at += length;
    }
    (code, comments)
}

/// As many bytes as `piece`, with its line ends and nothing else of it.
fn blank(piece: &str) -> String {
    piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// What `rest` begins with, and how many bytes of it belong together.
fn next_part(rest: &str, inside_word: bool) -> (Part, usize) {
    if rest.starts_with("//") {
        return (Part::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Part::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Part::Literal, quoted(rest));
    }
    let literal = if inside_word { None } else { raw_string(rest) }.or_else(|| char_literal(rest));
    match literal {
        Some(length) => (Part::Literal, length),
        None => (Part::Code, rest.chars().next().map_or(1, char::len_utf8)),
    }
}

/// The length of a block comment, those inside it included.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let ahead = &rest.as_bytes()[at..];
        if ahead.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if ahead.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a string in quotes, which begins `rest`.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a raw string, if `rest` begins with one.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['#', '"']))
    })?;
    let ahead = &rest[prefix.len()..];
    let hashes = ahead.find(|c| c != '#')?;
    let body = ahead[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", &ahead[..hashes]);
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(prefix.len() + hashes + 1 + length)
}

/// The length of a character literal, if `rest` begins with one and not with a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        // The escaped character may itself be a quote, so the search begins behind it.
        let end = escape.char_indices().skip(1).find(|(_, c)| *c == '\'')?.0;
        return Some(1 + 1 + end + 1);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].starts_with('\'').then(|| 1 + first.len_utf8() + 1)
}

#[test]
fn comments_and_literals_are_not_code() {
    let check = |text: &str, want: &str| {
        let code: Vec<String> =
            File::new("a.rs", text).code.split_whitespace().map(str::to_owned).collect();
        assert_eq!(code.join(" "), want, "code of {text:?}");
    };
    check("a // b\nc", "a c");
    check("a /* b /* c */ d */ e", "a e");
    check(r#"a "b \" // c" d"#, "a d");
    check(r##"a r#"b " c"# d"##, "a d");
    check(r#"a b"c" br"d" e"#, "a b e");
    check(r"a '\'' 'b' '\u{7f}' 'é' c", "a c");
    check("fn f<'a>(b: &'a str) {}", "fn f<'a>(b: &'a str) {}");
    check("r#type r", "r#type r");
    check("unfinished \"string", "unfinished");
}

#[test]
fn code_and_comments_keep_their_lines() {
    let file = File::new("a.rs", "let a = \"é\n\"; // é\n/* ü\n*/ b");
    assert_eq!(file.code.len(), file.text.len());
    assert_eq!(file.comments.len(), file.text.len());
    let b = file.code.find('b').expect("the code holds b");
    assert_eq!(file.finding(b, "here"), "a.rs:4: here");
    assert_eq!(file.comments.split_whitespace().collect::<Vec<_>>(), ["//", "é", "/*", "ü", "*/"]);
}

#[test]
fn use_trees_are_written_out() {
    let check = |text: &str, want: &[&str]| {
        let paths = File::new("a.rs", text).code_paths();
        let paths: Vec<&str> = paths.iter().map(|(_, path)| path.as_str()).collect();
        for path in want {
            assert!(paths.contains(path), "{path} is in {text:?}, not in {paths:?}");
        }
    };
    check("use a::b;", &["a::b"]);
    check("use a::{b, c::{d, e as f}, g};", &["a::b", "a::c::d", "a::c::e", "a::g"]);
    check("pub(crate) use ::a::b::*;", &["a::b"]);
    check("fn f() { let x = a :: b::<c::d>(); S { x, y } }", &["a::b", "c::d", "S", "y"]);
}

#[test]
fn a_word_is_found_only_as_a_whole() {
    let found: Vec<usize> = find_words("in inner in_ in", "in").collect();
    assert_eq!(found, [0, 13]);
}
