//! Keeps orders in SQLite.
//!
//! SQLite blocks, so every access is a job of the blocking pool. There is one connection, since
//! SQLite writes one thing at a time anyway; jobs wait for it on threads that may wait.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebear::task::{self, JoinError};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::order::{NewOrder, Order, Status};

/// How long SQLite waits for another process that has the file locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id         INTEGER PRIMARY KEY,
        item       TEXT    NOT NULL,
        quantity   INTEGER NOT NULL,
        account_id TEXT    NOT NULL,
        is_shipped INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX IF NOT EXISTS orders_to_ship ON orders (id) WHERE NOT is_shipped;
";

/// The orders, on disk.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the file, or makes it.
    pub(crate) async fn open(path: &Path) -> Result<Store, StoreError> {
        let path = path.to_owned();
        let opening =
            task::Builder::new().name("store.open").spawn_blocking(move || connect(&path));
        Ok(Store { connection: Arc::new(Mutex::new(opening.await??)) })
    }

    /// Stores an order, which gets its id here.
    pub(crate) async fn place(&self, new: NewOrder) -> Result<Order, StoreError> {
        self.run("store.place", move |connection| {
            let insert = "INSERT INTO orders (item, quantity, account_id) VALUES (?1, ?2, ?3)";
            let NewOrder { item, quantity, account_id } = new;
            let mut insert = connection.prepare_cached(insert)?;
            let id = insert.insert(params![item, quantity, account_id])?;
            Ok(Order { id, item, quantity, account_id, status: Status::Placed })
        })
        .await
    }

    /// Returns the order that has this id, if there is one.
    pub(crate) async fn find(&self, id: i64) -> Result<Option<Order>, StoreError> {
        self.run("store.find", move |connection| {
            let select =
                "SELECT id, item, quantity, account_id, is_shipped FROM orders WHERE id = ?1";
            connection.prepare_cached(select)?.query_row([id], order).optional()
        })
        .await
    }

    /// Marks an order as shipped.
    pub(crate) async fn ship(&self, id: i64) -> Result<(), StoreError> {
        self.run("store.ship", move |connection| {
            let update = "UPDATE orders SET is_shipped = 1 WHERE id = ?1";
            connection.prepare_cached(update)?.execute([id]).map(drop)
        })
        .await
    }

    /// Marks all orders as shipped that an earlier run has left, and returns how many.
    pub(crate) async fn ship_left_over(&self) -> Result<usize, StoreError> {
        self.run("store.ship_left_over", |connection| {
            connection.execute("UPDATE orders SET is_shipped = 1 WHERE NOT is_shipped", [])
        })
        .await
    }

    async fn run<R: Send + 'static>(
        &self,
        name: &'static str,
        job: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let connection = self.connection.clone();
        let job = task::Builder::new().name(name).spawn_blocking(move || {
            // A job that panicked has left nothing half done: its statement was rolled back.
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            job(&connection)
        });
        Ok(job.await??)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With a write-ahead log this loses, if the power fails, the last orders at most.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: row.get(0)?,
        item: row.get(1)?,
        quantity: row.get(2)?,
        account_id: row.get(3)?,
        status: if row.get(4)? { Status::Shipped } else { Status::Placed },
    })
}

/// The store could not do it.
#[derive(Debug)]
pub(crate) enum StoreError {
    Sqlite(rusqlite::Error),
    /// The job panicked, or the runtime ended before it began.
    Lost(JoinError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite(error)
    }
}

impl From<JoinError> for StoreError {
    fn from(error: JoinError) -> StoreError {
        StoreError::Lost(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Sqlite(error) => write!(f, "sqlite: {error}"),
            StoreError::Lost(error) => write!(f, "a job of the store was lost: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}
