#![doc = include_str!("../README.md")]

pub mod auth;
pub mod client;
mod decode;
pub mod graphql;
pub mod errors;
pub mod operation;
pub mod page;
pub mod request;
pub mod retry;

pub use auth::{Auth, Token, TokenSource};
pub use client::{ApiClient, ApiClientBuilder, HttpClient, HttpClientBuilder, Limits, TlsVersion};
pub use errors::{ErrorBody, ErrorRow, ErrorRules, ResetHeader};
pub use http::Method;
pub use operation::{Idempotency, Operation};
pub use page::{Next, PageOf, PagedRequest, Paging};
pub use request::{ApiRequest, Response};
pub use retry::RetryPolicy;
