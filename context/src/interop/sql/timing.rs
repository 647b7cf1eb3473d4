//! Notes queries in the flow that makes them.

use std::time::Instant;

use crate::fields;

/// A query that is going on. It is noted when this is dropped: also one that was given up.
pub(super) struct Query(Instant);

impl Query {
    pub(super) fn begin() -> Query {
        Query(Instant::now())
    }

    /// Notes that it failed, if it did.
    pub(super) fn done<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            fields::add("db.errors", 1_u64);
        }
        result
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        fields::add("db.queries", 1_u64);
        fields::add("db.ms", self.0.elapsed().as_secs_f64() * 1e3);
    }
}
