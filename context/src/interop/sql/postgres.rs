//! Tags the statements of a client of `tokio-postgres`, and keeps those prepared that come again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, GenericClient, Row, Statement, Transaction};

use super::timing::Query;
use super::{SqlTags, TagMode};

/// So many statements are kept prepared per connection; then all of them are let go of.
const PREPARED_MAX: usize = 256;

/// A client whose statements carry the context in which they are run: see [`SqlTags`].
///
/// A statement whose tag is the same each time is prepared once. One whose tag is not is run under no
/// name, so that the server keeps nothing of it; only the types of its parameters are asked for
/// once, of the statement without the tag.
pub struct TaggedPostgres<C> {
    client: C,
    tags: SqlTags,
    prepared: Arc<Prepared>,
}

#[derive(Default)]
struct Prepared(Mutex<HashMap<String, Statement>>);

impl Prepared {
    fn statements(&self) -> MutexGuard<'_, HashMap<String, Statement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, sql: &str, statement: &Statement) {
        let mut statements = self.statements();
        let mut full = None;
        if statements.len() >= PREPARED_MAX {
            full = Some(std::mem::take(&mut *statements));
        }
        statements.insert(sql.to_owned(), statement.clone());
        drop(statements);
        // Their destructors send messages.
        drop(full);
    }
}

/// The values of the parameters of a statement.
type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl<C: GenericClient> TaggedPostgres<C> {
    /// Wraps a client.
    pub fn new(client: C, tags: SqlTags) -> TaggedPostgres<C> {
        TaggedPostgres { client, tags, prepared: Arc::default() }
    }

    /// Returns the client, whose own methods tag nothing.
    pub fn get_ref(&self) -> &C {
        &self.client
    }

    /// Returns the client.
    pub fn into_inner(self) -> C {
        self.client
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        let known = self.prepared.statements().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared.keep(sql, &statement);
        Ok(statement)
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// Those of [`Client::query`].
    ///
    /// # Panics
    /// If there are not as many parameters as the statement has.
    ///
    /// # Cancel safety
    /// As [`Client::query`]: dropping it leaves the statement running on the server.
    pub async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let query = Query::begin();
        let tagged = self.tags.tag_sql(sql);
        if !self.tags.is_unique() {
            let result = async {
                let statement = self.prepared(&tagged).await?;
                self.client.query(&statement, params).await
            };
            return query.done(result.await);
        }
        let result = async {
            let types = self.prepared(sql).await?.params().to_vec();
            self.client.query_typed(&tagged, &typed(params, types)).await
        };
        query.done(result.await)
    }

    /// Runs a statement and returns its only row, `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Client::query_opt`], but for more than one row, of which the first is returned.
    ///
    /// # Panics
    /// If there are not as many parameters as the statement has.
    pub async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement and returns how many rows it has changed.
    ///
    /// # Errors
    /// Those of [`Client::execute`].
    ///
    /// # Panics
    /// If there are not as many parameters as the statement has.
    ///
    /// # Cancel safety
    /// As [`Client::execute`]: dropping it leaves the statement running on the server.
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        let query = Query::begin();
        let tagged = self.tags.tag_sql(sql);
        if !self.tags.is_unique() {
            let result = async {
                let statement = self.prepared(&tagged).await?;
                self.client.execute(&statement, params).await
            };
            return query.done(result.await);
        }
        let result = async {
            let types = self.prepared(sql).await?.params().to_vec();
            self.client.execute_typed(&tagged, &typed(params, types)).await
        };
        query.done(result.await)
    }

    /// Runs statements without parameters; the tag is behind, or before, all of them.
    ///
    /// # Errors
    /// Those of [`Client::batch_execute`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        let query = Query::begin();
        query.done(self.client.batch_execute(&self.tags.tag_sql(sql)).await)
    }

    /// Begins a transaction, whose statements carry the context, too.
    ///
    /// # Errors
    /// Those of [`Client::transaction`].
    pub async fn transaction(&mut self) -> Result<TaggedPostgres<Transaction<'_>>, Error> {
        let (tags, prepared) = (self.tags.clone(), self.prepared.clone());
        let client = self.client.transaction().await?;
        Ok(TaggedPostgres { client, tags, prepared })
    }
}

impl TaggedPostgres<Transaction<'_>> {
    /// Makes what was done last.
    ///
    /// # Errors
    /// Those of [`Transaction::commit`].
    pub async fn commit(self) -> Result<(), Error> {
        self.client.commit().await
    }

    /// Undoes what was done; so does dropping it.
    ///
    /// # Errors
    /// Those of [`Transaction::rollback`].
    pub async fn rollback(self) -> Result<(), Error> {
        self.client.rollback().await
    }
}

/// Puts parameters beside their types.
fn typed<'a>(params: Params<'a>, types: Vec<Type>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    assert_eq!(params.len(), types.len(), "the statement has another number of parameters");
    params.iter().copied().zip(types).collect()
}

impl TaggedPostgres<Client> {
    /// Says whether the connection is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Says what a tag says from now on.
    #[must_use]
    pub fn mode(mut self, mode: TagMode) -> TaggedPostgres<Client> {
        self.tags = self.tags.mode(mode);
        self
    }
}

impl<C> fmt::Debug for TaggedPostgres<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaggedPostgres").field("tags", &self.tags).finish_non_exhaustive()
    }
}
