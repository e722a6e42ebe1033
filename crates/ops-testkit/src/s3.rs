//! S3 servers for tests.

mod client;
mod fake;
mod server;

pub use client::{S3Answer, S3Client};
pub use fake::{
    Behavior, CAPTURED, Condition, Fault, Injected, OpenUpload, RecordedRequest, S3Fake, S3Stats,
};
pub use server::S3Server;
