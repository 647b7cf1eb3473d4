//! Keeps orders: in SQLite, or in PostgreSQL if `DATABASE_URL` says so.

mod postgres;
mod sqlite;

use std::fmt;

use deadpool::managed::PoolError;
use forebear::task::JoinError;
use forebear::time::error::Elapsed;

use crate::config::Database;
use crate::order::{NewOrder, Order};
use crate::shipping::Parcel;
use crate::store::postgres::Postgres;
use crate::store::sqlite::Sqlite;

/// The orders.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// How many orders there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) placed: i64,
    pub(crate) shipped: i64,
}

impl Store {
    /// Opens it; makes the table if there is none.
    pub(crate) async fn open(database: &Database) -> Result<Store, StoreError> {
        Ok(match database {
            Database::Sqlite(path) => Store::Sqlite(Sqlite::open(path).await?),
            Database::Postgres(config) => Store::Postgres(Postgres::open(config).await?),
        })
    }

    /// Stores an order, which gets its id here.
    pub(crate) async fn place(&self, new: NewOrder) -> Result<Order, StoreError> {
        match self {
            Store::Sqlite(sqlite) => sqlite.place(new).await,
            Store::Postgres(postgres) => postgres.place(new).await,
        }
    }

    /// Returns the order that has this id, if there is one.
    pub(crate) async fn find(&self, id: i64) -> Result<Option<Order>, StoreError> {
        match self {
            Store::Sqlite(sqlite) => sqlite.find(id).await,
            Store::Postgres(postgres) => postgres.find(id).await,
        }
    }

    /// Says whether an order has been shipped; it has if it is not there.
    pub(crate) async fn is_shipped(&self, id: i64) -> Result<bool, StoreError> {
        use crate::order::Status;

        let order = self.find(id).await?;
        Ok(order.is_none_or(|order| order.status == Status::Shipped))
    }

    /// Marks an order as shipped.
    pub(crate) async fn ship(&self, id: i64) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(sqlite) => sqlite.ship(id).await,
            Store::Postgres(postgres) => postgres.ship(id).await,
        }
    }

    /// Returns what has not been shipped.
    pub(crate) async fn unshipped(&self) -> Result<Vec<Parcel>, StoreError> {
        let orders = match self {
            Store::Sqlite(sqlite) => sqlite.unshipped().await?,
            Store::Postgres(postgres) => postgres.unshipped().await?,
        };
        let parcel = |(order, account_id)| Parcel {
            order,
            account_id,
            request_id: String::new(),
            origin: None,
        };
        Ok(orders.into_iter().map(parcel).collect())
    }

    /// Counts the orders.
    pub(crate) async fn count(&self) -> Result<Counts, StoreError> {
        match self {
            Store::Sqlite(sqlite) => sqlite.count().await,
            Store::Postgres(postgres) => postgres.count().await,
        }
    }
}

/// The store could not do it.
#[derive(Debug)]
pub(crate) enum StoreError {
    Sqlite(rusqlite::Error),
    Postgres(tokio_postgres::Error),
    /// No connection could be had, or kept.
    Connection(std::io::Error),
    /// All connections were in use for too long.
    Busy,
    /// The job panicked, or the runtime ended before it began.
    Lost(JoinError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite(error)
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> StoreError {
        StoreError::Postgres(error)
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> StoreError {
        StoreError::Connection(error)
    }
}

impl From<JoinError> for StoreError {
    fn from(error: JoinError) -> StoreError {
        StoreError::Lost(error)
    }
}

impl From<Elapsed> for StoreError {
    fn from(_: Elapsed) -> StoreError {
        StoreError::Busy
    }
}

impl From<PoolError<StoreError>> for StoreError {
    fn from(error: PoolError<StoreError>) -> StoreError {
        match error {
            PoolError::Backend(error) => error,
            other => StoreError::Connection(std::io::Error::other(other.to_string())),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Sqlite(error) => write!(f, "sqlite: {error}"),
            StoreError::Postgres(error) => match error.as_db_error() {
                Some(error) => write!(f, "postgres: {error}"),
                None => write!(f, "postgres: {error}"),
            },
            StoreError::Connection(error) => write!(f, "no connection: {error}"),
            StoreError::Busy => f.write_str("the database has no time"),
            StoreError::Lost(error) => write!(f, "a job of the store was lost: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}
