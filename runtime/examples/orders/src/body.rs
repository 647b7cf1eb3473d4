//! Reads the body of a request, within a size and a time.

use bytes::Bytes;
use forebear::time::{Duration, timeout};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};

use crate::reply::Problem;

/// More than any order needs by far.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Returns the whole body.
pub(crate) async fn read(body: Incoming, within: Duration) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large(format!("a body has at most {BODY_BYTES_MAX} bytes"));
    // A body that declares itself too long is refused before any of it is read.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match timeout(within, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
        Err(_elapsed) => Err(Problem::too_slow("the body of the request took too long")),
    }
}
