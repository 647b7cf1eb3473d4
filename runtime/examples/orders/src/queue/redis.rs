//! Is the queue as a stream of Redis, with one group of consumers to which every process of the
//! service belongs.
//!
//! | step | command | says |
//! |---|---|---|
//! | open | `XGROUP CREATE … MKSTREAM` | the group is there; that it was there already is no error |
//! | put | `XADD *` | a parcel is in the stream |
//! | take | `XREADGROUP … COUNT 1 BLOCK … >` | it is ours, and pending |
//! | done | `XACK`, `XDEL` in one transaction | it is pending no more, and gone |
//! | reclaim | `XAUTOCLAIM` | what was pending with anybody for too long is ours |
//!
//! Nothing is lost when a process ends: what it had taken is pending until somebody reclaims it. So a
//! parcel may be delivered twice, and shipping one twice does nothing.
//!
//! There are two connections, because the one that waits for parcels is blocked while it does. Both
//! are roots, so that neither keeps the request alive that needed it first.

use std::collections::HashMap;
use std::time::Duration;

use forebear::net::{TcpStream, UnixStream};
use forebear::spawn_root;
use forebear::time::timeout;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    RedisError, RedisResult, cmd, from_redis_value, pipe,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use crate::config::RedisConfig;
use crate::queue::{Delivery, QueueError};
use crate::shipping::Parcel;

/// The stream, and the group of those who read it.
const STREAM: &str = "orders:to-ship";
const GROUP: &str = "shippers";

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long Redis waits for a parcel before it says that there is none. Less than [`PATIENCE`].
const BLOCK_MS: u64 = 2_000;

/// So many are reclaimed at once.
const RECLAIM_MAX: usize = 100;

/// The queue.
#[derive(Debug)]
pub(crate) struct RedisQueue {
    info: ConnectionInfo,
    reclaim_after_ms: u64,
    /// By which name the group knows this process.
    consumer: String,
    sending: Line,
    taking: Line,
}

/// A connection, or the place for one.
type Line = Mutex<Option<Connected>>;

#[derive(Clone)]
struct Connected(MultiplexedConnection);

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connected")
    }
}

impl RedisQueue {
    /// Connects once, and makes the stream and the group.
    pub(super) async fn open(config: &RedisConfig) -> Result<RedisQueue, QueueError> {
        let info = config.info.clone();
        let reclaim_after_ms = u64::try_from(config.reclaim_after.as_millis()).unwrap_or(u64::MAX);
        let consumer = format!("orders-{}", std::process::id());
        let (sending, taking) = (Line::default(), Line::default());
        let queue = RedisQueue { info, reclaim_after_ms, consumer, sending, taking };
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(STREAM).arg(GROUP).arg("0").arg("MKSTREAM");
        match queue.ask::<()>(&queue.sending, &create).await {
            Err(QueueError::Redis(error)) if error.code() == Some("BUSYGROUP") => Ok(queue),
            made => made.map(|()| queue),
        }
    }

    pub(super) async fn put(&self, parcel: Parcel) -> Result<(), QueueError> {
        let Parcel { order, account_id, request_id, .. } = parcel;
        let mut add = cmd("XADD");
        add.arg(STREAM).arg("*").arg("order").arg(order);
        add.arg("accountId").arg(account_id).arg("requestId").arg(request_id);
        self.ask::<String>(&self.sending, &add).await.map(drop)
    }

