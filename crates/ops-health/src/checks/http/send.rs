//! One request, and the redirects that it leads to.

use std::error::Error as StdError;
use std::io;

use http::header::LOCATION;
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, Response};
use rustls::ClientConfig;
use url::Url;

use super::Http;
use super::guard::is_public;
use crate::check::CheckCtx;
use crate::client_tls::{code_of, provider, versions};
use crate::net::resolve;
use crate::outcome::Outcome;
use crate::status::Code;

impl Http {
    pub(super) async fn send(&self, ctx: &CheckCtx) -> Result<Response, Outcome> {
        let first = self
            .url
            .as_ref()
            .map_err(|problem| Outcome::unhealthy(Code::Failed).with_detail(problem))?;
        let mut url = first.clone();
        for redirects in 0.. {
            let response = self
                .send_once(ctx, &url, url.origin() == first.origin())
                .await?;
            if redirects >= self.max_redirects || !response.status().is_redirection() {
                return Ok(response);
            }
            match next(&url, &response) {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        Err(Outcome::unhealthy(Code::Failed))
    }

    /// Asks one address of the host, one that was looked at. To resolve the name again when
    /// connecting would let it change in between.
    async fn send_once(
        &self,
        ctx: &CheckCtx,
        url: &Url,
        is_origin: bool,
    ) -> Result<Response, Outcome> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let mut addresses = resolve(ctx, host, port).await?;
        if self.public_only {
            addresses.retain(|address| is_public(address.ip()));
            if addresses.is_empty() {
                return Err(Outcome::unhealthy(Code::Forbidden)
                    .with_detail(format!("{host} is not on the public Internet")));
            }
        }
        let client = self.client(ctx).await?.resolve_to_addrs(host, &addresses);
        let client = client.build().map_err(outcome)?;
        let mut request = client
            .request(self.method.clone(), url.clone())
            .timeout(ctx.remaining());
        for (name, value) in self.headers.iter().filter(|_| is_origin) {
            if let Ok(name) = name {
                request = request.header(name, value.expose());
            }
        }
        request.send().await.map_err(outcome)
    }

    async fn client(&self, ctx: &CheckCtx) -> Result<reqwest::ClientBuilder, Outcome> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(self.min_tls))
            .map_err(|err| Outcome::unhealthy(Code::Failed).with_detail(err.to_string()))?
            .with_root_certificates(self.root_store(ctx).await?)
            .with_no_client_auth();
        Ok(Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(Redirects::none())
            .no_proxy()
            .referer(false)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("ops-health/", env!("CARGO_PKG_VERSION"))))
    }
}

/// Where an answer leads to, if that may be followed.
fn next(from: &Url, response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let to = from.join(location).ok()?;
    let is_web = matches!(to.scheme(), "http" | "https") && to.has_host();
    let is_downgrade = from.scheme() == "https" && to.scheme() == "http";
    (is_web && !is_downgrade).then_some(to)
}

/// What an error of the client means. The URL is taken out: its query may hold a secret.
pub(super) fn outcome(err: reqwest::Error) -> Outcome {
    let err = err.without_url();
    let text = chain(&err);
    if let Some(tls) = cause::<rustls::Error>(&err) {
        return Outcome::unhealthy(code_of(tls)).with_detail(text);
    }
    if err.is_timeout() {
        return Outcome::unhealthy(Code::Timeout).with_detail(text);
    }
    let code = match cause::<io::Error>(&err).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Code::Refused,
        _ if err.is_connect() => Code::Unreachable,
        _ if err.is_builder() => Code::Failed,
        _ => Code::Unreachable,
    };
    Outcome::unhealthy(code).with_detail(text)
}

/// The error and its causes in one line.
fn chain(err: &dyn StdError) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        text.push_str(": ");
        text.push_str(&err.to_string());
        cause = err.source();
    }
    text
}

/// The error of this type among the causes.
fn cause<'a, E: StdError + 'static>(err: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut cause = Some(err);
    while let Some(err) = cause {
        if let Some(found) = err.downcast_ref::<E>() {
            return Some(found);
        }
        // An I/O error leaves out of `source` what it was made of.
        let inner = err.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => err.source(),
        };
    }
    None
}
