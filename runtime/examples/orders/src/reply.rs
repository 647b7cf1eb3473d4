//! Makes the answers: JSON if all went well, a problem in JSON if not.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// An answer, whole in memory.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Returns an answer with a value as its JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => reply(status, "application/json", body),
        // Only a map with keys that are no text could bring it here, and no answer has one.
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

/// Returns an answer with a text for people.
pub(crate) fn text(text: String) -> Reply {
    reply(StatusCode::OK, "text/plain; charset=utf-8", text)
}

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Why a request is not answered as it wished.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    sentence: Cow<'static, str>,
    header: Option<(HeaderName, &'static str)>,
}

impl Problem {
    fn new(status: StatusCode, sentence: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, sentence: sentence.into(), header: None }
    }

    /// The request is not what it should be.
    pub(crate) fn bad_request(sentence: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, sentence)
    }

    /// There is no such thing.
    pub(crate) fn not_found(sentence: &'static str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, sentence)
    }

    /// The thing is there, but not for this method.
    pub(crate) fn wrong_method(allowed: &'static str) -> Problem {
        let problem =
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {allowed}"));
        problem.with(ALLOW, allowed)
    }

    /// The rest of the request is not read, so the connection cannot be used again.
    pub(crate) fn too_large(sentence: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, sentence).with(CONNECTION, "close")
    }

    /// The request did not come in time, and what comes yet belongs to no request.
    pub(crate) fn too_slow(sentence: &'static str) -> Problem {
        Problem::new(StatusCode::REQUEST_TIMEOUT, sentence).with(CONNECTION, "close")
    }

    /// The service has as much to do as it takes on.
    pub(crate) fn busy(sentence: &'static str) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
    }

    /// It is our fault; the log says more, under the id of the request.
    pub(crate) fn ours() -> Problem {
        let sentence = "something went wrong here, the log has it under this requestId";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, sentence)
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Problem {
        self.header = Some((name, value));
        self
    }

    /// Returns the answer that says it.
    pub(crate) fn into_reply(self, request_id: &str) -> Reply {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            error: &'a str,
            request_id: &'a str,
        }
        let mut reply = json(self.status, &Body { error: &self.sentence, request_id });
        if let Some((name, value)) = self.header {
            reply.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        reply
    }
}

/// The answer to a head that does not come to its end: hyper has given the connection up by then.
pub(crate) const HEAD_TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: application/json\r\n\
    content-length: 49\r\n\
    connection: close\r\n\
    \r\n\
    {\"error\":\"the head of the request took too long\"}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_the_constant_answer_is_right() {
        let text = std::str::from_utf8(HEAD_TOO_SLOW).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
