//! Whom a connection trusts.

use std::sync::Arc;

use ops_core::database::TlsVersion;
use ops_core::{Error, ErrorKind, Result};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

/// Which certificates identify a server.
pub(crate) enum Roots<'a> {
    /// The operating system's.
    System,
    /// Those of a PEM text, and no others.
    Given(&'a [u8]),
    /// None: there is no TLS.
    None,
}

/// TLS of at least this version.
pub(crate) fn client_config(min: TlsVersion, roots: &Roots<'_>) -> Result<ClientConfig> {
    let versions = match min {
        TlsVersion::V1_2 => &[&TLS13, &TLS12][..],
        _ => &[&TLS13][..],
    };
    let roots = match roots {
        Roots::System => system_roots(),
        Roots::Given(pem) => given_roots(pem)?,
        Roots::None => RootCertStore::empty(),
    };
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|source| {
            Error::new(ErrorKind::Internal, "the TLS versions do not fit").with_source(source)
        })
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
}

/// What cannot be read of the system's roots is left out; a server whose root is missing
/// is refused when it is connected to.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    roots
}

fn given_roots(pem: &[u8]) -> Result<RootCertStore> {
    let unusable = || Error::new(ErrorKind::InvalidConfig, "root_certificates is not PEM");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|source| unusable().with_source(source))?;
        roots
            .add(certificate)
            .map_err(|source| unusable().with_source(source))?;
    }
    if roots.is_empty() {
        let message = "root_certificates holds no certificate";
        return Err(Error::new(ErrorKind::InvalidConfig, message));
    }
    Ok(roots)
}
