//! Gives every request an id: the one that the client sent, if it is sound, else a new one.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::HeaderMap;
use hyper::header::HeaderName;

use crate::order::is_plain_id;

/// The header that carries it, in requests and in answers.
pub(crate) static HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Returns the id of the request that has these headers.
pub(crate) fn of(headers: &HeaderMap) -> String {
    let sent = headers.get(&HEADER).and_then(|value| value.to_str().ok());
    sent.filter(|id| is_plain_id(id)).map_or_else(new, str::to_owned)
}

/// Makes an id that no other request of this run has, and hardly one of another run.
fn new() -> String {
    static RUN: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(0) as u32);
    // Relaxed: only that no number comes twice matters, and every `fetch_add` gives another one.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:08x}-{}", *RUN, NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_id_is_kept_and_any_other_replaced() {
        let check = |sent: &[u8], is_kept: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(&HEADER, hyper::header::HeaderValue::from_bytes(sent).unwrap());
            let id = of(&headers);
            assert!(is_plain_id(&id));
            assert_eq!(id.as_bytes() == sent, is_kept, "{id}");
        };
        check(b"a", true);
        check(&[b'a'; 128], true);
        check(&[b'a'; 129], false);
        check(b"", false);
        check(b"a b", false);
        check(b"a=b", false);
        check(b"\xc3\xa9", false);
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
