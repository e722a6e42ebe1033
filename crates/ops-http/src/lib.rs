#![doc = include_str!("../README.md")]

pub mod auth;
pub mod client;
pub mod decode;
pub mod errors;
pub mod limit;
pub mod multipart;
pub mod observe;
pub mod operation;
pub mod page;
pub mod request;
pub mod retry;
#[cfg(feature = "test-util")]
pub mod test_util;
pub mod transport;

mod classify;
mod encode;
mod exchange;
mod execute;
mod graphql;
mod outgoing;
mod token;

pub use auth::{Auth, Token, TokenSource};
pub use client::{ApiClient, ApiClientBuilder};
pub use errors::{ErrorBody, ErrorRow, ErrorRules, ParseError, ResetHeader};
pub use http::{Method, StatusCode, header};
pub use limit::Limits;
pub use multipart::{Multipart, Part};
pub use observe::{RetryEvent, RetryObserver};
pub use operation::{Idempotency, Operation};
pub use ops_core::database::TlsVersion;
pub use page::{Next, PageOf, PagedRequest, Paging};
pub use request::{ApiRequest, Response};
pub use retry::RetryPolicy;
pub use transport::{HttpClient, HttpClientBuilder};
