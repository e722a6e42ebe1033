//! Where a database is, and how to connect to it.

use std::path::PathBuf;
use std::time::Duration;

use ops_core::Secret;
use ops_core::database::{
    ClientCertificate, ConnectInfo, Engine, Host, TlsMode, TlsRoots, TlsSettings,
};
use ops_pg::connect::ConnectOptions;

use super::Levels;
use super::reading::{Reading, Values};
use crate::settings::pgbouncer::PgBouncerIni;
use crate::settings::pgbouncer::auth_file::{Found, lookup};
use crate::settings::pgbouncer::values::{oldest_tls, port, switch, whole};

/// Where PgBouncer looks for the server's socket.
const SOCKET_DIR: &str = "/tmp";

const OTHER_TLS: &str = "the program says itself how connections are protected";
const KEEPALIVE: &str = "keepalive is always on";
const NO_LOADER: &str = "no way was given to read the file";
const HASH: &str = "it holds a hash of the user's password, and a hash cannot log in";

const TLS: [&str; 5] = [
    "server_tls_sslmode",
    "server_tls_ca_file",
    "server_tls_cert_file",
    "server_tls_key_file",
    "server_tls_protocols",
];

pub(super) fn server(
    reading: &mut Reading,
    levels: &Levels,
    ini: &PgBouncerIni<'_>,
    name: Option<&str>,
    user: Option<&str>,
) -> (ConnectInfo, ConnectOptions) {
    let (line, main) = (&levels.database, &levels.main);
    let host = host(reading, line, main);
    let port = reading.value(line, "port", port);
    let port = port.unwrap_or(ops_pg::conninfo::DEFAULT_PORT);
    if let Some(place) = line.place("target_session_attrs")
        && line.text("target_session_attrs") != Some("any")
    {
        let problem = "target_session_attrs is not any: a pool takes the server that it is \
                       told, whatever its role";
        let place = place.clone();
        reading.problem_at(&place, problem);
    }
    let tls = match &ini.tls {
        Some(tls) => {
            reading.ignore_everywhere([main], TLS, OTHER_TLS);
            tls.clone()
        }
        None => tls(reading, main, &host),
    };
    let mut info = ConnectInfo::new(Engine::Postgres, host, port).with_tls(tls);
    if let Some(database) = line.text("dbname").or(name) {
        info = info.with_database(database);
    }
    if let Some(user) = user {
        info = info.with_user(user);
        if let Some(password) = password(reading, levels, ini, user) {
            info = info.with_password(password);
        }
    }
    (info, options(reading, line, main))
}

fn host(reading: &mut Reading, line: &Values, main: &Values) -> Host {
    let socket_dir = main.text("unix_socket_dir").filter(|it| !it.is_empty());
    let host = line.text("host");
    let place = line
        .place("host")
        .or(main.place("unix_socket_dir"))
        .cloned();
    let wrong = match host.or(socket_dir) {
        Some(host) if host.starts_with('@') => "is a socket in the abstract namespace",
        Some(host) if host.contains(',') => "is a list, and a pool connects to one host",
        _ => "",
    };
    if let (false, Some(place)) = (wrong.is_empty(), place) {
        reading.problem_at(&place, format_args!("the host {wrong}"));
    }
    match host {
        Some(host) if !host.starts_with('/') => Host::Tcp(host.to_owned()),
        folder => Host::Unix(PathBuf::from(folder.or(socket_dir).unwrap_or(SOCKET_DIR))),
    }
}

