//! Who is at the other end of a link: each node makes a certificate when it starts, and its
//! fingerprint is in the view. There is no authority and nothing to configure.
//!
//! The handshake proves that the other side has the key of its certificate; whether that
//! certificate is a member's is looked up afterwards, where the view can be read again.

use super::links::LinkError;
use cluster_config::Fingerprint;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The name in all certificates: nothing is read from it.
const NAME: &str = "ting";

/// This node's certificate, in use on both sides of its links.
pub struct Certificate {
    /// By which others know it.
    pub fingerprint: Fingerprint,
    /// Accepts links.
    pub acceptor: TlsAcceptor,
    /// Makes links.
    pub connector: TlsConnector,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// A new one.
    pub fn make() -> Result<Self, LinkError> {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])
            .map_err(|error| LinkError::Certificate(error.to_string()))?;
        let der = made.cert.der().clone();
        let key =
            || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let proven = Arc::new(Proven(provider.signature_verification_algorithms));
        let told = |error: Error| LinkError::Certificate(error.to_string());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(told)?
            .with_client_cert_verifier(proven.clone())
            .with_single_cert(vec![der.clone()], key())
            .map_err(told)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(told)?
            .dangerous()
            .with_custom_certificate_verifier(proven)
            .with_client_auth_cert(vec![der.clone()], key())
            .map_err(told)?;
        Ok(Certificate {
            fingerprint: fingerprint(&der),
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }
}

/// By which a certificate is known.
pub fn fingerprint(der: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint(Sha256::digest(der).into())
}

/// The name that a dialler says it wants.
pub fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a constant that is a DNS name")
}

/// Lets through whoever proves to have the key of the certificate shown.
#[derive(Debug)]
struct Proven(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Proven {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl ClientCertVerifier for Proven {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
