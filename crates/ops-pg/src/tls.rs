//! TLS by rustls, with the modes of libpq.
//!
//! | mode | certificate chain | name | possession of the key |
//! | --- | --- | --- | --- |
//! | `disable` | no TLS | | |
//! | `require` | not checked | not checked | proven |
//! | `verify-ca` | checked | not checked | proven |
//! | `verify-full` | checked | checked | proven |
//!
//! A certificate that is itself among the roots of a PEM file is trusted, also where it
//! is marked as a CA, as self-signed ones commonly are. Names are those of the
//! certificate's subjectAltName; a common name alone identifies nothing.
//!
//! The cryptography is ring's. No process-wide default is read or installed.

mod binding;
mod verify;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use ops_core::database::{ClientCertificate, TlsMode, TlsRoots, TlsSettings, TlsVersion};
use ops_core::{Error, ErrorKind, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

pub(crate) use binding::server_end_point;
pub(crate) use verify::is_ca_as_server;
use verify::{Check, ServerVerifier};

/// The rustls configuration for the settings, or `None` for plain text.
///
/// The files are read now: a configuration goes on using a certificate that has been
/// replaced on disk. System roots come from the place that the operating system has for
/// them, or from `SSL_CERT_FILE` and `SSL_CERT_DIR` where those are set.
///
/// # Errors
/// `InvalidConfig` where a file cannot be read or does not hold what it should, where the
/// private key is open to others, or where the system has no roots.
///
/// # Cancel safety
/// Reading changes nothing.
pub async fn client_config(settings: &TlsSettings) -> Result<Option<Arc<ClientConfig>>> {
    if settings.mode == TlsMode::Disable {
        return Ok(None);
    }
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || build(&settings))
        .await
        .map_err(|source| {
            Error::new(ErrorKind::Internal, "reading certificates failed").with_source(source)
        })?
        .map(|config| Some(Arc::new(config)))
}

fn build(settings: &TlsSettings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let check = match settings.mode {
        TlsMode::Require => Check::Possession,
        TlsMode::VerifyCa => Check::Chain,
        _ => Check::ChainAndName,
    };
    let trusted = match (check, &settings.roots) {
        (Check::Possession, _) => Vec::new(),
        (_, TlsRoots::File(file)) => certificates(file)?,
        _ => system_certificates()?,
    };
    let pinned = matches!(settings.roots, TlsRoots::File(_));
    let roots = root_store(&trusted, &settings.roots)?;
    let algorithms = provider.signature_verification_algorithms;
    let verifier = ServerVerifier {
        check,
        roots,
        pinned: if pinned { trusted } else { Vec::new() },
        algorithms,
    };

    let versions: &[_] = match settings.min_version {
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
        _ => &[&TLS13],
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|source| {
            Error::new(ErrorKind::Internal, "ring offers no such TLS").with_source(source)
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match &settings.client {
        None => Ok(config.with_no_client_auth()),
        Some(client) => {
            let (chain, key) = identity(client)?;
            config.with_client_auth_cert(chain, key).map_err(|source| {
                let problem = "the client certificate and its key do not fit together";
                unusable(&client.certificate, problem).with_source(source)
            })
        }
    }
}

fn root_store(trusted: &[CertificateDer<'static>], roots: &TlsRoots) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(trusted.iter().cloned());
    match roots {
        TlsRoots::File(file) if ignored > 0 => {
            Err(unusable(file, "a certificate in it is not understood"))
        }
        _ => Ok(store),
    }
}

fn system_certificates() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let err = Error::new(
            ErrorKind::InvalidConfig,
            "the system has no root certificates; install its CA bundle or name a file of roots",
        );
        return Err(match found.errors.into_iter().next() {
            Some(source) => err.with_source(source),
            None => err,
        });
    }
    Ok(found.certs)
}

fn identity(
    client: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates(&client.certificate)?;
    check_private(&client.key)?;
    // The reason is left out: it may quote a line of the key.
    let key = PrivateKeyDer::from_pem_slice(&read(&client.key)?).map_err(|_| {
        unusable(
            &client.key,
            "it holds no private key in PEM, or an encrypted one",
        )
    })?;
    Ok((chain, key))
}

/// The rule of libpq: nobody else may read the key, save for the group where root owns it.
fn check_private(key: &Path) -> Result<()> {
    let metadata = fs::metadata(key)
        .map_err(|source| unusable(key, "it cannot be read").with_source(source))?;
    let open = if metadata.uid() == 0 { 0o027 } else { 0o077 };
    if metadata.mode() & open == 0 {
        return Ok(());
    }
    Err(unusable(
        key,
        "others may read the private key; its mode should be 0600",
    ))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| unusable(file, "it is not PEM"))?;
    if found.is_empty() {
        return Err(unusable(file, "it holds no certificate in PEM"));
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|source| unusable(file, "it cannot be read").with_source(source))
}

#[cold]
fn unusable(file: &Path, problem: &str) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        format!("{}: {problem}", file.display()),
    )
    .with_provider("postgres")
}
