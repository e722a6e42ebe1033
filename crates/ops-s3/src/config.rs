//! How a store is opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::{HeaderName, HeaderValue};
use ops_core::database::TlsVersion;
use ops_core::{Clock, Error, ProviderId, Result, Secret, SystemClock};
use url::Url;

use crate::credentials::{CredentialsProvider, Fixed, S3Credentials};
use crate::profile::StoreProfile;
use crate::store::S3Store;

const MIB: u64 = 1024 * 1024;

/// Where the bucket's name stands in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addressing {
    /// In the path: `https://host/bucket/key`.
    Path,
    /// In the host's name: `https://bucket.host/key`.
    VirtualHost,
}

/// Whether the content of a request is part of its signature.
///
/// Content is protected by a checksum in any case; a signature costs a SHA-256 over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadSigning {
    /// Only without TLS, where anybody on the way could change the content.
    #[default]
    WithoutTls,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Configures an [`S3Store`].
#[derive(Clone, Debug)]
#[must_use]
pub struct S3StoreBuilder {
    pub(crate) bucket: String,
    pub(crate) provider: ProviderId,
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) addressing: Option<Addressing>,
    pub(crate) credentials: Option<Arc<dyn CredentialsProvider>>,
    pub(crate) prefix: String,
    pub(crate) headers: BTreeMap<String, Secret>,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) max_attempts: u32,
    pub(crate) initial_backoff: Duration,
    pub(crate) min_tls: TlsVersion,
    pub(crate) root_certificates: Option<Vec<u8>>,
    pub(crate) allow_http: bool,
    pub(crate) payload_signing: PayloadSigning,
    pub(crate) part_bytes: u64,
    pub(crate) concurrency: usize,
    pub(crate) byte_budget: u64,
    pub(crate) max_object_bytes: Option<u64>,
    pub(crate) probe_part_sizes: bool,
    pub(crate) profile: Option<StoreProfile>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl S3StoreBuilder {
    pub(crate) fn new(bucket: String) -> Self {
        Self {
            bucket,
            provider: ProviderId::from_static("s3"),
            region: "us-east-1".to_owned(),
            endpoint: None,
            addressing: None,
            credentials: None,
            prefix: String::new(),
            headers: BTreeMap::new(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            max_attempts: 3,
            initial_backoff: Duration::from_millis(250),
            min_tls: TlsVersion::V1_3,
            root_certificates: None,
            allow_http: false,
            payload_signing: PayloadSigning::WithoutTls,
            part_bytes: 8 * MIB,
            concurrency: 4,
            byte_budget: 64 * MIB,
            max_object_bytes: None,
            probe_part_sizes: false,
            profile: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The name that errors and spans give the store. Defaults to `s3`.
    pub fn provider(mut self, provider: impl Into<ProviderId>) -> Self {
        self.provider = provider.into();
        self
    }

    /// The region that requests are signed for. Defaults to `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The URL of the store, without the bucket. Defaults to Amazon S3 in the region.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Where the bucket's name stands. Defaults to the path where an endpoint is given,
    /// and to the host's name at Amazon.
    pub fn addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = Some(addressing);
        self
    }

    /// The credentials that requests are signed with. One of this and
    /// [`credentials_provider`](Self::credentials_provider) is required.
    pub fn credentials(self, credentials: S3Credentials) -> Self {
        self.credentials_provider(Arc::new(Fixed(credentials)))
    }

    /// Where credentials that change come from.
    pub fn credentials_provider(mut self, provider: Arc<dyn CredentialsProvider>) -> Self {
        self.credentials = Some(provider);
        self
    }

    /// What all keys begin with in the bucket. It is not part of the keys that the store
    /// takes and gives. Defaults to nothing.
    ///
    /// A store with a prefix has neither [`Lifecycle`](ops_core::object_store::Lifecycle)
    /// nor [`BucketAdmin`](ops_core::object_store::BucketAdmin), which are about the whole
    /// bucket.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A header that every request carries, such as a jurisdiction. It is signed. May be
    /// called again.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// How long a connection may take to be made. Defaults to 5 s.
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How long the store may take to begin its answer. Defaults to 30 s.
    ///
    /// A request with content has 1 s more for each 64 KiB.
    pub fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.attempt_timeout = attempt_timeout;
        self
    }

    /// While an answer is waited for, 64 KiB of it must arrive in this time. Defaults to 30 s.
    pub fn stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// How often a request is sent at most, the first time included. Defaults to 3.
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// The longest wait before the second attempt; each further one waits up to twice as
    /// long. Defaults to 250 ms.
    pub fn initial_backoff(mut self, initial_backoff: Duration) -> Self {
        self.initial_backoff = initial_backoff;
        self
    }

    /// The oldest TLS that is accepted. Defaults to TLS 1.3.
    pub fn min_tls(mut self, min_tls: TlsVersion) -> Self {
        self.min_tls = min_tls;
        self
    }

    /// The certificates, in PEM, that identify the store. Defaults to the operating
    /// system's; those given are used instead of them.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Whether the endpoint may be `http:`. Defaults to false.
    pub fn allow_http(mut self, allow_http: bool) -> Self {
        self.allow_http = allow_http;
        self
    }

    /// Whether content is part of the signature. Defaults to [`PayloadSigning::WithoutTls`].
    pub fn payload_signing(mut self, payload_signing: PayloadSigning) -> Self {
        self.payload_signing = payload_signing;
        self
    }

    /// The size of a part of an upload and of a range of a read, in bytes. Defaults to 8 MiB.
    pub fn part_bytes(mut self, part_bytes: u64) -> Self {
        self.part_bytes = part_bytes;
        self
    }

    /// How many parts of one transfer are under way at once. Defaults to 4.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// How many bytes all transfers of the store hold in memory together, besides one part
    /// of each. Defaults to 64 MiB.
    pub fn byte_budget(mut self, byte_budget: u64) -> Self {
        self.byte_budget = byte_budget;
        self
    }

    /// The largest object that `put_stream` must be able to write, in bytes.
    ///
    /// Parts are then equal and as large as that needs. Without it parts grow along the
    /// way, up to the byte budget; with the defaults, 490 GiB fit. A store that wants equal
    /// parts takes 10 000 of [`part_bytes`](Self::part_bytes), 78 GiB with the defaults.
    pub fn max_object_bytes(mut self, max_object_bytes: u64) -> Self {
        self.max_object_bytes = Some(max_object_bytes);
        self
    }

    /// Whether a store that is probed when it is opened is also asked if all parts of an
    /// upload must have one size. That sends 10 MiB. Defaults to false: parts may differ.
    pub fn probe_part_sizes(mut self, probe: bool) -> Self {
        self.probe_part_sizes = probe;
        self
    }

    /// What the store can do. Defaults to finding out by trying, on scratch keys below
    /// `.ops-probe/`, when the store is opened.
    pub fn profile(mut self, profile: StoreProfile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// Where the time comes from. Defaults to the system's clock. Signatures go by the
    /// system's clock in any case.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the store, and probes what it can do where no profile is given.
    ///
    /// With a profile nothing is sent.
    ///
    /// # Errors
    /// `InvalidConfig` with every problem that was found. While probing: `NotFound` for the
    /// bucket, `PermissionDenied` where objects cannot be written and deleted (give a
    /// profile then), `Unauthenticated`, `Unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future while it probes removes the scratch keys in the background.
    pub async fn open(self) -> Result<S3Store> {
        self.check()?;
        S3Store::open(self).await
    }

    pub(crate) fn uses_tls(&self) -> bool {
        self.endpoint
            .as_deref()
            .is_none_or(|endpoint| !endpoint.starts_with("http:"))
    }

    fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        check_bucket(&self.bucket, &mut problems);
        self.check_endpoint(&mut problems);
        self.check_sizes(&mut problems);
        if self.region.is_empty() {
            problems.push("region is empty".to_owned());
        }
        if self.credentials.is_none() {
            problems.push("credentials are missing".to_owned());
        }
        if self.prefix.len() > 512 || self.prefix.contains('\0') {
            problems.push("prefix is longer than 512 bytes or contains NUL".to_owned());
        }
        for (name, value) in &self.headers {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value.expose()).is_err()
            {
                problems.push(format!("{name:?} is not a header, or its value is none"));
            }
        }
        for (name, span) in [
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            if span.is_zero() {
                problems.push(format!("{name} is zero"));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_config(problems)
            .with_provider(self.provider.clone())
            .with_operation("object_store.open"))
    }

    fn check_endpoint(&self, problems: &mut Vec<String>) {
        let Some(endpoint) = &self.endpoint else {
            return;
        };
        let Ok(url) = Url::parse(endpoint) else {
            problems.push("endpoint is not a URL".to_owned());
            return;
        };
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => problems.push("endpoint is http:, which allow_http would allow".to_owned()),
            _ => problems.push("endpoint is neither https: nor http:".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            problems.push("endpoint contains credentials".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            problems.push("endpoint contains a query or a fragment".to_owned());
        }
    }

    fn check_sizes(&self, problems: &mut Vec<String>) {
        if self.max_attempts == 0 {
            problems.push("max_attempts is zero".to_owned());
        }
        if self.concurrency == 0 || self.concurrency > 1_024 {
            problems.push("concurrency is not between 1 and 1024".to_owned());
        }
        if self.part_bytes == 0 {
            problems.push("part_bytes is zero".to_owned());
        }
        if self.byte_budget == 0 {
            problems.push("byte_budget is zero".to_owned());
        }
        if let Some(profile) = &self.profile
            && !(profile.min_part_bytes..=profile.max_part_bytes).contains(&self.part_bytes)
        {
            problems.push(format!(
                "part_bytes is not between the {} and {} of the store",
                profile.min_part_bytes, profile.max_part_bytes
            ));
        }
    }
}

fn check_bucket(bucket: &str, problems: &mut Vec<String>) {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-._".contains(char);
    if bucket.is_empty() || bucket.len() > 255 {
        problems.push("bucket is empty or longer than 255 characters".to_owned());
    } else if !bucket.chars().all(allowed) || bucket.starts_with('.') {
        problems.push("bucket is not made of letters, digits, '-', '.' and '_'".to_owned());
    }
}
