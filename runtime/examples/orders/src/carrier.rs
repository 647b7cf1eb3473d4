//! Tells the carrier what is shipped: a call to another service, with a deadline and retries.
//!
//! Each try says the same `idempotency-key`, since a try that seems to have failed may have arrived.

use std::fmt;

use bytes::Bytes;
use forebear::interop::client::Client;
use forebear::time::{Duration, Instant, sleep, timeout_at};
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode, Uri};

use crate::config::CarrierConfig;
use crate::shipping::Parcel;
use crate::{log, request_id};

/// How long one try may take; a carrier that is slower is asked again.
const TRY: Duration = Duration::from_secs(2);

/// How long to wait before the second try; twice as long before each that follows.
const PAUSE: Duration = Duration::from_millis(50);

/// An answer has nothing to say. Reading it lets the connection be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The carrier.
#[derive(Clone, Debug)]
pub(crate) struct Carrier {
    client: Client<Full<Bytes>>,
    url: Uri,
    within: Duration,
}

impl Carrier {
    pub(crate) fn new(config: CarrierConfig) -> Carrier {
        Carrier { client: Client::new(), url: config.url, within: config.within }
    }

    /// Tells it of a parcel: tries until it has heard, has refused, or the time is over.
    pub(crate) async fn announce(&self, parcel: &Parcel) -> Result<(), CarrierError> {
        let deadline = Instant::now() + self.within;
        let mut pause = PAUSE;
        loop {
            let this_try = deadline.min(Instant::now() + TRY);
            let failed = match timeout_at(this_try, self.try_once(parcel)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_elapsed) => CarrierError::TooSlow,
            };
            let again = Instant::now() + pause;
            if !failed.may_pass() || again >= deadline {
                return Err(failed);
            }
            let order = parcel.order;
            log::warn("the carrier is asked again", &[("order", &order), ("error", &failed)]);
            sleep(pause).await;
            pause *= 2;
        }
    }

    async fn try_once(&self, parcel: &Parcel) -> Result<(), CarrierError> {
        let Parcel { order, account_id, request_id, .. } = parcel;
        let said = serde_json::json!({ "order": order, "accountId": account_id });
        let request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", format!("order-{order}"))
            .header(&request_id::HEADER, request_id)
            .body(Full::from(said.to_string()))
            .map_err(|error| CarrierError::Unreachable(error.to_string()))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| CarrierError::Unreachable(cause(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        body.map_err(|error| CarrierError::Unreachable(cause(&*error)))?;
        if status.is_success() { Ok(()) } else { Err(CarrierError::Refused(status)) }
    }
}

/// Returns the innermost cause of an error, which says most.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The carrier has not heard of it, or does not want to.
#[derive(Debug)]
pub(crate) enum CarrierError {
    Unreachable(String),
    TooSlow,
    Refused(StatusCode),
}

impl CarrierError {
    /// Says whether another try makes sense.
    fn may_pass(&self) -> bool {
        match self {
            CarrierError::Unreachable(_) | CarrierError::TooSlow => true,
            CarrierError::Refused(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
        }
    }
}

impl fmt::Display for CarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CarrierError::Unreachable(why) => write!(f, "the carrier cannot be reached: {why}"),
            CarrierError::TooSlow => f.write_str("the carrier is too slow"),
            CarrierError::Refused(status) => write!(f, "the carrier says {status}"),
        }
    }
}

impl std::error::Error for CarrierError {}
