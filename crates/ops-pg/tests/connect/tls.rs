//! Every mode against every kind of certificate.

use ops_core::database::{TlsMode, TlsRoots, TlsSettings};
use ops_core::{ErrorKind, Retry};
use ops_pg::connect::ConnectOptions;

use crate::certificates::{Authority, Files, Identity, self_signed};
use crate::server::{info, refusal, tls_version, with_tls};

const OK: Option<&str> = None;
const UNKNOWN_ROOT: Option<&str> = Some("trusted root");
const WRONG_NAME: Option<&str> = Some("does not name this host");
const EXPIRED: Option<&str> = Some("has expired");

/// Connects in the modes require, verify-ca and verify-full.
async fn assert_modes(identity: &Identity, root: &str, outcomes: [Option<&str>; 3]) {
    let Some(pg) = with_tls(identity).start().await else {
        return;
    };
    let files = Files::new();
    let roots = TlsRoots::File(files.write("root.crt", root));
    let modes = [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull];
    for (mode, expected) in modes.into_iter().zip(outcomes) {
        let info = info(&pg, TlsSettings::new(mode).with_roots(roots.clone()));
        let outcome = tls_version(&info, &ConnectOptions::default()).await;
        match expected {
            None => assert_eq!(outcome.unwrap().as_deref(), Some("TLSv1.3"), "{mode:?}"),
            Some(part) => {
                let err = refusal(outcome);
                assert!(err.to_string().contains(part), "{mode:?}: {err:?}");
                assert_eq!(
                    (err.kind(), err.retry()),
                    (ErrorKind::Unavailable, Retry::Never)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_good_certificate_passes_every_mode() {
    let root = Authority::new();
    assert_modes(
        &root.server(&["localhost"]),
        &root.certificate(),
        [OK, OK, OK],
    )
    .await;
}

#[tokio::test]
async fn a_certificate_for_another_name_fails_verify_full_alone() {
    let root = Authority::new();
    let outcomes = [OK, OK, WRONG_NAME];
    assert_modes(
        &root.server(&["other.example"]),
        &root.certificate(),
        outcomes,
    )
    .await;
}

#[tokio::test]
async fn a_certificate_without_names_fails_verify_full_whatever_its_common_name() {
    let root = Authority::new();
    assert_modes(&root.server(&[]), &root.certificate(), [OK, OK, WRONG_NAME]).await;
}

#[tokio::test]
async fn an_expired_certificate_fails_where_the_chain_is_checked() {
    let root = Authority::new();
    let outcomes = [OK, EXPIRED, EXPIRED];
    assert_modes(
        &root.expired_server(&["localhost"]),
        &root.certificate(),
        outcomes,
    )
    .await;
}

#[tokio::test]
async fn a_certificate_of_another_root_fails_where_the_chain_is_checked() {
    let (root, other) = (Authority::new(), Authority::new());
    let outcomes = [OK, UNKNOWN_ROOT, UNKNOWN_ROOT];
    assert_modes(&other.server(&["localhost"]), &root.certificate(), outcomes).await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_it_is_the_root() {
    let identity = self_signed(&["localhost"], false);
    assert_modes(&identity, &identity.certificate, [OK, OK, OK]).await;
}

#[tokio::test]
async fn a_self_signed_certificate_does_not_get_away_with_another_name() {
    let identity = self_signed(&["other.example"], false);
    assert_modes(&identity, &identity.certificate, [OK, OK, WRONG_NAME]).await;
}

#[tokio::test]
async fn a_self_signed_certificate_does_not_outlive_its_end() {
    let identity = self_signed(&["localhost"], true);
    assert_modes(&identity, &identity.certificate, [OK, EXPIRED, EXPIRED]).await;
}

#[tokio::test]
async fn a_self_signed_certificate_that_is_not_the_root_is_not_trusted() {
    let identity = self_signed(&["localhost"], false);
    let other = self_signed(&["localhost"], false);
    let outcomes = [OK, UNKNOWN_ROOT, UNKNOWN_ROOT];
    assert_modes(&identity, &other.certificate, outcomes).await;
}

#[tokio::test]
async fn a_certificate_may_name_an_address() {
    let root = Authority::new();
    let Some(pg) = with_tls(&root.server(&["127.0.0.1"])).start().await else {
        return;
    };
    let files = Files::new();
    let roots = TlsRoots::File(files.write("root.crt", &root.certificate()));
    let tls = TlsSettings::new(TlsMode::VerifyFull).with_roots(roots);
    let by_address = pg.connect_info("postgres").with_tls(tls.clone());
    assert!(
        tls_version(&by_address, &ConnectOptions::default())
            .await
            .unwrap()
            .is_some()
    );
    let err = refusal(tls_version(&info(&pg, tls), &ConnectOptions::default()).await);
    assert!(err.to_string().contains("does not name this host"), "{err}");
}

#[tokio::test]
async fn a_private_root_is_not_among_those_of_the_system() {
    let root = Authority::new();
    let Some(pg) = with_tls(&root.server(&["localhost"])).start().await else {
        return;
    };
    let info = info(&pg, TlsSettings::new(TlsMode::VerifyFull));
    let err = refusal(tls_version(&info, &ConnectOptions::default()).await);
    // Where the machine has no roots at all, that is what is said.
    let expected = ["trusted root", "no root certificates"];
    assert!(
        expected.iter().any(|part| err.to_string().contains(part)),
        "{err}"
    );
}

#[tokio::test]
async fn a_file_of_roots_that_is_none_is_a_configuration_error() {
    let root = Authority::new();
    let Some(pg) = with_tls(&root.server(&["localhost"])).start().await else {
        return;
    };
    let files = Files::new();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (path, part) in [
        ("/nonexistent/root.crt".into(), "cannot be read"),
        (files.write("empty.crt", ""), "no certificate"),
        (files.write("broken.crt", broken), "not understood"),
        (
            files.write("cut.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
            "not PEM",
        ),
    ] {
        let tls = TlsSettings::new(TlsMode::VerifyCa).with_roots(TlsRoots::File(path));
        let err = refusal(tls_version(&info(&pg, tls), &ConnectOptions::default()).await);
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err:?}");
        assert!(err.to_string().contains(part), "{err}");
    }
}
