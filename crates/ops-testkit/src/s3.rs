//! S3 servers for tests.

mod fake;

pub use fake::{
    Behavior, CAPTURED, Condition, Fault, Injected, OpenUpload, RecordedRequest, S3Fake, S3Stats,
};
