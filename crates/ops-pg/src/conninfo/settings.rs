//! What the parameters of a connection URL mean.

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use ops_core::database::{
    ClientCertificate, ConnectInfo, Engine, Host, TlsMode, TlsRoots, TlsSettings, TlsVersion,
};
use ops_core::{Result, Secret};

use super::url::{Parts, split};
use super::{DEFAULT_PORT, invalid};
use crate::connect::{ChannelBinding, ConnectOptions};

/// The settings of a URL. An empty value is one that is not there, as in libpq.
#[derive(Default)]
pub(super) struct Settings {
    host: Option<Vec<u8>>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    mode: Option<TlsMode>,
    roots: Option<TlsRoots>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    min_version: Option<TlsVersion>,
    application_name: Option<String>,
    connect_timeout: Option<Duration>,
    channel_binding: Option<ChannelBinding>,
    parameters: Option<Vec<(String, String)>>,
}

impl Settings {
    pub(super) fn read(url: &str) -> Result<Self> {
        let Parts {
            values,
            names_are_safe,
        } = split(url)?;
        let mut settings = Self::default();
        for (name, value) in values {
            settings.set(&name, value, names_are_safe)?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: Vec<u8>, name_is_safe: bool) -> Result<()> {
        let value = Some(value).filter(|value| !value.is_empty());
        match name {
            "host" => self.host = value,
            "port" => self.port = value.map(port).transpose()?,
            "user" => self.user = text("user", value)?,
            "password" => self.password = text("password", value)?.map(Secret::new),
            "dbname" => self.database = text("dbname", value)?,
            "sslmode" => self.mode = text("sslmode", value)?.as_deref().map(mode).transpose()?,
            "ssl" => self.mode = Some(jdbc_ssl(value.as_deref())?),
            "sslrootcert" => self.roots = value.map(roots),
            "sslcert" => self.certificate = value.map(path),
            "sslkey" => self.key = value.map(path),
            "ssl_min_protocol_version" => {
                self.min_version = text(name, value)?.as_deref().map(version).transpose()?;
            }
            "application_name" => self.application_name = text("application_name", value)?,
            "connect_timeout" => {
                self.connect_timeout = text(name, value)?.as_deref().map(seconds).transpose()?;
            }
            "channel_binding" => {
                self.channel_binding = text(name, value)?
                    .as_deref()
                    .map(channel_binding)
                    .transpose()?;
            }
            "options" => {
                self.parameters = text("options", value)?
                    .as_deref()
                    .map(options)
                    .transpose()?;
            }
            _ => return Err(unknown(name, name_is_safe)),
        }
        Ok(())
    }

    /// The first setting that a [`ConnectInfo`] cannot keep.
    pub(super) fn session_setting(&self) -> Option<&'static str> {
        [
            ("application_name", self.application_name.is_some()),
            ("connect_timeout", self.connect_timeout.is_some()),
            ("channel_binding", self.channel_binding.is_some()),
            ("options", self.parameters.is_some()),
        ]
        .into_iter()
        .find_map(|(name, set)| set.then_some(name))
    }

    pub(super) fn finish(self) -> Result<(ConnectInfo, ConnectOptions)> {
        let host = host(self.host.as_deref())?;
        let tls = self.tls(&host)?;
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let mut info = ConnectInfo::new(Engine::Postgres, host, port).with_tls(tls);
        info.user = self.user;
        info.password = self.password;
        info.database = self.database;

        let mut options = ConnectOptions::default();
        if let Some(name) = self.application_name {
            options.application_name = name;
        }
        if let Some(timeout) = self.connect_timeout {
            options.connect_timeout = timeout;
        }
        if let Some(channel_binding) = self.channel_binding {
            options.channel_binding = channel_binding;
        }
        options.parameters = self.parameters.unwrap_or_default();
        Ok((info, options))
    }

    fn tls(&self, host: &Host) -> Result<TlsSettings> {
        let client = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(ClientCertificate {
                certificate: certificate.clone(),
                key: key.clone(),
            }),
            (None, None) => None,
            _ => return Err(invalid("sslcert and sslkey go together")),
        };
        let wants_tls = client.is_some() || self.roots.is_some() || self.min_version.is_some();
        let mode = match (host, self.mode, &self.roots) {
            (Host::Unix(_), _, _) => TlsMode::Disable,
            (_, Some(TlsMode::Require), Some(TlsRoots::File(_))) => TlsMode::VerifyCa,
            (_, Some(TlsMode::Require | TlsMode::VerifyCa), Some(TlsRoots::System)) => {
                return Err(invalid(
                    "sslrootcert=system needs sslmode=verify-full: anybody can get a certificate of a public root",
                ));
            }
            (_, Some(mode), _) => mode,
            (Host::Tcp(name), None, _) if is_loopback(name) && !wants_tls => TlsMode::Disable,
            (_, None, _) => TlsMode::VerifyFull,
        };
        let mut tls = TlsSettings::new(mode)
            .with_roots(self.roots.clone().unwrap_or_default())
            .with_min_version(self.min_version.unwrap_or_default());
        tls.client = client;
        Ok(tls)
    }
}

