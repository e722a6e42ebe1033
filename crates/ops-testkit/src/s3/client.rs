//! A client that sends what a test says, signed, and shows what came back.

use std::io;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use ops_core::{Clock, SystemClock};
use tokio::net::TcpStream;

/// A client for raw requests: no retries, no checksums of its own, and a connection for each
/// request, so that a test sees what the server does.
///
/// ```
/// use ops_testkit::s3::S3Fake;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let s3 = S3Fake::start().await;
/// s3.create_bucket("shop");
/// let put = http::Request::put("/shop/a%20b").header("content-md5", "nope");
/// let answer = s3.client().send(put.body("hello".into()).unwrap()).await.unwrap();
/// assert_eq!((answer.status, answer.code().as_deref()), (400, Some("InvalidDigest")));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct S3Client {
    endpoint: String,
    region: String,
    credentials: Credentials,
    ahead_seconds: i64,
    signs_payload: bool,
}

/// What came back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: Bytes,
    /// What cut the body short.
    pub cut: Option<String>,
}

impl S3Answer {
    /// The value of a header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The error code in the body.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        self.texts_of("Code").into_iter().next()
    }

    /// The texts of all elements of this name in the body, in order. Elements within them
    /// are left as they are.
    #[must_use]
    pub fn texts_of(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let text = self.text();
        let after = text.split(&open).skip(1);
        after
            .filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned()))
            .collect()
    }
}

impl S3Client {
    /// A client of an endpoint such as `http://127.0.0.1:9000`, for path-style requests.
    #[must_use]
    pub fn new(endpoint: &str, region: &str, access_key: &str, secret_key: &str) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
            credentials: Credentials::from_keys(access_key, secret_key, None),
            ahead_seconds: 0,
            signs_payload: true,
        }
    }

    /// Signs as a client does whose clock goes ahead of the true one, or behind it.
    #[must_use]
    pub fn clock_ahead(mut self, seconds: i64) -> Self {
        self.ahead_seconds = seconds;
        self
    }

    /// Leaves the payload out of the signature: `UNSIGNED-PAYLOAD`.
    #[must_use]
    pub fn unsigned_payload(mut self) -> Self {
        self.signs_payload = false;
        self
    }

    /// Sends a request, whose URI is a path with its query as they go over the wire, and
    /// signs it in its headers.
    ///
    /// # Errors
    /// Where no answer came, as when the connection was reset before its head.
    ///
    /// # Panics
    /// Where the request cannot be signed, as with an invalid URI.
    pub async fn send(&self, request: Request<Bytes>) -> io::Result<S3Answer> {
        self.send_unsigned(self.signed(request)).await
    }

    /// As [`send`](Self::send), without a signature.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub async fn send_unsigned(&self, mut request: Request<Bytes>) -> io::Result<S3Answer> {
        let authority = self.authority();
        let host = HeaderValue::from_str(authority).expect("an address is a valid header");
        request.headers_mut().insert(header::HOST, host);
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request.map(Full::new)).await;
        let (head, mut body) = answer.map_err(io::Error::other)?.into_parts();
        let (mut received, mut cut) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => received.extend_from_slice(&data),
                Ok(Err(_)) => {}
                Err(err) => cut = Some(err.to_string()),
            }
        }
        connection.abort();
        Ok(S3Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: received.freeze(),
            cut,
        })
    }

    /// A presigned URL of a path with its query.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[must_use]
    pub fn presign(&self, method: &str, path: &str, expires: Duration) -> String {
        let mut settings = settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.expires_in = Some(expires);
        let url = format!("{}{path}", self.endpoint);
        let host = [("host", self.authority())];
        let signable = SignableRequest::new(
            method,
            url.as_str(),
            host.into_iter(),
            SignableBody::UnsignedPayload,
        );
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .body(())
            .expect("the path is valid");
        self.instructions(signable.expect("the path is valid"), settings)
            .apply_to_request_http1x(&mut request);
        request.uri().to_string()
    }

    fn signed(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        let authority = self.authority().to_owned();
        let host = HeaderValue::from_str(&authority).expect("an address is a valid header");
        request.headers_mut().insert(header::HOST, host);
        let url = format!("{}{}", self.endpoint, request.uri());
        let said = request.headers().get("x-amz-content-sha256").cloned();
        let body = match &said {
            Some(said) => {
                SignableBody::Precomputed(String::from_utf8_lossy(said.as_bytes()).into_owned())
            }
            None if self.signs_payload => SignableBody::Bytes(request.body()),
            None => SignableBody::UnsignedPayload,
        };
        let headers: Vec<_> = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let signable = SignableRequest::new(
            request.method().as_str(),
            url.as_str(),
            headers.into_iter(),
            body,
        );
        let instructions = self.instructions(signable.expect("the request is valid"), settings());
        instructions.apply_to_request_http1x(&mut request);
        let path = request.uri().path_and_query().map(ToString::to_string);
        *request.uri_mut() = path
            .and_then(|path| path.parse::<Uri>().ok())
            .expect("the path was valid before");
        request
    }

    fn instructions(
        &self,
        request: SignableRequest<'_>,
        settings: SigningSettings,
    ) -> aws_sigv4::http_request::SigningInstructions {
        let seconds = SystemClock.now().unix_seconds() + self.ahead_seconds;
        let seconds = u64::try_from(seconds).expect("the clock shows a year after 1970");
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(settings)
            .build()
            .expect("all parameters are given");
        let signed = sign(request, &parameters.into()).expect("the request can be signed");
        signed.into_parts().0
    }

    fn authority(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }
}

/// As S3 wants it: paths are signed as they are sent.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}
