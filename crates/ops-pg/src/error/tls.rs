//! What went wrong with TLS, in words that say what to do.

use std::error::Error as StdError;

use ops_core::{Error, ErrorKind, Retry};
use rustls::{AlertDescription, CertificateError};

use super::find;
use crate::tls::is_ca_as_server;

/// The error of TLS in a chain, if there is one. None of them goes away by itself.
#[cold]
pub(crate) fn from_tls(err: &(dyn StdError + 'static)) -> Option<Error> {
    let tls = find::<rustls::Error>(err)?;
    let (kind, message) = match tls {
        rustls::Error::InvalidCertificate(problem) => certificate(problem),
        rustls::Error::AlertReceived(alert) => alert_received(*alert),
        rustls::Error::PeerIncompatible(_) => (ErrorKind::Unavailable, VERSION),
        rustls::Error::InvalidMessage(_) => (
            ErrorKind::Decode,
            "the server answered something else than TLS",
        ),
        _ => (ErrorKind::Unavailable, "the TLS handshake failed"),
    };
    let err = Error::new(kind, message)
        .with_retry(Retry::Never)
        .with_provider("postgres");
    // This one prints a page of object identifiers.
    if message == UNSUPPORTED_SIGNATURE {
        return Some(err);
    }
    Some(err.with_source(tls.clone()))
}

const VERSION: &str = "the server and we have no version or cipher of TLS in common; \
     a server without TLS 1.3 needs ssl_min_protocol_version=TLSv1.2";

const UNSUPPORTED_SIGNATURE: &str =
    "the server's certificate is signed by an algorithm that is not supported";

const REFUSED: &str = "the server refused our client certificate";

fn certificate(problem: &CertificateError) -> (ErrorKind, &'static str) {
    let message = match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate does not come from a trusted root"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate does not name this host"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => UNSUPPORTED_SIGNATURE,
        other if is_ca_as_server(other) => {
            "the server's certificate is that of a CA, and not itself a trusted root"
        }
        _ => "the server's certificate is not acceptable",
    };
    (ErrorKind::Unavailable, message)
}

fn alert_received(alert: AlertDescription) -> (ErrorKind, &'static str) {
    match alert {
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            (ErrorKind::Unavailable, VERSION)
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError
        | AlertDescription::CertificateRequired => (ErrorKind::Unauthenticated, REFUSED),
        _ => (
            ErrorKind::Unavailable,
            "the server broke off the TLS handshake",
        ),
    }
}
