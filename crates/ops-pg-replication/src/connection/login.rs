//! Logging in.
//!
//! Facts: PostgreSQL's manual, sections "Start-up" and "SASL Authentication" of "Frontend/
//! Backend Protocol"; RFC 5802, RFC 7677 and RFC 5929 for SCRAM and its channel binding.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ops_core::database::{ConnectInfo, Host};
use ops_core::{Error, ErrorKind, Result, Retry, Secret};
use ops_pg::connect::{ChannelBinding, Connector, Stream};
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::frontend;
use tokio::time::Instant;

use super::{Connection, Writer};
use crate::error::{error, nothing_applied, protocol};
use crate::options::{Mode, ReplicationOptions};
use crate::wire::{Fields, Message, Reader};

const STEP: &str = "logging in";

/// The oldest server that is supported.
const MIN_VERSION_NUM: u32 = 130_000;

impl Connection {
    /// Connects and logs in, within the `connect_timeout` of the options.
    pub(crate) async fn open(info: &ConnectInfo, options: &ReplicationOptions) -> Result<Self> {
        let locate = |err: Error| {
            nothing_applied(err)
                .with_provider("postgres")
                .with_resource(info.to_string())
        };
        options.check().map_err(locate)?;
        let started = Instant::now();
        let connector = Connector::new(info, &options.connect).await?;
        let stream = connector.open().await?;
        let left = options
            .connect
            .connect_timeout
            .saturating_sub(started.elapsed());
        tokio::time::timeout(left, Login::run(stream, info, options))
            .await
            .unwrap_or_else(|_| {
                let timeout = options.connect.connect_timeout;
                let message = format!("connecting took longer than {timeout:?}; it was at {STEP}");
                Err(error(ErrorKind::Timeout, message))
            })
            .map_err(locate)
    }
}

struct Login<'a> {
    connection: Connection,
    info: &'a ConnectInfo,
    user: &'a str,
    channel_binding: ChannelBinding,
    /// What ties a login to the TLS connection.
    end_point: Option<Vec<u8>>,
    /// Whether somebody on the network could read a password.
    is_exposed: bool,
}

impl<'a> Login<'a> {
    async fn run(
        stream: Stream,
        info: &'a ConnectInfo,
        options: &ReplicationOptions,
    ) -> Result<Connection> {
        let user = info.user.as_deref().ok_or_else(|| {
            error(
                ErrorKind::InvalidConfig,
                "a replication connection needs a user",
            )
        })?;
        let end_point = stream.tls_server_end_point().map(<[u8]>::to_vec);
        let is_exposed = !stream.is_encrypted() && !matches!(info.host, Host::Unix(_));
        let (read, write) = tokio::io::split(stream);
        let connection = Connection {
            reader: Reader::new(read),
            writer: Some(Writer {
                half: write,
                timeout: options.silence_timeout,
            }),
            server_version_num: 0,
            notices: VecDeque::new(),
            command_timeout: options.command_timeout,
            silence_timeout: options.silence_timeout,
            clock: Arc::clone(&options.clock),
            busy: true,
        };
        let mut login = Self {
            connection,
            info,
            user,
            channel_binding: options.connect.channel_binding,
            end_point,
            is_exposed,
        };
        login.start_up(options).await?;
        login.authenticate().await?;
        login.finish().await
    }

    async fn start_up(&mut self, options: &ReplicationOptions) -> Result<()> {
        let settings = options.connect.startup_options();
        let mut parameters = vec![
            ("user", self.user),
            (
                "application_name",
                options.connect.application_name.as_str(),
            ),
        ];
        match options.mode {
            Mode::Physical => parameters.push(("replication", "true")),
            Mode::Database => {
                parameters.push(("replication", "database"));
                parameters.push(("client_encoding", "UTF8"));
                if let Some(database) = &self.info.database {
                    parameters.push(("database", database));
                }
            }
        }
        if !settings.is_empty() {
            parameters.push(("options", &settings));
        }
        let mut buffer = BytesMut::new();
        frontend::startup_message(parameters, &mut buffer).map_err(|_| {
            let message = "the user, the database or a setting holds a zero byte";
            error(ErrorKind::InvalidConfig, message)
        })?;
        self.connection.send(&buffer, STEP).await
    }

    async fn authenticate(&mut self) -> Result<()> {
        loop {
            let mut fields = self.demand().await?;
            match fields.u32()? {
                0 => return self.check_unbound(),
                3 => self.clear_text().await?,
                5 => {
                    let salt = fields.u32()?.to_be_bytes();
                    self.md5(salt).await?;
                }
                10 => {
                    self.scram(fields).await?;
                    let mut fields = self.demand().await?;
                    return match fields.u32()? {
                        0 => Ok(()),
                        _ => Err(protocol("the server demands a second login")),
                    };
                }
                _ => {
                    let message = "the server demands a way to log in that is not supported; \
                                   scram-sha-256, md5 and password are";
                    return Err(error(ErrorKind::Unsupported, message));
                }
            }
        }
    }

