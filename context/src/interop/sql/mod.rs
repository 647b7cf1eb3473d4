//! Lets a database say for whom it works: statements carry a comment with the context.
//!
//! [`SqlTags::tag_sql`] is all it takes for any client. The features `tokio-postgres` and `rusqlite`
//! have clients that do it by themselves, and note in the flow how many queries it made and how long
//! they took: `db.queries`, `db.ms`, `db.errors`.

mod tags; // the comment
#[cfg(feature = "tokio-postgres")]
mod postgres; // a client of PostgreSQL
#[cfg(feature = "rusqlite")]
mod sqlite; // a connection to SQLite
#[cfg(any(feature = "rusqlite", feature = "tokio-postgres"))]
mod timing; // how long it took

#[cfg(feature = "tokio-postgres")]
pub use postgres::TaggedPostgres;
#[cfg(feature = "rusqlite")]
pub use sqlite::TaggedSqlite;
pub use tags::{SqlTags, TAG_MAX_BYTES, TagMode};
