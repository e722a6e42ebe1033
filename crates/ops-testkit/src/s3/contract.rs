//! Requests of S3 held to Amazon's service model, and answers made from it.
//!
//! The model is `aws-s3.c2j.json` among the descriptions that `ops-conformance` finds. That
//! one is an excerpt; five operations that it leaves out are added here.

mod drive;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::OnceLock;

use http::{HeaderMap, Method, StatusCode};
use ops_conformance::contract::{
    Answer, Coverage, Description, Descriptions, Request, Violation, lines,
};
use ops_core::Error;
use serde_json::Value;

pub use drive::{call_everything, call_presigned};

use super::{Fault, RecordedRequest, S3Fake};

const NAME: &str = "aws-s3.c2j.json";
/// Operations that the description leaves out, in the form in which it has the others.
const MORE: &str = include_str!("contract/more.c2j.json");

/// The elements that answers are in, which the model does not name.
const ROOTS: [(&str, &str); 9] = [
    (
        "CompleteMultipartUploadOutput",
        "CompleteMultipartUploadResult",
    ),
    (
        "CreateMultipartUploadOutput",
        "InitiateMultipartUploadResult",
    ),
    ("DeleteObjectsOutput", "DeleteResult"),
    (
        "GetBucketLifecycleConfigurationOutput",
        "LifecycleConfiguration",
    ),
    ("GetBucketVersioningOutput", "VersioningConfiguration"),
    ("ListMultipartUploadsOutput", "ListMultipartUploadsResult"),
    ("ListObjectVersionsOutput", "ListVersionsResult"),
    ("ListObjectsV2Output", "ListBucketResult"),
    ("ListPartsOutput", "ListPartsResult"),
];

/// Amazon's service model of S3.
#[derive(Clone, Debug)]
pub struct S3Contract(Description);

impl S3Contract {
    /// The model; none where there are no descriptions, after that was said.
    ///
    /// # Panics
    /// Where the model is there and cannot be read.
    #[must_use]
    pub fn find_or_skip() -> Option<Self> {
        Descriptions::find_or_skip().map(|it| Self::load(&it))
    }

    /// As [`find_or_skip`](Self::find_or_skip), without a word.
    ///
    /// # Panics
    /// Where the model is there and cannot be read.
    #[must_use]
    pub fn find() -> Option<Self> {
        Descriptions::find().map(|it| Self::load(&it))
    }

    fn load(descriptions: &Descriptions) -> Self {
        static LOADED: OnceLock<S3Contract> = OnceLock::new();
        LOADED.get_or_init(|| Self::read(descriptions)).clone()
    }

    fn read(descriptions: &Descriptions) -> Self {
        let text = std::fs::read_to_string(descriptions.folder().join(NAME));
        let text = text.expect("the description of S3 is among the others");
        let mut model: Value = serde_json::from_str(&text).expect("the description is JSON");
        let more: Value = serde_json::from_str(MORE).expect("what is added is JSON");
        for part in ["operations", "shapes"] {
            let have = model.get_mut(part).and_then(Value::as_object_mut);
            let have = have.expect("the description has operations and shapes");
            for (name, value) in more
                .get(part)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                have.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        let description = Description::parse(NAME, &model.to_string());
        Self(description.expect("the description is a service model"))
    }

    /// The model itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0
    }

    /// Checks every request that a server has had so far.
    ///
    /// # Panics
    /// With every rule that a request breaks.
    pub fn hold(&self, server: &S3Fake) {
        each(server, |request| self.0.check(request).map(drop));
    }

    /// As [`hold`](Self::hold), and counts the requests.
    ///
    /// # Panics
    /// As [`hold`](Self::hold), and for an operation that the provider does not list.
    pub fn count(&self, coverage: &Coverage, server: &S3Fake) {
        each(server, |request| coverage.check(&self.0, request).map(drop));
    }

    /// Answers that may be given to an operation, made from the model.
    #[must_use]
    pub fn answers(&self, operation: &str) -> Vec<Answer> {
        let mut answers = self.0.answers(operation);
        for answer in &mut answers {
            // How long it is the server says itself.
            answer.headers.remove(http::header::CONTENT_LENGTH);
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            for (shape, root) in ROOTS {
                if text.starts_with(&format!("<{shape}>")) {
                    answer.body = text.replace(shape, root).into();
                }
            }
        }
        answers
    }

    /// Lets a server give this answer to an operation, again and again.
    ///
    /// # Panics
    /// Where the status is none of HTTP.
    pub fn answer_with(server: &S3Fake, operation: &'static str, answer: &Answer) {
        let status = StatusCode::from_u16(answer.status).expect("a status");
        let fault = Fault::answer(status, answer.headers.clone(), answer.body.clone());
        server.inject(fault.on(operation).always());
    }

    /// The ids of the answers that a fault has given.
    #[must_use]
    pub fn broken(server: &S3Fake) -> BTreeSet<String> {
        let requests = server.requests();
        let broken = requests.iter().filter(|it| it.faulted);
        let ids = broken.filter_map(|it| it.answer_header("x-amz-request-id"));
        ids.map(ToOwned::to_owned).collect()
    }

    /// Whether a provider may say this after such an answer: what the status means, or which
    /// field it does not understand. A field stands between backticks.
    #[must_use]
    pub fn is_fitting(answer: &Answer, err: &Error) -> bool {
        match err.kind() {
            ops_core::ErrorKind::Decode => err.message().contains('`'),
            ops_core::ErrorKind::Internal => false,
            // What the store tells about the object contradicts what was written or read.
            _ if answer.status < 300 => true,
            _ => err.status() == Some(answer.status),
        }
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn each(server: &S3Fake, check: impl Fn(&Request) -> Result<(), Vec<Violation>>) {
    for recorded in server.requests() {
        // Broken off by a fault, or longer than what is kept: no request to judge.
        let declared = recorded
            .header("content-length")
            .and_then(|it| it.parse().ok());
        let kept = recorded.body.len() as u64;
        let whole = kept == recorded.body_bytes && kept == declared.unwrap_or(0);
        let raw = matches!(recorded.operation.as_str(), "PutObject" | "UploadPart");
        if !whole && !raw {
            continue;
        }
        if let Err(violations) = check(&request(&recorded)) {
            let line = format!("{} {}?{}", recorded.method, recorded.path, recorded.query);
            panic!("{line}: {}", lines(&violations));
        }
    }
}

/// A server whose requests are held to the model when this is dropped, where the model is
/// there.
#[derive(Debug)]
pub struct Held(S3Fake);

impl Held {
    /// Starts a server.
    ///
    /// # Panics
    /// Where no loopback port can be bound. When it is dropped, with every rule that a
    /// request has broken.
    pub async fn start() -> Self {
        Self(S3Fake::start().await)
    }
}

impl Deref for Held {
    type Target = S3Fake;

    fn deref(&self) -> &S3Fake {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !std::thread::panicking()
            && let Some(contract) = S3Contract::find()
        {
            contract.hold(&self.0);
        }
    }
}

/// A request as the contract kit takes it.
///
/// # Panics
/// Where it was none of HTTP.
#[must_use]
pub fn request(recorded: &RecordedRequest) -> Request {
    let method = Method::from_bytes(recorded.method.as_bytes()).expect("a method");
    let target = if recorded.query.is_empty() {
        recorded.path.clone()
    } else {
        format!("{}?{}", recorded.path, recorded.query)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &recorded.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("the name of a header");
        headers.append(name, value.parse().expect("the value of a header"));
    }
    Request::from_parts(method, target, headers, recorded.body.clone())
}
