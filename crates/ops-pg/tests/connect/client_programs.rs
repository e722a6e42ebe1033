//! The client programs of PostgreSQL, told by [`libpq_env`] where to connect.

use ops_core::ErrorKind;
use ops_core::database::{ConnectInfo, TlsMode, TlsRoots, TlsSettings, TlsVersion};
use ops_pg::connect::ConnectOptions;
use ops_pg::conninfo::libpq_env;
use ops_pg::process::{Io, Program};
use ops_testkit::Pg;
use tokio::io::AsyncReadExt;

use crate::certificates::{Authority, Files};
use crate::server::{info, with_tls, with_tls_and_hba};

/// What psql sees of its own connection, or its complaint.
async fn psql(pg: &Pg, info: &ConnectInfo) -> Result<String, String> {
    let options = ConnectOptions::default()
        .with_application_name("a program")
        .with_parameter("ops.note", r"a b\c");
    let sql = "SELECT ssl, version, current_user, current_setting('application_name'), \
               current_setting('ops.note') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let mut program = Program::new(pg.bin("psql"))
        .args([
            "--no-psqlrc",
            "--no-password",
            "--tuples-only",
            "--no-align",
            "--command",
            sql,
        ])
        .stdout(Io::Piped);
    let env = libpq_env(info).with_options(&options);
    for (name, value) in env.plain() {
        program = program.env(name, value);
    }
    for (name, value) in env.secret() {
        program = program.secret_env(name, value.clone());
    }
    let mut child = program.spawn().unwrap();
    let mut out = String::new();
    child
        .take_stdout()
        .unwrap()
        .read_to_string(&mut out)
        .await
        .unwrap();
    let exit = child.wait().await.unwrap();
    match exit.check(ErrorKind::Unavailable) {
        Ok(_) => Ok(out.trim().to_owned()),
        Err(err) => Err(ops_core::Report(&err).to_string()),
    }
}

#[tokio::test]
async fn psql_connects_over_a_socket() {
    let Some(pg) = Pg::start().await else { return };
    let seen = psql(&pg, &pg.connect_info("postgres")).await;
    assert_eq!(seen.unwrap(), r"f||postgres|a program|a b\c");
}

#[tokio::test]
async fn psql_connects_with_a_password_in_every_mode_of_tls() {
    let root = Authority::new();
    let Some(pg) = with_tls(&root.server(&["localhost"])).start().await else {
        return;
    };
    let files = Files::new();
    let roots = TlsRoots::File(files.write("root.crt", &root.certificate()));
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let tls = TlsSettings::new(mode).with_roots(roots.clone());
        let seen = psql(&pg, &info(&pg, tls)).await;
        assert_eq!(
            seen.unwrap(),
            r"t|TLSv1.3|postgres|a program|a b\c",
            "{mode:?}"
        );
    }
}

#[tokio::test]
async fn psql_refuses_what_we_refuse() {
    let root = Authority::new();
    let server =
        with_tls(&root.server(&["other.example"])).setting("ssl_max_protocol_version", "TLSv1.2");
    let Some(pg) = server.start().await else {
        return;
    };
    let files = Files::new();
    let roots =
        |root: &Authority, name: &str| TlsRoots::File(files.write(name, &root.certificate()));
    let old = TlsSettings::new(TlsMode::Require);
    let verify = |mode, roots| {
        TlsSettings::new(mode)
            .with_roots(roots)
            .with_min_version(TlsVersion::V1_2)
    };
    let good = roots(&root, "root.crt");
    for (tls, part) in [
        (old.clone(), "protocol version"),
        (
            verify(TlsMode::VerifyFull, good.clone()),
            "does not match host name",
        ),
        (
            verify(TlsMode::VerifyCa, roots(&Authority::new(), "other.crt")),
            "SSL error",
        ),
        (verify(TlsMode::VerifyCa, TlsRoots::System), "certificate"),
    ] {
        let complaint = psql(&pg, &info(&pg, tls.clone())).await.unwrap_err();
        assert!(complaint.contains(part), "{tls:?}: {complaint}");
        assert!(!complaint.contains("canary"), "{complaint}");
    }
    for tls in [
        old.with_min_version(TlsVersion::V1_2),
        verify(TlsMode::VerifyCa, good),
    ] {
        assert!(
            psql(&pg, &info(&pg, tls))
                .await
                .unwrap()
                .starts_with("t|TLSv1.2")
        );
    }
}

#[tokio::test]
async fn psql_logs_in_by_a_certificate() {
    let root = Authority::new();
    let root_pem = root.certificate();
    let hba = "hostssl all all 127.0.0.1/32 cert";
    let server = with_tls_and_hba(&root.server(&["localhost"]), hba)
        .setting("ssl_ca_file", "root.crt")
        .with(move |server| server.data_file("root.crt", root_pem));
    let Some(pg) = server.start().await else {
        return;
    };
    let files = Files::new();
    let roots = TlsRoots::File(files.write("root.crt", &root.certificate()));
    let tls = TlsSettings::new(TlsMode::VerifyFull).with_roots(roots);
    let mut info = info(&pg, tls.with_client(files.client(&root.client("postgres"))));
    info.password = None;
    let seen = psql(&pg, &info).await;
    assert_eq!(seen.unwrap(), r"t|TLSv1.3|postgres|a program|a b\c");
}
