//! TLS to the database: as its URL's `sslmode` asks, with the system's authorities and a private one beside them.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::{Result, StoreError};

pub(super) type Tls = MakeRustlsConnect;

/// A connector that checks the server's certificate and name.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<Tls> {
    let mut roots = rustls::RootCertStore::empty();
    // A machine without authorities may still have a private one, or need none.
    let system = rustls_native_certs::load_native_certs().certs;
    roots.add_parsable_certificates(system);
    if let Some(path) = ca_file {
        let failed = |why: String| {
            StoreError::Broken(format!("failed to read store.ca_file {}: {why}", path.display()))
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
        let certificates: Vec<_> =
            certificates.collect::<std::result::Result<_, _>>().map_err(|error| failed(error.to_string()))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(failed("there is no PEM certificate in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Broken(format!("failed to set up TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
