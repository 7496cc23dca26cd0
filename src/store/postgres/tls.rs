//! TLS to the database: with the system's authorities and a private one beside them.
//!
//! The certificate must be valid for the host in any case, as libpq's `verify-full` has it. A database on another
//! machine is never used without TLS unless the URL says so (`sslmode=disable` or `prefer`): an attacker in
//! between could claim that the server has no TLS.

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

/// The URL in words that the client knows: libpq's stricter modes are what it does whenever it does TLS.
pub(super) fn plain_words(url: &str) -> String {
    ["verify-full", "verify-ca"]
        .iter()
        .fold(url.to_owned(), |url, mode| url.replace(&format!("sslmode={mode}"), "sslmode=require"))
}

/// Has TLS required where nothing is said of it and the database is elsewhere.
pub(super) fn insist(config: &mut tokio_postgres::Config, url: &str) {
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
        let mut config: tokio_postgres::Config = plain_words(url).parse().unwrap();
        insist(&mut config, url);
        config.get_ssl_mode()
    }

    #[test]
    fn a_database_elsewhere_is_spoken_to_in_the_clear_only_where_the_url_says_so() {
        assert_eq!(mode("postgres://u@db.example.com/x"), SslMode::Require);
        assert_eq!(mode("postgres://u@10.0.0.7/x"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example.com/x?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example.com/x?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@127.0.0.1/x"), SslMode::Prefer);
        assert_eq!(mode("postgres://u@localhost/x"), SslMode::Prefer);
    }
}
