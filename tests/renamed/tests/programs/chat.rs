//! Lets everybody who is connected talk to everybody else, a line at a time.
//!
//! The first line that somebody sends is their name.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

/// Nobody may say more at once.
const LINE_MAX_BYTES: usize = 1024;

/// Who is connected, and how each is reached.
#[derive(Default)]
struct Room {
    peers: Mutex<HashMap<SocketAddr, mpsc::UnboundedSender<String>>>,
}

impl Room {
    /// Tells everybody but one, who said it.
    fn tell(&self, by: SocketAddr, line: &str) {
        let peers = self.peers.lock().unwrap();
        for (_, peer) in peers.iter().filter(|(address, _)| **address != by) {
            // Whoever is about to leave need not hear it.
            let _ = peer.send(line.to_owned());
        }
    }
}

/// Somebody in the room, until this is dropped.
struct Seat {
    room: Arc<Room>,
    address: SocketAddr,
    name: String,
}

impl Seat {
    fn take(
        room: Arc<Room>,
        address: SocketAddr,
        name: String,
    ) -> (Seat, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        room.tell(address, &format!("{name} has come"));
        room.peers.lock().unwrap().insert(address, sender);
        (Seat { room, address, name }, receiver)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.peers.lock().unwrap().remove(&self.address);
        self.room.tell(self.address, &format!("{} has gone", self.name));
    }
}

async fn serve(
    room: Arc<Room>,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<(), LinesCodecError> {
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(LINE_MAX_BYTES));
    lines.send("who are you?").await?;
    let Some(name) = lines.next().await.transpose()? else { return Ok(()) };
    let (seat, mut others) = Seat::take(room, address, name);
    lines.send(format!("hello {}", seat.name)).await?;
    loop {
        tokio::select! {
            Some(line) = others.recv() => lines.send(line).await?,
            line = lines.next() => match line.transpose()? {
                Some(line) => seat.room.tell(address, &format!("{}: {line}", seat.name)),
                None => return Ok(()),
            },
        }
    }
}

#[tokio::main]
pub(crate) async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::support::announce(listener.local_addr()?);
    let room = Arc::new(Room::default());
    loop {
        let (stream, address) = listener.accept().await?;
        let room = room.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(room, stream, address).await {
                crate::support::log(format_args!("{address} is disconnected: {error}"));
            }
        });
    }
}
