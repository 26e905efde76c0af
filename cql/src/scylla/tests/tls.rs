//! The way to the database over TLS, with certificates made here.
//!
//! A wire that begins in TLS and ends at a plain server stands for a database that speaks TLS:
//! what is looked at is whom the store believes, and with what it goes on.

use super::{message, server, settings, store, unique};
use crate::scylla::{ConnectError, CqlSettings, CqlStore};
use crate::{Append, ChannelName, Conversation, MessageId, Range, Store};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Where nobody is, for what is refused before anybody is asked.
const NOBODY: &str = "127.0.0.1:9";

/// Who signs certificates.
struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let authority = Authority {
            directory: tempfile::tempdir().unwrap(),
            issuer: Issuer::new(params, key),
        };
        std::fs::write(authority.file(), certificate.pem()).unwrap();
        authority
    }

    /// What `store.tls_ca` names.
    fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Somebody who can prove to be at that address.
    fn certifies(&self, address: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![address.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Where a wire begins that ends at the server.
async fn wire(acceptor: TlsAcceptor, server: &str) -> String {
    // At the server's own address: that is where a driver looks for the node it is told of.
    let (host, _) = server.rsplit_once(':').unwrap();
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // Who does not believe the certificate goes away; then nobody else is disturbed.
                let mut client = acceptor.accept(client).await?;
                let mut server = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    address.to_string()
}

fn over_tls(settings: CqlSettings, node: String, ca: &Path) -> CqlSettings {
    CqlSettings {
        nodes: vec![node],
        tls_ca: Some(ca.to_owned()),
        ..settings
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_over_tls_is_there() {
    let Some(direct) = store().await else { return };
    let settings = server(&direct.link.session.get_keyspace().unwrap()).unwrap();
    let [node] = settings.nodes.as_slice() else {
        println!("skipped: the wire in TLS has one end, several nodes are named");
        return;
    };
    let (host, _) = node.rsplit_once(':').unwrap();
    let authority = Authority::new();
    let wire = wire(authority.certifies(host), node).await;
    let settings = over_tls(settings, wire, &authority.file());
    let store = CqlStore::connect(settings).await.unwrap();

    let name = ChannelName::parse(&unique("tls")).unwrap();
    let channel = Conversation::Channel(name);
    let now = store.now().await.unwrap();
    let said = message(MessageId::at(now), &channel, "said over tls");
    assert_eq!(store.append(&said, None).await, Ok(Append::Kept));
    let newest = Range {
        before: None,
        after: None,
        limit: 10,
    };
    for store in [&store, &direct] {
        let page = store.history(&channel, newest).await.unwrap();
        assert_eq!(page.messages, std::slice::from_ref(&said));
    }
}

#[tokio::test]
async fn nobody_is_believed_but_whom_the_authority_has_certified_at_that_address() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (what, acceptor) in [
        ("a stranger's certificate", stranger.certifies("127.0.0.1")),
        ("another's certificate", authority.certifies("127.0.0.2")),
    ] {
        let wire = wire(acceptor, NOBODY).await;
        let settings = over_tls(settings(NOBODY), wire, &authority.file());
        // It may be renewed, so it is waited for.
        let Err(ConnectError::Unreachable(why)) = CqlStore::connect(settings).await else {
            panic!("{what} is believed");
        };
        assert!(why.contains("invalid peer certificate"), "{what}: {why}");
        let named = format!("store.tls_ca ({})", authority.file().display());
        assert!(why.contains(&named), "{what}: {why}");
    }
    // Who is certified is not to blame for what lies behind.
    let wire = wire(authority.certifies("127.0.0.1"), NOBODY).await;
    let settings = over_tls(settings(NOBODY), wire, &authority.file());
    match CqlStore::connect(settings).await {
        Err(ConnectError::Unreachable(why)) => assert!(!why.contains("tls_ca"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_certifies_nobody_can_not_be() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let whole = Authority::new();
    let whole = std::fs::read_to_string(whole.file()).unwrap();
    let contents = [
        None,
        Some(""),
        Some("not a certificate"),
        Some("-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"),
        Some(&whole[..whole.len() / 2]),
    ];
    for content in contents {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let settings = over_tls(settings(NOBODY), NOBODY.to_owned(), &file);
        match CqlStore::connect(settings).await {
            Err(ConnectError::Setting { key, why }) => {
                assert_eq!(key, "store.tls_ca");
                assert!(why.contains("ca.pem"), "{content:?}: {why}");
            }
            other => panic!("{content:?}: {other:?}"),
        }
    }
}
