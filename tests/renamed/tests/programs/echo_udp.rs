//! Sends messages back to where they came from.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// No message of the protocol is longer.
const MESSAGE_MAX_BYTES: usize = 65_535;

struct Server {
    socket: UdpSocket,
    buffer: Vec<u8>,
    /// What is to be sent back, and to whom.
    owed: Option<(usize, SocketAddr)>,
}

impl Server {
    async fn run(mut self) -> io::Result<()> {
        loop {
            if let Some((length, peer)) = self.owed.take() {
                let sent = self.socket.send_to(&self.buffer[..length], peer).await?;
                crate::support::log(format_args!("{sent} of {length} bytes to {peer}"));
            }
            self.owed = Some(self.socket.recv_from(&mut self.buffer).await?);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    crate::support::announce(socket.local_addr()?);
    Server { socket, buffer: vec![0; MESSAGE_MAX_BYTES], owed: None }.run().await
}
