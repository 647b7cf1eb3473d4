//! Keeps orders in SQLite.
//!
//! SQLite blocks, so every access is a job of the blocking pool. There is one connection, since
//! SQLite writes one thing at a time anyway; jobs wait for it on threads that may wait.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebear::task;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::order::{NewOrder, Order, Status};
use crate::store::{Counts, StoreError};

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
pub(crate) struct Sqlite {
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    /// Opens the file, or makes it.
    pub(super) async fn open(path: &Path) -> Result<Sqlite, StoreError> {
        let path = path.to_owned();
        let opening =
            task::Builder::new().name("store.open").spawn_blocking(move || connect(&path));
        Ok(Sqlite { connection: Arc::new(Mutex::new(opening.await??)) })
    }

    /// Stores an order, which gets its id here.
    pub(super) async fn place(&self, new: NewOrder) -> Result<Order, StoreError> {
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
    pub(super) async fn find(&self, id: i64) -> Result<Option<Order>, StoreError> {
        self.run("store.find", move |connection| {
            let select =
                "SELECT id, item, quantity, account_id, is_shipped FROM orders WHERE id = ?1";
            connection.prepare_cached(select)?.query_row([id], order).optional()
        })
        .await
    }

    /// Marks an order as shipped.
    pub(super) async fn ship(&self, id: i64) -> Result<(), StoreError> {
        self.run("store.ship", move |connection| {
            let update = "UPDATE orders SET is_shipped = 1 WHERE id = ?1";
            connection.prepare_cached(update)?.execute([id]).map(drop)
        })
        .await
    }

    /// Returns the ids and accounts of what has not been shipped.
    pub(super) async fn unshipped(&self) -> Result<Vec<(i64, String)>, StoreError> {
        self.run("store.unshipped", |connection| {
            let select = "SELECT id, account_id FROM orders WHERE NOT is_shipped ORDER BY id";
            let mut select = connection.prepare_cached(select)?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
        .await
    }

    /// Counts the orders.
    pub(super) async fn count(&self) -> Result<Counts, StoreError> {
        self.run("store.count", |connection| {
            let select = "SELECT count(*), coalesce(sum(is_shipped), 0) FROM orders";
            connection
                .prepare_cached(select)?
                .query_row([], |row| Ok(Counts { placed: row.get(0)?, shipped: row.get(1)? }))
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
