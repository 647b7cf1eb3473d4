//! Runs jobs for whoever is connected: `run NAME MS`, `fail NAME`, `cancel NAME`, `cancel all`, `end`.
//!
//! The jobs of a connection are a set of their own, which ends with it. A signal ends them all.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The jobs of one connection.
struct Jobs {
    set: JoinSet<String>,
    by_name: HashMap<String, AbortHandle>,
    names: HashMap<Id, String>,
    /// Cancels all of them, gently: they may say a last word.
    all: CancellationToken,
}

impl Jobs {
    fn run(&mut self, name: &str, wait: Duration) {
        let (all, own) = (self.all.clone(), name.to_owned());
        self.add(name, async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => format!("{own} is done"),
                () = all.cancelled() => format!("{own} leaves off"),
            }
        });
    }

    fn fail(&mut self, name: &str) {
        let own = name.to_owned();
        // Without a word on standard error: it is part of the program.
        self.add(name, async move { std::panic::resume_unwind(Box::new(own)) });
    }

    fn add(&mut self, name: &str, job: impl Future<Output = String> + Send + 'static) {
        let handle = self.set.spawn(job);
        self.names.insert(handle.id(), name.to_owned());
        self.by_name.insert(name.to_owned(), handle);
    }

    fn cancel(&mut self, name: &str) {
        match (name, self.by_name.get(name)) {
            ("all", _) => self.all.cancel(),
            (_, Some(job)) => job.abort(),
            (_, None) => {}
        }
    }

    fn told(&mut self, joined: Result<(Id, String), JoinError>) -> String {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let name = self.names.remove(&id).unwrap_or_default();
        self.by_name.remove(&name);
        match joined {
            Ok((_, told)) => told,
            Err(error) if error.is_cancelled() => format!("{name} is cancelled"),
            Err(error) => {
                let payload = error.into_panic();
                format!("{:?} has failed", payload.downcast_ref::<String>())
            }
        }
    }
}

async fn serve(mut stream: TcpStream, all: CancellationToken) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    let (set, by_name, names) = (JoinSet::new(), HashMap::new(), HashMap::new());
    let mut jobs = Jobs { set, by_name, names, all };
    let mut is_open = true;
    while is_open || !jobs.set.is_empty() {
        tokio::select! {
            Some(joined) = jobs.set.join_next_with_id() => {
                let told = jobs.told(joined);
                writer.write_all(format!("{told}\n").as_bytes()).await?;
            }
            line = lines.next_line(), if is_open => {
                let line = line?.unwrap_or_else(|| "end".to_owned());
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["run", name, ms] => match ms.parse() {
                        Ok(ms) => jobs.run(name, Duration::from_millis(ms)),
                        Err(error) => writer.write_all(format!("{error}\n").as_bytes()).await?,
                    },
                    ["fail", name] => jobs.fail(name),
                    ["cancel", name] => jobs.cancel(name),
                    ["end"] => is_open = false,
                    _ => writer.write_all(b"there is no such command\n").await?,
                }
            }
        }
    }
    writer.write_all(b"nothing is left\n").await
}

#[tokio::main]
pub(crate) async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut asked_to_end = signal(SignalKind::terminate())?;
    crate::support::announce(listener.local_addr()?);
    let mut connections = JoinSet::new();
    let all = CancellationToken::new();
    loop {
        tokio::select! {
            _ = asked_to_end.recv() => break,
            accepted = listener.accept() => {
                connections.spawn(serve(accepted?.0, all.child_token()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    all.cancel();
    let count = connections.join_all().await.len();
    crate::support::log(format_args!("ended, with {count} connections"));
    Ok(())
}