fn host(value: Option<&[u8]>) -> Result<Host> {
    let value = value.ok_or_else(|| {
        invalid("names no host; for a Unix-domain socket add ?host=/run/postgresql")
    })?;
    if value.contains(&b',') {
        return Err(invalid("names several hosts; name the one that is meant"));
    }
    if value.first() == Some(&b'/') {
        return Ok(Host::Unix(path(value.to_vec())));
    }
    if value.contains(&b'@') {
        return Err(invalid(
            "has more than one @; write @ as %40 in a user or a password",
        ));
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(byte);
    if !value.iter().all(plain) {
        return Err(invalid(
            "has a host that is neither a name, an address nor an absolute path",
        ));
    }
    Ok(Host::Tcp(String::from_utf8_lossy(value).into_owned()))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn port(value: Vec<u8>) -> Result<u16> {
    if value.contains(&b',') {
        return Err(invalid("names several ports; name the one that is meant"));
    }
    String::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| {
            invalid("has a port that is no number from 1 to 65535; is a / in the password not written as %2F?")
        })
}

fn text(name: &str, value: Option<Vec<u8>>) -> Result<Option<String>> {
    value
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| invalid(format!("{name} is not UTF-8")))
}

fn path(value: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(value))
}

fn mode(value: &str) -> Result<TlsMode> {
    match value {
        "disable" => Ok(TlsMode::Disable),
        "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        "allow" | "prefer" => Err(invalid(format!(
            "sslmode={value} is refused: whoever sits on the path can make it fall back to plain text; \
             use verify-full, or disable where plain text is meant"
        ))),
        _ => Err(invalid(
            "sslmode is none of disable, require, verify-ca and verify-full",
        )),
    }
}

fn jdbc_ssl(value: Option<&[u8]>) -> Result<TlsMode> {
    match value {
        Some(b"true") => Ok(TlsMode::Require),
        _ => Err(invalid("ssl takes only the value true; use sslmode")),
    }
}

fn roots(value: Vec<u8>) -> TlsRoots {
    if value == b"system" {
        TlsRoots::System
    } else {
        TlsRoots::File(path(value))
    }
}

fn version(value: &str) -> Result<TlsVersion> {
    match value {
        "TLSv1.2" => Ok(TlsVersion::V1_2),
        "TLSv1.3" => Ok(TlsVersion::V1_3),
        _ => Err(invalid(
            "ssl_min_protocol_version is neither TLSv1.2 nor TLSv1.3",
        )),
    }
}

fn seconds(value: &str) -> Result<Duration> {
    value
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| invalid("connect_timeout is no whole number of seconds from 1 on"))
}

fn channel_binding(value: &str) -> Result<ChannelBinding> {
    match value {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => Err(invalid(
            "channel_binding is none of disable, prefer and require",
        )),
    }
}

/// Reads `-c name=value`, `-cname=value` and `--name=value`, as the server splits them.
fn options(value: &str) -> Result<Vec<(String, String)>> {
    let unclear = || invalid("options holds something else than -c name=value or --name=value");
    let mut words = split_words(value).into_iter();
    let mut parameters = Vec::new();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (None, Some("")) => words.next().ok_or_else(unclear)?,
            (Some(setting), _) | (None, Some(setting)) => setting.to_owned(),
            (None, None) => return Err(unclear()),
        };
        let (name, value) = setting.split_once('=').ok_or_else(unclear)?;
        parameters.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(parameters)
}

/// Words between blanks; a backslash takes the next character as it is.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => word.get_or_insert_default().extend(chars.next()),
            blank if blank.is_ascii_whitespace() || blank == '\x0b' => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cold]
fn unknown(name: &str, name_is_safe: bool) -> ops_core::Error {
    let plain = name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if plain && name_is_safe {
        invalid(format!("the parameter {name} is not known"))
    } else {
        invalid("has a parameter that is not known")
    }
}
