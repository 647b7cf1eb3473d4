//! Lets everybody who is connected read what one of them writes: `nc 127.0.0.1 7001`.
//!
//! Each line is a flow: what is done because of it carries the name of who wrote it.

#![allow(clippy::print_stdout, reason = "there is nothing else to say it with")]

use std::io;

use forebear::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use forebear::net::{TcpListener, TcpStream};
use forebear::sync::broadcast::{self, Sender, error::RecvError};
use forebear::{fields, flow, select};

/// What was said, and by whom.
type Line = (String, String);

async fn talk(stream: TcpStream, room: Sender<Line>) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"Who are you? ").await?;
    let Some(name) = lines.next_line().await? else { return Ok(()) };
    let mut others = room.subscribe();
    say(&room, &name, "is here").await;
    loop {
        select! {
            line = lines.next_line() => match line? {
                Some(line) => say(&room, &name, &line).await,
                None => break,
            },
            said = others.recv() => match said {
                Ok((who, line)) if who != name => {
                    writing.write_all(format!("{who}: {line}\n").as_bytes()).await?;
                }
                Ok(_) => {}
                // Who reads too slowly misses something, and is told.
                Err(RecvError::Lagged(missed)) => {
                    writing.write_all(format!("({missed} lines missed)\n").as_bytes()).await?;
                }
                Err(RecvError::Closed) => break,
            },
        }
    }
    say(&room, &name, "is gone").await;
    Ok(())
}

async fn say(room: &Sender<Line>, name: &str, line: &str) {
    flow("say", async {
        fields::set("name", name.to_owned());
        // Nobody else may be there.
        let _ = room.send((name.to_owned(), line.to_owned()));
        log(line);
    })
    .await;
}

fn log(line: &str) {
    fields::for_each(|key, value| println!("{key}={value} line={line:?}"));
}

#[forebear::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7001".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("chat listens on {}", listener.local_addr()?);
    let room = Sender::new(64);
    loop {
        let (stream, peer) = listener.accept().await?;
        let room: broadcast::Sender<Line> = room.clone();
        forebear::spawn(async move {
            if let Err(error) = talk(stream, room).await {
                println!("{peer}: {error}");
            }
        });
    }
}
