//! TLS to the database, with the system's authorities and optionally a private one.
//!
//! The certificate must always be valid for the host, as with libpq's `verify-full`. A connection to another machine always
//! uses TLS, unless the URL says otherwise (`sslmode=disable` or `prefer`): a machine in between could claim that the
//! database has no TLS.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::{Result, StoreError};

pub(super) type Tls = MakeRustlsConnect;

/// A connector that checks the server's certificate and name.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<Tls> {
    let mut roots = rustls::RootCertStore::empty();
    // A machine without authorities may still use a private one, or need none.
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

/// The URL with a mode that the client knows. Whenever it uses TLS, it checks what libpq's stricter modes check.
pub(super) fn with_known_sslmode(url: &str) -> String {
    ["verify-full", "verify-ca"]
        .iter()
        .fold(url.to_owned(), |url, mode| url.replace(&format!("sslmode={mode}"), "sslmode=require"))
}

/// Requires TLS where the URL does not mention it and the database is on another machine.
pub(super) fn require_for_remote(config: &mut tokio_postgres::Config, url: &str) {
    let is_here = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        Host::Unix(_) => true,
    });
    if !is_here && !url.contains("sslmode=") {
        config.ssl_mode(SslMode::Require);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        let mut config: tokio_postgres::Config = with_known_sslmode(url).parse().unwrap();
        require_for_remote(&mut config, url);
        config.get_ssl_mode()
    }

    #[test]
    fn a_remote_database_is_used_without_tls_only_if_the_url_says_so() {
        assert_eq!(mode("postgres://u@db.example.com/x"), SslMode::Require);
        assert_eq!(mode("postgres://u@10.0.0.7/x"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example.com/x?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example.com/x?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@127.0.0.1/x"), SslMode::Prefer);
        assert_eq!(mode("postgres://u@localhost/x"), SslMode::Prefer);
    }
}
