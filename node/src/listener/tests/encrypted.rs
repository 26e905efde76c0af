//! The same over TLS, with certificates made here.

use super::super::tls::TlsError;
use super::*;
use std::path::Path;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Writes a new certificate for `localhost` and its key.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn load(folder: &Path) -> Result<Tls, TlsError> {
    Tls::load(&folder.join("certificate.pem"), &folder.join("key.pem"))
}

/// Connects as somebody who trusts this certificate alone.
async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn hello_over(mut stream: TlsStream<TcpStream>) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_certificate_is_renewed_while_people_are_connected() {
    let folder = tempfile::tempdir().unwrap();
    let old = certify(folder.path());
    let tls = load(folder.path()).unwrap();
    let mut server = start(Limits::default(), Some(tls.clone())).await;

    let before = within(connect(server.address, &old)).await.unwrap();
    let new = certify(folder.path());
    assert!(within(connect(server.address, &new)).await.is_err());
    tls.reload().unwrap();
    assert!(within(connect(server.address, &old)).await.is_err());
    let after = within(connect(server.address, &new)).await.unwrap();
    for stream in [before, after] {
        assert!(hello_over(stream).await.ends_with("hello"));
        assert!(within(server.peers.recv()).await.unwrap().tls);
    }

    // What is refused changes nothing.
    std::fs::write(folder.path().join("key.pem"), "not a key").unwrap();
    let refused = tls.reload().unwrap_err().to_string();
    assert!(refused.contains("key.pem"), "{refused}");
    let still = within(connect(server.address, &new)).await.unwrap();
    assert!(hello_over(still).await.ends_with("hello"));
}

#[tokio::test]
async fn who_never_agrees_on_a_key_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let limits = short(|times| times.handshake = Duration::from_millis(100));
    let server = start(limits, Some(load(folder.path()).unwrap())).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    assert!(is_over(&mut client).await);
}

#[tokio::test]
async fn the_switch_ends_an_encrypted_connection() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certify(folder.path());
    let limits = short(|times| times.write_stall = 10 * PATIENCE);
    let mut server = start(limits, Some(load(folder.path()).unwrap())).await;
    let mut client = within(connect(server.address, &certificate)).await.unwrap();
    let request = b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(request).await.unwrap();
    within(server.peers.recv()).await.unwrap().abort();
    within(server.given_up.recv()).await.unwrap();
}

#[test]
fn what_is_no_certificate_is_refused_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = load(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("certificate.pem"), "{refused}");

    std::fs::write(folder.path().join("certificate.pem"), "nothing").unwrap();
    let refused = load(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("certificate.pem"), "{refused}");

    certify(folder.path());
    let key = std::fs::read(folder.path().join("key.pem")).unwrap();
    certify(folder.path());
    std::fs::write(folder.path().join("key.pem"), key).unwrap();
    let refused = load(folder.path()).unwrap_err();
    assert!(matches!(refused, TlsError::Unfit { .. }), "{refused}");
}
