//! Makes a server that speaks TLS, and clients that trust it.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::sync::Arc;

use forebear::interop::hyper::TokioIo;
use forebear::serve;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::app::App;
use crate::support::{Server, ms};

/// Who `localhost` is, for both sides.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    roots: RootCertStore,
    pub(crate) pem: String,
}

impl Tls {
    pub(crate) fn new() -> Tls {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let certificate = made.cert.der().clone();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        Tls { acceptor: TlsAcceptor::from(Arc::new(config)), roots, pem: made.cert.pem() }
    }

    pub(crate) fn connector(&self, protocol: &[u8]) -> TlsConnector {
        let mut config = ClientConfig::builder()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// Starts the app behind it.
    pub(crate) fn serve(&self) -> Server {
        let acceptor = self.acceptor.clone();
        Server::start(|listener| {
            serve::serve(listener, App::default()).head_timeout(ms(500)).handshake(move |stream| {
                let acceptor = acceptor.clone();
                async move { acceptor.accept(stream).await.map(TokioIo::new) }
            })
        })
    }
}
