//! S3 servers for tests.
//!
//! [`S3Fake`] runs in this process. It behaves as Amazon's does, is told by
//! [`behave`](S3Fake::behave) to be weaker, and by [`inject`](S3Fake::inject) to fail; it
//! writes down every request. [`S3Server`] is one that others have written: what passes on
//! both does not depend on our reading of the protocol.
//!
//! ```
//! use ops_testkit::s3::{Fault, S3Fake};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let s3 = S3Fake::start().await;
//! s3.create_bucket("shop");
//! let busy = s3.inject(Fault::slow_down().on("PutObject").times(2));
//!
//! let put = || http::Request::put("/shop/k").body("hello".into()).unwrap();
//! let mut statuses = Vec::new();
//! for _ in 0..3 {
//!     statuses.push(s3.client().send(put()).await.unwrap().status);
//! }
//! assert_eq!(statuses, [503, 503, 200]);
//! assert_eq!(busy.happened(), 2);
//! assert_eq!(s3.content("shop", "k").unwrap(), "hello");
//! assert_eq!(s3.requests()[0].operation, "PutObject");
//! # }
//! ```
//!
//! | server | lacks |
//! | --- | --- |
//! | [`S3Fake`] | access rules, encryption, replication; settings such as lifecycle are kept, not acted on |
//! | LocalStack | signatures in headers are not looked at |
//! | `s3s-fs` | versions, tags, lifecycle, CORS, lists of uploads; the entity tags of parts are not compared, a missing bucket is a missing key |

mod client;
#[cfg(feature = "s3-contract")]
pub mod contract;
mod fake;
mod server;

pub use client::{S3Answer, S3Client};
pub use fake::{
    Behavior, CAPTURED, Condition, Fault, Injected, OpenUpload, RecordedRequest, S3Fake, S3Stats,
};
pub use server::{S3Server, python};
