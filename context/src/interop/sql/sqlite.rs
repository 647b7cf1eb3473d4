//! Tags the statements of a connection of `rusqlite`.

use std::fmt;

use rusqlite::{Connection, Params, Result, Row, Statement};

use super::SqlTags;
use super::timing::Query;

/// A connection whose statements carry the context in which they are run: see [`SqlTags`].
///
/// It is used on the thread of a blocking job, which has the context of whoever spawned it.
///
/// ```no_run
/// use forebear_context::interop::sql::{SqlTags, TaggedSqlite};
/// # use rusqlite::Connection;
///
/// let connection = Connection::open_in_memory()?;
/// let tagged = TaggedSqlite::new(&connection, SqlTags::new("orders"));
/// tagged.execute("CREATE TABLE orders (id INTEGER)", [])?;
/// tagged.execute("INSERT INTO orders VALUES (?1)", [7])?;
/// let id: i64 = tagged.query_row("SELECT id FROM orders", [], |row| row.get(0))?;
/// assert_eq!(id, 7);
/// # Ok::<(), rusqlite::Error>(())
/// ```
pub struct TaggedSqlite<'a> {
    connection: &'a Connection,
    tags: SqlTags,
}

impl<'a> TaggedSqlite<'a> {
    /// Wraps a connection.
    #[must_use]
    pub fn new(connection: &'a Connection, tags: SqlTags) -> TaggedSqlite<'a> {
        TaggedSqlite { connection, tags }
    }

    /// Returns the connection, whose own methods tag nothing.
    #[must_use]
    pub fn get_ref(&self) -> &'a Connection {
        self.connection
    }

    /// Prepares a statement and runs `f` with it. If its tag is the same each time, it is kept
    /// prepared.
    ///
    /// # Errors
    /// Those of [`Connection::prepare`], and of `f`.
    pub fn with<R>(&self, sql: &str, f: impl FnOnce(&mut Statement<'_>) -> Result<R>) -> Result<R> {
        let query = Query::begin();
        let tagged = self.tags.tag_sql(sql);
        let result = if self.tags.is_unique() {
            self.connection.prepare(&tagged).and_then(|mut statement| f(&mut statement))
        } else {
            self.connection.prepare_cached(&tagged).and_then(|mut statement| f(&mut statement))
        };
        query.done(result)
    }

    /// Runs a statement and returns how many rows it has changed.
    ///
    /// # Errors
    /// Those of [`Connection::execute`].
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.with(sql, |statement| statement.execute(params))
    }

    /// Runs a statement and returns what `f` makes of its first row.
    ///
    /// # Errors
    /// Those of [`Connection::query_row`].
    pub fn query_row<R>(
        &self,
        sql: &str,
        params: impl Params,
        f: impl FnOnce(&Row<'_>) -> Result<R>,
    ) -> Result<R> {
        self.with(sql, |statement| statement.query_row(params, f))
    }

    /// Runs a statement and returns what `f` makes of each row.
    ///
    /// # Errors
    /// Those of [`Statement::query_map`], and of `f`.
    pub fn query_all<R>(
        &self,
        sql: &str,
        params: impl Params,
        f: impl FnMut(&Row<'_>) -> Result<R>,
    ) -> Result<Vec<R>> {
        self.with(sql, |statement| statement.query_map(params, f)?.collect())
    }
}

impl fmt::Debug for TaggedSqlite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaggedSqlite").field("tags", &self.tags).finish_non_exhaustive()
    }
}
