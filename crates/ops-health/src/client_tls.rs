//! TLS of the checks' own clients: rustls with ring, chosen by hand.

use std::sync::Arc;

use ops_core::database::TlsVersion;
use ops_core::{Error, ErrorKind, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};

/// The provider, whatever else is compiled into the process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn versions(min: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    match min {
        TlsVersion::V1_2 => vec![&TLS13, &TLS12],
        _ => vec![&TLS13],
    }
}

/// The roots in `pem`, or the system's. Reads files: not for a thread of the runtime.
pub(crate) fn roots(pem: Option<&[u8]>) -> Result<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    match pem {
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| unusable())?;
                store.add(certificate).map_err(|_| unusable())?;
            }
        }
    }
    if store.is_empty() && pem.is_some() {
        return Err(unusable());
    }
    Ok(Arc::new(store))
}

#[cold]
fn unusable() -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "the root certificates are not PEM",
    )
}

/// Why a handshake failed.
pub(crate) fn code_of(err: &rustls::Error) -> crate::Code {
    use rustls::{CertificateError, Error as Tls};
    match err {
        Tls::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => crate::Code::TlsExpired,
        _ => crate::Code::TlsInvalid,
    }
}

/// The outcome of an error of a socket, within which an error of TLS may hide.
#[cfg(any(feature = "redis", feature = "tls"))]
pub(crate) fn outcome_of(err: std::io::Error) -> crate::Outcome {
    let tls = err
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) => crate::Outcome::unhealthy(code_of(tls)).with_detail(tls.to_string()),
        None => crate::Outcome::from(err),
    }
}
