//! Reads the body of a request, within a size. The server sees to the time.

use std::error::Error;

use axum::body::Body;
use bytes::Bytes;
use forebear::serve::BodyError;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;

use crate::reply::Problem;

/// More than any order needs by far.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Returns the whole body.
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large(format!("a body has at most {BODY_BYTES_MAX} bytes"));
    // A body that declares itself too long is refused before any of it is read.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) if is_too_slow(&*error) => {
            Err(Problem::too_slow("the body of the request took too long"))
        }
        Err(error) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
    }
}

/// Says whether the server has given the body up.
fn is_too_slow(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<BodyError>().is_some_and(BodyError::is_timeout) {
            return true;
        }
        cause = error.source();
    }
    false
}