    /// The next message that the server demands or says about the login.
    async fn demand(&mut self) -> Result<Fields> {
        let limit = self.connection.command_timeout;
        match self.connection.expect(limit, STEP).await? {
            Message::Authentication(body) => Ok(Fields::new(body)),
            other => Err(other.unexpected(STEP)),
        }
    }

    fn password(&self) -> Result<&'a Secret> {
        self.info.password.as_ref().ok_or_else(|| {
            let message = "the server asks for a password, and there is none";
            error(ErrorKind::Unauthenticated, message)
        })
    }

    /// Only SCRAM can be bound to the TLS connection.
    fn check_unbound(&self) -> Result<()> {
        if self.channel_binding == ChannelBinding::Require {
            return Err(unbound(
                "the server lets us in by something else than SCRAM",
            ));
        }
        Ok(())
    }

    async fn clear_text(&mut self) -> Result<()> {
        self.check_unbound()?;
        let password = self.password()?;
        if self.is_exposed {
            let message = "the server asks for the password in clear text over a connection \
                           that is not encrypted";
            return Err(error(ErrorKind::Unauthenticated, message));
        }
        self.send_password(password.expose().as_bytes()).await
    }

    async fn md5(&mut self, salt: [u8; 4]) -> Result<()> {
        self.check_unbound()?;
        let password = self.password()?.expose().as_bytes();
        let hash = md5_hash(self.user.as_bytes(), password, salt);
        self.send_password(hash.as_bytes()).await
    }

    async fn send_password(&mut self, password: &[u8]) -> Result<()> {
        let mut buffer = BytesMut::new();
        frontend::password_message(password, &mut buffer)
            .map_err(|_| error(ErrorKind::InvalidConfig, "the password holds a zero byte"))?;
        self.connection.send(&buffer, STEP).await
    }

    async fn scram(&mut self, offered: Fields) -> Result<()> {
        let (mechanism, binding) = self.mechanism(offered)?;
        let password = self.password()?.expose().as_bytes();
        let mut scram = sasl::ScramSha256::new(password, binding);
        let mut buffer = BytesMut::new();
        frontend::sasl_initial_response(mechanism, scram.message(), &mut buffer)
            .map_err(too_long)?;
        self.connection.send(&buffer, STEP).await?;

        let challenge = self.sasl(11).await?;
        scram.update(&challenge).map_err(not_scram)?;
        buffer.clear();
        frontend::sasl_response(scram.message(), &mut buffer).map_err(too_long)?;
        self.connection.send(&buffer, STEP).await?;

        // With this the server proves that it knows the password, too.
        let proof = self.sasl(12).await?;
        scram.finish(&proof).map_err(|source| {
            let message = "the server does not prove that it knows the password";
            error(ErrorKind::Unauthenticated, message).with_source(source)
        })
    }

    async fn sasl(&mut self, step: u32) -> Result<Bytes> {
        let mut fields = self.demand().await?;
        if fields.u32()? != step {
            return Err(protocol("the server does not keep to the order of SCRAM"));
        }
        Ok(fields.rest())
    }

    fn mechanism(&mut self, mut offered: Fields) -> Result<(&'static str, sasl::ChannelBinding)> {
        let (mut plain, mut plus) = (false, false);
        loop {
            match &*offered.cstr()? {
                b"" => break,
                b"SCRAM-SHA-256" => plain = true,
                b"SCRAM-SHA-256-PLUS" => plus = true,
                _ => {}
            }
        }
        let end_point = match self.channel_binding {
            ChannelBinding::Disable => None,
            _ => self.end_point.take(),
        };
        let wants = self.channel_binding == ChannelBinding::Require;
        match end_point {
            Some(hash) if plus => Ok((
                sasl::SCRAM_SHA_256_PLUS,
                sasl::ChannelBinding::tls_server_end_point(hash),
            )),
            _ if wants && plus => Err(unbound("the connection has nothing to tie a login to")),
            _ if wants => Err(unbound("the server does not offer it")),
            // This tells the server that we could, in case somebody hid its offer.
            Some(_) if plain => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested())),
            None if plain => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported())),
            _ => {
                let message = "the server offers no way to log in by SASL that is supported";
                Err(error(ErrorKind::Unsupported, message))
            }
        }
    }

    /// Reads what the server says of itself until it is ready.
    async fn finish(mut self) -> Result<Connection> {
        let limit = self.connection.command_timeout;
        match self.connection.expect(limit, STEP).await? {
            Message::Ready => {}
            other => return Err(other.unexpected(STEP)),
        }
        match self.connection.server_version_num {
            0 => Err(protocol("the server does not say its version")),
            version if version < MIN_VERSION_NUM => {
                let message = "the server is older than PostgreSQL 13";
                Err(error(ErrorKind::Unsupported, message))
            }
            _ => Ok(self.connection),
        }
    }
}

#[cold]
fn unbound(why: &str) -> Error {
    error(
        ErrorKind::Unauthenticated,
        format!("channel binding is required, and {why}"),
    )
    .with_retry(Retry::Never)
}

#[cold]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
fn not_scram(source: std::io::Error) -> Error {
    protocol(format!("the server's answer is not SCRAM: {source}"))
}

#[cold]
fn too_long(_: std::io::Error) -> Error {
    protocol("the server makes the login too long")
}
