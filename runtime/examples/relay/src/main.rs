//! Fetches pages for whoever is connected: a line is a URL, and the answer is a line.
//!
//! It is a program as one writes it for tokio, and reqwest, its client, asks for tokio's runtime.
//! Only `Cargo.toml` knows that it runs on forebear, with the feature `tokio-bridge`. What is logged
//! while reqwest is awaited has the number of the request all the same: it is awaited in our task.
//!
//! ```text
//! cargo run -p relay
//! echo http://127.0.0.1:8080/ | nc 127.0.0.1 7878
//! ```

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Client, Error};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal;
use tokio::time::{Duration, timeout};

tokio::task_local! {
    static REQUEST: u64;
}

/// A page that has not come by then is not fetched.
const PATIENCE: Duration = Duration::from_secs(10);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Says something, and which request it belongs to.
fn log(said: fmt::Arguments<'_>) {
    let request = REQUEST.try_with(u64::to_string).unwrap_or_else(|_| "-".to_owned());
    // Nobody may be there any more to hear it.
    let _ = writeln!(io::stdout().lock(), "request={request} {said}");
}

async fn fetch(client: &Client, url: &str) -> Result<String, Error> {
    let response = client.get(url).send().await?;
    log(format_args!("status={}", response.status().as_u16()));
    let (status, body) = (response.status(), response.text().await?);
    log(format_args!("bytes={}", body.len()));
    Ok(format!("{status}: {}", body.lines().next().unwrap_or_default()))
}

async fn answer(client: &Client, url: &str) -> String {
    log(format_args!("url={url}"));
    let answer = match timeout(PATIENCE, fetch(client, url)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => format!("error: {error}"),
        Err(late) => format!("error: {late}"),
    };
    log(format_args!("answer={answer:?}"));
    answer
}

async fn serve(client: Client, mut stream: TcpStream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut urls = BufReader::new(reader).lines();
    while let Some(url) = urls.next_line().await? {
        // Relaxed: all that counts is that no number comes twice.
        let request = NEXT.fetch_add(1, Ordering::Relaxed);
        let answer = REQUEST.scope(request, answer(&client, &url)).await;
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::var("RELAY_ADDRESS").unwrap_or_else(|_| "127.0.0.1:7878".to_owned());
    let listener = TcpListener::bind(address).await?;
    log(format_args!("address={}", listener.local_addr()?));
    let client = Client::new();
    loop {
        tokio::select! {
            pressed = signal::ctrl_c() => return pressed,
            accepted = listener.accept() => {
                tokio::spawn(serve(client.clone(), accepted?.0));
            }
        }
    }
}
