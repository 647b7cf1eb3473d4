//! Reads the settings from the environment: every knob of the service, with its unit and its default.
//!
//! Called once, by `main`.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Everything that can be set from outside.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `PORT`: where to listen, on the loopback interface only. 0 lets the system choose.
    pub(crate) port: u16,
    /// `DATABASE_URL`: a path, `sqlite:` before it or not.
    pub(crate) database: PathBuf,
    /// `SHIP_AFTER_MS`: how long after an order was placed it is shipped.
    pub(crate) ship_after: Duration,
    /// `SHUTDOWN_MS`: how long the end waits for requests that are in flight.
    pub(crate) shutdown: Duration,
    pub(crate) limits: Limits,
}

/// What one client may take of the service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `MAX_CONNECTIONS`: how many are served at once; the next ones wait in the system's backlog.
    pub(crate) connections_max: u32,
    /// `HEADER_TIMEOUT_MS`: how long a request may take from one answer to the end of its own head.
    pub(crate) header_timeout: Duration,
    /// `BODY_TIMEOUT_MS`: how long the body of a request may take.
    pub(crate) body_timeout: Duration,
    /// `WRITE_TIMEOUT_MS`: how long a client may take nothing of an answer.
    pub(crate) write_timeout: Duration,
}

impl Config {
    pub(crate) fn from_env() -> Result<Config, ConfigError> {
        Ok(Config {
            port: number("PORT", 8080)?,
            database: database(env::var("DATABASE_URL").ok()),
            ship_after: millis("SHIP_AFTER_MS", 10_000)?,
            shutdown: millis("SHUTDOWN_MS", 10_000)?,
            limits: Limits {
                connections_max: number("MAX_CONNECTIONS", 1024)?,
                header_timeout: millis("HEADER_TIMEOUT_MS", 10_000)?,
                body_timeout: millis("BODY_TIMEOUT_MS", 10_000)?,
                write_timeout: millis("WRITE_TIMEOUT_MS", 10_000)?,
            },
        })
    }
}

fn database(url: Option<String>) -> PathBuf {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return env::temp_dir().join("forebear-orders.db");
    };
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    PathBuf::from(path.unwrap_or(&url))
}

fn millis(name: &'static str, default: u64) -> Result<Duration, ConfigError> {
    number(name, default).map(Duration::from_millis)
}

fn number<T: FromStr>(name: &'static str, default: T) -> Result<T, ConfigError> {
    match env::var(name) {
        Ok(text) => text.parse().map_err(|_| ConfigError { name, text }),
        Err(_) => Ok(default),
    }
}

/// A variable of the environment is not what it should be.
#[derive(Debug)]
pub(crate) struct ConfigError {
    name: &'static str,
    text: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} is not a number in its range", self.name, self.text)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_a_path_with_or_without_its_scheme() {
        let check = |url: &str, want: &str| {
            assert_eq!(database(Some(url.to_owned())), PathBuf::from(want), "{url}");
        };
        check("sqlite:///var/orders.db", "/var/orders.db");
        check("sqlite:orders.db", "orders.db");
        check("orders.db", "orders.db");
        assert!(database(None).starts_with(env::temp_dir()));
        assert!(database(Some(String::new())).starts_with(env::temp_dir()));
    }
}