/// The line's, the program's, or the one in `auth_file`.
fn password(
    reading: &mut Reading,
    levels: &Levels,
    ini: &PgBouncerIni<'_>,
    user: &str,
) -> Option<Secret> {
    let main = &levels.main;
    let of_line = levels.database.text("password").map(Secret::from);
    if let Some(password) = of_line.or_else(|| ini.password.clone()) {
        return Some(password);
    }
    let file = main.text("auth_file").filter(|it| !it.is_empty())?;
    let Some(load) = &ini.include else {
        reading.ignore(main, "auth_file", NO_LOADER);
        return None;
    };
    match load(file).map(|text| lookup(&text, user)) {
        Ok(Found::Password(password)) => return Some(password),
        Ok(Found::Hash) => reading.ignore(main, "auth_file", HASH),
        Ok(Found::Nothing) => {}
        Err(err) => {
            if let Some(place) = main.place("auth_file").cloned() {
                let problem = format!("cannot read auth_file: {}", err.kind());
                reading.problem_at(&place, problem);
            }
        }
    }
    None
}

fn options(reading: &mut Reading, line: &Values, main: &Values) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    if let Some(name) = line.text("application_name") {
        options = options.with_application_name(name);
    }
    for (key, parameter) in [("datestyle", "DateStyle"), ("timezone", "TimeZone")] {
        if let Some(value) = line.text(key) {
            options = options.with_parameter(parameter, value);
        }
    }
    if reading.value(main, "tcp_keepalive", switch) == Some(false) {
        reading.ignore(main, "tcp_keepalive", KEEPALIVE);
    }
    // Zero is the default of the operating system to PgBouncer, and ours here.
    let mut number = |name| {
        let number = reading.value(main, name, whole);
        number
            .filter(|number| *number > 0)
            .map(|number| number as u64)
    };
    if let Some(idle) = number("tcp_keepidle") {
        options.tcp.keepalive_idle = Duration::from_secs(idle);
    }
    if let Some(interval) = number("tcp_keepintvl") {
        options.tcp.keepalive_interval = Duration::from_secs(interval);
    }
    if let Some(probes) = number("tcp_keepcnt") {
        options.tcp.keepalive_probes = u32::try_from(probes).unwrap_or(u32::MAX);
    }
    if let Some(millis) = number("tcp_user_timeout") {
        options.tcp.user_timeout = Duration::from_millis(millis);
    }
    options
}

fn tls(reading: &mut Reading, main: &Values, host: &Host) -> TlsSettings {
    let file = |name| {
        main.text(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let roots = file("server_tls_ca_file");
    let (certificate, key) = (file("server_tls_cert_file"), file("server_tls_key_file"));
    if certificate.is_some() != key.is_some() {
        let problem = "server_tls_cert_file and server_tls_key_file are given together or not \
                       at all";
        reading.problem(problem);
    }
    let asks = roots.is_some() || certificate.is_some();
    let mode = reading.value(main, "server_tls_sslmode", |mode| {
        Ok(match mode.to_ascii_lowercase().as_str() {
            "disable" => TlsMode::Disable,
            "require" => TlsMode::Require,
            "verify-ca" => TlsMode::VerifyCa,
            "verify-full" => TlsMode::VerifyFull,
            "prefer" | "allow" => {
                return Err(
                    "falls back to plain text; say disable, require, verify-ca or \
                            verify-full, or have the program say it",
                );
            }
            _ => return Err("is none of disable, require, verify-ca and verify-full"),
        })
    });
    let mode = match host {
        // PgBouncer and libpq never encrypt on a Unix-domain socket.
        Host::Unix(_) => TlsMode::Disable,
        Host::Tcp(host) if !asks && is_loopback(host) => mode.unwrap_or(TlsMode::Disable),
        _ => mode.unwrap_or(TlsMode::VerifyFull),
    };
    let mut tls = TlsSettings::new(mode);
    if let Some(oldest) = reading.value(main, "server_tls_protocols", oldest_tls) {
        tls = tls.with_min_version(oldest);
    }
    if let Some(roots) = roots {
        tls = tls.with_roots(TlsRoots::File(roots));
    }
    if let (Some(certificate), Some(key)) = (certificate, key) {
        tls = tls.with_client(ClientCertificate { certificate, key });
    }
    tls
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}
