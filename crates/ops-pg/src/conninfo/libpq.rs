//! The environment by which client programs of PostgreSQL are told how to connect.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use ops_core::Secret;
use ops_core::database::{ConnectInfo, Host, TlsMode, TlsRoots, TlsSettings, TlsVersion};

use crate::connect::{ChannelBinding, ConnectOptions};

/// Where operating systems keep the bundle of public roots.
const CA_BUNDLES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                  // Alpine, macOS, OpenBSD
    "/usr/local/share/certs/ca-root-nss.crt", // FreeBSD
    "/opt/homebrew/etc/openssl@3/cert.pem", // Homebrew
];

/// Environment variables of libpq. The secret ones are apart, so that a caller that
/// prints what it starts cannot print them.
///
/// The variables say everything that matters, and mean to be the only `PG*` variables of
/// the program: start it with a cleared environment.
#[derive(Clone, Debug)]
pub struct LibpqEnv {
    plain: Vec<(&'static str, OsString)>,
    secret: Vec<(&'static str, Secret)>,
}

impl LibpqEnv {
    /// Variables that may be printed.
    pub fn plain(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        self.plain
            .iter()
            .map(|(name, value)| (*name, value.as_os_str()))
    }

    /// Variables that must not be printed: `PGPASSWORD`, where there is a password.
    pub fn secret(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.secret.iter().map(|(name, value)| (*name, value))
    }

    /// Sets what belongs to a session: `PGAPPNAME`, `PGCONNECT_TIMEOUT`, `PGOPTIONS` and
    /// `PGCHANNELBINDING`. A time-out is rounded up to whole seconds.
    #[must_use]
    pub fn with_options(mut self, options: &ConnectOptions) -> Self {
        self.set("PGAPPNAME", &options.application_name);
        self.set(
            "PGCONNECT_TIMEOUT",
            whole_seconds(options.connect_timeout).to_string(),
        );
        let parameters = options.startup_options();
        if !parameters.is_empty() {
            self.set("PGOPTIONS", parameters);
        }
        let channel_binding = match options.channel_binding {
            ChannelBinding::Disable => "disable",
            ChannelBinding::Prefer => "prefer",
            ChannelBinding::Require => "require",
        };
        self.set("PGCHANNELBINDING", channel_binding);
        self
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.plain.retain(|(other, _)| *other != name);
        self.plain.push((name, value.into()));
    }
}

/// The environment by which `pg_dump`, `pg_restore`, `psql` and the other client programs
/// connect to a database, with the defaults of [`ConnectOptions`].
///
/// System roots are passed as the path of the operating system's bundle, which libpq of
/// every age reads; where none is found they are passed as `system`, which libpq 16 and
/// newer understand and older ones refuse. Encryption by GSSAPI is off, since libpq would
/// prefer it to the TLS that is asked for.
#[must_use]
pub fn libpq_env(info: &ConnectInfo) -> LibpqEnv {
    libpq_env_with_bundles(info, &CA_BUNDLES)
}

fn libpq_env_with_bundles(info: &ConnectInfo, bundles: &[&str]) -> LibpqEnv {
    let mut env = LibpqEnv {
        plain: Vec::new(),
        secret: Vec::new(),
    };
    match &info.host {
        Host::Unix(folder) => env.set("PGHOST", folder),
        host => env.set("PGHOST", host.to_string()),
    }
    env.set("PGPORT", info.port.to_string());
    if let Some(user) = &info.user {
        env.set("PGUSER", user);
    }
    if let Some(database) = &info.database {
        env.set("PGDATABASE", database);
    }
    if let Some(password) = &info.password {
        env.secret.push(("PGPASSWORD", password.clone()));
    }
    env.set("PGGSSENCMODE", "disable");
    set_tls(&mut env, &info.tls, bundles);
    env.with_options(&ConnectOptions::default())
}

fn set_tls(env: &mut LibpqEnv, tls: &TlsSettings, bundles: &[&str]) {
    env.set("PGSSLMODE", tls.mode.as_sslmode());
    if tls.mode == TlsMode::Disable {
        return;
    }
    // A root file would turn `require` into `verify-ca`.
    if tls.mode != TlsMode::Require {
        match &tls.roots {
            TlsRoots::File(file) => env.set("PGSSLROOTCERT", file),
            _ => env.set("PGSSLROOTCERT", system_roots(bundles)),
        }
    }
    if let Some(client) = &tls.client {
        env.set("PGSSLCERT", &client.certificate);
        env.set("PGSSLKEY", &client.key);
    }
    let min_version = if tls.min_version == TlsVersion::V1_2 {
        "TLSv1.2"
    } else {
        "TLSv1.3"
    };
    env.set("PGSSLMINPROTOCOLVERSION", min_version);
}

fn system_roots<'a>(bundles: &[&'a str]) -> &'a str {
    bundles
        .iter()
        .find(|bundle| Path::new(bundle).is_file())
        .copied()
        .unwrap_or("system")
}

