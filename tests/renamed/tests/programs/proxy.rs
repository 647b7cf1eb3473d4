//! Passes connections on to another server, both ways, until both sides have said all they have to.

use std::env;
use std::io;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A server that has not answered by then is not there.
const PATIENCE: Duration = Duration::from_secs(5);

async fn pass_on(mut inbound: TcpStream, server: String) -> io::Result<()> {
    let connect = timeout(PATIENCE, TcpStream::connect(server));
    let mut outbound = connect.await??;
    outbound.set_nodelay(true)?;
    let (sent, received) = copy_bidirectional(&mut inbound, &mut outbound).await?;
    crate::support::log(format_args!("passed {sent} and {received} bytes"));
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> io::Result<()> {
    let server = env::var("SERVER").map_err(io::Error::other)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::support::announce(listener.local_addr()?);
    while let Ok((inbound, _)) = listener.accept().await {
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = pass_on(inbound, server).await {
                crate::support::log(format_args!("not passed on: {error}"));
            }
        });
    }
    Ok(())
}
