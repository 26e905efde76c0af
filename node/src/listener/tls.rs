//! The certificate, which an operator renews while people are connected.

use arc_swap::ArcSwap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key. Cheap to clone; all clones are reloaded together, and connections
/// keep what they began with.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Arc<Files>,
    config: Arc<ArcSwap<ServerConfig>>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Why a certificate is refused: a sentence that names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or is not what it should be.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: String,
    },
    /// The two don't fit each other.
    #[error("{} does not fit {}: {error}", key.display(), certificate.display())]
    Unfit {
        /// `http.tls_certificate`
        certificate: PathBuf,
        /// `http.tls_key`
        key: PathBuf,
        /// Why.
        error: String,
    },
}

impl Tls {
    /// Reads `http.tls_certificate` and `http.tls_key`, PEM both.
    pub fn load(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        let files = Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        let config = Arc::new(ArcSwap::from_pointee(files.read()?));
        Ok(Tls {
            files: Arc::new(files),
            config,
        })
    }

    /// Reads them again; if they are refused, the old ones stay.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.config.store(Arc::new(self.files.read()?));
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

impl Files {
    fn read(&self) -> Result<ServerConfig, TlsError> {
        let unreadable = |file: &Path, error: String| TlsError::Unreadable {
            file: file.to_owned(),
            error,
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unreadable(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            let error = "no certificate in it".to_owned();
            return Err(unreadable(&self.certificate, error));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unreadable(&self.key, error.to_string()))?;
        let unfit = |error: tokio_rustls::rustls::Error| TlsError::Unfit {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            error: error.to_string(),
        };
        // The provider is named, because another crate of the tree may bring its own.
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
