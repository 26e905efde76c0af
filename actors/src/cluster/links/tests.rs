use super::super::certificate::{Certificate, name as tls_name};
use super::ClusterLinks;
use crate::tests::{MemoryStore, World};
use cluster_config::{Member, MemberState, NodeName};
use cql::{Store, Swapped};
use futures::FutureExt;
use futures::future::join_all;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::sign::CertifiedKey;

/// Longer than a handshake and the time to appear in the view take together.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shows this, whether or not the key is the certificate's.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

fn shows(shown: Option<CertifiedKey>) -> TlsConnector {
    let made = Certificate::make().unwrap();
    let mut config = (**made.connector.config()).clone();
    config.client_auth_cert_resolver = Arc::new(Shows(shown.map(Arc::new)));
    Arc::new(config).into()
}

/// What a dialler shows who has made this certificate.
fn own(certificate: &Certificate) -> Arc<CertifiedKey> {
    let resolver = &certificate.connector.config().client_auth_cert_resolver;
    resolver
        .resolve(&[], &[SignatureScheme::ECDSA_NISTP256_SHA256])
        .unwrap()
}

async fn dial(at: SocketAddr, as_whom: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(at).await?;
    as_whom.connect(tls_name(), stream).await
}

/// What a dialler hears until it is shown out.
async fn hears(at: SocketAddr, as_whom: TlsConnector) -> Vec<u8> {
    let mut heard = Vec::new();
    let hearing = async {
        if let Ok(mut stream) = dial(at, &as_whom).await {
            // How it is shown out is not of interest.
            let _ = stream.read_to_end(&mut heard).await;
        }
    };
    let ended = timeout(PATIENCE, hearing).await;
    assert!(ended.is_ok(), "somebody who is no member was let in");
    heard
}

/// Puts a member with this certificate into the view, in the place of another one.
async fn is_member(world: &World, name: NodeName, shown: &Certificate, was: &[NodeName]) {
    let mut member = Member::new(name, MemberState::Joining);
    member.fingerprint = shown.fingerprint;
    let was: Vec<String> = was.iter().map(NodeName::to_string).collect();
    let row = (&*name.to_string(), &*member.row());
    let members = world.store.members().unwrap();
    loop {
        let version = members.members().await.unwrap().version;
        let changed = members.change(version, Some(row), &was).await;
        if changed.unwrap() == Swapped::Done {
            break;
        }
    }
    let cluster = &world.node().cluster;
    let is_read = || cluster.map().view.member(name).is_some();
    world.until("the view is read", is_read).await;
}

// Process groups are the process's, so no other test may have gates, and there is one node here.
#[tokio::test]
async fn a_link_needs_the_certificate_that_a_member_has_now_and_its_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let links = ClusterLinks::new(listener, at.to_string()).unwrap();
    let store = Arc::new(MemoryStore::shared());
    let world = World::linked(store, Some(links)).await;
    let [before, now, stranger] = [(); 3].map(|()| Certificate::make().unwrap());
    let [started, restarted] = [1, 2].map(|since| NodeName { slot: 100, since });

    is_member(&world, started, &before, &[]).await;
    let mut link = dial(at, &before.connector).await.unwrap();
    is_member(&world, restarted, &now, &[started]).await;
    let mut link_now = dial(at, &now.connector).await.unwrap();
    let refused = [
        // A certificate that the view never had.
        stranger.connector.clone(),
        // None.
        shows(None),
        // A member's, with a key that is not its own: certificates are no secrets.
        shows(Some(CertifiedKey::new(
            own(&now).cert.clone(),
            own(&stranger).key.clone(),
        ))),
        // A member's, of before it was started again.
        before.connector.clone(),
    ];
    let heard = join_all(refused.map(|as_whom| hears(at, as_whom))).await;
    assert_eq!(heard, vec![Vec::<u8>::new(); 4]);
    for link in [&mut link, &mut link_now] {
        let ended = link.read_u8().now_or_never();
        assert!(ended.is_none(), "a member was shown out: {ended:?}");
    }
    assert!(world.node().cluster.lease_holds());
    let ada = world.person("ada").await;
    let said = ada.says("still here").await;
    ada.sees_sent(said.id, "still here").await;
}
