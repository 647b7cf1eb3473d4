//! Reads the settings from the environment: every knob of the service, with its unit and its default.
//!
//! Called once, by `main`.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use redis::{ConnectionInfo, IntoConnectionInfo};

/// Everything that can be set from outside.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `PORT`: where to listen, on the loopback interface only. 0 lets the system choose.
    pub(crate) port: u16,
    /// `DATABASE_URL`: where orders are kept, see [`Database`].
    pub(crate) database: Database,
    /// The server through whose stream orders go to be shipped; without it they go through the memory
    /// of this process.
    pub(crate) redis: Option<RedisConfig>,
    /// Whom to tell of what is shipped, if anybody.
    pub(crate) carrier: Option<CarrierConfig>,
    /// `SHIP_AFTER_MS`: how long after an order was placed it is shipped.
    pub(crate) ship_after: Duration,
    /// `ROUNDS_EVERY_MS`: how often the rounds are made.
    pub(crate) rounds_every: Duration,
    /// `SHUTDOWN_MS`: how long the end waits for requests and orders that are in flight.
    pub(crate) shutdown: Duration,
    pub(crate) limits: Limits,
}

/// Where orders are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// A path, `sqlite:` before it or not.
    Sqlite(PathBuf),
    /// `postgres://…` or `postgresql://…`.
    Postgres(Box<tokio_postgres::Config>),
}

/// The server that carries orders to be shipped.
#[derive(Clone, Debug)]
pub(crate) struct RedisConfig {
    /// `REDIS_URL`: where it is, `redis://…`.
    pub(crate) info: ConnectionInfo,
    /// `RECLAIM_AFTER_MS`: what was taken so long ago, and is not done, was left by somebody who has
    /// ended. Longer than shipping takes, with all its tries.
    pub(crate) reclaim_after: Duration,
}

/// Who is told of what is shipped.
#[derive(Clone, Debug)]
pub(crate) struct CarrierConfig {
    /// `CARRIER_URL`: where parcels are posted, `http://…`.
    pub(crate) url: Uri,
    /// `CARRIER_TIMEOUT_MS`: how long all tries may take together.
    pub(crate) within: Duration,
}

/// What one client may take of the service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `MAX_CONNECTIONS`: how many are served at once; the next ones wait in the system's backlog.
    pub(crate) connections_max: usize,
    /// `HEADER_TIMEOUT_MS`: how long the head of a request may take.
    pub(crate) header_timeout: Duration,
    /// `BODY_TIMEOUT_MS`: how long the body of a request may take.
    pub(crate) body_timeout: Duration,
    /// `IDLE_TIMEOUT_MS`: how long a connection may be there without a request.
    pub(crate) idle_timeout: Duration,
    /// `WRITE_TIMEOUT_MS`: how long a client may take nothing of an answer.
    pub(crate) write_timeout: Duration,
    /// `SHUTDOWN_MS`, as above.
    pub(crate) shutdown: Duration,
}

impl Config {
    pub(crate) fn from_env() -> Result<Config, ConfigError> {
        let shutdown = millis("SHUTDOWN_MS", 10_000)?;
        let carrier = match text("CARRIER_URL") {
            Some(url) => Some(CarrierConfig {
                url: parse("CARRIER_URL", url)?,
                within: millis("CARRIER_TIMEOUT_MS", 5_000)?,
            }),
            None => None,
        };
        let redis = match text("REDIS_URL") {
            Some(url) => Some(RedisConfig {
                info: redis_info(url)?,
                reclaim_after: millis("RECLAIM_AFTER_MS", 60_000)?,
            }),
            None => None,
        };
        Ok(Config {
            port: number("PORT", 8080)?,
            database: database(text("DATABASE_URL"))?,
            redis,
            carrier,
            ship_after: millis("SHIP_AFTER_MS", 10_000)?,
            rounds_every: millis("ROUNDS_EVERY_MS", 60_000)?,
            shutdown,
            limits: Limits {
                connections_max: number("MAX_CONNECTIONS", 1024)?,
                header_timeout: millis("HEADER_TIMEOUT_MS", 10_000)?,
                body_timeout: millis("BODY_TIMEOUT_MS", 10_000)?,
                idle_timeout: millis("IDLE_TIMEOUT_MS", 75_000)?,
                write_timeout: millis("WRITE_TIMEOUT_MS", 10_000)?,
                shutdown,
            },
        })
    }
}

fn database(url: Option<String>) -> Result<Database, ConfigError> {
    let Some(url) = url else {
        return Ok(Database::Sqlite(env::temp_dir().join("forebear-orders.db")));
    };
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Database::Postgres(Box::new(parse("DATABASE_URL", url)?)));
    }
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    Ok(Database::Sqlite(PathBuf::from(path.unwrap_or(&url))))
}

fn redis_info(url: String) -> Result<ConnectionInfo, ConfigError> {
    let info = url.as_str().into_connection_info();
    info.map_err(|_| ConfigError { name: "REDIS_URL", text: url })
}

/// Without a password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => path.display().fmt(f),
            Database::Postgres(config) => {
                write!(f, "the PostgreSQL database {}", config.get_dbname().unwrap_or("postgres"))
            }
        }
    }
}

fn text(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn parse<T: FromStr>(name: &'static str, text: String) -> Result<T, ConfigError> {
    text.parse().map_err(|_| ConfigError { name, text })
}

fn millis(name: &'static str, default: u64) -> Result<Duration, ConfigError> {
    number(name, default).map(Duration::from_millis)
}

fn number<T: FromStr>(name: &'static str, default: T) -> Result<T, ConfigError> {
    text(name).map_or(Ok(default), |text| parse(name, text))
}

/// A variable of the environment is not what it should be.
#[derive(Debug)]
pub(crate) struct ConfigError {
    name: &'static str,
    text: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} is not what it should be", self.name, self.text)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_a_path_with_or_without_its_scheme() {
        let check = |url: &str, want: &str| {
            let want = Database::Sqlite(PathBuf::from(want));
            assert_eq!(database(Some(url.to_owned())).unwrap(), want, "{url}");
        };
        check("sqlite:///var/orders.db", "/var/orders.db");
        check("sqlite:orders.db", "orders.db");
        check("orders.db", "orders.db");
    }

    #[test]
    fn a_database_url_may_name_a_server_and_its_password_is_not_shown() {
        let url = "postgres://me:secret@localhost:5433/shop";
        let Database::Postgres(config) = database(Some(url.to_owned())).unwrap() else {
            panic!("{url} is no path");
        };
        assert_eq!((config.get_dbname(), config.get_ports()), (Some("shop"), &[5433][..]));
        let shown = Database::Postgres(config).to_string();
        assert_eq!(shown, "the PostgreSQL database shop");
        let error = database(Some("postgres://me@localhost:port".to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("DATABASE_URL="), "{error}");
    }
}
