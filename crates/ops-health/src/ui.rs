//! A page for people.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::health::Health;
use crate::private::Authorized;
use crate::watch::Watch;

mod data;
mod history;

pub(crate) use history::History;

const PAGE: &str = include_str!("ui/page.html");

/// A page that shows the checks, what changed, and where there is a [`Watch`] also alerts,
/// objectives and incidents: `/health/ui`, for authorized callers only.
///
/// One self-contained page that asks for new facts every 5 s; it works on a phone and without
/// colors. A browser cannot send a bearer token, so it is asked for a login: any user, and
/// the token as the password.
///
/// ```
/// use ops_health::{Health, StatusPage};
///
/// let health = Health::builder()
///     .bearer_token("5ac1f0d7a1be4d7fa6c9a9d2f3b4c5d6")
///     .build()?;
/// let page = StatusPage::new(&health);
/// // With the feature `axum`: `app.merge(page.router())`.
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StatusPage {
    health: Health,
    watch: Option<Watch>,
    for_everybody: bool,
}

impl StatusPage {
    /// The path of the page, and of its data below it.
    pub const PATHS: [&'static str; 2] = ["/health/ui", "/health/ui/data"];

    /// Shows this service.
    #[must_use]
    pub fn new(health: &Health) -> Self {
        Self {
            health: health.clone(),
            watch: None,
            for_everybody: false,
        }
    }

    /// Shows its alerts, objectives and incidents as well.
    #[must_use]
    pub fn watch(mut self, watch: &Watch) -> Self {
        self.watch = Some(watch.clone());
        self
    }

    /// Shows the page to whoever asks: for a second listener that only operators can reach.
    #[must_use]
    pub fn for_everybody(mut self) -> Self {
        self.for_everybody = true;
        self
    }

    /// Answers a request for the page or its data. Runs no check and waits for nothing.
    /// Every other path is 404, every method but GET and HEAD 405.
    #[must_use]
    pub fn respond(&self, request: &Parts) -> Response<Bytes> {
        let path = request.uri.path();
        if !Self::PATHS.contains(&path) {
            return plain(StatusCode::NOT_FOUND);
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        let access = &self.health.0.settings.access;
        let proof = if self.for_everybody {
            Some(Authorized::caller())
        } else {
            access.authorize(request)
        };
        let mut response = match proof {
            Some(proof) if path == "/health/ui/data" => answer(
                "application/json",
                data::body(&self.health, self.watch.as_ref(), &proof),
            ),
            Some(_) => page(),
            None if access.is_open_to_someone() => {
                let mut response = plain(StatusCode::UNAUTHORIZED);
                let login = HeaderValue::from_static("Basic realm=\"health\", charset=\"UTF-8\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, login);
                response
            }
            None => plain(StatusCode::NOT_FOUND),
        };
        if request.method == Method::HEAD {
            *response.body_mut() = Bytes::new();
        }
        response
    }

    /// The page for axum, to be merged beside [`Health::router`].
    #[cfg(feature = "axum")]
    pub fn router<S>(&self) -> axum::Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        Self::PATHS
            .into_iter()
            .fold(axum::Router::new(), |router, path| {
                let page = self.clone();
                let answer = move |request: axum::extract::Request| {
                    let response = page.respond(&request.into_parts().0);
                    std::future::ready(response.map(axum::body::Body::from))
                };
                router.route(path, axum::routing::any(answer))
            })
    }
}

/// Nothing but what the page itself holds may run or be loaded, and no other site may
/// show it.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut policy = "default-src 'none'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'"
        .to_owned();
    for (directive, open, close) in [
        ("script-src", "<script>", "</script>"),
        ("style-src", "<style>", "</style>"),
    ] {
        let inline = PAGE
            .split_once(open)
            .and_then(|(_, rest)| rest.split_once(close))
            .map_or("", |(inline, _)| inline);
        let hash = STANDARD.encode(Sha256::digest(inline.as_bytes()));
        // Writing to a string does not fail.
        let _ = write!(policy, "; {directive} 'sha256-{hash}'");
    }
    // Base64 and the words above are visible ASCII.
    HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

fn page() -> Response<Bytes> {
    let mut response = answer(
        "text/html; charset=utf-8",
        Bytes::from_static(PAGE.as_bytes()),
    );
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

fn answer(content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let length = body.len();
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn plain(status: StatusCode) -> Response<Bytes> {
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = answer(
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    );
    *response.status_mut() = status;
    response
}

/// The password of an `Authorization: Basic`.
pub(crate) fn basic_password(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked("basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Whole seconds.
const fn seconds(span: Duration) -> u64 {
    span.as_secs()
}
