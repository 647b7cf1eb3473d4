//! Makes the answers: JSON if all went well, a problem in JSON if not.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

/// Returns an answer with a value as its JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => reply(status, "application/json", body),
        // Only a map with keys that are no text could bring it here, and no answer has one.
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

/// Returns an answer with a text for people.
pub(crate) fn text(text: String) -> Response {
    reply(StatusCode::OK, "text/plain; charset=utf-8", text)
}

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut reply = Response::new(Body::from(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Why a request is not answered as it wished.
#[derive(Clone, Debug)]
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

    /// The thing is there, but not for this method; `allow` says for which.
    pub(crate) fn wrong_method() -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
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

    /// Returns the answer that says it, with what is in the headers of its stand-in.
    pub(crate) fn into_reply(self, stand_in: Response, request_id: &str) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Said<'a> {
            error: &'a str,
            request_id: &'a str,
        }
        let mut reply = json(self.status, &Said { error: &self.sentence, request_id });
        // What axum says of it: which methods a path takes.
        if let Some(allow) = stand_in.headers().get(ALLOW) {
            reply.headers_mut().insert(ALLOW, allow.clone());
        }
        if let Some((name, value)) = self.header {
            reply.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        reply
    }
}

/// Stands in for the answer until [`Problem::into_reply`] makes one of it, which needs the id of the
/// request.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut stand_in = self.status.into_response();
        stand_in.extensions_mut().insert(self);
        stand_in
    }
}
