//! How to connect.

use std::time::Duration;

use ops_core::{Error, ErrorKind, Result};
use tokio_postgres::config;

/// How to connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// What the server shows in `pg_stat_activity`. Defaults to `ops`.
    pub application_name: String,
    /// How long name resolution, TCP, TLS and login may take together. Defaults to 10 s.
    pub connect_timeout: Duration,
    /// Run-time parameters, set at start-up (`-c name=value`). Defaults to none.
    pub parameters: Vec<(String, String)>,
    /// Whether a login by SCRAM is tied to the TLS connection. Defaults to where it can be.
    pub channel_binding: ChannelBinding,
    /// How a dead peer is noticed.
    pub tcp: TcpLiveness,
}

/// Whether a login by SCRAM proves that client and server are on the same TLS connection,
/// with nobody in between. Named as `channel_binding` of libpq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelBinding {
    /// It does not.
    Disable,
    /// It does where the server offers it.
    #[default]
    Prefer,
    /// A login without it is refused, also one without a password.
    Require,
}

impl From<ChannelBinding> for config::ChannelBinding {
    fn from(channel_binding: ChannelBinding) -> Self {
        match channel_binding {
            ChannelBinding::Disable => Self::Disable,
            ChannelBinding::Prefer => Self::Prefer,
            ChannelBinding::Require => Self::Require,
        }
    }
}

/// How a peer that is gone without a word is noticed. With the defaults, after 30 s where
/// something has been sent, and after 90 s on an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpLiveness {
    /// How long a connection is idle before it is probed. Defaults to 60 s.
    pub keepalive_idle: Duration,
    /// How long to wait between probes. Defaults to 10 s.
    pub keepalive_interval: Duration,
    /// How many probes may go unanswered. Defaults to 3.
    pub keepalive_probes: u32,
    /// How long sent data may go unacknowledged (`TCP_USER_TIMEOUT`, Linux only).
    /// Defaults to 30 s.
    pub user_timeout: Duration,
}

impl Default for TcpLiveness {
    fn default() -> Self {
        Self {
            keepalive_idle: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(10),
            keepalive_probes: 3,
            user_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            application_name: "ops".to_owned(),
            connect_timeout: Duration::from_secs(10),
            parameters: Vec::new(),
            channel_binding: ChannelBinding::default(),
            tcp: TcpLiveness::default(),
        }
    }
}

impl ConnectOptions {
    /// Sets what the server shows in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    /// Sets how long connecting may take.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Adds a run-time parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Sets whether the login is tied to the TLS connection.
    #[must_use]
    pub fn with_channel_binding(mut self, channel_binding: ChannelBinding) -> Self {
        self.channel_binding = channel_binding;
        self
    }

    /// Sets how a dead peer is noticed.
    #[must_use]
    pub fn with_tcp(mut self, tcp: TcpLiveness) -> Self {
        self.tcp = tcp;
        self
    }

    /// The parameters as the start-up parameter `options` of the protocol, in which a
    /// backslash protects blanks. Empty where there are none.
    pub fn startup_options(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.parameters {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str("-c ");
            for char in name.chars().chain(['=']).chain(value.chars()) {
                if char.is_ascii_whitespace() || matches!(char, '\x0b' | '\\') {
                    out.push('\\');
                }
                out.push(char);
            }
        }
        out
    }

    pub(super) fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        if self.connect_timeout.is_zero() {
            problems.push("the connect timeout is zero".to_owned());
        }
        for (name, value) in &self.parameters {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
            if name.is_empty() || !name.bytes().all(plain) {
                problems.push("a run-time parameter has a name that no parameter has".to_owned());
            } else if value.contains('\0') {
                problems.push(format!("the run-time parameter {name} holds a zero byte"));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidConfig, problems.join("; ")).with_provider("postgres"))
    }
}
