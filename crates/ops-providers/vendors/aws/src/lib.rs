#![doc = include_str!("../README.md")]

#[cfg(feature = "s3")]
mod s3;

#[cfg(feature = "s3")]
pub use ops_s3::{
    Addressing, ChecksumKind, CredentialsProvider, EtagForm, OPERATIONS as S3_OPERATIONS,
    PayloadSigning, ProbeReport, S3Credentials, S3Operation, S3Store, S3StoreBuilder, StoreProfile,
};
#[cfg(feature = "s3")]
pub use s3::AwsS3;
