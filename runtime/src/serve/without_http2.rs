//! Stands where HTTP/2 is not: whoever begins with it is told that it is no HTTP/1.

use std::io;
use std::panic::Location;

use crate::serve::connection::{House, Tell};
use crate::serve::patience::Patience;
use crate::serve::request::Desk;
use crate::serve::wire::Wire;

pub(super) struct Http2;

impl Http2 {
    pub(super) fn new(_location: &'static Location<'static>) -> Http2 {
        Http2
    }
}

/// Nobody speaks it.
pub(super) enum Spoken {}

pub(super) async fn find_out<T>(_wire: &mut Wire<T>) -> io::Result<Option<Spoken>> {
    Ok(None)
}

pub(super) async fn serve<W, T, S>(
    spoken: Spoken,
    _house: &House<W>,
    _tell: &Tell,
    _patience: Patience,
    _served: (Wire<T>, Desk<S>),
) {
    match spoken {}
}
