//! Sends back what comes, over TLS, and is its own first client.
//!
//! With an argument it goes on: `openssl s_client -connect 127.0.0.1:7002`.

#![allow(clippy::print_stdout, reason = "there is nothing else to say it with")]

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use forebear::io::{AsyncReadExt, AsyncWriteExt};
use forebear::net::{TcpListener, TcpStream};
use forebear::time::{Duration, timeout};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

async fn echo(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
    let mut stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.shutdown().await,
            read => {
                stream.write_all(&buffer[..read]).await?;
                stream.flush().await?;
            }
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let acceptor = acceptor.clone();
        forebear::spawn(async move {
            if let Err(error) = echo(stream, acceptor).await {
                println!("{peer}: {error}");
            }
        });
    }
}

async fn ask(address: SocketAddr, trusted: CertificateDer<'static>) -> Result<(), Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    let mut said = [0; 5];
    stream.read_exact(&mut said).await?;
    println!("it says {}", String::from_utf8_lossy(&said));
    Ok(stream.shutdown().await?)
}

#[forebear::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A certificate for this run only, signed by nobody but itself.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let certificate = made.cert.der().clone();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let here = listener.local_addr()?;
    println!("tls_echo listens on {here}");
    let serving = forebear::spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));
    ask(here, certificate).await?;
    if address.is_some() {
        serving.await??;
    }
    Ok(())
}
