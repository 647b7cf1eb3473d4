//! Keeps orders in PostgreSQL, over a few connections that belong to no request.
//!
//! A connection is opened by a root: a task with an empty context and a link to the request that
//! happened to need it. So it keeps nothing of that request alive. While a request uses one, there is
//! a resource of the kind `BORROW`, whose trigger is the request and whose link is the socket.

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use forebear::hooks::{AsyncId, AsyncResource, Kind};
use forebear::net::{TcpStream, UnixStream};
use forebear::spawn_root;
use forebear::time::{Duration, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use crate::log;
use crate::order::{NewOrder, Order, Status};
use crate::store::{Counts, StoreError};

/// How many connections there are at most.
const CONNECTIONS_MAX: usize = 8;

/// How long a connection may be waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the use of a pooled connection is.
static BORROW: LazyLock<Kind> = LazyLock::new(|| Kind::new("BORROW"));

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        item       text    NOT NULL,
        quantity   bigint  NOT NULL,
        account_id text    NOT NULL,
        is_shipped boolean NOT NULL DEFAULT false
    );
    CREATE INDEX IF NOT EXISTS orders_to_ship ON orders (id) WHERE NOT is_shipped;
";

/// The orders, with a server.
#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    pool: managed::Pool<Manager>,
}

impl Postgres {
    /// Connects once, and makes the table.
    pub(super) async fn open(config: &Config) -> Result<Postgres, StoreError> {
        let manager = Manager { config: config.clone() };
        let pool = managed::Pool::builder(manager).max_size(CONNECTIONS_MAX).build();
        let pool = pool.map_err(|error| io::Error::other(error.to_string()))?;
        let postgres = Postgres { pool };
        postgres.connection().await?.client.batch_execute(SCHEMA).await?;
        Ok(postgres)
    }

    pub(super) async fn place(&self, new: NewOrder) -> Result<Order, StoreError> {
        let NewOrder { item, quantity, account_id } = new;
        let insert =
            "INSERT INTO orders (item, quantity, account_id) VALUES ($1, $2, $3) RETURNING id";
        let amount = i64::from(quantity);
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&item, Type::TEXT), (&amount, Type::INT8), (&account_id, Type::TEXT)];
        let rows = self.query("place order", insert, &values).await?;
        let id = rows.first().ok_or_else(nothing)?.try_get(0)?;
        Ok(Order { id, item, quantity, account_id, status: Status::Placed })
    }

    pub(super) async fn find(&self, id: i64) -> Result<Option<Order>, StoreError> {
        let select = "SELECT id, item, quantity, account_id, is_shipped FROM orders WHERE id = $1";
        let rows = self.query("find order", select, &[(&id, Type::INT8)]).await?;
        rows.first().map(order).transpose()
    }

    pub(super) async fn ship(&self, id: i64) -> Result<(), StoreError> {
        let update = "UPDATE orders SET is_shipped = true WHERE id = $1";
        self.query("ship order", update, &[(&id, Type::INT8)]).await.map(drop)
    }

    pub(super) async fn unshipped(&self) -> Result<Vec<(i64, String)>, StoreError> {
        let select = "SELECT id, account_id FROM orders WHERE NOT is_shipped ORDER BY id";
        let rows = self.query("find what is unshipped", select, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    pub(super) async fn count(&self) -> Result<Counts, StoreError> {
        let select = "SELECT count(*), count(*) FILTER (WHERE is_shipped) FROM orders";
        let rows = self.query("count orders", select, &[]).await?;
        let row = rows.first().ok_or_else(nothing)?;
        Ok(Counts { placed: row.try_get(0)?, shipped: row.try_get(1)? })
    }

    /// Borrows a connection for one statement, which goes out and comes back at once.
    async fn query(
        &self,
        name: &'static str,
        statement: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        let connection = self.connection().await?;
        let borrow = AsyncResource::builder(*BORROW).name(name).link(connection.socket).build();
        let rows = borrow.scope(connection.client.query_typed(statement, values)).await?;
        borrow.emit_destroy();
        Ok(rows)
    }

    async fn connection(&self) -> Result<managed::Object<Manager>, StoreError> {
        Ok(timeout(PATIENCE, self.pool.get()).await??)
    }
}

/// Only a server that does not know SQL could bring it here.
fn nothing() -> StoreError {
    StoreError::Connection(io::Error::other("the server answers with no row"))
}

fn order(row: &Row) -> Result<Order, StoreError> {
    let quantity: i64 = row.try_get(2)?;
    Ok(Order {
        id: row.try_get(0)?,
        item: row.try_get(1)?,
        quantity: u32::try_from(quantity).unwrap_or(u32::MAX),
        account_id: row.try_get(3)?,
        status: if row.try_get(4)? { Status::Shipped } else { Status::Placed },
    })
}

/// Opens connections, and says which can be used again.
#[derive(Debug)]
pub(crate) struct Manager {
    config: Config,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    socket: AsyncId,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = StoreError;

    async fn create(&self) -> Result<Connection, StoreError> {
        // A task, so that what is begun is not lost if the request is taken back.
        spawn_root(connect(self.config.clone())).await?
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<StoreError> {
        if connection.client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

/// Connects to the first server that can be reached.
async fn connect(config: Config) -> Result<Connection, StoreError> {
    let ports = config.get_ports();
    let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "no host is named");
    for (index, host) in config.get_hosts().iter().enumerate() {
        // There is a port for each, or one for all, or none.
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let connected = match host {
            Host::Tcp(name) => reach_tcp(&config, (name, port)).await,
            Host::Unix(folder) => reach_unix(&config, folder, port).await,
        };
        match connected {
            Err(StoreError::Connection(error)) => refused = error,
            decided => return decided,
        }
    }
    Err(refused.into())
}

async fn reach_tcp(config: &Config, address: (&str, u16)) -> Result<Connection, StoreError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    begin(config, stream.id(), stream).await
}

async fn reach_unix(config: &Config, folder: &Path, port: u16) -> Result<Connection, StoreError> {
    let stream = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?;
    begin(config, stream.id(), stream).await
}

async fn begin<S>(config: &Config, socket: AsyncId, stream: S) -> Result<Connection, StoreError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    // It ends with the client, or with the server.
    drop(forebear::task::Builder::new().name("postgres").spawn(async move {
        if let Err(error) = connection.await {
            log::warn("a connection to the database has ended", &[("error", &error)]);
        }
    }));
    Ok(Connection { client, socket })
}