    pub(super) async fn take(&self) -> Result<Delivery, QueueError> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(1);
        read.arg("BLOCK").arg(BLOCK_MS).arg("STREAMS").arg(STREAM).arg(">");
        loop {
            // `None` is what it says when no parcel came.
            let reply: Option<StreamReadReply> = self.ask(&self.taking, &read).await?;
            let streams = reply.unwrap_or_default().keys;
            if let Some(entry) = streams.into_iter().flat_map(|stream| stream.ids).next() {
                return self.delivery(entry).await;
            }
        }
    }

    pub(super) async fn done(&self, entry: &str) -> Result<(), QueueError> {
        let mut done = pipe();
        done.atomic().cmd("XACK").arg(STREAM).arg(GROUP).arg(entry).ignore();
        done.cmd("XDEL").arg(STREAM).arg(entry).ignore();
        let mut connection = self.connection(&self.sending).await?;
        let asked = timeout(PATIENCE, done.query_async::<()>(&mut connection.0)).await;
        self.judge(&self.sending, asked?).await
    }

    pub(super) async fn reclaim(&self) -> Result<Vec<Delivery>, QueueError> {
        let mut claim = cmd("XAUTOCLAIM");
        claim.arg(STREAM).arg(GROUP).arg(&self.consumer).arg(self.reclaim_after_ms).arg("0-0");
        claim.arg("COUNT").arg(RECLAIM_MAX);
        let reply: StreamAutoClaimReply = self.ask(&self.sending, &claim).await?;
        let mut deliveries = Vec::new();
        for entry in reply.claimed {
            deliveries.push(self.delivery(entry).await?);
        }
        Ok(deliveries)
    }

    /// Makes a parcel of an entry, or throws it away, so that it does not come again and again.
    async fn delivery(&self, entry: StreamId) -> Result<Delivery, QueueError> {
        let StreamId { id, map, .. } = entry;
        match parcel(map) {
            Some(parcel) => Ok(Delivery { parcel, entry: id }),
            None => {
                self.done(&id).await?;
                Err(QueueError::NoParcel(id))
            }
        }
    }

    async fn ask<T: FromRedisValue>(&self, line: &Line, command: &Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection(line).await?;
        let asked = timeout(PATIENCE, command.query_async(&mut connection.0)).await;
        if asked.is_err() {
            // Who does not answer will not be asked again.
            *line.lock().await = None;
        }
        self.judge(line, asked?).await
    }

    /// Lets go of a connection that is no more.
    async fn judge<T>(&self, line: &Line, asked: RedisResult<T>) -> Result<T, QueueError> {
        if asked.as_ref().is_err_and(RedisError::is_unrecoverable_error) {
            *line.lock().await = None;
        }
        Ok(asked?)
    }

    async fn connection(&self, line: &Line) -> Result<Connected, QueueError> {
        let mut line = line.lock().await;
        if let Some(connected) = &*line {
            return Ok(connected.clone());
        }
        let connecting = spawn_root(timeout(PATIENCE, connect(self.info.clone())));
        let connected = connecting.await.map_err(std::io::Error::from)??;
        Ok(line.insert(connected?).clone())
    }
}

async fn connect(info: ConnectionInfo) -> Result<Connected, QueueError> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            begin(&info, stream).await
        }
        ConnectionAddr::Unix(path) => begin(&info, UnixStream::connect(path).await?).await,
        _ => {
            let error = (ErrorKind::InvalidClientConfig, "no TLS is spoken with Redis here");
            Err(RedisError::from(error).into())
        }
    }
}

async fn begin<S>(info: &ConnectionInfo, stream: S) -> Result<Connected, QueueError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The library's own limit would ask for a timer of tokio's; ours is around every command.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let settings = info.redis_settings();
    let begun = MultiplexedConnection::new_with_config(settings, stream, config).await?;
    let (connection, driver) = begun;
    // It ends with the last handle, or with the server.
    drop(forebear::task::Builder::new().name("redis").spawn(driver));
    Ok(Connected(connection))
}

fn parcel(mut map: HashMap<String, redis::Value>) -> Option<Parcel> {
    let mut text = |key: &str| map.remove(key).and_then(|v| from_redis_value::<String>(v).ok());
    Some(Parcel {
        order: text("order")?.parse().ok()?,
        account_id: text("accountId")?,
        request_id: text("requestId")?,
        origin: None,
    })
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn an_entry_is_a_parcel_only_if_it_has_all_of_one() {
        let entry = |pairs: &[(&str, &str)]| {
            let value = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            pairs.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect()
        };
        let whole = [("order", "7"), ("accountId", "a-1"), ("requestId", "r-1")];
        let Some(Parcel { order, account_id, request_id, origin }) = parcel(entry(&whole)) else {
            panic!("{whole:?} is a parcel");
        };
        assert_eq!((order, &*account_id, &*request_id, origin), (7, "a-1", "r-1", None));
        assert_eq!(parcel(entry(&whole[..2])), None);
        assert_eq!(parcel(entry(&[("order", "x"), whole[1], whole[2]])), None);
    }
}