/// At least 2: libpq before 17 takes 1 for 2, and all take 0 for ever.
fn whole_seconds(timeout: Duration) -> u64 {
    timeout
        .as_secs()
        .saturating_add(u64::from(timeout.subsec_nanos() > 0))
        .max(2)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use ops_core::database::{ClientCertificate, Engine};

    use super::*;

    fn info(tls: TlsSettings) -> ConnectInfo {
        ConnectInfo::new(Engine::Postgres, Host::Tcp("db.internal".into()), 6543)
            .with_user("app")
            .with_database("shop")
            .with_password("canary-password")
            .with_tls(tls)
    }

    fn plain(env: &LibpqEnv) -> BTreeMap<&str, &str> {
        env.plain()
            .map(|(name, value)| (name, value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn a_whole_connection_becomes_variables_and_the_password_is_apart() {
        let client = ClientCertificate {
            certificate: "/c.pem".into(),
            key: "/k.pem".into(),
        };
        let tls = TlsSettings::new(TlsMode::VerifyFull)
            .with_roots(TlsRoots::File(PathBuf::from("/ca.pem")))
            .with_client(client)
            .with_min_version(TlsVersion::V1_2);
        let env = libpq_env(&info(tls));

        let expected = BTreeMap::from([
            ("PGHOST", "db.internal"),
            ("PGPORT", "6543"),
            ("PGUSER", "app"),
            ("PGDATABASE", "shop"),
            ("PGGSSENCMODE", "disable"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca.pem"),
            ("PGSSLCERT", "/c.pem"),
            ("PGSSLKEY", "/k.pem"),
            ("PGSSLMINPROTOCOLVERSION", "TLSv1.2"),
            ("PGAPPNAME", "ops"),
            ("PGCONNECT_TIMEOUT", "10"),
            ("PGCHANNELBINDING", "prefer"),
        ]);
        assert_eq!(plain(&env), expected);
        let secret: Vec<_> = env
            .secret()
            .map(|(name, value)| (name, value.expose()))
            .collect();
        assert_eq!(secret, [("PGPASSWORD", "canary-password")]);
        assert!(!format!("{env:?}").contains("canary"));
    }

    #[test]
    fn plain_text_names_no_certificates() {
        let env = libpq_env(&info(TlsSettings::new(TlsMode::Disable)));
        assert_eq!(plain(&env).get("PGSSLMODE"), Some(&"disable"));
        assert!(!plain(&env).contains_key("PGSSLROOTCERT"));
    }

    #[test]
    fn require_does_not_become_verify_ca_by_a_root_file() {
        let tls = TlsSettings::new(TlsMode::Require).with_roots(TlsRoots::File("/ca.pem".into()));
        assert!(!plain(&libpq_env(&info(tls))).contains_key("PGSSLROOTCERT"));
    }

    #[test]
    fn system_roots_are_the_first_bundle_that_exists() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bundle = file.path().to_str().unwrap();
        let info = info(TlsSettings::new(TlsMode::VerifyFull));

        let found = libpq_env_with_bundles(&info, &["/nonexistent/a.pem", bundle]);
        assert_eq!(plain(&found).get("PGSSLROOTCERT"), Some(&bundle));
        let none = libpq_env_with_bundles(&info, &["/nonexistent/a.pem"]);
        assert_eq!(plain(&none).get("PGSSLROOTCERT"), Some(&"system"));
    }

    #[test]
    fn options_replace_the_defaults() {
        let options = ConnectOptions::default()
            .with_application_name("ops-backup")
            .with_connect_timeout(Duration::from_millis(2_500))
            .with_parameter("search_path", "a b");
        let env = libpq_env(&info(TlsSettings::new(TlsMode::Disable))).with_options(&options);
        let plain = plain(&env);
        assert_eq!(plain.get("PGAPPNAME"), Some(&"ops-backup"));
        assert_eq!(plain.get("PGCONNECT_TIMEOUT"), Some(&"3"));
        assert_eq!(plain.get("PGOPTIONS"), Some(&r"-c search_path=a\ b"));
    }
}
